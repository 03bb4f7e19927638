"""What is allowed in a configuration and yet worth a word before it is used."""

from collections.abc import Mapping, Sequence

from bosd.bal.spec import BatterySpec, NetworkSpec, PartitionSpec, PhysicalSpec, Topology
from bosd.config.security import SecurityConfig

_SWITCHES = "opens both switches when the daemon ends or dies: whatever the pack feeds goes dark, this node perhaps included"
_DIRECT = "keeps it at 0 A when the daemon ends or dies: it serves nobody until a daemon or somebody by hand commands it"


def warnings(topology: Topology, security: SecurityConfig | None = None) -> tuple[str, ...]:
    """Return a sentence for each such thing, with its place."""
    return (*_authority(security), *_opening(topology), *_alone(topology))


def _authority(security: SecurityConfig | None) -> tuple[str, ...]:
    if security is None or security.authority is None:
        return ()
    warning = (
        f"security.authority: {security.authority} on this node can issue every identity: who reads its disk is every node and "
        "every admin; without it certificates are renewed by hand"
    )
    return (warning,)


def _opening(topology: Topology) -> tuple[str, ...]:
    return tuple(
        f'battery[{index}] "{spec.name}".safe: "open" {_DIRECT if spec.current_control == "direct" else _SWITCHES}'
        for index, spec in enumerate(topology.batteries)
        if isinstance(spec, PhysicalSpec) and spec.safe == "open"
    )


def _alone(topology: Topology) -> tuple[str, ...]:
    """Warn of limits over batteries of other nodes: what those do unheard is for their owners to limit (control.md)."""
    specs = {spec.name: spec for spec in topology.batteries}
    below = {spec.name: spec.source_names for spec in topology.batteries}
    places: list[tuple[str, BatterySpec | PartitionSpec]] = [
        (f'battery[{index}] "{spec.name}"', spec) for index, spec in enumerate(topology.batteries)
    ]
    for index, splitter in enumerate(topology.splitters):
        below.update((part.name, (splitter.source,)) for part in splitter.partitions)
        places += [(f'splitter[{index}].partitions "{part.name}"', part) for part in splitter.partitions]
    found = []
    for place, spec in places:
        for key in ("alone_charge_limit_w", "alone_discharge_limit_w"):
            stubs = _stubs_below(spec.name, below, specs) if getattr(spec, key) is not None else ()
            if stubs:
                named = ", ".join(f"{stub.name} ({stub.remote_name} at {stub.target})" for stub in stubs)
                found.append(
                    f"{place}.{key}: it ends where other nodes do not hear this one: set {key} at the owners of {named}, too, "
                    "or their bookings and safe values are not limited then"
                )
    return tuple(found)


def _stubs_below(name: str, below: Mapping[str, Sequence[str]], specs: Mapping[str, BatterySpec]) -> tuple[NetworkSpec, ...]:
    """Return the stubs that a battery rests on, each once; a circle, which is refused elsewhere, ends."""
    seen, waiting = {name}, [*below.get(name, ())]
    found = []
    while waiting:
        each = waiting.pop(0)
        if each in seen:
            continue
        seen.add(each)
        waiting += below.get(each, ())
        if isinstance(spec := specs.get(each), NetworkSpec):
            found.append(spec)
    return tuple(found)
