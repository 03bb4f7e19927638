"""The directory: the batteries of a node by name, built from a topology and rebuilt by its edits.

What an edit does not concern stays the same object, with its samples, meter, set point and tasks.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bosd.bal.aggregator import Aggregator, members_of
from bosd.bal.allocation import SplitPolicy
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import FAR
from bosd.bal.graph import order
from bosd.bal.physical import PhysicalBattery
from bosd.bal.portions import Portions, Step
from bosd.bal.pseudo import NullBattery, PseudoBattery
from bosd.bal.recut import follow, portions_of
from bosd.bal.sharing import SharePolicy
from bosd.bal.spec import (
    AggregatorSpec,
    BatterySpec,
    NetworkSpec,
    NullSpec,
    PartitionSpec,
    PhysicalSpec,
    PseudoSpec,
    SplitterSpec,
    Topology,
)
from bosd.bal.splitter import Splitter
from bosd.errors import BadNameError

MOST_GONE = 256
"""Devices that were taken out and may run on, whose places are remembered: those that may run most."""

LeafFactory = Callable[[BatterySpec], Battery]
PolicyLookup = Callable[[str], SplitPolicy]
SharingLookup = Callable[[AggregatorSpec], SharePolicy | None]


def by_c_rate(spec: AggregatorSpec) -> SharePolicy | None:
    """Return no policy of its own: by C-rate. Raises BadNameError where the specification asks for another one."""
    if spec.share != "c_rate" or spec.least_current_a:
        raise BadNameError(f"{spec.name} shares by {spec.share!r}, which nobody here knows", name=spec.share)
    return None


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a change of topology took out and put in, leaves and virtual batteries alike."""

    removed: tuple[Battery, ...]
    added: tuple[Battery, ...]


