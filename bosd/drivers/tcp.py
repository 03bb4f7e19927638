"""Serial bridges over raw TCP (ser2net, USR-DR302, ESP links): the same bytes with a network's delays."""

import asyncio
import os
import socket

from bosd.drivers.transport import OPEN_DEADLINE_S, ByteReceiver, ReceiverProtocol, byte_time_s
from bosd.errors import UnavailableError

_REPLY_S = 1.0
"""A bridge adds its own buffering and the network's delay to the board's."""
_GAP_S = 0.5
_UNSENT_LIMIT_BYTES = 4096
"""More than this unsent means that the bridge takes nothing."""
_QUIET_S, _LONGEST_QUIET_S = 0.1, 1.0
"""After connecting, bytes are dropped until none came for so long: greetings, and replies the bridge kept for somebody else."""
_KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""The kernel asks a silent peer after 10 s, then each 5 s, and gives it up after three: 25 s (where the system has these)."""


class _Gate:
    """Stands before a receiver and drops what comes until it is opened."""

    def __init__(self, receiver: ByteReceiver) -> None:
        self._receiver = receiver
        self._open = self._lost = False
        self._heard_s = asyncio.get_running_loop().time()

    async def open_when_quiet(self, port: str) -> None:
        """Wait until nothing has come for 0.1 s, or for 1 s, and let bytes pass; raises UnavailableError at a hang-up."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _LONGEST_QUIET_S
        while not self._lost and (rest_s := min(self._heard_s + _QUIET_S, end_s) - loop.time()) > 0:  # noqa: ASYNC110 (silence is no event)
            await asyncio.sleep(rest_s)
        self._open = True
        if self._lost:
            raise UnavailableError(f"{port}: hung up at once; many bridges serve one client only", port=port)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, or drop them."""
        if self._open:
            self._receiver.data_received(data)
        else:
            self._heard_s = asyncio.get_running_loop().time()

    def connection_lost(self, error: Exception | None) -> None:
        """Pass the loss on, or keep it."""
        self._lost = True
        if self._open:
            self._receiver.connection_lost(error)


class TcpTransport:
    """A raw TCP connection to a serial bridge at `host:number`, behind which the line runs at `baud`."""

    def __init__(self, host: str, number: int, baud: int) -> None:
        self.port = f"tcp://{host}:{number}"
        self.reply_s = _REPLY_S
        self.gap_s = _GAP_S
        self.byte_s = byte_time_s(baud)
        self.reopen_on_silence = True
        self._host = host
        self._number = number
        self._transport: asyncio.Transport | None = None
        self._protocol: ReceiverProtocol | None = None

    async def open(self, receiver: ByteReceiver) -> None:
        """Connect and drop what the bridge says first, within five seconds; raises UnavailableError with the cause."""
        self.close()
        loop = asyncio.get_running_loop()
        gate = _Gate(receiver)
        try:
            async with asyncio.timeout(OPEN_DEADLINE_S):
                transport, protocol = await loop.create_connection(lambda: ReceiverProtocol(gate), self._host, self._number)
        except TimeoutError:
            raise UnavailableError(f"{self.port}: no connection within {OPEN_DEADLINE_S:g} s", port=self.port) from None
        except OSError as error:
            cause = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else error.strerror or str(error)
            raise UnavailableError(f"{self.port}: {cause}", port=self.port) from error
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        try:
            await gate.open_when_quiet(self.port)
        except BaseException:
            transport.abort()
            raise
        self._transport, self._protocol = transport, protocol

    def write(self, data: bytes) -> None:
        """Queue `data`; raises UnavailableError when the connection is closed or stuck."""
        if self._transport is None or self._transport.is_closing():
            raise UnavailableError(f"{self.port}: closed", port=self.port)
        if self._transport.get_write_buffer_size() > _UNSENT_LIMIT_BYTES:
            raise UnavailableError(f"{self.port}: the bridge takes no bytes", port=self.port)
        self._transport.write(data)

    def discard_input(self) -> None:
        """The kernel gives no way to drop what it holds; the parser drops what does not match."""

    def close(self) -> None:
        """Drop the connection, unsent bytes included."""
        if self._protocol is not None:
            self._protocol.silence()
        if self._transport is not None:
            self._transport.abort()
        self._transport = self._protocol = None
