"""What the daemon tells its guard: lines of JSON about the devices and the end, and empty ones, which are ticks.

The devices travel as the TOML of their batteries: one reader, one writer, one form, as everywhere else.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bosd.bal.spec import BatterySpec, PhysicalSpec, Topology
from bosd.config.topology_toml import format_topology, parse_stored
from bosd.errors import ConfigError

TICK = b"\n"
MAX_LINE_BYTES = 16 * 1024 * 1024
"""More than the JSON of the longest topology that is read."""


@dataclass(frozen=True, slots=True)
class Devices:
    """These devices are to be made safe when the daemon ends; it replaces what was told before."""

    specs: tuple[PhysicalSpec, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The daemon ends in order and has let go of its lines; these batteries it could not make safe."""

    unconfirmed: tuple[str, ...] = ()


def devices_of(specs: Iterable[BatterySpec]) -> tuple[PhysicalSpec, ...]:
    """Return what has a safe action: batteries whose device this node may command. What a stop opened, `release` leaves open."""
    return tuple(spec for spec in specs if isinstance(spec, PhysicalSpec) and spec.current_control != "none")


def encode(message: Devices | End) -> bytes:
    """Return a message as one line."""
    if isinstance(message, End):
        document: dict[str, object] = {"end": list(message.unconfirmed)}
    else:
        document = {"devices": format_topology(Topology(batteries=message.specs))}
    return json.dumps(document).encode() + b"\n"


def decode(line: bytes) -> Devices | End:
    """Return the message of a line. Raises ConfigError that says what is wrong with it."""
    try:
        document = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"device list: no JSON: {error}") from None
    match document:
        case {"devices": str(toml)} if len(document) == 1:
            return Devices(_specs(parse_stored(toml, "device list").batteries))
        case {"end": [*names]} if len(document) == 1 and all(isinstance(name, str) for name in names):
            return End(tuple(names))
    raise ConfigError(f'device list: expected {{"devices": TOML}} or {{"end": [NAME, ...]}}, got {line[:80]!r}')


def _specs(batteries: Sequence[BatterySpec]) -> tuple[PhysicalSpec, ...]:
    specs = devices_of(batteries)
    if len(specs) != len(batteries):
        others = ", ".join(battery.name for battery in batteries if battery not in specs)
        raise ConfigError(f"device list: these have no device that could be made safe: {others}")
    return specs
