"""The control socket: one JSON object a line in, one a line out."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from bosd.errors import BosError, InvalidArgumentError

_LONGEST_LINE = 65536

Handler = Callable[[dict[str, object]], dict[str, object]]


class ControlProtocol(asyncio.Protocol):
    """One client: answers each line in order and stops reading while its answers pile up."""

    def __init__(self, handle: Handler, clients: set[asyncio.Transport]) -> None:
        self._handle = handle
        self._clients = clients
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; it is closed with the server."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream server makes nothing else
        self._transport = transport
        self._clients.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the client."""
        if self._transport is not None:
            self._clients.discard(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer every complete line."""
        self._buffer += data
        while self._transport is not None and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if line.strip():
                self._transport.write(json.dumps(self._answer(line)).encode() + b"\n")
        if len(self._buffer) > _LONGEST_LINE and self._transport is not None:
            self._transport.write(json.dumps(_failure(f"a line is at most {_LONGEST_LINE} bytes")).encode() + b"\n")
            self._transport.close()

    def pause_writing(self) -> None:
        """Take no more requests from a client that does not read its answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        if self._transport is not None:
            self._transport.resume_reading()

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            return _failure(f"not JSON: {error}")
        if not isinstance(request, dict):
            return _failure('a request is an object such as {"op": "get"}')
        try:
            return {"ok": True, **self._handle(request)}
        except BosError as error:
            return {**_failure(error.message), **error.metadata}


class ControlServer:
    """A unix socket at `path` whose clients are served by `handle`."""

    def __init__(self, path: Path, handle: Handler) -> None:
        self._path = path
        self._handle = handle
        self._clients: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket left behind is replaced, anything else there raises InvalidArgumentError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_unix_server(lambda: ControlProtocol(self._handle, self._clients), str(self._path))
        except OSError as error:
            raise InvalidArgumentError(f"control socket {self._path}: {error}", key="control") from error
        self._path.chmod(0o600)

    def hang_up(self) -> None:
        """Drop all clients."""
        for transport in list(self._clients):
            transport.abort()

    def close(self) -> None:
        """Drop all clients and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        self.hang_up()
        self._path.unlink(missing_ok=True)
        self._server = None


def _failure(message: str) -> dict[str, object]:
    return {"ok": False, "error": message}
