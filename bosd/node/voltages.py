"""The voltage an aggregate's member has, or will have, as far as it can be told before an edit is applied."""

from collections.abc import Mapping

from bosd.bal.battery import Battery
from bosd.bal.edits import Change
from bosd.bal.graph import Graph
from bosd.bal.spec import AggregatorSpec, BatterySpec, NullSpec, PseudoSpec, Topology
from bosd.errors import VoltageMismatchError


def check_voltages(topology: Topology, changes: tuple[Change, ...], batteries: Mapping[str, Battery], now_s: float) -> None:
    """Refuse an edit that makes or changes an aggregate, or a member of one, outside the voltage tolerance.

    Known are voltages of batteries that stay, and those written in a specification. Raises VoltageMismatchError, members named.
    """
    changed = {change.name for change in changes}
    specs = {spec.name: spec for spec in topology.batteries}
    graph = Graph(topology)
    for spec in topology.batteries:
        if isinstance(spec, AggregatorSpec) and (spec.name in changed or changed.intersection(spec.sources)):
            voltages = {name: _voltage_v(name, specs, graph, changed, batteries, now_s) for name in spec.sources}
            low_v, high_v = spec.voltage_v - spec.voltage_tolerance_v, spec.voltage_v + spec.voltage_tolerance_v
            outside = [
                f"{name} at {voltage_v:g} V"
                for name, voltage_v in voltages.items()
                if voltage_v is not None and not low_v <= voltage_v <= high_v
            ]
            if outside:
                raise VoltageMismatchError(
                    f"{spec.name} takes members within {low_v:g} to {high_v:g} V; outside: {', '.join(outside)}",
                    battery=spec.name,
                    lower_v=low_v,
                    upper_v=high_v,
                    outside=", ".join(outside),
                )


def _voltage_v(
    name: str, specs: Mapping[str, BatterySpec], graph: Graph, changed: set[str], batteries: Mapping[str, Battery], now_s: float
) -> float | None:
    spec = specs.get(name)
    if isinstance(spec, NullSpec):
        return None
    if name not in changed and name in batteries:
        return batteries[name].status(now_s).voltage_v
    if isinstance(spec, PseudoSpec):
        return spec.voltage_v
    below = [_voltage_v(source, specs, graph, changed, batteries, now_s) for source in graph.sources.get(name, ())]
    known = [voltage_v for voltage_v in below if voltage_v is not None]
    return sum(known) / len(known) if known else None
