"""TCP bridges: a real server before a simulated board (jbd.md, "TCP serial bridges")."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from bosd.clock import SystemClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.line import Line
from bosd.drivers.tcp import TcpTransport
from bosd.drivers.transport import open_transport
from bosd.errors import DriverError, UnavailableError
from tests.support.bridge import Bridge
from tests.support.jbd_frames import READ_BASIC, cells_payload, reply, until_lost


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    """Provide a bridge before an 8S pack at 115200 baud."""
    options = SimulatorOptions(series=8, baud=115200, turnaround_ms=(2.0, 4.0), half_duplex=False)
    async with JbdSimulator(options) as board, Bridge(board) as found:
        yield found


def driver_on(line: Line) -> JbdDriver:
    """Return a driver on a line."""
    return JbdDriver(line, SystemClock(), name="b1")


@pytest.mark.parametrize(("gather_s", "piece_bytes"), [(0.0, 1), (0.001, 7), (0.05, 0)])
async def test_split_and_gathered(bridge: Bridge, gather_s: float, piece_bytes: int) -> None:
    """However the bridge cuts or gathers the bytes, the first attempt brings each reply."""
    bridge.gather_s, bridge.piece_bytes = gather_s, piece_bytes
    line = Line(open_transport(bridge.address))
    driver = driver_on(line)
    sample = await driver.read()
    assert sample.cells_v is not None
    assert len(sample.cells_v) == 8
    assert (line.counters["attempts"], line.counters["requests"]) == (2, 2)
    assert max(map(len, bridge.sent)) == piece_bytes or not piece_bytes
    await driver.close()


async def test_two_replies_in_one_piece(bridge: Bridge) -> None:
    """A reply that somebody else asked for, glued before ours, is counted as a mismatch and dropped."""
    line = Line(open_transport(bridge.address))
    driver = driver_on(line)
    await driver.read()
    stale = reply(5, b"JBD")
    bridge.gather_s = 0.05
    bridge._buffer += stale
    sample = await driver.read()
    assert sample.cells_v is not None
    assert any(piece.startswith(stale) and len(piece) > len(stale) for piece in bridge.sent)
    assert line.counters["register_mismatch"] == 1
    await driver.close()


async def test_what_the_bridge_says_first_is_dropped(bridge: Bridge) -> None:
    """A greeting, and an old reply that the bridge still held, are nobody's answer: cells of another pack are not believed."""
    bridge.greeting = b"ser2net port 4001\r\n" + reply(3, bytes(27)) + reply(4, cells_payload(4200, 4200))
    line = Line(open_transport(bridge.address))
    driver = driver_on(line)
    sample = await driver.read()
    assert sample.cells_v is not None
    assert len(sample.cells_v) == 8
    assert sample.voltage_v == pytest.approx(sum(sample.cells_v), abs=0.05)
    assert line.counters["attempts"] == line.counters["requests"]
    await driver.close()


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, error: Exception | None) -> None:
        raise AssertionError(error)


async def test_nothing_is_delivered_before_it_is_open(bridge: Bridge) -> None:
    """Whoever opens a bridge hears nothing of what it says first, only what follows a request."""
    bridge.greeting = b"welcome\xdd\x03"
    transport, ear = open_transport(bridge.address), Ear()
    await transport.open(ear)
    assert ear.heard == b""
    transport.write(READ_BASIC)
    async with asyncio.timeout(5):
        while not ear.heard.endswith(b"\x77"):  # noqa: ASYNC110  the bytes are what the test waits for
            await asyncio.sleep(0.01)
    assert ear.heard[:3] == b"\xdd\x03\x00"
    transport.close()


async def test_serves_one_client_only(bridge: Bridge) -> None:
    """A bridge that hangs up on a second client is named as such, and works when the first is gone."""
    bridge.clients_at_most = 1
    first, second = driver_on(Line(open_transport(bridge.address))), driver_on(Line(open_transport(bridge.address)))
    await first.read()
    with pytest.raises(UnavailableError, match="hung up at once; many bridges serve one client only"):
        await second.read()
    await first.close()
    async with asyncio.timeout(5):
        while bridge._writers:  # noqa: ASYNC110  the bridge knows, and tells nobody
            await asyncio.sleep(0.01)
    assert (await second.read()).cells_v is not None
    await second.close()


async def test_two_clients_mix(bridge: Bridge) -> None:
    """Two programs on one bridge hear each other's replies: no wrong value is read, and mismatches are counted."""
    lines = [Line(open_transport(bridge.address)) for _ in range(2)]
    drivers = [driver_on(line) for line in lines]

    async def poll(driver: JbdDriver) -> int:
        good = 0
        for _ in range(20):
            try:
                sample = await driver.read()
            except (DriverError, UnavailableError):
                continue
            assert sample.cells_v is None or len(sample.cells_v) == 8
            good += 1
        return good

    assert sum(await asyncio.gather(*map(poll, drivers))) > 20
    assert sum(line.counters["register_mismatch"] for line in lines) > 0
    for driver in drivers:
        await driver.close()


async def test_only_others_answers(bridge: Bridge) -> None:
    """When all that comes answers somebody else, the error says what that means."""
    bridge.board.raw(3, reply(4, cells_payload(3300, 3300)))
    driver = driver_on(Line(open_transport(bridge.address)))
    with pytest.raises(DriverError, match=r"register_mismatch.*does another program use this line or bridge"):
        await driver.read()
    await driver.close()


async def test_reset_in_flight_and_back(bridge: Bridge) -> None:
    """A reset connection is made again by the next read."""
    line = Line(open_transport(bridge.address))
    driver = driver_on(line)
    await driver.read()
    bridge.drop()
    await until_lost(line)
    assert (await driver.read()).cells_v is not None
    assert line.counters["opens"] == 2
    await driver.close()


async def test_kept_alive(bridge: Bridge) -> None:
    """The kernel asks a silent bridge after 10 s and gives it up after 25 s; requests are sent at once."""
    line = Line(open_transport(bridge.address))
    driver = driver_on(line)
    await driver.read()
    transport = line._transport
    assert isinstance(transport, TcpTransport)
    assert transport._transport is not None
    connection = transport._transport.get_extra_info("socket")
    options = [(socket.SOL_SOCKET, "SO_KEEPALIVE"), (socket.IPPROTO_TCP, "TCP_NODELAY")]
    options += [(socket.IPPROTO_TCP, name) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")]
    assert [connection.getsockopt(level, getattr(socket, name)) for level, name in options] == [1, 1, 10, 5, 3]
    await driver.close()
