"""A random node on a simulated clock: commands, bookings, edits, changed batteries, restarts, and what must hold after each."""

import asyncio
import collections
import math
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Literal, NoReturn, cast

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.partition import Partition
from bosd.bal.portions import Merge, Split
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.schedule import Moment
from bosd.bal.spec import AggregatorSpec, BatterySpec, NetworkSpec, NullSpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.bal.status import BatteryStatus
from bosd.clock import SteppedClock
from bosd.config.topology_toml import format_topology
from bosd.errors import BosError
from bosd.node.api import Edit
from bosd.node.node import Node
from bosd.policy.registry import POLICY_NAMES
from bosd.store.store import Store
from tests.support.holding import hold
from tests.support.memory_store import MemoryStore

VOLTAGE_V = 48.0
HOLDER = "h"
TOLERANCE = 1e-7
MOVED = 0.02
"""Limits of virtual batteries drift with charges; shares follow when they have moved by a hundredth (bal.md, "Aggregators")."""


class Still:
    """A machine's clock that stands."""

    def now_s(self) -> float:
        """Return no time."""
        return 0.0

    def utc_s(self) -> float:
        """Return an instant that is no full hour."""
        return 1_800_000_123.0


class NodeWorld:
    """A node made from a seed, or of a topology; `step` lets something happen to it and checks."""

    def __init__(self, seed: int, first: Topology | None = None) -> None:
        self.chance = random.Random(seed)
        self.clock = SteppedClock(Still())
        self.store = MemoryStore()
        self.node = self._node()
        self.number = 0
        self.apart_ah: dict[str, tuple[Battery, float]] = {}
        self.modified = False
        self._first = first or self._topology()

    def _node(self) -> Node:
        return Node(
            name="n",
            clock=self.clock,
            store=cast(Store, self.store),
            make_remote=_no_remote,
            default_ttl_s=3600.0,
            longest_ttl_s=1e6,
        )

    async def start(self) -> None:
        """Load the topology the node begins with, or the stored one."""
        await self.node.load(self._first)
        started = asyncio.Event()
        self._tasks = asyncio.create_task(hold(self.node, started))
        await started.wait()
        await self._settle()
        self.check()

    async def end(self) -> None:
        """Keep what a node that ends keeps; end its tasks."""
        await self.node.ledger.stop()
        self._tasks.cancel()
        await asyncio.wait([self._tasks])

    def _name(self) -> str:
        self.number += 1
        return f"b{self.number}"

    def _leaf(self, name: str) -> BatterySpec:
        if self.chance.random() < 0.1:
            return NullSpec(name=name, voltage_v=VOLTAGE_V)
        capacity_ah = self.chance.choice([0.0, 50.0, 100.0, 200.0])
        low, high = self.chance.choice([(0.0, 1.0), (0.0, 1.0), (0.1, 0.9), (0.2, 1.0)])
        return PseudoSpec(
            name=name,
            voltage_v=VOLTAGE_V,
            charge_ah=capacity_ah * self.chance.choice([0.0, 0.3, 0.5, 1.0]),
            capacity_ah=capacity_ah,
            max_discharge_current_a=self.chance.choice([0.0, 10.0, 50.0]),
            max_charge_current_a=self.chance.choice([0.0, 20.0, 50.0]),
            min_soc=low,
            max_soc=high,
        )

    def _topology(self) -> Topology:
        batteries = [self._leaf(self._name()) for _ in range(self.chance.randint(1, 5))]
        free = [spec.name for spec in batteries]
        splitters = []
        for _ in range(self.chance.randint(1, 5)):
            if len(free) > 1 and self.chance.random() < 0.5:
                members = self.chance.sample(free, self.chance.randint(1, min(3, len(free))))
                batteries.append(self._aggregate(members))
                free = [name for name in free if name not in members] + [batteries[-1].name]
            else:
                source = free.pop(self.chance.randrange(len(free)))
                splitters.append(self._splitter(source))
                free += [part.name for part in splitters[-1].partitions]
        return Topology(batteries=tuple(batteries), splitters=tuple(splitters))

    def _aggregate(self, members: list[str]) -> AggregatorSpec:
        share: Literal["c_rate", "charge", "allowed", "ratio"] = self.chance.choice(
            ["c_rate", "c_rate", "charge", "allowed", "ratio"]
        )
        ratios = tuple(zip(members, self._fractions(len(members)), strict=True)) if share == "ratio" else ()
        exponent = self.chance.choice([0.0, 1.0, 2.0]) if share == "charge" else 1.0
        return AggregatorSpec(
            name=self._name(), sources=tuple(members), voltage_v=VOLTAGE_V, voltage_tolerance_v=4.0,
            share=share, share_ratios=ratios, share_exponent=exponent,
        )  # fmt: skip

    def _splitter(self, source: str) -> SplitterSpec:
        count = self.chance.randint(1, 4)
        whole, charge, current = (self._fractions(count) for _ in range(3))
        own_charge, own_current = self.chance.random() < 0.2, self.chance.random() < 0.3
        parts = tuple(
            PartitionSpec(
                name=self._name(),
                fraction=whole[i],
                charge_fraction=charge[i] if own_charge else None,
                current_fraction=current[i] if own_current else None,
                min_soc=self.chance.choice([0.0, 0.0, 0.1]),
                max_soc=self.chance.choice([1.0, 1.0, 0.9]),
            )
            for i in range(count)
        )
        return SplitterSpec(name=self._name(), policy=self.chance.choice(sorted(POLICY_NAMES)), source=source, partitions=parts)

    def _fractions(self, count: int) -> list[float]:
        weights = [self.chance.choice([1, 2, 3]) for _ in range(count)]
        return [weight / sum(weights) for weight in weights]

    async def step(self) -> str:
        """Let something happen and check; return what it was. What is refused changes nothing."""
        events: list[Callable[[], Awaitable[str]]] = [
            self._set, self._set, self._set, self._tick, self._tick, self._tick, self._modify, self._split, self._merge,
            self._stop, self._release, self._clear, self._book, self._reset, self._replace, self._restart,
        ]  # fmt: skip
        event = self.chance.choice(events)
        before = {each: (each.applied_a, self.node.status(each.name).expected_charge_ah) for each in self.node.directory}
        try:
            done = await event()
        except BosError as error:
            done = f"{event.__name__} refused: {error}"
            for each in self.node.directory:
                assert (each.applied_a, self.node.status(each.name).expected_charge_ah) == before[each], (
                    f"{done} changed {each.name}"
                )
        self.check()
        return done

    def _any(self) -> Battery:
        return self.chance.choice(list(self.node.directory))

    def _free(self) -> Battery:
        return self.chance.choice([battery for battery in self.node.directory if battery.user is None])

    def _status(self, battery: Battery) -> BatteryStatus:
        return self.node.status(battery.name)

    async def _settle(self) -> None:
        await self.node.time.tick(0.0)

    async def _set(self) -> str:
        battery = self._free()
        status = self._status(battery)
        low_a, high_a = -status.max_charge_current_a, status.max_discharge_current_a
        current_a = self.chance.choice([0.0, low_a, high_a, self.chance.uniform(low_a, high_a), 500.0])
        await self.node.set_current(battery.name, current_a, ttl_s=self.chance.choice([60.0, 1800.0, 7200.0]), holder=HOLDER)
        return f"set {battery.name} {current_a}"

    async def _tick(self) -> str:
        duration_s = self.chance.choice([0.0, 1.0, 600.0, 3600.0, 20000.0, self.chance.uniform(0.0, 4000.0)])
        await self.node.time.tick(duration_s)
        return f"tick {duration_s}"

    def _leaves(self) -> list[PseudoBattery]:
        return [battery for battery in self.node.directory if isinstance(battery, PseudoBattery)]

    async def _modify(self) -> str:
        leaves = self._leaves()
        if not leaves:
            return "nothing"
        battery = self.chance.choice(leaves)
        key = self.chance.choice(["charge_ah", "capacity_ah", "max_discharge_current_a", "max_charge_current_a"])
        value = self.chance.choice([0.0, 1.0, 20.0, 60.0, 120.0])
        await self.node.modify_pseudo(battery.name, {key: value})
        await self._settle()
        self.modified = self.modified or key != "charge_ah"  # what is not charge is as written after a restart
        return f"modify {battery.name} {key} {value}"

    async def _apply(self, edit: Edit) -> None:
        await self.node.apply([edit], expected_revision=None, holder=HOLDER)
        await self._settle()

    async def _split(self) -> str:
        splitters = list(self.node.directory.splitters.values())
        if not splitters:
            return "nothing"
        splitter = self.chance.choice(splitters)
        donor = self.chance.choice(splitter.partitions)
        status = self._status(donor)
        asked = Split(splitter=splitter.name, name=self._name(), donor=donor.name, above=self.chance.choice(["", donor.name]))
        if self.chance.random() < 0.5:
            asked = replace(asked, capacity_ah=(status.capacity_ah or 0.0) * self.chance.choice([0.0, 0.3, 1.0]))
        else:
            asked = replace(asked, fraction=self.chance.choice([0.0, 0.05, 0.2]))
        if self.chance.random() < 0.4:
            asked = replace(asked, charge_ah=(status.charge_ah or 0.0) * self.chance.choice([0.0, 0.3, 1.0]))
        before = self._amounts(part.name for part in splitter.partitions)
        await self._apply(Edit(action="recut", recut=asked))
        after = self._amounts(part.name for part in splitter.partitions)
        after[donor.name] = [mine + its for mine, its in zip(after[donor.name], after.pop(asked.name), strict=True)]
        _same(before, after, f"split of {donor.name}")
        return f"split {asked}"

    async def _merge(self) -> str:
        splitters = [each for each in self.node.directory.splitters.values() if len(each.partitions) > 1]
        if not splitters:
            return "nothing"
        splitter = self.chance.choice(splitters)
        gone, into = (part.name for part in self.chance.sample(splitter.partitions, 2))
        before = self._amounts(part.name for part in splitter.partitions)
        await self._apply(Edit(action="recut", recut=Merge(name=gone, into=into)))
        before[into] = [mine + its for mine, its in zip(before[into], before.pop(gone), strict=True)]
        _same(before, self._amounts(before), f"merge of {gone} into {into}")
        return f"merge {gone} into {into}"

    def _amounts(self, names: Iterable[str]) -> dict[str, list[float]]:
        statuses = {name: self.node.status(name) for name in names}
        return {
            name: [status.charge_ah or 0.0, status.expected_charge_ah or 0.0, status.capacity_ah or 0.0]
            for name, status in statuses.items()
        }

    async def _stop(self) -> str:
        name = self._any().name
        await self.node.stop([name])
        await self._settle()
        return f"stop {name}"

    async def _release(self) -> str:
        await self.node.release(list(self.node.names()))
        await self._settle()
        return "release"

    async def _clear(self) -> str:
        name = self._any().name
        await self.node.clear_current(name, holder=HOLDER)
        return f"clear {name}"

    async def _book(self) -> str:
        battery = self._any()
        status = self._status(battery)
        low_a, high_a = -(status.ideal_max_charge_current_a or 0.0), status.ideal_max_discharge_current_a or 0.0
        current_a, start_s = self.chance.uniform(low_a, high_a), self.chance.uniform(0.0, 4000.0)
        end = Moment(in_s=start_s + self.chance.uniform(1.0, 5000.0))
        await self.node.book(battery.name, current_a, Moment(in_s=start_s), end, holder=HOLDER)
        return f"book {battery.name} {current_a}"

    async def _reset(self) -> str:
        name = self._any().name
        await self.node.reset_meter(name, holder=HOLDER)
        self.apart_ah.clear()
        return f"reset {name}"

    async def _replace(self) -> str:
        leaves = self._leaves()
        if not leaves:
            return "nothing"
        spec = self._leaf(self.chance.choice(leaves).name)
        toml = format_topology(Topology(batteries=(spec,)))
        await self._apply(Edit(action="replace", name=spec.name, toml=toml))
        self.apart_ah.clear()
        return f"replace {spec}"

    async def _restart(self) -> str:
        before = {battery.name: self._status(battery) for battery in self.node.directory}
        await self.end()
        self.node = self._node()
        self.apart_ah.clear()
        await self.start()
        assert set(before) == set(self.node.names())
        for name, was in before.items() if not self.modified else ():
            status = self.node.status(name)
            for key in ("charge_ah", "expected_charge_ah", "capacity_ah", "unallocated_ah"):
                assert _near(getattr(status, key), getattr(was, key)), f"{name}.{key} was {getattr(was, key)} before the restart"
        self.modified = False
        return "restart"

    def check(self) -> None:
        """Hold invariants 1 to 4 of bal.md on what the node says."""
        statuses = {battery.name: self._status(battery) for battery in self.node.directory}
        for battery in self.node.directory:
            self._check_limits(battery, statuses[battery.name])
            if isinstance(battery, Aggregator):
                parts = [statuses[member.name] for member in battery.sources]
                assert _near(battery.applied_a, sum(member.applied_a for member in battery.sources)), battery.name
                expected_ah = [each.expected_charge_ah for each in parts]
                if None not in expected_ah:
                    assert _near(statuses[battery.name].expected_charge_ah, sum(each or 0.0 for each in expected_ah)), (
                        battery.name
                    )
        for name in self.node.directory.splitters:
            self._check_splitter(name, statuses)

    @staticmethod
    def _check_limits(battery: Battery, status: BatteryStatus) -> None:
        slack = 1.0 + (1e-9 if isinstance(battery, PseudoBattery) else MOVED)
        low_a, high_a = -status.max_charge_current_a * slack - 1e-9, status.max_discharge_current_a * slack + 1e-9
        assert low_a <= battery.applied_a <= high_a, f"{battery.name} {battery.applied_a} beyond {low_a} to {high_a}"
        assert (status.charge_ah or 0.0) >= -1e-9, battery.name
        charges = status.usable_charge_ah, status.balanced_usable_charge_ah, status.charge_ah
        if None not in charges:
            usable_ah, balanced_ah, charge_ah = (each or 0.0 for each in charges)
            assert usable_ah <= balanced_ah + TOLERANCE, battery.name
            assert balanced_ah <= charge_ah + TOLERANCE, battery.name
        if isinstance(battery, Partition) and status.charge_ah is not None:
            assert status.charge_ah <= (status.capacity_ah or 0.0) + 1e-9, battery.name

    def _check_splitter(self, name: str, statuses: dict[str, BatteryStatus]) -> None:
        splitter = self.node.directory.splitters[name]
        source, parts = statuses[splitter.source.name], [statuses[part.name] for part in splitter.partitions]
        assert _near(splitter.source.applied_a, sum(part.applied_a for part in splitter.partitions)), name
        if source.charge_ah is None:
            return
        assert _near(source.charge_ah, sum(part.charge_ah or 0.0 for part in parts) + (source.unallocated_ah or 0.0)), name
        assert _near(source.capacity_ah, sum(part.capacity_ah or 0.0 for part in parts)), name
        metered_ah = sum(part.expected_charge_ah or 0.0 for part in parts) + splitter.accounts.unattributed_ah
        apart_ah = metered_ah - (source.expected_charge_ah or 0.0)
        was_of, was_ah = self.apart_ah.get(name, (splitter.source, apart_ah))
        if was_of is splitter.source:
            assert _near(apart_ah, was_ah), f"the meters of {name} no longer move as its source's"
        self.apart_ah[name] = splitter.source, apart_ah


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= TOLERANCE * max(1.0, abs(one), abs(other)) and math.isfinite(one)


def _same(before: dict[str, list[float]], after: dict[str, list[float]], what: str) -> None:
    for name, amounts in before.items():
        assert all(map(_near, amounts, after[name])), (
            f"{what} changed {name}: charge, meter, capacity {amounts}, now {after[name]}"
        )


def run(seed: int, steps: int) -> None:
    """Let so much happen to the node of a seed; AssertionError tells what was done last."""

    async def go() -> None:
        world = NodeWorld(seed)
        await world.start()
        done = collections.deque[str](maxlen=5)
        try:
            for _ in range(steps):
                done.append(await world.step())
        except AssertionError as error:
            error.add_note(f"seed {seed}, after: " + "; ".join(done))
            raise
        await world.end()

    asyncio.run(go())


def _no_remote(spec: NetworkSpec) -> NoReturn:
    raise AssertionError(spec.name)
