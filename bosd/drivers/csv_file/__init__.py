"""A read-only battery that plays a CSV file, for tests and demonstrations."""

from pathlib import Path

from bosd.bal.device import Device
from bosd.drivers.csv_file.spec import CsvSpec
from bosd.drivers.kind import DriverContext, DriverKind


def _make(spec: CsvSpec, context: DriverContext) -> Device:
    from bosd.drivers.csv_file.driver import CsvBattery  # noqa: PLC0415 (a node without one does not load it)

    return CsvBattery(Path(spec.port), context.clock, name=spec.name, loop=spec.loop, rate=spec.rate)


DRIVER = DriverKind(spec=CsvSpec, make=_make, bench="bosd.drivers.csv_file.bench:BENCH")
