"""One JBD board on a line: typed register access, with refusals and unreadable payloads as errors."""

from collections.abc import Callable
from typing import TypeVar

from bosd.drivers.jbd.codec import BasicInfo, decode_basic, decode_cells
from bosd.drivers.jbd.framing import OK, REFUSALS, Frame, FrameReader, encode_read, encode_write
from bosd.drivers.jbd.registers import BASIC, BOTH_FETS, CELLS, FET_CONTROL
from bosd.drivers.line import RequestLine
from bosd.errors import DriverError

T = TypeVar("T")

_READ_BASIC = encode_read(BASIC)
_READ_CELLS = encode_read(CELLS)
_BASIC_BYTES = 62
"""Room for eight sensors and the standard tail (30 + 16 + 9), which also covers the clones' longer ones."""
_CELLS_BYTES = 7 + 2 * 32
_EMPTY_BYTES = 7


class Board:
    """The registers of the board on `line` that the driver uses.

    Every method raises UnavailableError without an answer and DriverError for nonsense or a refusal (its status in
    `metadata["status"]`).
    """

    def __init__(self, line: RequestLine) -> None:
        self._line = line
        self._basic = FrameReader(BASIC)
        self._cells = FrameReader(CELLS)
        self._fets = FrameReader(FET_CONTROL)

    async def read_basic(self) -> BasicInfo:
        """Read register 0x03."""
        frame = await self._line.transact(_READ_BASIC, self._basic, _BASIC_BYTES)
        return self._decoded(frame, decode_basic)

    async def read_cells(self) -> tuple[float, ...]:
        """Read register 0x04: cell voltages in V."""
        frame = await self._line.transact(_READ_CELLS, self._cells, _CELLS_BYTES)
        return self._decoded(frame, decode_cells)

    async def write_fets(self, conducting: int) -> None:
        """Command through register 0xE1 that exactly the FETs in `conducting` conduct; the board acknowledges, no more."""
        request = encode_write(FET_CONTROL, bytes((0, ~conducting & BOTH_FETS)))
        frame = await self._line.transact(request, self._fets, _EMPTY_BYTES, urgent=True)
        self._decoded(frame, bytes)

    def _decoded(self, frame: Frame, decode: Callable[[bytes], T]) -> T:
        if frame.status != OK:
            meaning = REFUSALS.get(frame.status, "unknown status")
            message = f"{self._line.port}: register 0x{frame.register:02X} refused with {frame.status:02X}: {meaning}"
            raise DriverError(message, port=self._line.port, status=f"{frame.status:02x}")
        try:
            return decode(frame.payload)
        except DriverError as error:
            self._line.counters["payload"] += 1
            error.metadata["port"] = self._line.port
            raise
