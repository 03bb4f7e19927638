"""Byte transports: what a line needs of a serial port, a TCP connection or a pair of ends in memory."""

import asyncio
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from bosd.errors import ConfigError, UnavailableError, UnsupportedError

SERIAL_REPLY_S = 0.3
"""Time an answer may take beside its bytes' own: boards turn round in 10 to 20 ms, the slowest recorded reply took 250 ms."""
SERIAL_GAP_S = 0.15
"""Silence after which an unfinished reply is given up; 50 ms cuts replies of real boards."""
OPEN_DEADLINE_S = 5.0
"""Longest time to open a port or a connection."""


def byte_time_s(baud: int) -> float:
    """Return what to allow for one byte of 8N1 in seconds: 10 bits, and 5.6 % for a board's drifting clock (1.1 ms at 9600)."""
    return 10.56 / baud


class ByteReceiver(Protocol):
    """Who gets the bytes; both methods are called on the loop and return at once."""

    def data_received(self, data: bytes) -> None:
        """Take the next bytes of the stream, cut anywhere."""
        ...

    def connection_lost(self, error: Exception | None) -> None:
        """Learn that the transport is closed; None means that it was closed from this side."""
        ...


class ByteTransport(Protocol):
    """A stream of bytes that can be opened, lost and opened again.

    `port` names it to people. `reply_s`, `gap_s` and `byte_s` are the times a request on it may take: for the answer to
    begin, between two bytes of it, and per byte. `reopen_on_silence` is true where a dead peer shows only as silence.
    """

    port: str
    reply_s: float
    gap_s: float
    byte_s: float
    reopen_on_silence: bool

    async def open(self, receiver: ByteReceiver) -> None:
        """Open the port and deliver what comes to `receiver`; raises UnavailableError that names the port."""
        ...

    def write(self, data: bytes) -> None:
        """Send `data` without waiting; raises UnavailableError when the port is closed or takes nothing."""
        ...

    def discard_input(self) -> None:
        """Forget bytes that have arrived and were not delivered yet, as far as the medium allows."""
        ...

    def close(self) -> None:
        """Let go of the port; idempotent."""
        ...


class Greeting(Protocol):
    """What a module wants to hear before it passes bytes on."""

    def begin(self, address: str) -> bytes:
        """Return the first message to the module at `address`."""
        ...

    def feed(self, data: bytes) -> bytes | None:
        """Take a notification; return the next message, empty while waiting for more, None when done. Raises DriverError."""
        ...


@runtime_checkable
class Greeted(Protocol):
    """A transport to modules that may want a greeting at each opening."""

    greeting: Greeting | None


class ReceiverProtocol(asyncio.Protocol):
    """Hands what an asyncio transport reports to a receiver, until it is silenced."""

    def __init__(self, receiver: ByteReceiver) -> None:
        self._receiver: ByteReceiver | None = receiver

    def silence(self) -> None:
        """Deliver nothing more."""
        self._receiver = None

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        if self._receiver is not None:
            self._receiver.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the loss on, once."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost(exc)


class MemoryTransport:
    """A transport whose far end is a function: `respond` gets each write and returns the bytes that come back.

    They arrive one turn of the loop later, as they do from a port.
    """

    def __init__(self, respond: Callable[[bytes], bytes], *, port: str = "memory") -> None:
        self.port = port
        self.reply_s = SERIAL_REPLY_S
        self.gap_s = SERIAL_GAP_S
        self.byte_s = byte_time_s(9600)
        self.reopen_on_silence = False
        self._respond = respond
        self._receiver: ByteReceiver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self, receiver: ByteReceiver) -> None:
        """Connect; never fails."""
        self._receiver, self._loop = receiver, asyncio.get_running_loop()

    def write(self, data: bytes) -> None:
        """Ask the function and deliver its answer in the next turn of the loop."""
        if self._receiver is None or self._loop is None:
            raise UnavailableError(f"{self.port}: closed", port=self.port)
        reply = self._respond(data)
        if reply:
            self._loop.call_soon(self._receiver.data_received, reply)

    def discard_input(self) -> None:
        """Nothing is kept here."""

    def close(self) -> None:
        """Disconnect."""
        self._receiver = None


class MemoryEnd:
    """One end of a pair in memory: what one writes, the other receives in the next turn of the loop.

    `lose` breaks the pair as an unplugged cable would.
    """

    def __init__(self, port: str) -> None:
        self.port = port
        self.reply_s = SERIAL_REPLY_S
        self.gap_s = SERIAL_GAP_S
        self.byte_s = byte_time_s(9600)
        self.reopen_on_silence = False
        self.plugged = True
        self._peer: MemoryEnd | None = None
        self._receiver: ByteReceiver | None = None

    def join(self, peer: "MemoryEnd") -> None:
        """Send to `peer` from now on."""
        self._peer = peer

    async def open(self, receiver: ByteReceiver) -> None:
        """Connect, unless unplugged."""
        if not self.plugged:
            raise UnavailableError(f"{self.port}: no such device", port=self.port)
        self._receiver = receiver

    def write(self, data: bytes) -> None:
        """Hand `data` to the peer; lost when the peer does not listen."""
        if self._receiver is None or self._peer is None:
            raise UnavailableError(f"{self.port}: closed", port=self.port)
        asyncio.get_running_loop().call_soon(self._peer.deliver, data)

    def deliver(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if self._receiver is not None:
            self._receiver.data_received(data)

    def discard_input(self) -> None:
        """Nothing is kept here."""

    def lose(self, error: Exception | None = None) -> None:
        """Unplug: the receiver learns of the loss, and opening fails until `plugged` is true again."""
        self.plugged = False
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost(error or OSError(5, "Input/output error"))

    def close(self) -> None:
        """Disconnect."""
        self._receiver = None


def memory_pair() -> tuple[MemoryEnd, MemoryEnd]:
    """Return two ends joined to each other: the line's and the device's."""
    near, far = MemoryEnd("memory"), MemoryEnd("memory-peer")
    near.join(far)
    far.join(near)
    return near, far


def open_transport(port: str, baud: int = 9600) -> ByteTransport:
    """Return the (still closed) transport for `port`.

    That is a device path, `usb:SERIAL` (an adapter by the serial number in its chip, looked for at each opening),
    `tcp://host:port` where `baud` is the bridge's own, or `ble://AA:BB:CC:DD:EE:FF`. Raises ConfigError for a malformed
    address and UnsupportedError for a scheme without a transport. The module that drives the medium is imported here, so that
    a node pays only for what it uses.
    """
    scheme, separator, rest = port.partition("://")
    if not separator:
        from bosd.drivers.serial import SerialTransport  # noqa: PLC0415  a node without serial ports does not load it

        if port.startswith("usb:"):
            from bosd.drivers.usb_ports import find_usb, list_serial_ports  # noqa: PLC0415  as above

            return SerialTransport(port, baud, lambda: find_usb(port, list_serial_ports()))
        return SerialTransport(port, baud)
    if scheme == "ble":
        from bosd.drivers.ble import BleTransport  # noqa: PLC0415  as above

        return BleTransport(port)
    if scheme != "tcp":
        raise UnsupportedError(f"{port}: no transport for {scheme}://", port=port)
    host, colon, number = rest.rpartition(":")
    if not colon or not host or not number.isdecimal() or not 0 < int(number) < 65536:
        raise ConfigError(f"{port}: expected tcp://host:port", port=port)
    from bosd.drivers.tcp import TcpTransport  # noqa: PLC0415  as above

    return TcpTransport(host.strip("[]"), int(number), baud)
