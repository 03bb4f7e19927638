"""What is allowed in a configuration and yet worth a word before it is used."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from bosd.bal.spec import BatterySpec, NetworkSpec, PartitionSpec, PhysicalSpec, Topology
from bosd.config.security import SecurityConfig

_SWITCHES = "opens both switches when the daemon ends or dies: whatever the pack feeds goes dark, this node perhaps included"
TOP_CELL_V = {"lfp": 3.65, "nmc": 4.20}
"""What a cell is charged to at most (bosd/bal/derating.py has the data sheets)."""
ROUNDED_V = 0.05
"""Such a voltage is written with one decimal."""
_DIRECT = "keeps it at 0 A when the daemon ends or dies: it serves nobody until a daemon or somebody by hand commands it"


def warnings(topology: Topology, security: SecurityConfig | None = None, limited: Collection[str] = ()) -> tuple[str, ...]:
    """Return a sentence for each such thing, with its place; `limited` are batteries under a grid operator's limit."""
    return (*_authority(security), *_opening(topology), *_charging(topology), *_alone(topology), *_limited(topology, limited))


def hook_warnings(command: Sequence[str]) -> tuple[str, ...]:
    """Return why the program of a hook cannot be started by the user who asks, as it would be known at the first event only."""
    if not command:
        return ()
    program = Path(command[0])
    if not os.access(program, os.F_OK):
        why = "does not exist, or lies where you may not look"
    elif not program.is_file():
        why = "is no file"
    elif not os.access(program, os.X_OK):
        why = "may not be executed: chmod +x it"
    else:
        return ()
    return (f"hooks.command: {program} {why}; nothing is called until it is",)


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


def _charging(topology: Topology) -> Iterator[str]:
    """Warn of regulators whose highest voltage is above the pack's, as far as the file tells that: its cells are not in it."""
    for index, spec in enumerate(topology.batteries):
        most_v = getattr(spec.regulator, "max_voltage_v", None) if isinstance(spec, PhysicalSpec) else None
        if most_v is None:
            continue
        place = f'battery[{index}] "{spec.name}".regulator.max_voltage_v: {most_v:g} V'
        chemistry = getattr(spec, "chemistry", "none")
        if spec.voltage_max_v is not None and most_v > spec.voltage_max_v:
            yield f"{place} is above the battery's voltage_max_v, {spec.voltage_max_v:g} V: it would be charged beyond that"
        elif (top_v := TOP_CELL_V.get(chemistry)) is not None:
            cells = max(1, round(most_v / top_v))
            if most_v > cells * top_v + ROUNDED_V:
                yield (
                    f"{place} is {most_v / cells:.2f} V for each of {cells} cells in series, which {chemistry} is charged to "
                    f"{top_v:.2f} V: {cells * top_v:.2f} V at most, if they are {cells}"
                )


def _limited(topology: Topology, limited: Collection[str]) -> tuple[str, ...]:
    """Warn of what keeps a grid operator's limit from being exact, or proved (control.md, "Limits over a distance")."""
    specs = {spec.name: spec for spec in topology.batteries}
    below = _below(topology)
    in_full = {each: sources for each, sources in below.items() if each in specs}
    found = []
    for name in limited:
        stubs = _stubs_below(name, below, specs)
        own = specs.get(name)
        if isinstance(own, NetworkSpec):
            stubs = (own,)
        if stubs:
            named = ", ".join(f"{stub.name} ({stub.remote_name} at {stub.target})" for stub in stubs)
            found.append(
                f"{name}: it is limited by the grid operator and rests on other nodes: set alone_charge_limit_w and "
                f"alone_discharge_limit_w at the owners of {named}, or the limit cannot be proved while those are not heard"
            )
        lossless = all(specs[each].efficiency == 1.0 for each in _with_all_below(name, below) if each in specs)
        if lossless and not any(specs[each].meter for each in _with_all_below(name, in_full) if each in specs):
            found.append(
                f"{name}: it is limited by the grid operator, and efficiency is left at 1.0: what a converter loses is drawn "
                "from the grid on top of the limit; set efficiency of the batteries below, or the meter that measures it (one "
                "below a partition measures what others have, too, and does not count for it)"
            )
    return tuple(found)


def _below(topology: Topology) -> dict[str, Sequence[str]]:
    below: dict[str, Sequence[str]] = {spec.name: spec.source_names for spec in topology.batteries}
    for splitter in topology.splitters:
        below.update((part.name, (splitter.source,)) for part in splitter.partitions)
    return below


def _with_all_below(name: str, below: Mapping[str, Sequence[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        if (each := waiting.pop()) not in seen:
            seen.add(each)
            waiting += below.get(each, ())
    return seen


def _alone(topology: Topology) -> tuple[str, ...]:
    """Warn of limits over batteries of other nodes: what those do unheard is for their owners to limit (control.md)."""
    specs = {spec.name: spec for spec in topology.batteries}
    below = _below(topology)
    places: list[tuple[str, BatterySpec | PartitionSpec]] = [
        (f'battery[{index}] "{spec.name}"', spec) for index, spec in enumerate(topology.batteries)
    ]
    for index, splitter in enumerate(topology.splitters):
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
