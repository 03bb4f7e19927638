"""A transport that records what passes through it: for a user who wants to show what his battery says."""

from dataclasses import dataclass
from pathlib import Path

import structlog

from bosd.clock import Clock
from bosd.drivers.capture_file import LARGEST_BYTES, CaptureWriter
from bosd.drivers.transport import ByteReceiver, ByteTransport
from bosd.errors import BosError, InvalidArgumentError

_log = structlog.get_logger()


class CaptureTransport:
    """`inner` with everything that is written, received or happens to the port put on record while there is a `writer`.

    It changes neither bytes nor times nor errors, and the end of the record (a full disk) is not the end of the traffic.
    """

    def __init__(self, inner: ByteTransport, writer: CaptureWriter | None = None) -> None:
        self.port = inner.port
        self.reply_s = inner.reply_s
        self.gap_s = inner.gap_s
        self.byte_s = inner.byte_s
        self.reopen_on_silence = inner.reopen_on_silence
        self.writer = writer
        self._inner = inner
        self._receiver: ByteReceiver | None = None

    async def open(self, receiver: ByteReceiver) -> None:
        """Open the port; a failure is on record, too."""
        self._receiver = receiver
        try:
            await self._inner.open(self)
        except BosError as error:
            if self.writer is not None:
                self.writer.event("failed", error.message)
            raise
        self.port = self._inner.port
        if self.writer is not None:
            self.writer.event("open")

    def write(self, data: bytes) -> None:
        """Send `data`."""
        self._inner.write(data)
        if self.writer is not None:
            self.writer.bytes("out", data)

    def discard_input(self) -> None:
        """Forget what has arrived and was not delivered; it is not on record either."""
        self._inner.discard_input()

    def close(self) -> None:
        """Let go of the port; the record goes on when it is opened again."""
        if self._receiver is not None:
            self._receiver = None
            if self.writer is not None:
                self.writer.event("closed")
        self._inner.close()

    def data_received(self, data: bytes) -> None:
        """Record bytes and pass them on."""
        if self.writer is not None:
            self.writer.bytes("in", data)
        if self._receiver is not None:
            self._receiver.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Record the loss and pass it on."""
        receiver, self._receiver = self._receiver, None
        if self.writer is not None:
            self.writer.event("lost", str(error or ""))
        if receiver is not None:
            receiver.connection_lost(error)


@dataclass(frozen=True, slots=True)
class CaptureTo:
    """Where a battery's line is to be recorded; one that cannot be written is logged and goes without a record.

    A battery never goes without its device for want of a record.
    """

    path: Path
    clock: Clock
    largest_bytes: int = LARGEST_BYTES

    def start(self, port: str, baud: int) -> CaptureWriter | None:
        """Return a writer for what happens on `port`, None where the file cannot be opened."""
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            return CaptureWriter(self.path, port=port, baud=baud, clock=self.clock, largest_bytes=self.largest_bytes)
        except OSError as error:
            cause = f"capture {self.path}: {error.strerror or error}"
        except InvalidArgumentError as error:
            cause = error.message
        _log.warning("capture_not_started", port=port, error=cause)
        return None
