"""A topology that is to take the place of the one in force, and what goes with that: to be at 0 A before, and to stay there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery, DeviceLeaf, User
from bosd.bal.directory import Directory
from bosd.bal.graph import Graph
from bosd.bal.may_run import may_run_a
from bosd.bal.spec import BatterySpec, PartitionSpec, Topology
from bosd.bal.splitter import Splitter


class Edited:
    """What a valid `topology` makes of what is in force, as that is at the moment in which this is made.

    `leaving` are the devices that it replaces, removes, or takes out of a sum or from under a splitter: one that stays, or one
    that goes and leaves what it added up to be asked apart. Without current, too: else their share would be given away while
    they run on. `idle` are partitions without current over devices that would leave a sum if these carried any; their devices
    are others', too.
    """

    def __init__(self, directory: Directory, topology: Topology) -> None:
        self.directory = directory
        self.topology = topology
        self.graph = Graph(topology)
        self.specs = specs_of(topology)
        self._parts_of: dict[str, list[str]] = {}
        for part, splitter in self.graph.splitter_of.items():
            self._parts_of.setdefault(splitter, []).append(part)
        leaves = [battery for battery in directory if not battery.sources]
        above = {user: _above(user) for user in {leaf.user for leaf in leaves}}
        after = {leaf: self._users_above(leaf.name) for leaf in leaves}
        there = [leaf for leaf in leaves if leaf.name in self.specs]
        stays = {*self.graph.kinds, *self._parts_of}
        ends = stays | _come_apart((above[leaf.user].all, after[leaf]) for leaf in there)
        devices = [leaf for leaf in leaves if isinstance(leaf, DeviceLeaf)]
        self.leaving = tuple(
            leaf for leaf in devices if self.specs.get(leaf.name) != leaf.spec or ends & above[leaf.user].carried - after[leaf]
        )
        out = {leaf.user: None for leaf in devices if ends & above[leaf.user].all - after[leaf]}
        self.idle = tuple(dict.fromkeys(part for user in out for part in above[user].idle))

    @property
    def held(self) -> Sequence[Battery]:
        """What is to be held at 0 A until it is in force."""
        return (*self.leaving, *self.idle)

    def unread(self, now_s: float) -> list[DeviceLeaf]:
        """Return those that are leaving and that nobody has looked at yet."""
        return [leaf for leaf in self.leaving if leaf.is_unread(now_s)]

    def _users_above(self, name: str) -> set[str]:
        """Return the names of the sums and splitters that rest on a battery afterwards."""
        seen: set[str] = set()
        names = [name]
        while names:
            users = {user for name in names for user in self.graph.users.get(name, ())} - seen
            seen |= users
            names = [each for user in users for each in self._parts_of.get(user, (user,))]
        return seen


@dataclass(slots=True)
class _Above:
    """Names of sums and splitters above something, `carried` where it may flow to them; and partitions in use that carry none."""

    all: set[str] = field(default_factory=set)
    carried: set[str] = field(default_factory=set)
    idle: list[Battery] = field(default_factory=list)


def _above(user: User | None) -> _Above:
    found = _Above()
    users = [(user, True)]
    while users:
        user, carries = users.pop()
        if user is not None:
            found.all.add(user.name)
            if carries:
                found.carried.add(user.name)
        if isinstance(user, Aggregator):
            users.append((user.user, carries))
        elif isinstance(user, Splitter):
            for part in user.partitions:
                if part.user is not None:
                    runs = may_run_a(part) != 0.0
                    if not runs:
                        found.idle.append(part)
                    users.append((part.user, carries and runs))
    return found


def _come_apart(leaves: Iterable[tuple[set[str], set[str]]]) -> set[str]:
    """Return what was above leaves that do not all rest on one thing afterwards; `leaves`: above each before, after."""
    found: dict[str, list[set[str]]] = {}
    for before, after in leaves:
        for name in before:
            found.setdefault(name, []).append(after)
    return {name for name, after in found.items() if len(after) > 1 and not set.intersection(*after)}


def specs_of(topology: Topology) -> dict[str, BatterySpec | PartitionSpec]:
    """Return what is written of each battery and partition, by name."""
    specs: dict[str, BatterySpec | PartitionSpec] = {spec.name: spec for spec in topology.batteries}
    specs.update((part.name, part) for splitter in topology.splitters for part in splitter.partitions)
    return specs
