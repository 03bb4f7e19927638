"""The invariants of bal.md over random topologies and random events, checked after every one."""

import contextlib
import random
from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.directory import Directory
from bosd.bal.dispatch import asked_a, plan
from bosd.bal.figures import FULL_LIMIT
from bosd.bal.physical import PhysicalBattery
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.setpoint import SetPoint
from bosd.bal.spec import AggregatorSpec, BatterySpec, NullSpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.bal.splitter import Splitter
from bosd.bal.status import BatteryStatus, Quality
from bosd.errors import InvalidArgumentError
from bosd.node.execute import commit
from bosd.policy.registry import policy
from tests.support.bal_makers import aggregate, jbd_spec, physical, pseudo, sample
from tests.support.examples import examples

MOST_BATTERIES = 40
MOST_LEVELS = 6
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class near:  # noqa: N801 (read as a word, as `approx` is; many times faster than that)
    """Equal within a tolerance, of the unit or of the amount, whichever is larger."""

    value: float
    tolerance: float = TOLERANCE

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, float | int)
        return abs(other - self.value) <= self.tolerance * max(1.0, abs(self.value))

    __hash__ = None  # type: ignore[assignment]


class World:
    """A random topology, run by the core alone: devices confirm at once."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now_s = 0.0
        self.number = 0
        self.apart_ah: dict[str, float] = {}
        self.directory = Directory(lambda spec: physical(spec.name, 30.0), policy)
        self.directory.change(self._random_topology(), self.now_s)

    def _name(self) -> str:
        self.number += 1
        return f"b{self.number}"

    def _random_leaf(self, name: str) -> BatterySpec:
        capacity_ah = self.chance.uniform(1.0, 200.0)
        kind = self.chance.random()
        if kind < 0.1:
            return NullSpec(name=name, voltage_v=48.0)
        if kind < 0.4:
            return jbd_spec(name, 30.0)
        return PseudoSpec(
            name=name,
            voltage_v=48.0 + self.chance.uniform(-1.0, 1.0),
            charge_ah=capacity_ah * self.chance.choice([0.0, 0.2, 0.5, 0.9, 1.0]),
            capacity_ah=capacity_ah,
            max_discharge_current_a=self.chance.uniform(0.0, 60.0),
            max_charge_current_a=self.chance.uniform(0.0, 60.0),
            min_soc=self.chance.choice([0.0, 0.1]),
        )

    def _random_topology(self) -> Topology:
        batteries = [self._random_leaf(self._name()) for _ in range(self.chance.randint(1, 10))]
        splitters: list[SplitterSpec] = []
        free = {spec.name: 1 for spec in batteries}
        while self.number < MOST_BATTERIES - 4 and self.chance.random() < 0.85:
            low = [name for name, level in free.items() if level < MOST_LEVELS]
            if not low:
                break
            sources = tuple(self.chance.sample(low, min(len(low), self.chance.randint(1, 4))))
            level = 1 + max(free[name] for name in sources)
            if self.chance.random() < 0.5:
                batteries.append(aggregator_spec(self._name(), *sources))
                for name in sources:
                    del free[name]
                free[batteries[-1].name] = level
            else:
                splitters.append(self._random_splitter(sources[0]))
                level = 1 + free.pop(sources[0])
                free.update((part.name, level) for part in splitters[-1].partitions)
        return Topology(batteries=tuple(batteries), splitters=tuple(splitters))

    def _random_splitter(self, source: str) -> SplitterSpec:
        weights = [self.chance.randint(1, 9) for _ in range(self.chance.randint(1, 4))]
        other = self.chance.sample(weights, len(weights))
        parts = tuple(
            PartitionSpec(name=self._name(), fraction=weight / sum(weights), charge_fraction=charge / sum(weights))
            for weight, charge in zip(weights, other, strict=True)
        )
        return SplitterSpec(name=self._name(), policy="proportional", source=source, partitions=parts)

    def step(self) -> None:
        """Let something happen, then put in force what follows from it."""
        self.chance.choice(
            [self._modify, self._sample, self._set, self._set, self._end, self._stop, self._wait, self._read, self._edit]
        )()
        self.settle()

    def _pick(self, kind: type[Battery]) -> Battery | None:
        found = [battery for battery in self.directory if isinstance(battery, kind)]
        return self.chance.choice(found) if found else None

    def _modify(self) -> None:
        battery = self._pick(PseudoBattery)
        if not isinstance(battery, PseudoBattery):
            return
        key = self.chance.choice(["charge_ah", "capacity_ah", "voltage_v", "max_discharge_current_a", "max_charge_current_a"])
        value = self.chance.choice([0.0, 0.1, 5.0, 40.0, 47.0, 49.0, 100.0])
        with contextlib.suppress(InvalidArgumentError):
            battery.modify({key: value}, self.now_s)

    def _sample(self) -> None:
        battery = self._pick(PhysicalBattery)
        if isinstance(battery, PhysicalBattery):
            beyond_a = self.chance.choice([0.0, 0.0, 2.5, -1.0])
            charge_ah = self.chance.choice([0.0, 3.0, 50.0, 100.0, 103.0])
            battery.sampled(sample(self.now_s, charge_ah, battery.applied_a + beyond_a))

    def _set(self) -> None:
        battery = self.chance.choice([battery for battery in self.directory if battery.user is None])
        status = battery.status(self.now_s)
        limit_a = self.chance.choice([status.max_discharge_current_a, -status.max_charge_current_a])
        ends_s = self.now_s + 60.0
        battery.setpoint = SetPoint(current_a=limit_a * self.chance.choice([0.1, 0.5, 1.0]), ends_s=ends_s, holder="h")
        battery.touch()

    def _end(self) -> None:
        self.chance.choice(list(self.directory)).setpoint = None

    def _stop(self) -> None:
        battery = self.chance.choice(list(self.directory))
        battery.stopped = not battery.stopped
        battery.touch()

    def _wait(self) -> None:
        self.now_s += self.chance.choice([0.1, 1.0, 4.0, 20.0, 600.0])

    def _read(self) -> None:
        for battery in self.directory:
            if self.chance.random() < 0.5:
                battery.status(self.now_s)

    def _edit(self) -> None:
        topology = self.directory.topology
        leaves = [spec for spec in topology.batteries if not isinstance(spec, AggregatorSpec)]
        gone = self.chance.choice(leaves).name
        batteries = tuple(self._random_leaf(gone) if spec.name == gone else spec for spec in topology.batteries)
        tops = [battery.name for battery in self.directory if battery.user is None]
        if len(self.directory.batteries) < MOST_BATTERIES and self.chance.random() < 0.3:
            batteries += (aggregator_spec(self._name(), *self.chance.sample(tops, min(2, len(tops)))),)
        elif self.chance.random() < 0.3 and len(batteries) > 1:
            batteries = (
                tuple(spec for spec in batteries if not (isinstance(spec, AggregatorSpec) and spec.name in tops)) or batteries
            )
        self.directory.change(Topology(batteries=batteries, splitters=topology.splitters), self.now_s)
        self.apart_ah.clear()

    def settle(self) -> None:
        """Put in force what is asked, as the controller does, all tops at once; what falls due meanwhile too."""
        for _ in range(2):
            planned = plan({top: asked_a(top) for top in self.directory if top.user is None}, self.now_s)
            for leaf, current_a in planned.computed:
                check_limits(leaf, current_a, self.now_s)
            for device, current_a in planned.devices:
                if device.applied_a != current_a and device not in planned.lost:
                    check_limits(device, current_a, self.now_s)
                    device.settled(current_a, self.now_s)
            commit(planned, self.now_s)


def aggregator_spec(name: str, *sources: str) -> AggregatorSpec:
    """Return an aggregate that takes 44 to 52 V."""
    return AggregatorSpec(name=name, sources=sources, voltage_v=48.0, voltage_tolerance_v=4.0)


def check_limits(leaf: Battery, current_a: float, now_s: float) -> None:
    """Invariant 4: nothing is told a current outside its own limits."""
    status = leaf.status(now_s)
    assert -status.max_charge_current_a <= current_a <= status.max_discharge_current_a, leaf.name


def check_splitters(world: World) -> None:
    """Invariants 1, 2 and 3 for each splitter and its source."""
    for splitter in world.directory.splitters.values():
        source = splitter.source.status(world.now_s)
        parts = [partition.status(world.now_s) for partition in splitter.partitions]
        if source.charge_ah is not None and source.capacity_ah is not None:
            unallocated_ah = source.unallocated_ah
            assert unallocated_ah is not None
            assert sum(part.charge_ah or 0.0 for part in parts) + unallocated_ah == near(source.charge_ah)
            assert sum(part.capacity_ah or 0.0 for part in parts) == near(source.capacity_ah)
        for ideal in ("ideal_max_discharge_current_a", "ideal_max_charge_current_a"):
            if getattr(source, ideal) is not None:
                assert sum(getattr(part, ideal) for part in parts) == near(getattr(source, ideal))
        for limit in ("max_discharge_current_a", "max_charge_current_a"):
            assert sum(getattr(part, limit) for part in parts) <= getattr(source, limit) * (1 + TOLERANCE)
        if not lost_below(splitter.source, world.now_s):
            assert sum(partition.applied_a for partition in splitter.partitions) == near(splitter.source.applied_a)
        check_accounts(world, splitter, source, parts)


def check_accounts(world: World, splitter: Splitter, source: BatteryStatus, parts: list[BatteryStatus]) -> None:
    """Invariant 3: between edits meters and `unattributed` change as the source's meter does; currents add up to the hardware's.

    What no partition can take, all being empty or all full, is nobody's until the next sample or step accounts for it.
    """
    accounts = splitter.accounts
    if accounts.metered_ah is not None:
        apart_ah = accounts.source_ah - sum(accounts.metered_ah) - accounts.unattributed_ah
        assert apart_ah == near(world.apart_ah.setdefault(splitter.name, apart_ah))
    if not any(accounts.discharges) or not any(accounts.charges):
        return
    metered_ah = source.expected_ah(world.now_s)
    if metered_ah is not None:
        unattributed_ah = accounts.unattributed_ah + world.apart_ah.get(splitter.name, 0.0)
        assert sum(part.expected_ah(world.now_s) or 0.0 for part in parts) + unattributed_ah == near(metered_ah)
    if source.current_a is not None and source.sampled_to_s is not None and source.sampled_to_s >= world.now_s:
        assert sum(part.current_a or 0.0 for part in parts) == near(source.current_a, 1e-6)


def lost_below(battery: Battery, now_s: float) -> bool:
    """Return whether something below may still run what it was told."""
    if isinstance(battery, DeviceLeaf):
        return battery.status(now_s).quality is Quality.UNAVAILABLE and battery.counts_at_a != 0.0
    return any(lost_below(source, now_s) for source in battery.sources)


def check_aggregators(world: World) -> None:
    """Invariants 2, 3 and 6 for each aggregate; one change is worth the same, to the last bit, as a full pass."""
    for battery in world.directory:
        if not isinstance(battery, Aggregator):
            continue
        status = battery.status(world.now_s)
        members = [(member, member.status(world.now_s)) for member in battery.sources]
        assert status.max_discharge_current_a >= 0.0
        assert status.max_charge_current_a >= 0.0
        if not lost_below(battery, world.now_s):
            assert sum(member.applied_a for member, _ in members) == near(battery.applied_a)
        metered = [each.expected_ah(world.now_s) for _, each in members]
        if None not in metered:
            assert status.expected_ah(world.now_s) == near(sum(each or 0.0 for each in metered))
        used = [
            each
            for member, each in members
            if each.quality is not Quality.UNAVAILABLE and not member.held_out and each.capacity_ah
        ]
        for each in used:
            assert status.quality >= each.quality
            assert status.sampled_from_s is not None
            assert each.sampled_from_s is not None
            assert status.sampled_from_s <= each.sampled_from_s
        battery.touch()
        status = battery.status(world.now_s)
        for slot in range(len(battery.sources)):
            battery.source_touched(slot)
        assert battery.status(world.now_s) == status


@settings(max_examples=examples(100))
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_invariants(seed: int, steps: int) -> None:
    """Charges, capacities, limits, set points and meters add up at every level, whatever happens in whatever order."""
    world = World(random.Random(seed))
    world.settle()
    for _ in range(steps):
        world.step()
        check_splitters(world)
        check_aggregators(world)


amounts = st.floats(0.5, 100.0)


@given(st.lists(st.tuples(amounts, amounts, st.floats(0.0, 1.0)), min_size=1, max_size=6), st.data())
def test_more_of_one_member_is_never_less_of_the_whole(members: list[tuple[float, float, float]], data: st.DataObject) -> None:
    """Raising a derated member's present limit, below its ideal one, never lowers the aggregate's.

    At its ideal one it counts whatever it costs ("a member with its full limit is never left out"), so there the limit may drop.
    """
    made = [pseudo(f"m{i}", ideal_a, charge_ah) for i, (ideal_a, charge_ah, _) in enumerate(members)]
    for battery, (ideal_a, _, part) in zip(made, members, strict=True):
        battery.modify({"max_discharge_current_a": ideal_a * part}, 0.0)
    whole = aggregate(*made)
    before_a = whole.status(0.0).max_discharge_current_a
    index = data.draw(st.integers(0, len(members) - 1))
    ideal_a, _, part = members[index]
    more = data.draw(st.floats(part, 1.0))
    assume(part >= FULL_LIMIT or more < FULL_LIMIT)
    made[index].modify({"max_discharge_current_a": ideal_a * more}, 0.0)
    assert whole.status(0.0).max_discharge_current_a >= before_a * (1 - 1e-9)
