"""The device of a battery that plays a CSV file."""

from pathlib import Path
from typing import Any

from bosd.bal.device import Sample
from bosd.clock import Clock
from bosd.drivers.csv_file.table import Row, Table, read_table
from bosd.errors import UnavailableError, UnsupportedError


class CsvBattery:
    """Plays the rows of a file from its first reading on: each reading is the row in force, nothing is interpolated.

    `rate` seconds of the file pass in one second. Behind the last row it begins again (`loop`) or is unavailable. A file that
    cannot be read, or is faulty, is read anew at the next reading; a good one is read once.
    """

    hold_s: float | None = None

    def __init__(self, path: Path, clock: Clock, *, name: str, loop: bool = True, rate: float = 1.0) -> None:
        self.name = name
        self._path = path
        self._clock = clock
        self._loop = loop
        self._rate = rate
        self._table: Table | None = None
        self._began_s = 0.0

    async def read(self) -> Sample:
        """Return the row in force. Raises UnavailableError for a file that is gone or has ended, DriverError for a faulty one."""
        if self._table is None:
            table = await read_table(self._path)
            self._table, self._began_s = table, self._clock.now_s()
        table = self._table
        now_s = self._clock.now_s()
        position_s = (now_s - self._began_s) * self._rate
        if self._loop:
            position_s %= table.length_s
        elif position_s >= table.length_s:
            last = table.rows[-1]
            message = f"{self._path}: the recording has ended with line {last.line}; loop = true plays it again and again"
            raise UnavailableError(message, path=str(self._path), line=last.line)
        return _sample(table.columns, table.at(position_s), now_s, self._clock.utc_s())

    async def set_current(self, current_a: float) -> None:
        """Refuse: a recording follows nobody."""
        raise UnsupportedError(f"{self.name}: {current_a:g} A refused: a recording cannot be commanded", battery=self.name)

    async def held_current_a(self) -> float | None:
        """Return None: it holds no set point."""
        return None

    async def make_safe(self) -> str:
        """Do nothing."""
        return "a recording: nothing to do"

    async def close(self) -> None:
        """Forget the file; a reading after it begins at the first row again."""
        self._table = None


def _sample(columns: tuple[str, ...], row: Row, now_s: float, utc_s: float) -> Sample:
    """Return a row as a reading of now; a state of charge that has no column follows from charge and capacity."""
    values: dict[str, Any] = dict(zip(columns, row.values, strict=True))
    soc, charge_ah, capacity_ah = (values.get(key) for key in ("soc", "charge_ah", "capacity_ah"))
    if soc is None and charge_ah is not None and capacity_ah:
        soc = min(1.0, charge_ah / capacity_ah)
    cells_v = values.get("cells_v")
    return Sample(
        sampled_s=now_s,
        sampled_utc_s=utc_s,
        voltage_v=values.get("voltage_v"),
        current_a=values.get("current_a"),
        charge_ah=charge_ah,
        capacity_ah=capacity_ah,
        soc=soc,
        cells_v=cells_v,
        cells_s=None if cells_v is None else now_s,
        temperatures_c=values.get("temperatures_c"),
        cycles=values.get("cycles"),
        faults=values.get("faults") or (),
    )
