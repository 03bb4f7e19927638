"""What is read seldom: who the board is, and how often its protections have acted."""

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Callable, Mapping

from bosd.clock import Clock
from bosd.drivers.jbd.board import Board
from bosd.drivers.jbd.codec import BasicInfo, decode_counters, decode_date, decode_short_text, decode_text
from bosd.drivers.jbd.registers import BARCODE, CHIP_TYPE, COUNTERS, HARDWARE_NAME, MANUFACTURER, MODEL
from bosd.errors import DriverError, UnavailableError

EVERY_S = 600.0
"""How often everything is read again (jbd.md, 16: every 10 minutes, and on reconnect)."""
_PATIENCE_S = 0.5
"""Longest time for one of these requests: a board that does not know a register may say nothing."""

_TEXTS: Mapping[int, tuple[str, Callable[[bytes], str]]] = {
    HARDWARE_NAME: ("hardware", decode_text),
    MANUFACTURER: ("manufacturer", decode_short_text),
    MODEL: ("model", decode_short_text),
    BARCODE: ("barcode", decode_short_text),
    CHIP_TYPE: ("chip type", lambda payload: payload.hex()),
}


REGISTERS = (*_TEXTS, COUNTERS)
"""What is read, in this order."""


class Seldom:
    """Reads one register a step, each round in order; all are optional, and one that is refused is left out until `again`."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self.texts: dict[str, str] = {}
        self.trips: dict[str, int] = {}
        self.read_utc_s: float | None = None
        self._board = board
        self._clock = clock
        self._refused: set[int] = set()
        self._waiting: deque[int] = deque()
        self._next_round_s = 0.0
        self.again()

    def again(self) -> None:
        """Read everything anew: another board may have come."""
        self._refused.clear()
        self._fill()

    async def step(self) -> None:
        """Make the one request that is due, if any; whatever becomes of it is no error."""
        if not self._waiting:
            if self._clock.now_s() < self._next_round_s:
                return
            self._fill()
        if not self._waiting:
            return
        register = self._waiting.popleft()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._read(register)
        except DriverError as error:
            if "status" in error.metadata:
                self._refused.add(register)
                self._forget(register)
        except (UnavailableError, TimeoutError):
            return
        self.read_utc_s = self._clock.utc_s()

    def identity(self, info: BasicInfo | None) -> tuple[tuple[str, str], ...]:
        """Return names and texts, as far as they are known."""
        told = [(name, self.texts[name]) for name, _ in _TEXTS.values() if self.texts.get(name)]
        if info is not None:
            made: dt.date | None = decode_date(info.production)
            told += [("software", info.software_version), ("cells in series", str(info.cell_count))]
            told += [("made", made.isoformat())] if made is not None else []
        return tuple(told)

    def _fill(self) -> None:
        self._waiting.clear()
        self._waiting.extend(each for each in REGISTERS if each not in self._refused)
        self._next_round_s = self._clock.now_s() + EVERY_S

    async def _read(self, register: int) -> None:
        if register == COUNTERS:
            self.trips = await self._board.read_text(COUNTERS, decode_counters)
        else:
            name, decode = _TEXTS[register]
            self.texts[name] = await self._board.read_text(register, decode)

    def _forget(self, register: int) -> None:
        if register == COUNTERS:
            self.trips = {}
        else:
            self.texts.pop(_TEXTS[register][0], None)
