"""Worlds in which devices refuse, packs run empty and full, converters lose, lines are slow, and boards stand still for long.

Chances of their own: worlds without them keep their course. Who judges them looks each second, also where nothing changes.
"""

import asyncio
import math
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from bosd.bal.spec import AggregatorSpec, BatterySpec, JbdSpec, NetworkSpec
from bosd.errors import DriverError, NotFollowedError
from tests.support.fleet.fleet import DEV, Fleet, Host
from tests.support.fleet.judges import UNDER_WAY_S, ViolationError
from tests.support.fleet.packs import Pack

if TYPE_CHECKING:
    from tests.support.fleet.random_faults import RandomFaults

EVERY_S, LOOK_S = 3.0, 1.0
STALLED_S = (10.0, 15.0, 25.0, 40.0)
"""Longer than a lease; the longer ones longer than what is asked of what cannot be seen counts."""
REFUSED_S, LONG_REFUSED_S = (0.5, 8.0), (8.0, 30.0)
"""A pack that holds and refuses to be lowered does so for no longer than one is deaf."""
SMALL_CHANCE, SMALL_AH = 0.6, (0.02, 0.1)
"""20 A empty 0.1 Ah in 18 s; a world has small packs alone or none, as those share by what they have."""
LEFT_AH = 100.0
ASK_EVERY_S = 5.0
RESERVES = ((0.0, 1.0), (0.05, 0.95), (0.2, 0.8))
LOSSES_CHANCE, EFFICIENCIES = 0.5, (0.85, 0.98)
SLOW_CHANCE, SLOW_S, SLOW_HOLD_S = 0.4, (0.2, 0.8), 4.0
"""A command waits for a reading and a renewal that are under way, 2.4 s with itself; each 1.33 s one renewal has time there."""
EMPTY_S = 12.0
"""Longer than it takes until what is empty or full is at 0 A: a sample each second, 5 s for a device, 4.03 s of lease."""
UNHEARD_S = 15.0
"""Longer than an owner acts for who stands still: see `LeaseJudge`."""


def converters(fleet: Fleet, host: Host, name: str) -> dict[Pack, float]:
    """Return what part of the power arrives on the other side of all converters between a battery and each pack below it."""
    for splitter in host.topology.splitters:
        if any(part.name == name for part in splitter.partitions):
            return converters(fleet, host, splitter.source)
    spec = next(each for each in host.topology.batteries if each.name == name)
    if isinstance(spec, JbdSpec):
        below = {fleet.packs[spec.port.removeprefix(DEV)]: 1.0}
    elif isinstance(spec, NetworkSpec):
        below = converters(fleet, fleet.hosts[fleet.host_at(spec.target or "")], spec.remote_name)
    else:
        assert isinstance(spec, AggregatorSpec)
        below = {pack: part for each in spec.sources for pack, part in converters(fleet, host, each).items()}
    return {pack: part * spec.efficiency for pack, part in below.items()}


