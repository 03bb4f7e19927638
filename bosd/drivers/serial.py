"""Serial ports: the only module that knows pyserial and pyserial-asyncio."""

import asyncio
import contextlib
import errno
import os
import termios
from collections.abc import Callable

import serial
import serial_asyncio

from bosd.drivers.port_holders import holders_of
from bosd.drivers.transport import (
    OPEN_DEADLINE_S,
    SERIAL_GAP_S,
    SERIAL_REPLY_S,
    ByteReceiver,
    ReceiverProtocol,
    byte_time_s,
)
from bosd.errors import UnavailableError

_IN_USE = (errno.EAGAIN, errno.EBUSY)
"""What an exclusive open answers while somebody else holds the port."""


class SerialTransport:
    """A serial port at `path` (a device, or a link to one, pseudo-terminals included): 8N1 at `baud`, held exclusively.

    `locate` says at each opening where the device is now, for ports that are known by something else than a path; it may
    read files and raises UnavailableError.
    """

    def __init__(self, path: str, baud: int = 9600, locate: Callable[[], str] | None = None) -> None:
        self.port = path
        self.reply_s = SERIAL_REPLY_S
        self.gap_s = SERIAL_GAP_S
        self.byte_s = byte_time_s(baud)
        self.reopen_on_silence = False
        self._baud = baud
        self._locate = locate or (lambda: path)
        self._transport: serial_asyncio.SerialTransport | None = None
        self._protocol: ReceiverProtocol | None = None

    async def open(self, receiver: ByteReceiver) -> None:
        """Open the port in a thread (a driver may block there) within five seconds; raises UnavailableError with the cause."""
        self.close()
        await asyncio.sleep(0)  # what let go of the port in this turn of the loop closes it in the next
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(None, self._open_port)
        try:
            async with asyncio.timeout(OPEN_DEADLINE_S):
                port = await asyncio.shield(opening)
        except BaseException as error:
            opening.add_done_callback(_close_late)
            if isinstance(error, TimeoutError):
                message = f"{self.port}: did not open within {OPEN_DEADLINE_S:g} s"
                raise UnavailableError(message, port=self.port) from None
            if isinstance(error, (OSError, ValueError, termios.error)):
                cause = errno.errorcode.get(getattr(error, "errno", None) or 0, "")
                raise UnavailableError(f"{self.port}: {_cause(error)}", port=self.port, cause=cause) from error
            raise
        protocol = ReceiverProtocol(receiver)
        self._transport = serial_asyncio.SerialTransport(loop, protocol, port)
        self._protocol = protocol

    def _open_port(self) -> serial.Serial:
        path = self._locate()
        try:
            port = serial.Serial(path, self._baud, timeout=0, write_timeout=0, exclusive=True)
        except OSError as error:
            if getattr(error, "errno", None) in _IN_USE:
                by = ", ".join(map(str, holders_of(path))) or "another program"
                raise UnavailableError(f"{self.port}: in use by {by}", port=self.port, cause="EBUSY") from error
            raise
        with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError):
            port.set_low_latency_mode(True)
        return port

    def write(self, data: bytes) -> None:
        """Give `data` to the kernel at once; raises UnavailableError when the port is closed, gone or takes nothing."""
        if self._transport is None or self._transport.is_closing():
            raise UnavailableError(f"{self.port}: closed", port=self.port)
        try:
            taken = os.write(self._transport.serial.fileno(), data)
        except OSError as error:
            raise UnavailableError(f"{self.port}: {_cause(error)}", port=self.port) from error
        if taken < len(data):
            raise UnavailableError(f"{self.port}: takes no more bytes", port=self.port)

    def discard_input(self) -> None:
        """Drop what the kernel holds of earlier replies."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError, termios.error):
                termios.tcflush(self._transport.serial.fileno(), termios.TCIFLUSH)

    def close(self) -> None:
        """Let go of the port without waiting for bytes that nobody takes."""
        if self._protocol is not None:
            self._protocol.silence()
        transport, self._transport, self._protocol = self._transport, None, None
        if transport is None or transport.is_closing():
            return
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(transport.serial.fileno(), termios.TCIOFLUSH)
        transport.abort()


def _close_late(opening: "asyncio.Future[serial.Serial]") -> None:
    """Close a port that opened after its caller had gone."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _cause(error: BaseException) -> str:
    """Return what the system says, without pyserial's wrapping."""
    number = getattr(error, "errno", None)
    behind = error.__context__  # pyserial tells what the terminal's settings met as text alone
    if isinstance(behind, termios.error) and behind.args[:1] == (errno.ENOTTY,):
        return "is no serial port"
    return os.strerror(number).lower() if isinstance(number, int) else str(error)
