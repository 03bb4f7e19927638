"""A transport that records what passes through it: for a user who wants to show what his battery says."""

from pathlib import Path

import structlog

from bosd.clock import Clock
from bosd.drivers.capture_file import LARGEST_BYTES, CaptureWriter
from bosd.drivers.transport import ByteReceiver, ByteTransport
from bosd.errors import BosError, InvalidArgumentError

_log = structlog.get_logger()


class CaptureTransport:
    """`inner` with everything that is written, received or happens to the port put on record by `writer`.

    It changes neither bytes nor times nor errors, and the end of the record (a full disk) is not the end of the traffic.
    """

    def __init__(self, inner: ByteTransport, writer: CaptureWriter) -> None:
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
            self.writer.event("failed", error.message)
            raise
        self.port = self._inner.port
        self.writer.event("open")

    def write(self, data: bytes) -> None:
        """Send `data`."""
        self._inner.write(data)
        self.writer.bytes("out", data)

    def discard_input(self) -> None:
        """Forget what has arrived and was not delivered; it is not on record either."""
        self._inner.discard_input()

    def close(self) -> None:
        """Let go of the port; the record goes on when it is opened again."""
        if self._receiver is not None:
            self._receiver = None
            self.writer.event("closed")
        self._inner.close()

    def data_received(self, data: bytes) -> None:
        """Record bytes and pass them on."""
        self.writer.bytes("in", data)
        if self._receiver is not None:
            self._receiver.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Record the loss and pass it on."""
        receiver, self._receiver = self._receiver, None
        self.writer.event("lost", str(error or ""))
        if receiver is not None:
            receiver.connection_lost(error)


def captured(
    inner: ByteTransport, path: Path | None, *, baud: int, clock: Clock, largest_bytes: int = LARGEST_BYTES
) -> ByteTransport:
    """Return `inner` recording to `path`, or as it is without a path or where the file cannot be opened, which is logged.

    A battery never goes without its device for want of a record.
    """
    if path is None:
        return inner
    try:
        writer = CaptureWriter(path, port=inner.port, baud=baud, clock=clock, largest_bytes=largest_bytes)
    except InvalidArgumentError as error:
        _log.warning("capture_not_started", port=inner.port, error=error.message)
        return inner
    return CaptureTransport(inner, writer)
