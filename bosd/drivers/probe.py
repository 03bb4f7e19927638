"""How a driver recognises its devices: by reading, never by writing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Literal

from bosd.config.kinds import DRIVERS, REGULATORS, driver_kinds, load_driver
from bosd.drivers.line import Line
from bosd.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device that answered: what it calls itself (or empty), cells and voltage in V where it has them.

    `keys` are further keys that its table needs.
    """

    model: str = ""
    cells: int | None = None
    voltage_v: float | None = None
    keys: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How one kind of device is looked for on a line.

    `ask` returns what answered, or None for something that is not of this kind; it raises UnavailableError when nothing answers
    and DriverError for nonsense, and sends nothing that changes a device. `bauds` are the speeds to try, likeliest first;
    `bluetooth` is whether the kind has modules for that.
    """

    kind: str
    ask: Callable[[Line], Awaitable[Found | None]]
    bauds: tuple[int, ...]
    role: Literal["battery", "regulator"] = "battery"
    bluetooth: bool = False


def load_probes() -> tuple[Probe, ...]:
    """Return the probes of every driver that has one, batteries first. Raises ConfigError for one that cannot be loaded."""
    found: list[Probe] = []
    for group in (DRIVERS, REGULATORS):
        for kind in driver_kinds(group):
            name = getattr(load_driver(group, kind), "probe", "")
            if not name:
                continue
            probe = EntryPoint(kind, name, group).load()
            if not isinstance(probe, Probe):
                raise ConfigError(f'the probe of kind "{kind}", {name}, is {probe!r} and no Probe', kind=kind)
            found.append(probe)
    return tuple(found)