class Directory:
    """All batteries and splitters in force; `by_rank` has what rests on others after those.

    `make_leaf` builds the batteries that need the outside world, `find_policy` gives a splitter its policy,
    `find_sharing` an aggregator how it shares a set point.
    """

    def __init__(self, make_leaf: LeafFactory, find_policy: PolicyLookup, find_sharing: SharingLookup = by_c_rate) -> None:
        self.make_leaf = make_leaf
        self._find_sharing = find_sharing
        self._find_policy = find_policy
        self.topology = Topology()
        self.batteries: dict[str, Battery] = {}
        self.by_rank: tuple[Battery, ...] = ()
        self.splitters: dict[str, Splitter] = {}
        self._tops: dict[int, tuple[Battery, ...]] = {}
        self._gone: dict[tuple[object, ...], DeviceLeaf] = {}

    def __getitem__(self, name: str) -> Battery:
        """Return the battery of this name. Raises BadNameError."""
        battery = self.batteries.get(name)
        if battery is None:
            hint = "; it is a splitter, its partitions are batteries" if name in self.splitters else ""
            raise BadNameError(f"no battery is called {name!r}{hint}", name=name)
        return battery

    def __iter__(self) -> Iterator[Battery]:
        """Iterate over all batteries, in topology order."""
        return iter(self.batteries.values())

    def tops_with(self, battery: Battery) -> tuple[Battery, ...]:
        """Return the free batteries connected with `battery`, itself included if it is free."""
        return self._tops.get(battery.component, ())

    def users_of(self, battery: Battery) -> tuple[str, ...]:
        """Return the names of what rests on `battery`."""
        return () if battery.user is None else (battery.user.name,)

    def portions(self, splitter: str, now_s: float) -> Portions:
        """Return what the partitions of a splitter have. Raises BadNameError, UnavailableError."""
        if splitter not in self.splitters:
            raise BadNameError(f"no splitter is called {splitter!r}", name=splitter)
        return portions_of(self.splitters[splitter], now_s)

    def change(self, topology: Topology, now_s: float, steps: Mapping[str, Sequence[Step]] | None = None) -> Replaced:
        """Make the batteries those of a valid `topology`; a battery whose specification is the same stays.

        `steps` are the splits and merges by splitter, which keep their partitions.

        Set points and stops pass to the battery of the same name; a battery that comes into use loses its set point. Meters of
        partitions begin anew where something below them was replaced.
        """
        old_specs = {spec.name: spec for spec in self.topology.batteries}
        old_splits = {spec.name: spec for spec in self.topology.splitters}
        before = self.batteries
        made: dict[str, Battery] = {}
        virtual = {spec.name: spec for spec in topology.batteries if isinstance(spec, AggregatorSpec)}
        for spec in topology.batteries:
            if old_specs.get(spec.name) == spec:
                made[spec.name] = before[spec.name]
            elif spec.name not in virtual:
                made[spec.name] = self._leaf(spec, now_s)
        splits = {part.name: spec for spec in topology.splitters for part in spec.partitions}
        splitters: dict[str, Splitter] = {}
        for name in order(topology):
            if name in virtual:
                self._aggregate(virtual[name], made)
            elif name in splits and splits[name].name not in splitters:
                split = splits[name]
                kept = self.splitters.get(split.name) if old_splits.get(split.name) == split else None
                kept = kept or self._recut(split, (steps or {}).get(split.name, ()), now_s)
                splitters[split.name] = self._split(split, made, kept)
        kept_ids = {id(battery) for battery in made.values()}
        removed = tuple(battery for battery in before.values() if id(battery) not in kept_ids)
        old_ids = {id(battery) for battery in before.values()}
        self.batteries = {name: made[name] for name in _written_order(topology)}
        self.by_rank = tuple(sorted(self.batteries.values(), key=lambda each: each.rank))
        self.splitters = splitters
        self.topology = topology
        self._free_the_unused()
        self._number_components()
        added = tuple(battery for battery in self.batteries.values() if id(battery) not in old_ids)
        for battery in added:
            _inherit(before.get(battery.name), battery)
        self._succeed(removed, added)
        new = set(map(id, added))
        for splitter in self.splitters.values():
            if any(id(below) in new for below in members_of(splitter.source)):
                splitter.rebase()
        return Replaced(removed, added)

    def _succeed(self, removed: Collection[Battery], added: Iterable[Battery]) -> None:
        """Let new leaves count at what may run at their places, whatever those were called that had them, and since when gone.

        One that is looked for elsewhere counts at what may run where it was.
        """
        gone = [each for each in (*self._gone.values(), *removed) if isinstance(each, DeviceLeaf) and each.counts_at_a != 0.0]
        gone.sort(key=lambda each: abs(each.counts_at_a))
        named = {_called(leaf.spec): leaf for leaf in gone if leaf in removed}
        most = {place_of(leaf.spec): leaf for leaf in gone}
        had_again = set()
        for new in added:
            if not isinstance(new, DeviceLeaf):
                continue
            if (old := most.get(place := place_of(new.spec))) is not None:
                new.succeed(old)
                had_again.add(place)
            elif (old := named.get(_called(new.spec))) is not None:
                new.succeed(old)
        self._gone = dict([(place, leaf) for place, leaf in most.items() if place not in had_again][-MOST_GONE:])

    def _leaf(self, spec: BatterySpec, now_s: float) -> Battery:
        if isinstance(spec, PseudoSpec):
            return PseudoBattery(spec, now_s)
        if isinstance(spec, NullSpec):
            return NullBattery(spec)
        return self.make_leaf(spec)

    def _aggregate(self, spec: AggregatorSpec, made: dict[str, Battery]) -> None:
        members = tuple(made[source] for source in spec.sources)
        kept = made.get(spec.name)
        if not isinstance(kept, Aggregator):
            made[spec.name] = Aggregator(spec, members, self._find_sharing(spec))
        elif kept.sources != members or kept.rank != 1 + max(member.rank for member in members):
            kept.rest_on(members)

    def _split(self, spec: SplitterSpec, made: dict[str, Battery], kept: Splitter | None) -> Splitter:
        source = made[spec.source]
        if kept is None:
            splitter = Splitter(spec, self._find_policy(spec.policy), source)
        else:
            splitter = kept
            if splitter.source is not source or splitter.partitions[0].rank != source.rank + 1:
                splitter.rest_on(source)
        made.update((partition.name, partition) for partition in splitter.partitions)
        return splitter

    def _recut(self, spec: SplitterSpec, steps: Sequence[Step], now_s: float) -> Splitter | None:
        """Split and merge a splitter's partitions; None where nothing is to be split or merged."""
        if not steps:
            return None
        splitter = self.splitters[spec.name]
        before = [part.name for part in splitter.spec.partitions]
        after = [part.name for part in spec.partitions]
        splitter.recut(spec, lambda amounts: follow(amounts, before, steps, after), now_s)
        return splitter

    def _free_the_unused(self) -> None:
        """Detach batteries from users that are gone."""
        users = {id(battery) for battery in self.batteries.values()} | {id(splitter) for splitter in self.splitters.values()}
        for battery in self.batteries.values():
            user = battery.user
            if user is not None and (id(user) not in users or battery not in _sources(user)):
                battery.user, battery.slot, battery.target_a, battery.held_out = None, 0, None, False
                battery.touch()

    def _number_components(self) -> None:
        """Give batteries that rest on a common leaf, or share one, the same component."""
        leader: dict[int, int] = {}

        def find(number: int) -> int:
            while leader.setdefault(number, number) != number:
                leader[number] = number = leader[leader[number]]
            return number

        numbers = {id(battery): number for number, battery in enumerate(self.batteries.values())}
        for number, battery in enumerate(self.batteries.values()):
            for source in battery.sources:
                leader[find(number)] = find(numbers[id(source)])
        for number, battery in enumerate(self.batteries.values()):
            battery.component = find(number)
        tops: dict[int, list[Battery]] = {}
        for battery in self.batteries.values():
            if battery.user is None:
                tops.setdefault(battery.component, []).append(battery)
        self._tops = {component: tuple(free) for component, free in tops.items()}


