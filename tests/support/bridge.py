"""A serial bridge: a real TCP server before a simulated board, which cuts and gathers the board's bytes as bridges do.

All its clients share the one line: each hears every reply, as behind a real one.
"""

import asyncio
import contextlib
from typing import Self

from bosd.drivers.jbd.simulator import JbdSimulator


class Bridge:
    """A bridge on a free port of loopback; `greeting` is said to each client, `clients_at_most` more are hung up on.

    Bytes go out every `gather_s`, all that came since, or, with `piece_bytes`, in pieces of that size each `gather_s`.
    """

    def __init__(self, board: JbdSimulator) -> None:
        self.board = board
        self.greeting = b""
        self.clients_at_most = 8
        self.gather_s = 0.0
        self.piece_bytes = 0
        self.sent: list[bytes] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        board.memory.on_bytes = self._from_board

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def drop(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= self.clients_at_most:
            writer.close()
            return
        self._writers.append(writer)
        writer.write(self.greeting)
        with contextlib.suppress(ConnectionError):
            while request := await reader.read(64):
                self.board.memory.write(request)
        if writer in self._writers:
            self._writers.remove(writer)
        writer.close()

    def _from_board(self, data: bytes) -> None:
        self._buffer += data
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.gather_s, self._send)

    def _send(self) -> None:
        size = self.piece_bytes or len(self._buffer)
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.sent.append(piece)
        for writer in self._writers:
            writer.write(piece)
        again = bool(self._buffer)
        self._timer = asyncio.get_running_loop().call_later(self.gather_s, self._send) if again else None
