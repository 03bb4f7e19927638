"""One JBD board on a line: typed register access, with refusals and unreadable payloads as errors."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bosd.drivers.jbd.codec import (
    BasicInfo,
    SettingValue,
    decode_basic,
    decode_cells,
    decode_setting,
)
from bosd.drivers.jbd.framing import OK, REFUSALS, Frame, FrameReader, encode_read, encode_write
from bosd.drivers.jbd.registers import (
    BASIC,
    BOTH_FETS,
    CELLS,
    FACTORY_ENTER,
    FACTORY_EXIT,
    FET_CONTROL,
    PASSWORD,
    PASSWORD_CHARACTERS,
)
from bosd.drivers.line import RequestLine
from bosd.errors import DriverError

T = TypeVar("T")

LOCKED = "81"
"""Status of what needs configuration mode, or a password."""
_BASIC_BYTES = 62
"""Room for eight sensors and the standard tail (30 + 16 + 9), which also covers the clones' longer ones."""
_CELLS_BYTES = 7 + 2 * 32
_TEXT_BYTES = 7 + 32
_WORD_BYTES = 9
_EMPTY_BYTES = 7
_ENTER = b"\x56\x78"
_LEAVE_UNSAVED = b"\x00\x00"


class Board:
    """The registers of the board on `line` that the driver uses; `address` where several boards share the line.

    Every method raises UnavailableError without an answer and DriverError for nonsense or a refusal (its status in
    `metadata["status"]`). Who holds `turn` has the board in a mode in which nobody else should poll it.
    """

    def __init__(self, line: RequestLine, address: int | None = None, password_file: str | None = None) -> None:
        self.turn = asyncio.Lock()
        self.line = line
        self.password_file = password_file
        self._address = address
        self._requests: dict[int, tuple[bytes, FrameReader]] = {}
        self._writers: dict[int, FrameReader] = {}

    async def read_basic(self) -> BasicInfo:
        """Read register 0x03."""
        return await self.read(BASIC, _BASIC_BYTES, decode_basic)

    async def read_cells(self) -> tuple[float, ...]:
        """Read register 0x04: cell voltages in V."""
        return await self.read(CELLS, _CELLS_BYTES, decode_cells)

    async def read_setting(self, register: int) -> SettingValue:
        """Read a configuration register; boards refuse it with 81 outside configuration mode."""
        return await self.read(register, _WORD_BYTES, lambda payload: decode_setting(register, payload))

    async def read(self, register: int, reply_bytes: int, decode: Callable[[bytes], T]) -> T:
        """Read any register and decode its payload; `reply_bytes` is the longest reply expected."""
        if register not in self._requests:
            self._requests[register] = encode_read(register, self._address), FrameReader(register, self._address)
        request, reader = self._requests[register]
        return self._decoded(await self.line.transact(request, reader, reply_bytes), decode)

    async def read_text(self, register: int, decode: Callable[[bytes], T]) -> T:
        """Read a register of up to 31 characters."""
        return await self.read(register, _TEXT_BYTES, decode)

    async def write_fets(self, conducting: int) -> None:
        """Command through register 0xE1 that exactly the FETs in `conducting` conduct; the board acknowledges, no more."""
        await self._write(FET_CONTROL, bytes((0, ~conducting & BOTH_FETS)))

    async def enter_configuration(self) -> None:
        """Ask for configuration mode."""
        await self._write(FACTORY_ENTER, _ENTER)

    async def leave_configuration(self) -> None:
        """Leave configuration mode without saving anything, which wears no memory and clears no counter."""
        await self._write(FACTORY_EXIT, _LEAVE_UNSAVED)

    async def present_password(self) -> None:
        """Present the password of `password_file`, which is never kept, changed or logged; an unusable file is a DriverError."""
        if self.password_file is None:
            raise DriverError(f"{self.line.port}: no password_file is configured", port=self.line.port)
        await self._write(PASSWORD, bytes((PASSWORD_CHARACTERS,)) + _password_in(self.password_file))

    async def _write(self, register: int, payload: bytes) -> None:
        if register not in self._writers:
            self._writers[register] = FrameReader(register, self._address, written=True)
        request = encode_write(register, payload, self._address)
        frame = await self.line.transact(request, self._writers[register], _EMPTY_BYTES, urgent=True)
        self._decoded(frame, bytes)

    def _decoded(self, frame: Frame, decode: Callable[[bytes], T]) -> T:
        if frame.status != OK:
            meaning = REFUSALS.get(frame.status, "unknown status")
            message = f"{self.line.port}: register 0x{frame.register:02X} refused with {frame.status:02X}: {meaning}"
            raise DriverError(message, port=self.line.port, status=f"{frame.status:02x}")
        try:
            return decode(frame.payload)
        except DriverError as error:
            self.line.counters["payload"] += 1
            error.metadata["port"] = self.line.port
            raise


def _password_in(path: str) -> bytes:
    """Return the six bytes of the file's only line. Raises DriverError that names the file and what is wrong with it."""
    place = Path(path)
    try:
        mode, text = place.stat().st_mode, place.read_bytes().rstrip(b"\r\n")
    except (OSError, ValueError) as error:
        raise DriverError(f"password_file {path}: {getattr(error, 'strerror', None) or error}", path=path) from None
    if mode & 0o007:
        raise DriverError(f"password_file {path}: everybody may read it; chmod 640 it", path=path)
    if len(text) != PASSWORD_CHARACTERS:
        raise DriverError(f"password_file {path}: {len(text)} characters, expected {PASSWORD_CHARACTERS}", path=path)
    return text
