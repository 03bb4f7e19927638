"""A read-only battery that plays a CSV file, for tests and demonstrations."""

from pathlib import Path

from bosd.bal.device import Device
from bosd.drivers.kind import DriverContext, DriverKind
from bosd.drivers.replay.spec import CsvSpec


def _make(spec: CsvSpec, context: DriverContext) -> Device:
    from bosd.drivers.replay.driver import CsvBattery  # noqa: PLC0415 (a node without one does not load it)

    return CsvBattery(Path(spec.port), context.clock, name=spec.name, loop=spec.loop, rate=spec.rate)


DRIVER = DriverKind(spec=CsvSpec, make=_make)
