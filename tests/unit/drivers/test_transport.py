"""Choosing a transport, TCP bridges, and the pair in memory."""

import asyncio
import socket
import subprocess
import sys

import pytest

from bosd.clock import SystemClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.line import Line
from bosd.drivers.serial import SerialTransport
from bosd.drivers.tcp import TcpTransport
from bosd.drivers.transport import byte_time_s, memory_pair, open_transport
from bosd.errors import ConfigError, UnavailableError, UnsupportedError
from tests.support.jbd_frames import FakeBoard, until_lost


def test_chosen_by_address() -> None:
    """A path is a serial port, tcp:// a bridge; both keep the address that people know."""
    serial, bridge, six = open_transport("/dev/ttyUSB0", 9600), open_transport("tcp://gw:23"), open_transport("tcp://[::1]:23")
    assert isinstance(serial, SerialTransport)
    assert isinstance(bridge, TcpTransport)
    assert (serial.port, bridge.port, six.port) == ("/dev/ttyUSB0", "tcp://gw:23", "tcp://::1:23")


@pytest.mark.parametrize("port", ["tcp://", "tcp://gw", "tcp://gw:", "tcp://:23", "tcp://gw:0", "tcp://gw:65536", "tcp://gw:x"])
def test_malformed_bridge_address(port: str) -> None:
    """An address without host or with an impossible port number is refused."""
    with pytest.raises(ConfigError, match="tcp://host:port"):
        open_transport(port)


def test_unknown_scheme() -> None:
    """A scheme without a transport is refused by name."""
    with pytest.raises(UnsupportedError, match="can://"):
        open_transport("can://can0")


def test_byte_time() -> None:
    """1.1 ms are allowed for a byte at 9600 baud (jbd, timing)."""
    assert byte_time_s(9600) == pytest.approx(0.0011)


def test_serial_is_loaded_when_used() -> None:
    """The line and the driver load no serial library by themselves."""
    program = "import sys, bosd.drivers.line, bosd.drivers.jbd.driver; sys.exit('serial_asyncio' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


class Bridge:
    """A TCP server that answers as a board does; `drop` closes its connections."""

    def __init__(self) -> None:
        self.board = FakeBoard()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen and return the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        while request := await reader.read(64):
            writer.write(self.board.respond(request))
        writer.close()

    def drop(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self.drop()
            await self._server.wait_closed()


async def test_reads_through_a_bridge() -> None:
    """A board behind a bridge is read; a dropped connection is made again by the next read."""
    bridge = Bridge()
    line = Line(open_transport(await bridge.start()))
    driver = JbdDriver(line, SystemClock(), name="b1")
    assert (await driver.read()).voltage_v == 13.2
    bridge.drop()
    await until_lost(line)
    assert (await driver.read()).cells_v == (3.3, 3.3, 3.3, 3.3)
    assert line.counters["opens"] == 2
    await driver.close()
    await bridge.stop()


async def test_dropped_in_flight() -> None:
    """A connection that breaks under a request fails it, naming the bridge."""
    bridge = Bridge()
    address = await bridge.start()
    bridge.board.deaf.add(3)
    driver = JbdDriver(Line(open_transport(address)), SystemClock(), name="b1")
    asyncio.get_running_loop().call_later(0.1, bridge.drop)
    with pytest.raises(UnavailableError, match=address):
        await driver.read()
    await driver.close()
    await bridge.stop()


async def test_nobody_listens() -> None:
    """A refused connection is unavailable, with the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    driver = JbdDriver(Line(open_transport(f"tcp://127.0.0.1:{number}")), SystemClock(), name="b1")
    with pytest.raises(UnavailableError, match=f"tcp://127.0.0.1:{number}: .*refused"):
        await driver.read()


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)


@pytest.mark.jumping
async def test_pair_in_memory() -> None:
    """What one end writes the other hears in the next turn; unplugging tells the receiver and stops the flow."""
    near, far = memory_pair()
    left, right = Ear(), Ear()
    await near.open(left)
    await far.open(right)
    near.write(b"ask")
    far.write(b"answer")
    assert (left.heard, right.heard) == (b"", b"")
    await asyncio.sleep(0)
    assert (left.heard, right.heard) == (b"answer", b"ask")
    near.lose()
    assert len(left.lost) == 1
    with pytest.raises(UnavailableError):
        near.write(b"more")
    with pytest.raises(UnavailableError):
        await near.open(left)
