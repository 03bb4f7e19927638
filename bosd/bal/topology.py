"""What a topology may not be: each specification by itself, then the batteries together."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bosd.bal.graph import Graph, cycle_error
from bosd.bal.spec import JbdSpec, NetworkSpec, PhysicalSpec, Topology
from bosd.bal.spec_rules import battery_faults, splitter_faults
from bosd.errors import (
    BadNameError,
    BatteryInUseError,
    InvalidArgumentError,
    NameTakenError,
    RequestError,
)

POLICIES = frozenset({"proportional", "tranched", "reserved"})
"""Splitter policies that there are; `bosd.policy` has them."""
MAX_LEVELS = 128


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a topology: the place as the file's keys give it, and the refusal."""

    place: str
    error: RequestError


def validate(topology: Topology, policies: Collection[str] = POLICIES) -> None:
    """Refuse a topology that cannot be.

    Raises the first fault: InvalidArgumentError, NameTakenError, BadNameError, BatteryInUseError or CycleError.
    """
    for fault in faults(topology, policies):
        raise fault.error


def faults(topology: Topology, policies: Collection[str] = POLICIES) -> Iterator[Fault]:
    """Yield all that is wrong: specifications by themselves, then the batteries together."""
    yield from spec_faults(topology)
    yield from graph_faults(topology, policies)


def spec_faults(topology: Topology) -> Iterator[Fault]:
    """Yield what is wrong with each specification by itself."""
    for index, spec in enumerate(topology.batteries):
        for key, text in battery_faults(spec):
            yield _invalid(f'battery[{index}] "{spec.name}".{key}', text)
    for index, splitter in enumerate(topology.splitters):
        for key, text in splitter_faults(splitter):
            yield _invalid(f'splitter[{index}] "{splitter.name}".{key}', text)


def graph_faults(topology: Topology, policies: Collection[str] = POLICIES) -> Iterator[Fault]:
    """Yield what is wrong with the batteries together: names, sources, users, shared devices, cycles and depth."""
    graph = Graph(topology)
    splitters = {splitter.name for splitter in topology.splitters}
    yield from _taken_names(topology)
    yield from _unknown_policies(topology, policies)
    for place, user, source in _uses(topology):
        if source in splitters and source not in graph.kinds:
            parts = ", ".join(name for name, owner in graph.splitter_of.items() if owner == source)
            message = f'"{source}" is a splitter; "{user}" can rest on one of its partitions: {parts}'
            yield Fault(place, BadNameError(message, name=source, users=user))
        elif source not in graph.kinds:
            message = f'no battery "{source}", which "{user}" rests on'
            yield Fault(place, BadNameError(message, name=source, users=user))
        elif (users := graph.users[source]) and users[0] != user:
            message = f'"{source}" has more than one user: {", ".join(users)}; split it to share it'
            yield Fault(place, BatteryInUseError(message, name=source, users=", ".join(users)))
    yield from _shared_devices(topology)
    yield from _shared_regulators(topology)
    yield from _shared_lines(topology)
    yield from _speeds(topology)
    yield from _meters(topology, graph)
    yield from _shape(graph)


def _uses(topology: Topology) -> Iterator[tuple[str, str, str]]:
    """Yield the place, the user and the source of every use."""
    for spec in topology.batteries:
        for position, source in enumerate(spec.source_names):
            yield f'battery "{spec.name}".sources[{position}]', spec.name, source
    for splitter in topology.splitters:
        yield f'splitter "{splitter.name}".source', splitter.name, splitter.source


def _taken_names(topology: Topology) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for what, name in _named(topology):
        if name in first:
            message = f'the name "{name}" is taken by a {first[name]}'
            yield Fault(f'{what} "{name}".name', NameTakenError(message, name=name))
        else:
            first[name] = what


def _named(topology: Topology) -> Iterator[tuple[str, str]]:
    for spec in topology.batteries:
        yield "battery", spec.name
    for splitter in topology.splitters:
        yield "splitter", splitter.name
        for partition in splitter.partitions:
            yield "partition", partition.name


def _unknown_policies(topology: Topology, policies: Collection[str]) -> Iterator[Fault]:
    for splitter in topology.splitters:
        if splitter.policy not in policies:
            known = ", ".join(sorted(policies))
            message = f'no policy "{splitter.policy}"; this version has: {known}'
            yield Fault(f'splitter "{splitter.name}".policy', BadNameError(message, name=splitter.policy, known=known))