def _sources(user: object) -> tuple[Battery, ...]:
    if isinstance(user, Aggregator):
        return user.sources
    return (user.source,) if isinstance(user, Splitter) else ()


def _written_order(topology: Topology) -> tuple[str, ...]:
    return tuple(spec.name for spec in topology.batteries) + tuple(
        part.name for spec in topology.splitters for part in spec.partitions
    )


def _inherit(old: Battery | None, new: Battery) -> None:
    """Pass on what belongs to the name rather than to the object."""
    if old is None:
        return
    new.stopped, new.stop_note = old.stopped, old.stop_note
    new.alone, new.beside_w, new.unreached, new.own_limits = old.alone, old.beside_w, old.unreached, old.own_limits
    new.caps = tuple(cap for cap in old.caps if cap.source != FAR)  # whoever is its owner now says so itself
    new.listeners = old.listeners
    if new.user is None:
        new.setpoint, new.booked, new.booking_note = old.setpoint, old.booked, old.booking_note
        if new.sources and type(new) is type(old):  # what it was is what it runs, until it is planned anew
            new.applied_a = old.applied_a
    if isinstance(new, NullBattery):
        if isinstance(old, PhysicalBattery) and old.counts_at_a != 0.0:
            new.left = old
        elif isinstance(old, NullBattery):
            new.left = old.left


def _called(spec: BatterySpec | PartitionSpec) -> tuple[object, ...]:
    """Return what tells one battery from another where its address may have become another one."""
    return type(spec), spec.name, spec.remote_name if isinstance(spec, NetworkSpec) else ""


def place_of(spec: BatterySpec | PartitionSpec) -> tuple[object, ...]:
    """Return what tells one device from another: where what is commanded is reached, whatever else is written of it."""
    if isinstance(spec, NetworkSpec):
        return spec.target, spec.remote_name
    return (spec.commanded_place or spec.place,) if isinstance(spec, PhysicalSpec) else (spec.name,)
