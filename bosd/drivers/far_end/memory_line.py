"""A line in memory, at its pace on the running loop: for tests on a clock that jumps."""

import asyncio
from collections.abc import Callable

from bosd.drivers.far_end.pacing import Hearer, PacedReceiver, PacedSender, Transmission
from bosd.drivers.transport import SERIAL_GAP_S, SERIAL_REPLY_S, ByteReceiver
from bosd.errors import UnavailableError

_BATCH_BYTES = 8
"""Most bytes on the wire at a time; the rest waits."""
_BUFFER_BYTES = 65536
_SLOW_CLOCK = 1.056
"""How much longer than nominal a byte may take (transport.byte_time_s)."""


class MemoryLine:
    """The same pace as a terminal's without a descriptor, for any loop including one whose clock jumps.

    Bytes go in by `write`; what the device sends comes out at `on_bytes`, a hang-up at `on_hangup`. Bytes written while
    unplugged, or beyond 64 KiB waiting for the wire, are lost and counted. `transport` is the driver's end of it.
    """

    def __init__(self, hearer: Hearer) -> None:
        self.bytes_refused = 0
        self.on_bytes: Callable[[bytes], None] = lambda _data: None
        self.on_hangup: Callable[[], None] = lambda: None
        self.byte_s = hearer.byte_s
        self._loop = asyncio.get_running_loop()
        self.sender = PacedSender(self._loop, hearer.byte_s, self._write)
        self._receiver = PacedReceiver(self._loop, hearer, self._heard)
        self._waiting = bytearray()
        self._busy = self._plugged = False
        self._replug_timer: asyncio.TimerHandle | None = None

    @property
    def plugged(self) -> bool:
        """Whether the line is up."""
        return self._plugged

    def where(self) -> str:
        """Return what this medium is called."""
        return "memory"

    def transport(self, port: str = "memory") -> "MemoryLineTransport":
        """Return a (still closed) byte transport to this line, named `port` to people."""
        return MemoryLineTransport(self, port)

    def open(self) -> None:
        """Bring the line up."""
        self._plugged = True

    def close(self) -> None:
        """Hang up and forget everything in flight."""
        if self._replug_timer is not None:
            self._replug_timer.cancel()
        self._replug_timer = None
        was_plugged, self._plugged = self._plugged, False
        self._forget()
        if was_plugged:
            self.on_hangup()

    def unplug(self, seconds: float) -> None:
        """Hang up for `seconds`."""
        self.close()
        self._replug_timer = self._loop.call_later(seconds, self.open)

    def reset(self) -> None:
        """Hang up, with the line there again at once."""
        if self._plugged:
            self._forget()
            self.on_hangup()

    def write(self, data: bytes) -> None:
        """Send `data` to the device."""
        room = _BUFFER_BYTES - len(self._waiting) if self._plugged else 0
        self._waiting += data[:room]
        self.bytes_refused += len(data) - len(data[:room])
        self._take()

    def _forget(self) -> None:
        self.sender.clear()
        self._receiver.clear()
        self._waiting.clear()
        self._busy = False

    def _write(self, data: bytes) -> None:
        self.on_bytes(data)

    def _take(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            data = bytes(self._waiting[:_BATCH_BYTES])
            del self._waiting[:_BATCH_BYTES]
            self._receiver.take(data)

    def _heard(self, replies: list[Transmission]) -> None:
        self._busy = False
        if self._plugged:
            self.sender.send(replies)
            self._take()


class MemoryLineTransport:
    """The driver's end of a memory line, with a serial port's times; it can be opened again after a loss."""

    def __init__(self, line: MemoryLine, port: str) -> None:
        self.port = port
        self.reply_s = SERIAL_REPLY_S
        self.gap_s = SERIAL_GAP_S
        self.byte_s = line.byte_s * _SLOW_CLOCK
        self.reopen_on_silence = False
        self._line = line
        self._receiver: ByteReceiver | None = None

    async def open(self, receiver: ByteReceiver) -> None:
        """Take the line over; raises UnavailableError while it is unplugged."""
        if not self._line.plugged:
            raise UnavailableError(f"{self.port}: no such device", port=self.port)
        self._receiver = receiver
        self._line.on_bytes = self._deliver
        self._line.on_hangup = self._lost

    def write(self, data: bytes) -> None:
        """Put `data` on the line; raises UnavailableError once it is lost or closed."""
        if self._receiver is None:
            raise UnavailableError(f"{self.port}: closed", port=self.port)
        self._line.write(data)

    def discard_input(self) -> None:
        """Nothing waits between the line and the receiver."""

    def close(self) -> None:
        """Let go of the line."""
        if self._receiver is not None:
            self._receiver = None
            self._line.on_bytes = lambda _data: None
            self._line.on_hangup = lambda: None

    def _deliver(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.data_received(data)

    def _lost(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost(OSError(5, "Input/output error"))
