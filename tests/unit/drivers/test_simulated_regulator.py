"""The simulated packs' regulator against a real unix socket that speaks the simulator's control lines."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bosd.drivers.simulated_regulator import SimulatedRegulator
from bosd.errors import DriverError, UnavailableError


class Control:
    """A control socket with a load; `answer` replaces what it says, `hang` makes it say nothing."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.load_a = 0.0
        self.connections = 0
        self.answer: Callable[[dict[str, Any]], bytes] | None = None
        self.hang = False
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        while line := await reader.readline():
            if not self.hang:
                writer.write((self.answer or self._obey)(json.loads(line)))
        writer.close()

    def _obey(self, request: dict[str, Any]) -> bytes:
        if request["op"] == "set":
            self.load_a = request["load_current_a"]
        return json.dumps({"ok": True, "state": {"load_current_a": self.load_a}}).encode() + b"\n"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None
            Path(self.path).unlink(missing_ok=True)  # noqa: ASYNC240  a test may touch a file


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    """Provide a control socket for the test's time."""
    socket = Control(tmp_path / "control.sock")
    await socket.start()
    yield socket
    await socket.stop()


async def test_sets_and_reads(control: Control) -> None:
    """A set point arrives with its sign and is read back, over one connection."""
    regulator = SimulatedRegulator(control.path)
    await regulator.set_current(-4.0)
    assert control.load_a == -4.0
    assert await regulator.read() == -4.0
    assert control.connections == 1
    await regulator.close()


async def test_nobody_there(tmp_path: Path) -> None:
    """A missing socket is unavailable, with its path."""
    with pytest.raises(UnavailableError, match=r"none\.sock"):
        await SimulatedRegulator(str(tmp_path / "none.sock")).read()


async def test_reconnects(control: Control) -> None:
    """A simulator that ended and came back is found again by the next request."""
    regulator = SimulatedRegulator(control.path)
    await regulator.set_current(1.0)
    await control.stop()
    with pytest.raises(UnavailableError):
        await regulator.read()
    await control.start()
    assert await regulator.read() == 1.0
    await regulator.close()


async def test_silence(control: Control) -> None:
    """A simulator that says nothing is unavailable after a second, and its late answer meets nobody."""
    control.hang = True
    regulator = SimulatedRegulator(control.path)
    with pytest.raises(UnavailableError, match="no answer within 1 s"):
        await regulator.read()
    control.hang = False
    await regulator.set_current(2.0)
    assert control.connections == 2
    await regulator.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"ok": false, "error": "no"}\n',
        b'{"ok": true}\n',
        b'{"ok": true, "state": {"load_current_a": "4"}}\n',
    ],
)
async def test_nonsense_and_refusals(control: Control, answer: bytes) -> None:
    """What is no answer, or a refusal, is a driver error."""
    control.answer = lambda request: answer
    regulator = SimulatedRegulator(control.path)
    with pytest.raises(DriverError):
        await regulator.read()
    await regulator.close()


async def test_endless_line(control: Control) -> None:
    """A line beyond 64 KiB is refused, not kept."""
    control.answer = lambda request: b"x" * 200_000
    regulator = SimulatedRegulator(control.path)
    with pytest.raises(UnavailableError):
        await regulator.read()
