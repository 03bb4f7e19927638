"""What people do beside a top's person while things go wrong: stops of many, edits, force, bookings, a second controller.

All of it comes from a chance of its own. What they ask of packs is noted (`Others`), so that judges know what may flow.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bosd.bal.spec import AggregatorSpec, BatterySpec, JbdSpec, NetworkSpec, Topology
from bosd.config.topology_toml import format_topology
from bosd.errors import BosError
from bosd.node.api import Edit
from tests.support.fleet.bookings import RIVAL, Booker
from tests.support.fleet.fleet import DEV, UTC_S, Fleet, Host, stub_spec
from tests.support.fleet.judges import Top
from tests.support.fleet.packs import Pack

if TYPE_CHECKING:
    from tests.support.fleet.random_faults import RandomFaults

EVERY_S = 5.0
TTLS_S = (2.0, 6.0, 15.0)
STOPPED_S = (0.5, 4.0, 12.0)
AWAY_S = (0.5, 3.0, 10.0)
LEAST_LIMIT_A = 5.0
STEPS_S = (0.0, -30.0, -3600.0, -UTC_S, 30.0)
"""How far a wall clock is off while it is not trusted."""


def spec_of(host: Host, name: str) -> BatterySpec | None:
    """Return a battery's specification in force; None where nothing runs or it is not there."""
    if host.process is None or not host.process.serving:
        return None
    return next((each for each in host.process.node.directory.topology.batteries if each.name == name), None)


