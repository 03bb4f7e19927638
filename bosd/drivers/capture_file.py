"""Recorded traffic of a port: JSON lines, written as it happens and read back for a replay.

A header (`bosd_capture`, the format's version, with port, baud, start in UTC and the version of bosd) starts a part; offsets
`at_s` count from there on a clock that does not jump. Then a line for each piece of bytes that was sent ("out") or received
("in"), cut as the medium cut it, and for each event of the port: open, lost, closed. A file may hold several parts.
"""

import asyncio
import errno
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import structlog

from bosd import __version__
from bosd.clock import Clock
from bosd.errors import InvalidArgumentError

FORMAT = 1
LARGEST_BYTES = 64 << 20
"""What a capture may take, the older half included: about a week of one 4S battery at 1 Hz."""

_FLUSH_S = 1.0
_FLUSH_BYTES = 65536
_SLOWEST_BAUD, _FASTEST_BAUD = 50, 4_000_000

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Header:
    """How a part was recorded; `started` is RFC 3339 in UTC."""

    port: str
    baud: int
    started: str
    version: str


@dataclass(frozen=True, slots=True)
class Record:
    """One line: bytes that went "out" to the device or came "in" from it, or an event ("" for none); seconds since the header."""

    at_s: float
    way: Literal["out", "in", ""]
    data: bytes = b""
    event: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What one header stands above."""

    header: Header
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Capture:
    """A whole file; `torn` counts lines that a crash left unfinished."""

    path: Path
    parts: tuple[Part, ...]
    torn: int


class CaptureWriter:
    """Appends to the file at `path`, readable by its owner alone: what is on a line may be a password.

    Beyond half of `largest_bytes` the file becomes `path`.1 and a new one begins, so that the two stay within it. Lines reach
    the file once a second and at `close`. A disk that fails ends the capture with a warning and disturbs nobody. Raises
    InvalidArgumentError where the file cannot be opened.
    """

    def __init__(self, path: Path, *, port: str, baud: int, clock: Clock, largest_bytes: int = LARGEST_BYTES) -> None:
        self.path = path
        self.written_bytes = 0
        self.failed: str | None = None
        self._port, self._baud, self._clock = port, baud, clock
        self._half_bytes = largest_bytes // 2
        self._waiting: list[str] = []
        self._waiting_bytes = self._file_bytes = 0
        self._started_s = clock.now_s()
        self._timer: asyncio.TimerHandle | None = None
        self._descriptor: int | None = None
        try:
            self._begin()
        except OSError as error:
            self._let_go()
            raise InvalidArgumentError(f"capture {path}: {error.strerror or error}", key="capture", path=path) from error

    def bytes(self, way: Literal["out", "in"], data: bytes) -> None:
        """Record `data` now."""
        self._line({"at_s": self._offset_s(), "way": way, "hex": data.hex()})

    def event(self, event: str, why: str = "") -> None:
        """Record what happened to the port now."""
        self._line({"at_s": self._offset_s(), "event": event} | ({"why": why} if why else {}))

    def close(self) -> None:
        """Write what waits and let go of the file; idempotent."""
        self._flush()
        self._let_go()

    def _offset_s(self) -> float:
        return round(self._clock.now_s() - self._started_s, 6)

    def _begin(self) -> None:
        """Open the file, behind what it holds, and put a header there."""
        self._descriptor = descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file_bytes = os.fstat(descriptor).st_size
        torn = self._file_bytes and os.pread(descriptor, 1, self._file_bytes - 1) != b"\n"
        started = datetime.fromtimestamp(self._clock.utc_s(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        header = {"bosd_capture": FORMAT, "port": self._port, "baud": self._baud, "started": started, "version": __version__}
        self._started_s = self._clock.now_s()
        self._put(descriptor, ("\n" if torn else "") + json.dumps(header) + "\n")

    def _line(self, fields: dict[str, object]) -> None:
        if self._descriptor is None:
            return
        line = json.dumps(fields) + "\n"
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        if self._waiting_bytes >= _FLUSH_BYTES:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_S, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        text, self._waiting, self._waiting_bytes = "".join(self._waiting), [], 0
        if self._descriptor is None or not text:
            return
        try:
            self._put(self._descriptor, text)
            if self._file_bytes >= self._half_bytes:
                self._let_go()
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                self._begin()
        except OSError as error:
            self.failed = error.strerror or str(error)
            _log.warning("capture_stopped", path=str(self.path), port=self._port, error=self.failed)
            self._let_go()

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _put(self, descriptor: int, text: str) -> None:
        if os.write(descriptor, text.encode()) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._file_bytes += len(text)
        self.written_bytes += len(text)


def read_capture(path: Path) -> Capture:
    """Return what the file holds; InvalidArgumentError names the line that is wrong and what would be right.

    A line that ends in the middle is passed over where a crash can have left it: at the end of a part.
    """
    try:
        rows = [(number, _row(line)) for number, line in enumerate(path.read_bytes().split(b"\n"), start=1) if line.strip()]
    except OSError as error:
        raise InvalidArgumentError(f"capture {path}: {error.strerror or error}", path=path) from error
    headers: list[Header] = []
    records: list[list[Record]] = []
    torn = 0
    for place, (number, row) in enumerate(rows):
        try:
            if row is not None and "bosd_capture" in row:
                headers.append(_header(row))
                records.append([])
            elif row is None and records and _part_ends_at(place, rows):
                torn += 1
            else:
                _add(row, records)
        except _WrongError as wrong:
            raise InvalidArgumentError(f"{path}, line {number}: {wrong}", path=path, line=number) from None
    if not headers:
        raise InvalidArgumentError(f"{path}: empty, not a capture", path=path)
    return Capture(path, tuple(Part(header, tuple(each)) for header, each in zip(headers, records, strict=True)), torn)


_FIRST_LINE = 'the first line must be a header: {"bosd_capture": 1, "port": …, "baud": …, "started": …, "version": …}'

Row = dict[str, object] | None


class _WrongError(Exception):
    """What is wrong with a line."""


def _row(line: bytes) -> Row:
    """Return the object on a line, None where there is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _part_ends_at(place: int, rows: list[tuple[int, Row]]) -> bool:
    following = rows[place + 1][1] if place + 1 < len(rows) else {"bosd_capture": FORMAT}
    return following is not None and "bosd_capture" in following


