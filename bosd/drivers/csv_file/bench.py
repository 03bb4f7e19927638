"""The bench of a battery that plays a CSV file: a file whose rows are the truth."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bosd.clock import Clock
from bosd.drivers.csv_file.spec import CsvSpec
from bosd.drivers.kit.bench import Fault, Tolerance, Truth
from bosd.drivers.transport import ByteTransport
from bosd.errors import UnsupportedError

_ROW_S = 30.0
_CURRENTS_A = (10.0, -10.0, 0.0, 2.5)
_VOLTAGES_V = (13.05, 13.40, 13.25, 13.20)


class FilePeer:
    """A file of four rows of half a minute; it begins to play with the first look, as the driver does with its first reading."""

    faults: frozenset[Fault] = frozenset()

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._began_s: float | None = None

    def spec(self, number: int = 0) -> CsvSpec:
        """Return a battery that plays the file again and again."""
        return CsvSpec(name=f"csv{number}", port=str(self._path))

    def truth(self, number: int = 0) -> Truth:
        """Return the row in force."""
        del number
        if self._began_s is None:
            self._began_s = self._clock.now_s()
        row = int((self._clock.now_s() - self._began_s) / _ROW_S) % len(_CURRENTS_A)
        return Truth(
            voltage_v=_VOLTAGES_V[row], current_a=_CURRENTS_A[row], charge_ah=40.0 + row, capacity_ah=100.0, soc=0.4 + row / 100
        )

    def load(self, current_a: float, number: int = 0) -> bool:
        """Leave it alone: a recording follows nobody."""
        del current_a, number
        return False

    def fault(self, fault: Fault, *, active: bool, number: int = 0) -> None:
        """Nothing can happen to a file that was read."""

    def transport(self, port: str, baud: int) -> ByteTransport:
        """Refuse: it has no line."""
        raise UnsupportedError(f"{port}: no line at {baud} baud", port=port)


class FileBench:
    """A file in a directory of its own."""

    medium = "file"
    tolerance = Tolerance()
    most = 1
    undetectable: Mapping[Fault, str] = {}

    @asynccontextmanager
    async def open(self, clock: Clock, seed: int, count: int = 1) -> AsyncIterator[FilePeer]:
        """Write the file."""
        del seed, count
        with tempfile.TemporaryDirectory(prefix="bosd-bench-") as directory:
            path = Path(directory) / "battery.csv"
            rows = [
                f"{row * _ROW_S:g},{voltage_v},{current_a},{40.0 + row},100\n"
                for row, (voltage_v, current_a) in enumerate(zip(_VOLTAGES_V, _CURRENTS_A, strict=True))
            ]
            path.write_text("seconds,voltage_v,current_a,charge_ah,capacity_ah\n" + "".join(rows))
            yield FilePeer(path, clock)


BENCH = FileBench()