class People:
    """They come to the world of a seed, and `leave` it as they found it."""

    def __init__(self, world: "RandomFaults") -> None:
        self._world = world
        self._fleet: Fleet = world.fleet
        self.chance = random.Random(f"{world.seed} people")
        self.done: Counter[str] = Counter()
        self._packs = tuple(self._fleet.packs.values())
        self._limit_a = {pack.name: pack.limit_a for pack in self._packs}
        self._rival()
        self.booker = Booker(world, self.chance, self.done)
        self._stopped_tops: set[str] = set()
        self._away: set[tuple[str, str]] = set()

    def _rival(self) -> None:
        """Put a node there that wants batteries that others command, too."""
        far = [pack for pack in self._packs if not pack.name.startswith("local")]
        wanted = self.chance.sample(far, min(2, len(far)))
        self._rivals = {RIVAL + pack.name: pack for pack in wanted}
        stubs = tuple(stub_spec(name, self._world.owner_of(pack.name).name, pack.name) for name, pack in self._rivals.items())
        self._fleet.add_host(RIVAL, Topology(batteries=stubs, splitters=()))

    # --- the run

    async def run(self, until_s: float, group: asyncio.TaskGroup) -> None:
        """Do something now and then."""
        kinds: Sequence[Callable[[], Coroutine[None, None, None]]] = (
            self._stop_many, self._stop_many, self._new_limits, self._new_limits, self._take_away, self._take_member,
            self._take_member, self._force, self._force, self._force_top, self._want, self._want, self._clock,
            self.booker.book_pack, self.booker.book_top,
        )  # fmt: skip
        while True:
            await asyncio.sleep(self.chance.expovariate(1.0 / EVERY_S))
            if self._fleet.loop.time() >= until_s:
                return
            group.create_task(self.chance.choice(kinds)())

    async def leave(self, within_s: float) -> None:
        """Ask each top for nothing, which asks anew for what was taken from it."""
        for top in self._world.tops:
            await self._until(lambda top=top: self._nothing(top), within_s)  # type: ignore[misc]

    async def _nothing(self, top: Top) -> bool:
        confirmed = self._world.sums.asks(top, 0.0)
        answer = await self._fleet.set(top.host, top.name, 0.0)
        confirmed(answer)
        return True

    async def _until(self, does: Callable[[], Awaitable[bool]], within_s: float = 600.0) -> None:
        """Try again each second until it is done."""
        began_s = self._fleet.loop.time()
        why: object = "not now"
        while self._fleet.loop.time() < began_s + within_s:
            try:
                if await does():
                    return
            except (BosError, TimeoutError, AssertionError) as error:
                why = error
            self._fleet.check_bugs()
            await asyncio.sleep(1.0)
        msg = f"not done within {within_s:g} s: {why!r}"
        raise AssertionError(msg)

    def _some_host(self) -> Host | None:
        host = self.chance.choice(list(self._fleet.hosts.values()))
        return host if host.process is not None and host.process.serving else None

    # --- stops

    def _latched_by(self, host: Host, *, everything: bool) -> set[str]:
        """Return the packs whose batteries a stop of a node, or of all it reaches, latches."""
        own = {each.port.removeprefix(DEV) for each in host.topology.batteries if isinstance(each, JbdSpec)}
        far = {each.remote_name for each in host.topology.batteries if isinstance(each, NetworkSpec)} & set(self._fleet.packs)
        return own | far if everything else own

    async def _stop_many(self) -> None:
        """Stop a node, all it reaches, or what is added up there; release it after a while, whatever that takes."""
        host = self._some_host()
        if host is None:
            return
        sums = [each.name for each in host.topology.batteries if isinstance(each, AggregatorSpec)]
        node, everything, what = self.chance.choice(
            [(True, False, []), (False, True, []), *((False, False, [each]) for each in sums)]
        )
        packs: set[str] = set() if what else self._latched_by(host, everything=everything)
        tops = {top.host.name: top for top in self._world.tops if top.host is host and sums}
        key = f"sums of {host.name}"
        if packs & self._world.stopping or key in self._world.stopping:
            return
        self._world.stopping |= packs | {key}
        names = what or [each.name for each in host.topology.batteries if everything or not isinstance(each, NetworkSpec)]
        stopping = host.up.node.stop(what, node=node, everything=everything, holder="other")
        try:
            answer = await self._fleet.within(host, stopping)
            missed = {*answer.unconfirmed, *answer.not_at_owner}
            self._confirmed(host, packs if not missed else set(), [top for top in tops.values() if not missed])
            self.done["stops of many"] += 1
        except (BosError, TimeoutError):
            pass
        await asyncio.sleep(self.chance.choice(STOPPED_S))
        for top in tops.values():
            top.stopped = False
        self._world.stops.stopped -= packs
        for name in names:
            await self._until(lambda name=name: self._world.released(host, name))  # type: ignore[misc]
        self._world.stopping -= packs | {key}

    def _confirmed(self, host: Host, packs: set[str], tops: Sequence[Top]) -> None:
        """Let the judges know what was stopped, as far as that is still so."""
        for pack in packs:
            owner = self._world.owner_of(pack)
            if owner.process is not None and pack_latched(owner, pack):
                self._world.stops.stop(pack)
        for top in tops:
            if host.process is not None and "may still run" not in host.process.node.status(top.name).reason:
                top.stopped = True

    # --- edits

    async def _apply(self, host: Host, *edits: Edit, expected: int | None = None) -> tuple[str, ...]:
        """Edit a node; return what did not confirm 0 A. Raises BosError, TimeoutError."""
        apply = host.up.node.apply(edits, expected_revision=expected, holder="other", comment="")
        return (await self._fleet.within(host, apply)).unconfirmed

    @staticmethod
    def _written(*specs: BatterySpec) -> str:
        return format_topology(Topology(batteries=specs, splitters=()))

    async def _new_limits(self) -> None:
        """Write a battery with other limits in its place; once that is answered it keeps them."""
        pack = self.chance.choice(self._packs)
        owner = self._world.owner_of(pack.name)
        spec = spec_of(owner, self._name_of(owner, pack))
        limit_a = self.chance.uniform(LEAST_LIMIT_A, self._limit_a[pack.name])
        if not isinstance(spec, JbdSpec) or (owner.name, spec.name) in self._away:
            return
        self._away.add((owner.name, spec.name))
        await self._limit(owner, spec, pack, limit_a)
        self._away.discard((owner.name, spec.name))

    async def _limit(self, owner: Host, spec: JbdSpec, pack: Pack, limit_a: float) -> None:
        written = replace(spec, max_discharge_current_a=limit_a, max_charge_current_a=limit_a)
        pack.limit_a = max(pack.limit_a, limit_a)
        try:
            unconfirmed = await self._apply(owner, Edit(action="replace", name=spec.name, toml=self._written(written)))
        except (BosError, TimeoutError):
            pack.limit_a = self._limit_a[pack.name]
            return
        now = spec_of(owner, spec.name)
        same = isinstance(now, JbdSpec) and now.max_discharge_current_a == limit_a
        pack.limit_a = limit_a if same and not unconfirmed else self._limit_a[pack.name]
        pack.change()  # for judges to look
        self.done["limits replaced"] += 1

    @staticmethod
    def _name_of(owner: Host, pack: Pack) -> str:
        return next(each.name for each in owner.topology.batteries if isinstance(each, JbdSpec) and each.port == DEV + pack.name)

    async def _take_away(self) -> None:
        """Take a battery away at its owner and put it there again."""
        pack = self.chance.choice(self._packs)
        owner = self._world.owner_of(pack.name)
        spec = spec_of(owner, self._name_of(owner, pack))
        if spec is None or pack.name in self._world.stopping:
            return
        self._world.stopping.add(pack.name)  # who stops it must find it
        uses = {each.name for each in owner.topology.batteries if isinstance(each, AggregatorSpec)}
        await (self._without(owner, spec.name, "all") if uses else self._gone(owner, spec))
        self._world.stopping.discard(pack.name)

    async def _gone(self, owner: Host, spec: BatterySpec) -> None:
        key = (owner.name, spec.name)
        if key in self._away:
            return
        self._away.add(key)
        try:
            await self._apply(owner, Edit(action="remove", name=spec.name))
            self.done["taken away"] += 1
        except (BosError, TimeoutError):
            pass
        await asyncio.sleep(self.chance.choice(AWAY_S))

        async def back() -> bool:
            if owner.up.serving and spec_of(owner, spec.name) is None:
                await self._apply(owner, Edit(action="add", toml=self._written(spec)))
            return spec_of(owner, spec.name) is not None

        await self._until(back)
        self._away.discard(key)

    async def _take_member(self) -> None:
        """Take a member out of what is added up, with its stub or without; put it back after a while."""
        host = self._some_host()
        sums = [] if host is None else [each for each in host.topology.batteries if isinstance(each, AggregatorSpec)]
        if host is not None and sums:
            await self._without(host, self.chance.choice(sums[0].sources), sums[0].name)

    async def _without(self, host: Host, name: str, total: str) -> None:
        whole = {each.name: each for each in host.topology.batteries}
        keys = {(host.name, total), (host.name, name)}
        if keys & self._away or len(whole) < 3:
            return
        self._away |= keys
        member = spec_of(host, name) or whole[name]
        gone = self.chance.random() < 0.5

        async def change(*, there: bool) -> bool:
            adder, revision = spec_of(host, total), host.up.node.topology().revision
            if not isinstance(adder, AggregatorSpec):
                return False
            sources = tuple(each for each in adder.sources if each != name)
            written = replace(adder, sources=(*sources, name) if there else sources)
            others = [each for each in host.up.node.directory.topology.batteries if each.name not in (name, total)]
            kept = [] if gone and not there else [member]
            toml = self._written(*others, *kept, written)
            unconfirmed = await self._apply(host, Edit(action="whole", toml=toml), expected=revision)
            for pack in () if not unconfirmed else self._below(host, name):
                self._world.others.asks(pack, pack.held_a, 0.0)  # it was named
            return True

        try:
            if await change(there=False):
                self.done["members taken"] += 1
        except (BosError, TimeoutError):
            for pack in self._below(host, name):
                self._world.others.asks(pack, pack.held_a, 0.0)
        await asyncio.sleep(self.chance.choice(AWAY_S))
        await self._until(lambda: change(there=True))
        self._away -= keys

    def _below(self, host: Host, name: str) -> list[Pack]:
        """Return the packs below a battery of a node."""
        spec = next(each for each in host.topology.batteries if each.name == name)
        if isinstance(spec, JbdSpec):
            return [self._fleet.packs[spec.port.removeprefix(DEV)]]
        if isinstance(spec, AggregatorSpec):
            return [pack for source in spec.sources for pack in self._below(host, source)]
        assert isinstance(spec, NetworkSpec)
        return self._below(self._fleet.hosts[self._fleet.host_at(spec.target or "")], spec.remote_name)

    # --- claims

    async def _force(self) -> None:
        """Take the claim of a battery at its owner."""
        pack = self.chance.choice(self._packs)
        owner = self._world.owner_of(pack.name)
        name = self._name_of(owner, pack)
        if spec_of(owner, name) is None or any(isinstance(each, AggregatorSpec) for each in owner.topology.batteries):
            return
        ttl_s, current_a = self.chance.choice(TTLS_S), self.chance.uniform(-1.0, 1.0) * pack.limit_a
        self._world.others.asks(pack, current_a, ttl_s)
        force = owner.up.node.force_current(name, current_a, ttl_s=ttl_s, holder="other")
        try:
            await self._fleet.within(owner, force)
            self.done["claims taken"] += 1
        except (BosError, TimeoutError):
            pass

    async def _force_top(self) -> None:
        """Take the claim of what a person commands."""
        top = self.chance.choice(self._world.tops)
        if spec_of(top.host, top.name) is None:
            return
        status = top.host.up.node.status(top.name)
        ttl_s = self.chance.choice(TTLS_S)
        current_a = self.chance.uniform(-status.max_charge_current_a, status.max_discharge_current_a)
        confirmed = self._world.sums.asks(top, current_a, ttl_s)
        force = top.host.up.node.force_current(top.name, current_a, ttl_s=ttl_s, holder="other")
        try:
            confirmed(await self._fleet.within(top.host, force))
            self.done["claims of tops taken"] += 1
        except (BosError, TimeoutError):
            pass

    async def _want(self) -> None:
        """Ask from a second controller for a battery that another one may hold."""
        host = self._fleet.hosts[RIVAL]
        name, pack = self.chance.choice(list(self._rivals.items()))
        if spec_of(host, name) is None:
            return
        ttl_s, current_a = self.chance.choice(TTLS_S), self.chance.uniform(-1.0, 1.0) * pack.limit_a
        self._world.others.asks(pack, current_a, ttl_s)
        try:
            await self._fleet.set(host, name, current_a, ttl_s=ttl_s)
            self.done["claims of a second controller"] += 1
        except (BosError, TimeoutError):
            self.done["refused to a second controller"] += 1

    # --- clocks

    async def _clock(self) -> None:
        """Have a wall clock off, and not trusted; or one that is trusted go on by half a minute."""
        host = self.chance.choice(list(self._fleet.hosts.values()))
        if not host.clock_trusted:
            return
        self.done["clocks"] += 1
        if self.chance.random() < 0.3:
            host.clock.utc_wrong_s += self.chance.choice([3.0, 30.0])
            return
        step_s = self.chance.choice(STEPS_S)
        self.booker.doubted(host)
        host.clock_trusted = False
        host.clock.utc_wrong_s += step_s
        await asyncio.sleep(self.chance.uniform(2.0, 30.0))
        host.clock.utc_wrong_s -= step_s
        host.clock_trusted = True
        self.booker.trusted(host)


def pack_latched(owner: Host, pack: str) -> bool:
    """Tell whether the owner of a pack's battery has it stopped."""
    battery = owner.up.node.directory.batteries.get(People._name_of(owner, owner.fleet.packs[pack]))
    return battery is not None and battery.stopped
