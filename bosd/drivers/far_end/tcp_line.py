"""A line behind a raw TCP port, as serial bridges offer one."""

import asyncio
import socket
import struct

from bosd.drivers.far_end.pacing import Hearer, PacedReceiver, PacedSender, Transmission
from bosd.errors import InvalidArgumentError

_BATCH_BYTES = 8
"""Most bytes taken from a client before the wire would have carried them; the rest waits in the kernel."""
_MOST_CLIENTS = 8
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: closing sends RST instead of FIN."""


class TcpLine:
    """Listens at `address`, `HOST:PORT` (port 0: any); `open`, `close` and `unplug` may be repeated, at the same port.

    Up to eight clients share the line as they do at a bridge: the device hears what each of them writes, and each of them
    gets every reply.
    """

    def __init__(self, address: str, hearer: Hearer) -> None:
        host, colon, number = address.rpartition(":")
        if not colon or not host or not number.isdecimal() or int(number) > 65535:
            raise InvalidArgumentError(f"tcp must be HOST:PORT, not {address!r}", key="tcp")
        self.bytes_refused = 0
        self.resets = 0
        self._host, self._port = host.strip("[]"), int(number)
        self._loop = asyncio.get_running_loop()
        self.sender = PacedSender(self._loop, hearer.byte_s, self._write)
        self._receiver = PacedReceiver(self._loop, hearer, self._heard)
        self._server: socket.socket | None = None
        self._clients: list[socket.socket] = []
        self._busy = False
        self._replug_timer: asyncio.TimerHandle | None = None

    @property
    def plugged(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port it listens at, or last did."""
        return self._port

    def where(self) -> str:
        """Return the address in force."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"tcp={host}:{self._port}"

    def open(self) -> None:
        """Listen; InvalidArgumentError where that is impossible."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            server = socket.create_server((self._host, self._port), family=family)
        except OSError as error:
            message = f"tcp {self._host}:{self._port}: {error.strerror or error}"
            raise InvalidArgumentError(message, key="tcp") from error
        server.settimeout(0)
        self._server, self._port = server, server.getsockname()[1]
        self._loop.add_reader(server, self._accept, server)

    def close(self) -> None:
        """End all connections, stop listening and forget everything in flight."""
        if self._replug_timer is not None:
            self._replug_timer.cancel()
        self._replug_timer = None
        self._forget()
        for client in list(self._clients):
            self._leave(client)
        if self._server is not None:
            self._loop.remove_reader(self._server)
            self._server.close()
            self._server = None

    def unplug(self, seconds: float) -> None:
        """Vanish for `seconds`: clients see the end, and connecting is refused."""
        self.close()
        self._replug_timer = self._loop.call_later(seconds, self.open)

    def reset(self) -> None:
        """End all connections with RST; listening goes on."""
        self._forget()
        for client in list(self._clients):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._leave(client)
            self.resets += 1

    def _accept(self, server: socket.socket) -> None:
        try:
            client, _ = server.accept()
        except OSError:
            return  # gone again before we looked
        if len(self._clients) >= _MOST_CLIENTS:
            client.close()
            return
        client.settimeout(0)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clients.append(client)
        if not self._busy:
            self._loop.add_reader(client, self._readable, client)

    def _readable(self, client: socket.socket) -> None:
        """Take what the wire can carry at a time and leave the rest, and everybody else's, until it has arrived."""
        try:
            data = client.recv(_BATCH_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leave(client)
            return
        self._busy = True
        for one in self._clients:
            self._loop.remove_reader(one)
        self._receiver.take(data)

    def _heard(self, replies: list[Transmission]) -> None:
        self._busy = False
        for client in self._clients:
            self._loop.add_reader(client, self._readable, client)
        if self.plugged:
            self.sender.send(replies)

    def _write(self, data: bytes) -> None:
        """Put bytes on every connection; a client that does not read loses them, as it would at a bridge."""
        for client in list(self._clients):
            try:
                written = client.send(data)
            except BlockingIOError:
                written = 0
            except OSError:
                self._leave(client)
                continue
            self.bytes_refused += len(data) - written

    def _forget(self) -> None:
        self.sender.clear()
        self._receiver.clear()
        if self._busy:
            self._busy = False
            for client in self._clients:
                self._loop.add_reader(client, self._readable, client)

    def _leave(self, client: socket.socket) -> None:
        self._clients.remove(client)
        self._loop.remove_reader(client)
        client.close()
