"""Worlds in which batteries have safe values that are not 0, and alone limits; and who judges alone limits.

Chances of their own: worlds without them keep their course.
"""

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from bosd.bal.spec import AggregatorSpec, BatterySpec, JbdSpec, NetworkSpec
from tests.support.fleet.channels import Sent
from tests.support.fleet.fleet import Fleet, Host, Judge, Process
from tests.support.fleet.judges import ViolationError, below
from tests.support.fleet.limit_judge import TOLERANCE, TOLERANCE_W, VOLTAGE_V
from tests.support.fleet.packs import Pack

if TYPE_CHECKING:
    from tests.support.fleet.random_faults import RandomFaults

SAFE_CHANCE, ALONE_CHANCE = 0.5, 0.6
SUM_SAFE_CHANCE = 0.3
ISOLATED_EVERY_S, ISOLATED_S = 8.0, (15.0, 40.0)
ALONE_S = 12.0
"""Longer than an alone limit takes: a beat may be 1 s old, 3 s of lease, 1 s to look, 5 s for a device to answer."""


def give_safe_values(world: "RandomFaults") -> None:
    """Write safe values and alone limits into the topologies; note the former as what others ask."""
    chance, fleet = random.Random(f"{world.seed} safe"), world.fleet
    commanded = {
        fleet.host_at(each.target or "")
        for host in fleet.hosts.values()
        for each in host.topology.batteries
        if isinstance(each, NetworkSpec)
    }
    for host in fleet.hosts.values():
        written: list[BatterySpec] = []
        for spec in host.topology.batteries:
            if isinstance(spec, JbdSpec) and chance.random() < SAFE_CHANCE:
                most_a = spec.max_discharge_current_a or 0.0
                spec = replace(spec, safe_current_a=chance.uniform(-most_a, most_a))  # noqa: PLW2901
            elif isinstance(spec, AggregatorSpec) and chance.random() < SUM_SAFE_CHANCE:
                spec = replace(spec, safe_current_a=chance.uniform(-10.0, 10.0))  # noqa: PLW2901
            if not isinstance(spec, NetworkSpec) and host.name in commanded and chance.random() < ALONE_CHANCE:
                spec = replace(  # noqa: PLW2901
                    spec,
                    alone_charge_limit_w=chance.choice([0.0, chance.uniform(0.0, 500.0)]),
                    alone_discharge_limit_w=chance.choice([None, chance.uniform(0.0, 500.0)]),
                )
            written.append(spec)
        host.topology = replace(host.topology, batteries=tuple(written))
    for host in fleet.hosts.values():
        for spec in host.topology.batteries:
            if spec.safe_current_a:
                world.others.asks_of((pack for pack, _ in below(fleet, host, spec.name)), spec.safe_current_a)


class AloneJudge(Judge):
    """No more than its alone limit flows through a battery whose owner runs and has heard nobody that commands it for long."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._since_s: dict[str, float] = {}
        self._troubled_s: dict[str, float] = {}
        self._runs: dict[str, object] = {}
        self._askers = {
            host.name: [
                other.name
                for other in fleet.hosts.values()
                if any(
                    isinstance(each, NetworkSpec) and fleet.host_at(each.target or "") == host.name
                    for each in other.topology.batteries
                )
            ]
            for host in fleet.hosts.values()
        }
        self._limited = [
            (host, spec, [pack for pack, _ in below(fleet, host, spec.name)])
            for host in fleet.hosts.values()
            for spec in host.topology.batteries
            if not isinstance(spec, NetworkSpec)
            and self._askers[host.name]
            and all(len(way) == 1 for _, way in below(fleet, host, spec.name))
            and (spec.alone_charge_limit_w is not None or spec.alone_discharge_limit_w is not None)
        ]
        self.checked = 0

    async def isolate(self, chance: random.Random, until_s: float) -> None:
        """Cut an owner off from all that command it now and then, for longer than its leases."""
        alone = [self._fleet.hosts[name] for name, askers in self._askers.items() if askers]
        while True:
            await asyncio.sleep(chance.expovariate(1.0 / ISOLATED_EVERY_S))
            if self._fleet.loop.time() >= until_s:
                return
            host = chance.choice(alone)
            for cut, after_s in ((self._fleet.cut, chance.uniform(*ISOLATED_S)), (self._fleet.heal, 0.0)):
                for asker in self._askers[host.name]:
                    cut(asker, host.name)
                await asyncio.sleep(after_s)

    def call_arrived(self, path: str, request: bytes, sent: Sent, server: Process) -> None:
        """Note that an owner hears who commands it, be it between two cuts and two looks."""
        del path, request
        if sent.client.name.rpartition(".")[0] in self._askers[server.host]:
            self._since_s[server.host] = self._fleet.loop.time()

    def current_changed(self, pack: Pack) -> None:
        """Look at what the pack is part of."""
        now_s = self._fleet.loop.time()
        if pack.deaf or pack.mute:
            self._troubled_s[pack.name] = now_s
        for host, spec, packs in self._limited:
            if pack in packs and self._alone_s(host, now_s) > ALONE_S:
                self._check(host, spec, packs, now_s)

    def _alone_s(self, host: Host, now_s: float) -> float:
        """Return for how long the owner has run, in one piece, and heard none of its askers."""
        process, wires = host.process, self._fleet.wires
        heard = any(
            self._fleet.hosts[each].process is not None and not wires.way(each, host.name).cut for each in self._askers[host.name]
        )
        if process is None or not process.life.runs or heard or self._runs.get(host.name) is not process:
            self._since_s[host.name] = now_s
        self._runs[host.name] = process
        return now_s - self._since_s[host.name]

    def _check(self, host: Host, spec: BatterySpec, packs: list[Pack], now_s: float) -> None:
        if any(now_s - self._troubled_s.get(each.name, -ALONE_S) <= ALONE_S for each in packs):
            return
        self.checked += 1
        for sign, limit_w in ((1.0, spec.alone_discharge_limit_w), (-1.0, spec.alone_charge_limit_w)):
            flows_w = VOLTAGE_V * sum(max(0.0, sign * pack.true_a) for pack in packs)
            if limit_w is not None and flows_w > limit_w * (1.0 + TOLERANCE) + TOLERANCE_W:
                alone_s = now_s - self._since_s[host.name]
                raise ViolationError(
                    f"{now_s:.3f}: {host.name}/{spec.name} alone for {alone_s:.1f} s at {sign * flows_w:.0f} W, limit {limit_w} W"
                )
