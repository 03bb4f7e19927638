"""A fleet made from a seed, under faults from the same seed, that must be whole again when they end."""

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bosd.bal.spec import BatterySpec, JbdSpec, NetworkSpec, PartitionSpec, SplitterSpec, Topology
from bosd.errors import BosError
from bosd.store.limits import Limit
from tests.support.fleet.bookings import RIVAL
from tests.support.fleet.deep import DeepWorld, MiddlePeople
from tests.support.fleet.fleet import DEV, Fleet, Host, pack_spec, stub_spec, sum_spec
from tests.support.fleet.hard import HardFaults
from tests.support.fleet.judges import SET, FenceJudge, LeaseJudge, LimitJudge, Others, StopJudge, SumJudge, Top, Way, sees
from tests.support.fleet.limit_judge import VOLTAGE_V, Limited, LimitsJudge
from tests.support.fleet.odd import OddFaults
from tests.support.fleet.packs import Pack
from tests.support.fleet.people import People
from tests.support.fleet.process_loop import ProcessLoop, run_processes, this_loop
from tests.support.fleet.safe_values import AloneJudge, give_safe_values

SETTLE_S = 30.0
"""Longer than any bound here: twice 4.03 s + 5 s for a stub of a node with stubs, 4 s of hold, and 2 s to notice and tell."""
LIMIT_S = 12.0
"""Longer than a limit may take: 4.03 s to the end of a lease, 5 s for a device to answer or 4 s of hold, 2 s to tell it."""
GRANTED_S = 8.0
"""Longer than it takes until the owner of a battery that is seen has its part of a limit: a call, a pause, another call."""
UNHEARD_S = 15.0
"""Longer than an owner acts for who is not heard: a beat may be 1 s old, 3 s of lease, a stall of 6 s then, 4 s of hold."""
LEASE_S = 4.03
"""To the end of a lease that is not renewed, at each further hop."""
DEEP_SETTLE_S = SETTLE_S + 2.0 * LEASE_S
RECOVERY_S = 45.0
LIMIT_A = 20.0
FAULT_EVERY_S, ASK_EVERY_S = 4.0, 6.0
MOST_STARTS = 4
WINDOW_S = 60.0
STOPPED_S = (0.5, 3.0, 10.0, 25.0)
"""How long what was stopped stays so: the last is longer than a board is without power."""
TTLS_S = (2.0, 10.0, 3600.0, 3600.0)
OVER_S = SETTLE_S + 12.0
"""From when a set point with a short time to live is over, and was sampled since."""
QUIET_S = OVER_S
"""At times nobody asks for so long."""
QUIET_CHANCE = 0.08
RESTART_CHANCE = 0.3
PART_CHANCE = 0.4
SUM_CHANCE = 0.7
"""Of the owner of what was stopped: a stop survives it."""
REPEATED_S = 20.0
"""Every command arrives a second time within so long, in the same session or a later one."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run showed."""

    seed: int
    simulated_s: float
    digest: str
    faults: int
    requests: int
    confirmed: int
    fenced: int
    carried_out: int
    stops: int
    worst_over_a: float
    recovery_s: float
    limits: int = 0
    people: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What there is in a world beside what each has."""

    limits: bool = False
    people: bool = False
    trees: bool = False
    deep: bool = False
    safe: bool = False
    odd: bool = False
    hard: bool = False


class RandomFaults:
    """One world: owners with packs, at times a relay, controllers over stubs of them; `run` for so long under faults."""

    def __init__(self, loop: ProcessLoop, seed: int, kind: Kind) -> None:
        self.seed = seed
        limits, people = kind.limits, kind.people
        self._limits, self._trees = limits, kind.trees
        settle_s = DEEP_SETTLE_S if kind.deep else SETTLE_S
        self.fleet = Fleet(loop, seed)
        self.fleet.repeats = {SET: (0.001, REPEATED_S)}
        self.chance = random.Random(self.fleet.chance.random())
        self.tops: list[Top] = []
        self.faults = self.requests = self.confirmed = 0
        self.stopping: set[str] = set()
        self.ask_every_s = ASK_EVERY_S
        self._starts: dict[str, list[float]] = {}
        self._seen_s: dict[Way, float] = {}
        self._unseen_s: dict[Way, float] = {}
        self.limits_put = 0
        self.deep: DeepWorld | None = DeepWorld(self) if kind.deep else None
        if self.deep is None:
            self._topology()
        else:
            self.tops.append(self.deep.build())
        self.others = Others(loop, settle_s, lambda pack: self.tells(pack.name))
        self.sums = SumJudge(self.fleet, self.tops, settle_s, self.others)
        self.fence = FenceJudge(self.fleet)
        self.stops = StopJudge()
        self.leases = LeaseJudge(self.fleet, self.tops, UNHEARD_S, self.others)
        self.fleet.judges += [LimitJudge(), self.sums, self.fence, self.stops, self.leases]
        self.limited = [Limited(top.host, top.name, top.packs, top.ways) for top in self.tops]
        if self.deep is not None:
            self.limited = self.deep.limited()
        limit_s = max(LIMIT_S + LEASE_S * (len(way) - 3) for top in self.tops for way in top.ways)
        self._limit_s = max(LIMIT_S, limit_s)
        self.book = LimitsJudge(self.fleet, self.limited, self._limit_s, self._unseen_and_unbound)
        if limits:
            self.fleet.judges.append(self.book)
        self.alone: AloneJudge | None = None
        if kind.safe:
            give_safe_values(self)
        self.people = People(self) if people else None
        if kind.safe:
            self.alone = AloneJudge(self.fleet)
            self.fleet.judges.append(self.alone)
        self.odd = OddFaults(self) if kind.odd else None
        self.hard = HardFaults(self) if kind.hard else None
        self.middle = MiddlePeople(self, self.deep) if self.deep is not None and people else None

    def put_pack(self, name: str) -> Pack:
        hold_s = self.chance.choice([1.0, 2.0, 4.0, None])
        return self.fleet.add_pack(name, hold_s=hold_s, limit_a=LIMIT_A, charge_ah=self.chance.uniform(20.0, 80.0))

    def _topology(self) -> None:
        number = 0
        for controller in range(self.chance.choice([1, 1, 2])):
            stubs: list[BatterySpec] = []
            packs: list[Pack] = []
            ways: list[Way] = []
            for _ in range(self.chance.randint(2, 3)):
                number += 1
                owner = f"o{number}"
                names = [f"p{number}{letter}" for letter in "ab"[: self.chance.randint(1, 2)]]
                packs += map(self.put_pack, names)
                ways += [(owner,)] * len(names)
                self.fleet.add_host(owner, Topology(batteries=tuple(pack_spec(name, name) for name in names), splitters=()))
                stubs += [stub_spec(f"s{name}", owner, name) for name in names]
            relay = f"r{controller}" if self.chance.random() < 0.4 else ""
            if relay:
                stubs = self._relay(relay, stubs)
                ways = [*((*way, relay) for way in ways[:-1]), ways[-1]]
            name = f"m{controller}"
            ways = [(*way, name) for way in ways]
            if self.chance.random() < 0.5:
                packs.append(self.put_pack(f"local{controller}"))
                ways.append((name,))
                stubs.append(pack_spec("own", f"local{controller}"))
            host = self.fleet.add_host(name, self.added_up("all", stubs))
            self.tops.append(Top(host, "all", tuple(packs), tuple(ways)))

    def _relay(self, name: str, stubs: list[BatterySpec]) -> list[BatterySpec]:
        """Put a node between that adds up some of the batteries; return the controller's stubs: of that sum, and the last."""
        below, rest = stubs[:-1], stubs[-1:]
        self.fleet.add_host(name, self.added_up("part", below))
        return [stub_spec("spart", name, "part"), *rest]

    def added_up(self, name: str, below: Sequence[BatterySpec]) -> Topology:
        """Return these, added up as `name`: at once, or by way of sums and of partitions that have all of their source."""
        names = [each.name for each in below]
        if not self._trees:
            return Topology(batteries=(*below, sum_spec(name, *names)), splitters=())
        sums: list[BatterySpec] = []
        splitters: list[SplitterSpec] = []

        def part(source: str, called: str = "") -> str:
            called = called or f"{source}-part"
            parts = (PartitionSpec(name=called, fraction=1.0),)
            splitters.append(SplitterSpec(name=f"sp-{source}", policy="proportional", source=source, partitions=parts))
            return called

        names = [part(each) if self.chance.random() < PART_CHANCE else each for each in names]
        while len(names) > 2 and self.chance.random() < SUM_CHANCE:
            within = self.chance.sample(names, self.chance.randint(1, 2))
            names = [each for each in names if each not in within]
            sums.append(sum_spec(f"x{len(sums)}", *within))
            names.append(part(sums[-1].name) if self.chance.random() < PART_CHANCE else sums[-1].name)
        whole = f"{name}-below" if self.chance.random() < PART_CHANCE else name
        sums.append(sum_spec(whole, *names))
        if whole != name:
            part(whole, name)
        return Topology(batteries=(*below, *sums), splitters=tuple(splitters))

    # --- the run

    async def run(self, faults_s: float) -> Report:
        """Let things go wrong for a while, then see that all is whole again."""
        fleet, loop = self.fleet, self.fleet.loop
        try:
            fleet.start()
            await self._whole(RECOVERY_S)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._faults(faults_s, group))
                for top, limited in zip(self.tops, self.limited, strict=False):
                    group.create_task(self._person(top, faults_s))
                    if self._limits:
                        group.create_task(self._operator(limited, faults_s))
                for limited in self.limited[len(self.tops) :] if self._limits else ():
                    group.create_task(self._operator(limited, faults_s))
                if self.alone is not None:
                    group.create_task(self.alone.isolate(random.Random(f"{self.seed} alone"), faults_s))
                for beside in (self.odd, self.hard, self.middle, self.people):
                    if beside is not None:
                        group.create_task(beside.run(faults_s, group))
            fleet.repeats = {}  # a fault, too: a late lowering is carried out, and what it was behind is asked for no more
            if self.hard is not None:
                self.hard.leave()
            if self.people is not None:
                await self.people.leave(RECOVERY_S)
            recovery_s = await self._whole(RECOVERY_S)
            await self._check_whole()
            fleet.check_bugs()
            return Report(
                self.seed, loop.time(), fleet.wires.trace.hexdigest()[:16], self.faults, self.requests, self.confirmed,
                self.fence.refused, self.fence.carried_out, self.stops.stops, self.sums.worst_a, recovery_s, self.limits_put,
                sum((each.done for each in (self.people, self.middle) if each is not None), Counter()),
            )  # fmt: skip
        finally:
            await fleet.close()

    async def _whole(self, within_s: float) -> float:
        hosts = [host for host in self.fleet.hosts.values() if host.name != RIVAL]  # which others hold batteries from
        began_s = self.fleet.loop.time()
        while not all(self.fleet.ready(host) for host in hosts):
            self.fleet.check_bugs()
            waited_s = self.fleet.loop.time() - began_s
            assert waited_s < within_s, f"not whole after {within_s:g} s: {self.fleet.why_not(hosts)}"
            await asyncio.sleep(0.1)
        return self.fleet.loop.time() - began_s

    async def _check_whole(self) -> None:
        """What had a short time to live is over; every top takes a request, and its packs follow it exactly."""
        for top in self.tops:
            await asyncio.sleep(OVER_S)
            limit_a = top.host.up.node.status(top.name).max_discharge_current_a
            wanted_a = 0.5 * limit_a
            confirmed = self.sums.asks(top, wanted_a)
            confirmed(await self.fleet.set(top.host, top.name, wanted_a))
            off_a = abs(top.true_a - wanted_a)
            assert off_a < 1e-6, f"{top.host.name}/{top.name} asked for {wanted_a} A runs {top.true_a} A"

    def _unseen_and_unbound(self, limited: Limited, pack: Pack, discharging: bool) -> bool:
        """Tell whether a pack was not seen from where the limit is, a moment ago, and nothing bounds what it runs.

        That is one that holds, or of which others ask something and whose owner was never seen for long under this limit, or not
        since an edit put it back below what is limited.
        """
        way = limited.ways[limited.packs.index(pack)]
        now_s = self.fleet.loop.time()
        if (store := self.fleet.hosts[way[0]].store).failed or store.hangs:
            limited.granted.discard((discharging, pack))  # it may be in force and not kept
        froze = self.hard is not None and self.hard.froze(limited.host.name, SETTLE_S)
        if froze and limited.host.stalled:
            self._seen_s.pop(way, None)  # nobody grants it anything
        elif sees(self.fleet, way):
            put_s, joined_s = limited.put_s.get(discharging, now_s), limited.joined_s.get(pack, -math.inf)
            since_s = max(self._seen_s.setdefault(way, now_s), put_s, joined_s)
            if now_s > since_s + GRANTED_S:
                limited.granted.add((discharging, pack))
        else:
            self._unseen_s[way] = now_s
            self._seen_s.pop(way, None)
        unseen = self._unseen_s.get(way, -SETTLE_S) > now_s - SETTLE_S
        if unseen and pack.holds:
            return True
        return (unseen or froze) and bool(self.others.alive(pack)) and (discharging, pack) not in limited.granted

    async def _operator(self, limited: Limited, until_s: float) -> None:
        """Limit a battery now and then, and lift that; in the end for good."""
        while self.fleet.loop.time() < until_s:
            await asyncio.sleep(self.chance.expovariate(1 / 20.0))
            most_w = VOLTAGE_V * LIMIT_A * len(limited.packs)
            limit_w = self.chance.choice([None, 0.0, self.chance.uniform(0.0, most_w), self.chance.uniform(0.0, 0.3 * most_w)])
            await self._put(limited, discharging=self.chance.random() < 0.5, limit_w=limit_w)
            self.book.look()
        for discharging in (True, False):
            while not await self._put(limited, discharging=discharging, limit_w=None):  # noqa: ASYNC110 (tries again)
                await asyncio.sleep(1.0)

    async def _put(self, limited: Limited, *, discharging: bool, limit_w: float | None) -> bool:
        """Put a limit; one that is looser counts no more from the asking on, one that is tighter when it was confirmed."""
        process = limited.host.process
        if process is None or not process.serving or process.limits is None:
            return False
        before_w = limited.limits_w.get(discharging, math.inf)
        if limit_w is None or limit_w > before_w:
            limited.limit(discharging, limit_w, self._limit_s)
        wanted = Limit(
            source="operator", battery=limited.name, direction="discharge" if discharging else "charge", limit_w=limit_w
        )
        try:
            await self.fleet.within(limited.host, process.limits.book.put(wanted))
        except (BosError, TimeoutError):
            return False
        limited.limit(discharging, limit_w, self._limit_s)
        self.limits_put += 1
        return True

    async def _person(self, top: Top, until_s: float) -> None:
        """Ask for currents now and then, and take what comes."""
        while self.fleet.loop.time() < until_s:
            await asyncio.sleep(QUIET_S if self.chance.random() < QUIET_CHANCE else self.chance.expovariate(1 / self.ask_every_s))
            if top.host.process is None or not top.host.process.serving:
                continue
            status = top.host.process.node.status(top.name)
            low_a, high_a = -status.max_charge_current_a, status.max_discharge_current_a
            current_a = self.chance.choice([0.0, high_a, low_a, self.chance.uniform(low_a, high_a)])
            self.requests += 1
            ttl_s = self.chance.choice(TTLS_S)
            confirmed = self.sums.asks(top, current_a, ttl_s)
            try:
                answer = await self.fleet.set(top.host, top.name, current_a, ttl_s=ttl_s)
            except (BosError, TimeoutError):
                continue
            self.confirmed += 1
            confirmed(answer)

    async def _faults(self, until_s: float, group: asyncio.TaskGroup) -> None:
        kinds: list[Callable[[], Coroutine[None, None, None]]] = [
            self._kill, self._power, self._stall, self._cut, self._one_way, self._noise, self._deaf, self._mute, self._block,
            self._stop, self._slow_disk, self._full_disk,
        ]  # fmt: skip
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / FAULT_EVERY_S))
            if self.fleet.loop.time() >= until_s:
                return
            self.fleet.check_bugs()
            self.faults += 1
            group.create_task(self.chance.choice(kinds)())

    def _host(self) -> Host:
        return self.chance.choice(list(self.fleet.hosts.values()))

    def _pair(self) -> tuple[str, str]:
        """Return two hosts between which there is a session, in any order."""
        links = [
            (host.name, self.fleet.host_at(spec.target))
            for host in self.fleet.hosts.values()
            for spec in host.topology.batteries
            if isinstance(spec, NetworkSpec) and spec.target is not None
        ]
        one, other = self.chance.sample(self.chance.choice(links), 2)
        return one, other

    def _may_start(self, host: Host) -> bool:
        """Tell whether a host may be started again without looking like one that crashes over and over."""
        now_s = self.fleet.loop.time()
        starts = [each for each in self._starts.get(host.name, []) if each > now_s - WINDOW_S]
        self._starts[host.name] = starts
        if len(starts) >= MOST_STARTS:
            return False
        starts.append(now_s)
        return True

    @staticmethod
    async def _start(host: Host) -> None:
        """Start a node once its disk can be read."""
        while host.store.failed or host.store.hangs:  # noqa: ASYNC110 (as whoever starts it would)
            await asyncio.sleep(0.5)
        host.start()

    @staticmethod
    def _name_at(host: Host, pack: str) -> str:
        """Return the name of the battery on a pack at its owner; empty where the host does not own it."""
        return next((each.name for each in host.topology.batteries if isinstance(each, JbdSpec) and each.port == DEV + pack), "")

    def owner_of(self, pack: str) -> Host:
        """Return the host that owns the battery on a pack."""
        return next(host for host in self.fleet.hosts.values() if self._name_at(host, pack))

    def tells(self, pack: str) -> bool:
        """Tell whether the board of a pack can tell it something."""
        owner = self.owner_of(pack)
        return owner.process is not None and owner.process.life.runs

    def _died(self, host: Host) -> None:
        """Let the judges know; a stop that the disk did not take is forgotten with the run that knew of it."""
        self.sums.died(host)
        self.leases.died(host)
        for pack in tuple(self.stops.stopped):
            if (name := self._name_at(host, pack)) and name not in host.store.stops:
                self.stops.stopped.discard(pack)
        if self.middle is not None:
            self.middle.died(host)
        for top in self.tops:
            top.stopped &= top.host is not host or top.name in host.store.stops

    async def _kill(self) -> None:
        await self._kill_one(self._host())

    async def _kill_one(self, host: Host) -> None:
        if host.process is not None and not host.process.life.frozen and self._may_start(host):
            host.kill()
            self._died(host)
            await asyncio.sleep(self.chance.uniform(0.3, 8.0))
            await self._start(host)

    async def _power(self) -> None:
        host = self._host()
        if host.process is not None and not host.process.life.frozen and self._may_start(host):
            host.cut_power()
            self._died(host)
            await asyncio.sleep(self.chance.uniform(2.0, 20.0))
            await self._start(host)

    async def _stall(self) -> None:
        host = self._host()
        if host.process is not None and host.process.life.runs:
            await self.fleet.stall(host, self.chance.choice([0.3, 1.0, 2.0, 6.0]))

    async def _cut(self) -> None:
        await self._cut_between(self.fleet.cut, self.fleet.heal)

    async def _one_way(self) -> None:
        await self._cut_between(self.fleet.wires.cut, self.fleet.wires.heal)

    async def _cut_between(self, cut: Callable[[str, str], None], heal: Callable[[str, str], None]) -> None:
        one, other = self._pair()
        cut(one, other)
        await asyncio.sleep(self.chance.choice([0.3, 1.0, 2.5, 5.0, 20.0]))
        heal(one, other)

    async def _noise(self) -> None:
        way = self.fleet.wires.way(*self._pair())
        way.delay_s, way.loss = (0.001, self.chance.choice([0.05, 0.3, 1.5])), self.chance.choice([0.0, 0.1, 0.4])
        await asyncio.sleep(self.chance.uniform(2.0, 15.0))
        way.delay_s, way.loss = (0.001, 0.004), 0.0

    async def _slow_disk(self) -> None:
        store, chance, most_s = self._host().store, self.chance, self.chance.choice([0.05, 0.5, 2.0])
        store.takes_s = lambda: chance.uniform(0.0, most_s)
        await asyncio.sleep(self.chance.uniform(2.0, 15.0))
        store.takes_s = lambda: 0.0

    async def _full_disk(self) -> None:
        host = self._host()
        if host.process is not None and host.process.serving:
            host.store.failed = True
            await asyncio.sleep(self.chance.uniform(1.0, 10.0))
            host.store.failed = False

    def _any_pack(self) -> Pack:
        return self.chance.choice(list(self.fleet.packs.values()))

    async def _for_a_while(self, pack: Pack, what: str) -> None:
        pack.change(**{what: True})
        await asyncio.sleep(self.chance.uniform(0.5, 8.0))
        pack.change(**{what: False})

    async def _deaf(self) -> None:
        await self._for_a_while(self._any_pack(), "deaf")

    async def _mute(self) -> None:
        await self._for_a_while(self._any_pack(), "mute")

    async def _stop(self) -> None:
        """Stop a battery at its owner, or through a stub of it, and release it after a while, whatever that takes."""
        stubs = [
            (host, spec)
            for host in self.fleet.hosts.values()
            for spec in host.topology.batteries
            if isinstance(spec, JbdSpec) or (isinstance(spec, NetworkSpec) and spec.remote_name in self.fleet.packs)
        ]
        host, spec = self.chance.choice(stubs)
        pack = spec.port.removeprefix(DEV) if isinstance(spec, JbdSpec) else spec.remote_name
        if host.process is None or not host.process.serving or pack in self.stopping:
            return
        self.stopping.add(pack)
        try:
            answer = await self.fleet.within(host, host.process.node.stop([spec.name], holder="person"))
            if not (answer.unconfirmed or answer.not_at_owner):
                self.stops.stop(pack)
        except (BosError, TimeoutError):
            pass
        owner = self.owner_of(pack)
        if self.chance.random() < RESTART_CHANCE:
            await self._kill_one(owner)
        await asyncio.sleep(self.chance.choice(STOPPED_S))
        serves = owner.process is not None and owner.process.serving
        battery = owner.up.node.directory.batteries.get(self._name_at(owner, pack)) if serves else None
        if battery is not None:  # nobody has taken it out just now
            self.stops.check(pack, latched=battery.stopped)
        self.stops.stopped.discard(pack)
        while not await self.released(host, spec.name):  # noqa: ASYNC110 (a person tries again)
            await asyncio.sleep(1.0)
        self.stopping.discard(pack)

    async def released(self, host: Host, name: str) -> bool:
        """Ask once that a stop is released; tell whether it was."""
        if host.process is None or not host.process.serving:
            return False
        try:
            await self.fleet.within(host, host.process.node.release([name], holder="person"))
        except (BosError, TimeoutError):
            return False
        return True

    async def _block(self) -> None:
        await self._for_a_while(self._any_pack(), "blocks")


def run_seed(
    seed: int,
    faults_s: float = 120.0,
    *,
    limits: bool = False,
    people: bool = False,
    trees: bool = False,
    deep: bool = False,
    safe: bool = False,
    odd: bool = False,
    hard: bool = False,
) -> Report:
    """Run one world on a loop of its own, silently; with `limits` put on its batteries, and other `people` at work, too.

    With `trees` batteries are added up by way of sums and partitions; people know none of these.
    """

    async def main() -> Report:
        kind = Kind(limits=limits, people=people, trees=trees, deep=deep, safe=safe, odd=odd, hard=hard)
        return await RandomFaults(this_loop(), seed, kind).run(faults_s)

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return run_processes(main())
    finally:
        structlog.configure(**before)
