"""What an edit ends or begins anew, in words: set points, meters and currents of batteries that another one replaces."""

from collections.abc import Collection, Iterator

from bosd.bal.aggregator import Aggregator, members_of
from bosd.bal.battery import Battery, DeviceLeaf, User
from bosd.bal.directory import Directory, place_of
from bosd.bal.graph import Graph
from bosd.bal.may_run import may_run_a
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import BatterySpec, JbdSpec, NullSpec, PartitionSpec, Topology
from bosd.bal.splitter import Splitter

MOST = 50
"""Sentences at most: an edit of a thousand batteries is not read line by line."""


def consequences(directory: Directory, topology: Topology, recut: Collection[str]) -> tuple[str, ...]:
    """Return what a person should know before `topology` is put in force; splitters in `recut` keep their meters."""
    graph = Graph(topology)
    specs = _specs(topology)
    carrying = [leaf for leaf in leaving(directory, topology) if leaf.counts_at_a != 0.0]
    told = [f"{leaf.name} carries {leaf.counts_at_a:g} A: it is brought to 0 A first" for leaf in carrying]
    told += [text for battery in directory for text in _of_battery(battery, specs.get(battery.name), graph)]
    places = {place_of(spec) for spec in topology.batteries}
    stopped = [each for each in directory if each.stopped and not each.drained and each.name not in specs]
    told += [
        f"{each.name} is stopped, which stands for that name alone: the same under another name may be asked for again"
        for each in stopped
        if place_of(each.spec) not in places
    ]
    changed = {battery.name for battery in directory if specs.get(battery.name) != battery.spec}
    fragments = {spec.name: spec for spec in topology.splitters}
    for splitter in directory.splitters.values():
        spec = fragments.get(splitter.name)
        if spec is None:
            continue
        anew = spec != splitter.spec and splitter.name not in recut
        told += _of_splitter(splitter, changed if spec.source == splitter.source.name else None, written_anew=anew)
    return (*told[:MOST], f"and {len(told) - MOST} more") if len(told) > MOST else tuple(told)


def leaving(directory: Directory, topology: Topology) -> list[DeviceLeaf]:
    """Return the devices that would be replaced, removed, or taken out of an aggregator that stays, without current, too.

    They must be at 0 A first, and stay there: else an aggregator would give a share away while it runs on.
    """
    specs, graph = _specs(topology), Graph(topology)
    leaves = [battery for battery in directory if isinstance(battery, DeviceLeaf)]
    above = {user: _above(user)[0] for user in {leaf.user for leaf in leaves}}
    return [leaf for leaf in leaves if specs.get(leaf.name) != leaf.spec or _is_taken_out(leaf, above[leaf.user], graph)]


def leaving_idle(directory: Directory, topology: Topology) -> list[Battery]:
    """Return partitions without current over devices that would be taken out of an aggregator above them, which stays.

    They must stay without: else that aggregator could be given something, and its share with it, while the edit is stored. Their
    devices are others', too.
    """
    graph = Graph(topology)
    leaves = [battery for battery in directory if isinstance(battery, DeviceLeaf)]
    above = {user: _above(user, idle=True) for user in {leaf.user for leaf in leaves}}
    out = {leaf.user for leaf in leaves if _is_taken_out(leaf, above[leaf.user][0], graph)}
    return list(dict.fromkeys(part for user in out for part in above[user][1]))


def unread_leaving(directory: Directory, topology: Topology, now_s: float) -> list[DeviceLeaf]:
    """Return the devices and stubs that would be replaced or removed, and that nobody has looked at yet."""
    specs = _specs(topology)
    leaves = [battery for battery in directory if isinstance(battery, DeviceLeaf)]
    return [leaf for leaf in leaves if leaf.is_unread(now_s) and specs.get(leaf.name) != leaf.spec]


def _is_taken_out(leaf: DeviceLeaf, before: Collection[str], graph: Graph) -> bool:
    """Tell whether an aggregator that is above a device `before` is there afterwards, and no more above it."""
    after: set[str] = set()
    names = [leaf.name]
    while names:
        names = [user for name in names for user in graph.users.get(name, ())]
        after.update(names)
    return bool({name for name in before if name in graph.kinds} - after)


def _above(user: User | None, *, idle: bool = False) -> tuple[set[str], list[Battery]]:
    """Return the names of the aggregators above who has this user, and with `idle` the partitions that carry nothing.

    Without it those are left out, with what is above them.
    """
    names: set[str] = set()
    parts: list[Battery] = []
    users = [user]
    while users:
        user = users.pop()
        if isinstance(user, Aggregator):
            names.add(user.name)
            users.append(user.user)
        elif isinstance(user, Splitter):
            used = [part for part in user.partitions if part.user is not None]
            parts += [part for part in used if idle and may_run_a(part) == 0.0]
            users += [part.user for part in used if idle or may_run_a(part) != 0.0]
    return names, parts


def _specs(topology: Topology) -> dict[str, BatterySpec | PartitionSpec]:
    specs: dict[str, BatterySpec | PartitionSpec] = {spec.name: spec for spec in topology.batteries}
    specs.update((part.name, part) for splitter in topology.splitters for part in splitter.partitions)
    return specs


def _of_battery(battery: Battery, spec: BatterySpec | PartitionSpec | None, graph: Graph) -> Iterator[str]:
    name = battery.name
    if _leaves_gate_open(battery, spec):
        yield f"the switches of {name} stay open, nothing flows through it: only its maker's app closes them then"
    if spec is not None and not battery.sources and spec != battery.spec:
        yield f"{name} begins its meter anew"
    setpoint = battery.setpoint
    if setpoint is None or setpoint.current_a == 0.0:
        return
    what = f"the set point of {setpoint.current_a:g} A on {name}, held by {setpoint.holder},"
    if spec is None:
        yield f"{what} ends: {name} is gone"
    elif battery.user is None and graph.users[name]:
        yield f"{what} ends: it is in use by {', '.join(graph.users[name])} now"
    elif spec != battery.spec and isinstance(spec, NullSpec):
        yield f"{what} is not followed while a null battery stands there"
    elif spec != battery.spec and isinstance(spec, JbdSpec) and spec.current_control == "none":
        yield f"{what} cannot be followed any more: no current control"


def _leaves_gate_open(battery: Battery, spec: BatterySpec | PartitionSpec | None) -> bool:
    """Return whether this node opened switches that it moves no more under `spec`."""
    if not isinstance(battery, PhysicalBattery) or not battery.is_gate or not battery.told:
        return False
    return getattr(spec, "current_control", "none") != "gate"


def _of_splitter(splitter: Splitter, changed: Collection[str] | None, *, written_anew: bool) -> Iterator[str]:
    """Yield what becomes of the partitions' meters; `changed` are batteries written otherwise, None for another source."""
    names = ", ".join(partition.name for partition in splitter.partitions)
    if written_anew:
        yield f"{splitter.name} is written anew: what its partitions ({names}) have begins at their fractions"
    elif changed is None or any(below.name in changed for below in members_of(splitter.source)):
        yield f"the meters of {names} begin anew at their fractions of what is below {splitter.name} then"
