"""A CSV file of readings, read and checked; faults name the file, the line and the column.

The first line names the columns: `time` (RFC 3339) or `seconds`, and keys of a status as listed in `COLUMNS`; lists are
separated by spaces. An empty field is a value that nobody knows. Times increase from row to row.
"""

import asyncio
import csv
import io
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, NoReturn

from bosd.errors import DriverError, UnavailableError

LARGEST_BYTES = 16 * 1024 * 1024
"""A day of rows with 16 cells each second has about 13 MB."""
MOST_CELLS = 1000
_ROWS_A_TURN = 100

Value = float | int | tuple[float, ...] | tuple[str, ...] | None


class Row(NamedTuple):
    """The readings that are in force from `at_s` on, counted from the first row; in the order of the columns."""

    at_s: float
    line: int
    values: tuple[Value, ...]


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text) if text.isascii() and "_" not in text else math.nan
        if not lowest <= value <= highest:
            raise ValueError(f"a number from {lowest:g} to {highest:g}")
        return value

    return read


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError("a whole number of at most 9 digits")
    return int(text)


def _numbers(lowest: float, highest: float) -> Callable[[str], tuple[float, ...]]:
    one = _number(lowest, highest)

    def read(text: str) -> tuple[float, ...]:
        values = tuple(one(each) for each in text.split())
        if len(values) > MOST_CELLS:
            raise ValueError(f"at most {MOST_CELLS} numbers")
        return values

    return read


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COLUMNS: Mapping[str, tuple[Callable[[str], Value], str]] = {
    "voltage_v": (_number(0.0, 1e5), "a voltage in V"),
    "current_a": (_number(-1e6, 1e6), "a current in A, positive on discharge"),
    "charge_ah": (_number(0.0, 1e7), "a charge in Ah"),
    "capacity_ah": (_number(0.0, 1e7), "a capacity in Ah"),
    "soc": (_number(0.0, 1.0), "a ratio from 0 to 1"),
    "cells_v": (_numbers(0.0, 100.0), "voltages in V, separated by spaces"),
    "temperatures_c": (_numbers(-273.15, 1000.0), "temperatures in degrees Celsius, separated by spaces"),
    "cycles": (_whole, "a number of cycles"),
    "faults": (_words, "names of faults, separated by spaces"),
}
"""Columns of readings: how a field is read, and what is expected there."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file, of which there is at least one; `length_s` is when the last one ends.

    A last row is in force as long as the one before it was; a single row for one second.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    length_s: float

    def at(self, position_s: float) -> Row:
        """Return the row in force, without interpolation: the last one that begins at or before `position_s`."""
        return self.rows[max(0, bisect_right(self.rows, position_s, key=_begins) - 1)]


def _begins(row: Row) -> float:
    return row.at_s


def _bytes_of(path: Path) -> bytes:
    """Return what a file holds, one byte more than allowed at most. Raises UnavailableError."""
    if path.is_fifo():  # opening it would wait for its writer, and the whole node with it
        raise UnavailableError(f"{path}: is a pipe; name a regular file", path=str(path))
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise UnavailableError(f"{path}: {(error.strerror or str(error)).lower()}", path=str(path)) from None


async def read_table(path: Path) -> Table:
    """Return the rows of a file, letting others run now and then.

    Raises UnavailableError when it cannot be read, DriverError for what it holds.
    """
    data = _bytes_of(path)
    if len(data) > LARGEST_BYTES:
        raise DriverError(f"{path}: more than {LARGEST_BYTES} bytes; thin out its rows or split it", path=str(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DriverError(f"{path}:{line}: no UTF-8", path=str(path), line=line) from None
    reader = _Reader(path, text)
    rows: list[Row] = []
    for row in reader.rows():
        rows.append(row)
        if len(rows) % _ROWS_A_TURN == 0:
            await asyncio.sleep(0)
    if not rows:
        raise DriverError(f"{path}: no rows below the names of the columns", path=str(path))
    last_s = rows[-1].at_s
    return Table(reader.columns, tuple(rows), last_s + (last_s - rows[-2].at_s if len(rows) > 1 else 1.0))


class _Reader:
    """Goes through a text once."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        self._columns: list[str] = []

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of readings, in their order."""
        return tuple(name for name in self._columns if name in COLUMNS)

    def rows(self) -> Iterator[Row]:
        """Yield the rows with their times counted from the first one's."""
        first_s: float | None = None
        last_s = -math.inf
        for fields in self._split():
            if not self._columns:
                self._columns = self._checked(fields)
                continue
            if len(fields) != len(self._columns):
                names = f"{len(self._columns)} columns have names"
                self._refuse(self._columns[min(len(fields), len(self._columns) - 1)], f"{len(fields)} fields, but {names}")
            at_s, values = self._row(fields)
            if at_s <= last_s:
                self._refuse(self._clock_column(), "is not later than that of the row before")
            last_s = at_s
            first_s = at_s if first_s is None else first_s
            yield Row(at_s - first_s, self._lines.line_num, values)
        if not self._columns:
            self._refuse("", "the file is empty; its first line names the columns")

    def _split(self) -> Iterator[list[str]]:
        """Yield the fields of every line that is not empty."""
        try:
            for fields in self._lines:
                if any(field.strip() for field in fields):
                    yield [field.strip() for field in fields]
        except csv.Error as error:
            self._refuse("", f"no CSV: {error}")

    def _checked(self, names: list[str]) -> list[str]:
        clocks = [name for name in names if name in ("time", "seconds")]
        if len(clocks) != 1:
            self._refuse("", f"one column has to be `time` or `seconds`, there are {len(clocks)}")
        for place, name in enumerate(names):
            if name in names[:place]:
                self._refuse(name, "is there twice")
            if name not in COLUMNS and name not in clocks:
                near = get_close_matches(name, COLUMNS, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are time or seconds, {', '.join(COLUMNS)}"
                self._refuse(name[:60], f"is no column; {hint}")
        if len(names) == 1:
            self._refuse("", "there is no column of readings beside the time")
        return names

    def _clock_column(self) -> str:
        return "time" if "time" in self._columns else "seconds"

    def _row(self, fields: list[str]) -> tuple[float, tuple[Value, ...]]:
        at_s = 0.0
        values: list[Value] = []
        for name, text in zip(self._columns, fields, strict=True):
            if name in ("time", "seconds"):
                at_s = self._instant(name, text)
                continue
            read, wanted = COLUMNS[name]
            try:
                values.append(read(text) if text else None)
            except ValueError as error:
                beyond = f" ({error})" if str(error).startswith(("a ", "at most")) else ""
                self._refuse(name, f"{text[:60]!r}: expected {wanted}{beyond}")
        return at_s, tuple(values)

    def _instant(self, name: str, text: str) -> float:
        try:
            if name == "seconds":
                return _number(-1e12, 1e12)(text)
            when = datetime.fromisoformat(text)
        except ValueError:
            when = None
        if when is None or when.tzinfo is None:
            wanted = "seconds" if name == "seconds" else "a time with its zone, such as 2026-11-29T15:00:00Z"
            self._refuse(name, f"{text[:60]!r}: expected {wanted}")
        return when.timestamp()

    def _refuse(self, column: str, fault: str) -> NoReturn:
        line = max(1, self._lines.line_num)
        place = f"{self._path}:{line}" + (f", column {column}" if column else "")
        raise DriverError(f"{place}: {fault}", path=str(self._path), line=line, column=column)
