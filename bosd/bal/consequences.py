"""What an edit ends or begins anew, in words: set points, meters and currents of batteries that another one replaces."""

from collections.abc import Collection, Iterable, Iterator

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery
from bosd.bal.cap import Cap
from bosd.bal.directory import place_of
from bosd.bal.edited import Edited
from bosd.bal.graph import Graph
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import BatterySpec, JbdSpec, NullSpec, PartitionSpec
from bosd.bal.splitter import Splitter

MOST = 50
"""Sentences at most: an edit of a thousand batteries is not read line by line."""


def consequences(edited: Edited, recut: Collection[str]) -> tuple[str, ...]:
    """Return what a person should know before a topology is put in force; splitters in `recut` keep their meters."""
    directory, topology, specs = edited.directory, edited.topology, edited.specs
    carrying = [leaf for leaf in edited.leaving if leaf.counts_at_a != 0.0]
    told = [f"{leaf.name} carries {leaf.counts_at_a:g} A: it is brought to 0 A first" for leaf in carrying]
    told += [text for battery in directory for text in _of_battery(battery, specs.get(battery.name), edited.graph)]
    places = {place_of(spec) for spec in topology.batteries}
    stopped = [each for each in directory if each.stopped and not each.drained and each.name not in specs]
    told += [
        f"{each.name} is stopped, which stands for that name alone: the same under another name may be asked for again"
        for each in stopped
        if place_of(each.spec) not in places
    ]
    told += [
        f"{each.name} is under {_texts(limits)}, which stands for that name alone: under another name it is not limited so"
        for each in directory
        if each.name not in specs and (limits := [cap for cap in each.caps if cap.identity])
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


def _texts(limits: Iterable[Cap]) -> str:
    return ", ".join(dict.fromkeys(cap.text for cap in limits))


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