class HardFaults:
    """What is so and goes wrong in such a world beside what does in each, and who judges it."""

    def __init__(self, world: "RandomFaults") -> None:
        self._world, self._fleet = world, world.fleet
        self._chance = random.Random(f"{world.seed} hard")
        self._packs = list(self._fleet.packs.values())
        self._reserves_ah: dict[Pack, tuple[float, float]] = {}
        self._beyond_s: dict[Pack, float] = {}
        self._stalled_s: dict[str, float] = {}
        self._thawed_s: dict[str, float] = {}
        self._losses, self._small, slow = (self._chance.random() < each for each in (LOSSES_CHANCE, SMALL_CHANCE, SLOW_CHANCE))
        for pack in self._packs if slow else ():
            pack.latency_s, pack.waits = SLOW_S, True
            pack.hold_s = pack.hold_s if pack.hold_s is None else SLOW_HOLD_S
        for host in self._fleet.hosts.values():
            host.topology = replace(host.topology, batteries=tuple(map(self._written, host.topology.batteries)))
        for limited in world.limited:
            limited.parts = converters(self._fleet, limited.host, limited.name)
        world.ask_every_s = ASK_EVERY_S
        world.fence.under_way_s = UNDER_WAY_S + max(STALLED_S)

    def _written(self, spec: BatterySpec) -> BatterySpec:
        if self._losses and self._chance.random() < LOSSES_CHANCE:
            spec = replace(spec, efficiency=self._chance.uniform(*EFFICIENCIES))
        if not isinstance(spec, JbdSpec) or not self._small:
            return spec
        least, most = self._chance.choice(RESERVES)
        pack = self._fleet.packs[spec.port.removeprefix(DEV)]
        pack.capacity_ah = self._chance.uniform(*SMALL_AH)
        pack.charge_ah = pack.capacity_ah * self._chance.uniform(least, most)
        self._reserves_ah[pack] = least * pack.capacity_ah, most * pack.capacity_ah
        return replace(spec, min_soc=least, max_soc=most)

    # --- the run

    async def run(self, until_s: float, group: asyncio.TaskGroup) -> None:
        """Let things go wrong for a while."""
        looking = group.create_task(self.look_on())
        kinds: list[Callable[[], Coroutine[None, None, None]]] = [*[self._refuse] * 6, self._stall]
        async with asyncio.TaskGroup() as faults:
            while True:
                await asyncio.sleep(self._chance.expovariate(1.0 / EVERY_S))
                if self._fleet.loop.time() >= until_s:
                    break
                faults.create_task(self._chance.choice(kinds)())
        looking.cancel()

    def leave(self) -> None:
        """Leave packs large and half full, so that each takes the last request, and goes on with it."""
        self._reserves_ah.clear()
        for pack in self._packs:
            pack.change(capacity_ah=LEFT_AH, charge_ah=0.5 * LEFT_AH)

    async def _refuse(self) -> None:
        chance = self._chance
        pack = chance.choice([each for each in self._packs if each.true_a != 0.0] or self._packs)
        if pack.refuses is not None:
            return
        lowers = chance.random() < 0.5
        long = (lowers or not pack.holds) and chance.random() < 0.3
        pack.refuses, pack.lowers = chance.choice([DriverError, NotFollowedError]), lowers
        await asyncio.sleep(chance.uniform(*(LONG_REFUSED_S if long else REFUSED_S)))
        pack.refuses = None

    async def _stall(self) -> None:
        host = self._chance.choice(list(self._fleet.hosts.values()))
        if host.process is not None and host.process.life.runs:
            await self.stall(host, self._chance.choice(STALLED_S))

    async def stall(self, host: Host, duration_s: float) -> None:
        """Have a board stand still for a while; who would ask it sees that."""
        host.stalled, self._stalled_s[host.name] = True, self._fleet.loop.time()
        await self._fleet.stall(host, duration_s)
        host.stalled, self._thawed_s[host.name] = False, self._fleet.loop.time()
        del self._stalled_s[host.name]

    def froze(self, host: str, within_s: float) -> bool:
        """Tell whether a host stands still, or did a moment ago."""
        return host in self._stalled_s or self._fleet.loop.time() - self._thawed_s.get(host, -math.inf) < within_s

    # --- judges

    async def look_on(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            for pack in self._packs:
                pack.change()  # for judges to look
            try:
                self._look()
            except ViolationError as violation:
                self._fleet.bugs.append(violation)

    def _look(self) -> None:
        for pack in self._reserves_ah:
            self._look_at_charge(pack)
        for top in self._world.tops:
            for pack, way in zip(top.packs, top.ways, strict=True):
                if pack.true_a != 0.0 and not pack.holds and not self._world.others.alive(pack):
                    self._look_at_lease(pack, way)

    def _look_at_charge(self, pack: Pack) -> None:
        """What is empty discharges no longer, and what is full charges no longer, as soon as its owner can know and tell it."""
        least_ah, most_ah = self._reserves_ah[pack]
        owner, now_s = self._world.owner_of(pack.name), self._fleet.loop.time()
        beyond = pack.charge_ah <= least_ah if pack.true_a > 0.0 else pack.true_a < 0.0 and pack.charge_ah >= most_ah
        able = owner.process is not None and owner.process.serving and owner.process.life.runs
        if not beyond or not able or pack.deaf or pack.mute or pack.refuses is not None:
            self._beyond_s.pop(pack, None)
        elif now_s - self._beyond_s.setdefault(pack, now_s) > EMPTY_S:
            raise ViolationError(f"{now_s:.3f}: {pack.name} runs {pack.true_a} A at {pack.charge_ah / pack.capacity_ah:.3f}")

    def _look_at_lease(self, pack: Pack, way: tuple[str, ...]) -> None:
        """A pack that expires, of an owner whose asker stands still, is at 0 A before long."""
        now_s = self._fleet.loop.time()
        for hops, (_, asker) in enumerate(pairwise(way)):
            bound_s = (hops + 1) * UNHEARD_S
            below = way[: hops + 1]
            if now_s - self._stalled_s.get(asker, now_s) > bound_s and not any(self.froze(each, bound_s) for each in below):
                raise ViolationError(f"{pack.name} runs {pack.true_a} A, and {asker} stands still for {bound_s:g} s and more")
