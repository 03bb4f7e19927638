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
        """Connect within five seconds; raises UnavailableError with the cause."""
        self.close()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(OPEN_DEADLINE_S):
                transport, protocol = await loop.create_connection(lambda: ReceiverProtocol(receiver), self._host, self._number)
        except TimeoutError:
            raise UnavailableError(f"{self.port}: no connection within {OPEN_DEADLINE_S:g} s", port=self.port) from None
        except OSError as error:
            cause = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else error.strerror or str(error)
            raise UnavailableError(f"{self.port}: {cause}", port=self.port) from error
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
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