def _add(row: Row, records: list[list[Record]]) -> None:
    """Add the record on a line to the last part."""
    if not records:
        raise _WrongError(_FIRST_LINE)
    if row is None:
        raise _WrongError("a line is a JSON object of its own")
    records[-1].append(_record(row, records[-1]))


def _header(row: dict[str, object]) -> Header:
    if row["bosd_capture"] != FORMAT:
        raise _WrongError(f"this bosd reads captures of format {FORMAT}, not {row['bosd_capture']!r}")
    baud = row.get("baud")
    if not isinstance(baud, int) or isinstance(baud, bool) or not _SLOWEST_BAUD <= baud <= _FASTEST_BAUD:
        raise _WrongError(f"baud must be a whole number from {_SLOWEST_BAUD} to {_FASTEST_BAUD}, not {baud!r}")
    return Header(_text(row, "port"), baud, _text(row, "started"), _text(row, "version"))


def _record(row: dict[str, object], before: list[Record]) -> Record:
    at_s = row.get("at_s")
    if not isinstance(at_s, int | float) or isinstance(at_s, bool) or not 0.0 <= at_s < float("inf"):
        raise _WrongError(f"at_s must be seconds since the header, not {at_s!r}")
    if before and at_s < before[-1].at_s:
        raise _WrongError(f"at_s {at_s} lies before that of the line above, {before[-1].at_s}")
    if "event" in row:
        return Record(float(at_s), "", event=_text(row, "event"))
    way = row.get("way")
    if way not in ("out", "in"):
        raise _WrongError(f'way must be "out" (to the device) or "in" (from it), not {way!r}')
    try:
        data = bytes.fromhex(_text(row, "hex"))
    except ValueError:
        raise _WrongError(f"hex must be pairs of hexadecimal digits, not {row.get('hex')!r}") from None
    return Record(float(at_s), "out" if way == "out" else "in", data)


def _text(row: dict[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise _WrongError(f"{key} must be a text, not {value!r}")
    return value
