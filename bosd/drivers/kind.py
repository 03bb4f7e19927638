"""What a driver package offers: its specification, how a device is made from it, and a bench to try it on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bosd.bal.device import Device
from bosd.bal.spec import PhysicalSpec, RegulatorSpec
from bosd.clock import Clock
from bosd.drivers.lines import Lines
from bosd.drivers.regulator import Regulator


@dataclass(frozen=True, slots=True)
class DriverContext:
    """What a device is given of its node: the clock, and the lines, which it shares with other devices.

    `captures` is the directory of recorded traffic; None where nothing is recorded, whatever a specification says.
    """

    clock: Clock
    lines: Lines
    captures: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverKind:
    """The driver of one kind of battery; `spec.kind` is its name in a file.

    `make` gets the specification and returns the device, still closed: nothing is opened before the first request. It raises
    ConfigError for what only it can judge. `bench` names the object (`module:NAME`) on which `bosd driver test` tries it,
    `probe` the `drivers.probe.Probe` with which `bosd detect` finds it, `settings` the coroutine function that reads the device's
    own configuration (configuration.ReadSettings), where it has one.
    """

    spec: type[PhysicalSpec]
    make: Callable[[Any, DriverContext], Device]
    bench: str = ""
    probe: str = ""
    settings: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegulatorKind:
    """The driver of one kind of regulator, as `DriverKind` is of a battery."""

    spec: type[RegulatorSpec]
    make: Callable[[Any, DriverContext], Regulator]
    bench: str = ""
    probe: str = ""