def _shared_devices(topology: Topology) -> Iterator[Fault]:
    """Yield batteries that are the same thing twice: one pack read on one port, one stub per remote battery and node."""
    first: dict[str, str] = {}
    for spec in topology.batteries:
        if isinstance(spec, PhysicalSpec):
            what, field = spec.place, "port"
        elif isinstance(spec, NetworkSpec):
            what, field = f'"{spec.remote_name}" at {spec.target}', "remote_name"
        else:
            continue
        if first.setdefault(what, spec.name) != spec.name:
            yield _invalid(f'battery "{spec.name}".{field}', f'{what} is battery "{first[what]}" already')


def _shared_regulators(topology: Topology) -> Iterator[Fault]:
    """Yield batteries whose regulator is another's: what one asks, or a stop of it, would move the current of both."""
    first: dict[str, str] = {}
    for spec in topology.batteries:
        if not isinstance(spec, PhysicalSpec) or spec.regulator is None:
            continue
        place = spec.regulator.place
        if first.setdefault(place, spec.name) != spec.name:
            message = f'{place} sets the current of battery "{first[place]}" already; each battery needs one of its own'
            yield _invalid(f'battery "{spec.name}".regulator', message)


def _shared_lines(topology: Topology) -> Iterator[Fault]:
    """Yield boards that cannot share their line: each needs an address, and a line has one speed."""
    first: dict[str, JbdSpec] = {}
    for spec in topology.batteries:
        if not isinstance(spec, JbdSpec):
            continue
        other = first.setdefault(spec.port, spec)
        if (other.address is None) != (spec.address is None):
            text = f'missing: battery "{other.name}" is on {spec.port} too; boards that share a line have an address each'
            yield _invalid(f'battery "{spec.name if spec.address is None else other.name}".address', text)
        elif other.baud != spec.baud:
            text = f'{spec.baud}, but battery "{other.name}" on the same line has {other.baud}; a line has one speed'
            yield _invalid(f'battery "{spec.name}".baud', text)


def _speeds(topology: Topology) -> Iterator[Fault]:
    """Yield regulators on a line that runs at another speed: their battery's own, another one's, another regulator's."""
    first: dict[str, tuple[int, str]] = {}
    physical = [spec for spec in topology.batteries if isinstance(spec, PhysicalSpec)]
    for spec in physical:
        if isinstance(baud := getattr(spec, "baud", None), int):
            first.setdefault(spec.port, (baud, f'battery "{spec.name}"'))
    for spec in physical:
        baud = getattr(spec.regulator, "baud", None)
        if spec.regulator is None or not isinstance(baud, int):
            continue
        runs_at, whose = first.setdefault(spec.regulator.port, (baud, f'the regulator of "{spec.name}"'))
        if runs_at != baud:
            text = f"{baud}, but {whose} on the same line, {spec.regulator.port}, has {runs_at}; a line has one speed"
            yield _invalid(f'battery "{spec.name}".regulator.baud', text)


def _meters(topology: Topology, graph: Graph) -> Iterator[Fault]:
    """Yield meters that are not there, on the battery's own side, read by nobody by themselves, or of two batteries.

    Each of two would take what the other one does for a load beside it, and give way to it or follow it for ever.
    """
    specs = {spec.name: spec for spec in topology.batteries}
    first: dict[str, str] = {}
    for spec in topology.batteries:
        if spec.meter is None:
            continue
        other = first.setdefault(spec.meter, spec.name)
        place = f'battery "{spec.name}".meter'
        if spec.meter not in graph.kinds:
            message = f'no battery "{spec.meter}", which is the meter of "{spec.name}"'
            yield Fault(place, BadNameError(message, name=spec.meter, users=spec.name))
        elif graph.rests_on(spec.name, spec.meter) or graph.rests_on(spec.meter, spec.name):
            yield _invalid(
                place, f'"{spec.meter}" measures "{spec.name}" itself; a meter is at the grid\'s side of its converter'
            )
        elif isinstance(meter := specs.get(spec.meter), PhysicalSpec) and meter.refresh == "lazy":
            yield _invalid(place, f'"{spec.meter}" is read when somebody asks; write refresh = "active" in its table')
        elif other != spec.name:
            above = next((top for top, below in ((spec.name, other), (other, spec.name)) if graph.rests_on(top, below)), "")
            where = f'"{above}" alone' if above else "the aggregate of both"
            yield _invalid(place, f'"{spec.meter}" is the meter of "{other}" already; write it at {where}')


def _shape(graph: Graph) -> Iterator[Fault]:
    if cycle := graph.cycle():
        yield Fault(f'"{cycle[0]}"', cycle_error(cycle))
        return
    name, height = max(graph.levels().items(), key=lambda item: item[1], default=("", 0))
    if height > MAX_LEVELS:
        yield _invalid(f'"{name}"', f"{height} batteries rest on each other; at most {MAX_LEVELS} may")


def _invalid(place: str, text: str) -> Fault:
    return Fault(place, InvalidArgumentError(f"{place}: {text}", path=place))
