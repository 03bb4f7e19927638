"""The addressed frame form: DD, address, then as without; the checksum covers the same (JBD protocol V13)."""

import asyncio

import pytest

from bosd.clock import LoopClock
from bosd.drivers.jbd.driver import JbdDriver, JbdOptions
from bosd.drivers.jbd.framing import FrameParser, FrameReader, encode_read, encode_write
from bosd.drivers.jbd.limits import Rating
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.line import Line
from bosd.drivers.lines import Lines
from bosd.drivers.transport import MemoryTransport
from bosd.errors import DriverError
from tests.support.jbd_bench import SimulatorTransport
from tests.support.jbd_frames import FakeBoard, basic_payload, reply

BASIC_PLAIN = bytes.fromhex("dda50300fffd77")


def addressed(frame: bytes, address: int) -> bytes:
    """Return a frame with the address behind its start."""
    return frame[:1] + bytes((address,)) + frame[1:]


class Bus:
    """Boards on one line, each answering its own address alone."""

    def __init__(self, **boards: FakeBoard) -> None:
        self.boards = {int(name.removeprefix("a")): board for name, board in boards.items()}

    def respond(self, request: bytes) -> bytes:
        """Answer a request in the addressed form."""
        board = self.boards.get(request[1])
        plain = request[:1] + request[2:]
        return addressed(board.respond(plain), request[1]) if board is not None else b""


def test_request() -> None:
    """DD 05 A5 03 00 FFFD 77: the checksum is that of the plain form."""
    assert encode_read(3) == BASIC_PLAIN
    assert encode_read(3, 5) == bytes.fromhex("dd05a50300fffd77")
    assert encode_write(0xE1, b"\0\1", 0xDD) == addressed(encode_write(0xE1, b"\0\1"), 0xDD)


@pytest.mark.parametrize("address", [1, 5, 0x77, 0xA5, 0xDD, 255])
def test_reply(address: int) -> None:
    """A reply is found in one piece, byte by byte, behind noise, and behind the request's echo."""
    frame = addressed(reply(3, basic_payload()), address)
    for stream in (frame, b"\0\xff" + frame, encode_read(3, address) + frame):
        reader = FrameReader(3, address)
        reader.begin()
        found = [answer for byte in stream if (answer := reader.feed(bytes((byte,)))) is not None]
        assert [(each.register, each.address, each.payload) for each in found] == [(3, address, basic_payload())]


def test_another_boards_reply() -> None:
    """A reply of another address is rejected as such, and the right one behind it is taken."""
    reader = FrameReader(3, 5)
    reader.begin()
    assert reader.feed(addressed(reply(3, basic_payload(soc=99)), 6)) is None
    found = reader.feed(addressed(reply(3, basic_payload(soc=50)), 5))
    assert found is not None
    assert found.payload == basic_payload(soc=50)
    assert reader.rejects == {"address_mismatch": 1}


def test_every_flipped_bit() -> None:
    """One flipped bit anywhere never gives another payload, nor a reply of another register or address."""
    frame = addressed(reply(3, basic_payload()), 5)
    for position in range(len(frame) * 8):
        spoiled = bytearray(frame)
        spoiled[position // 8] ^= 1 << position % 8
        reader = FrameReader(3, 5)
        reader.begin()
        assert reader.feed(bytes(spoiled)) is None
        assert reader.expire() is None


def test_refusal_with_checksum_zero() -> None:
    """A refusal whose checksum is 0000 is one in this form too."""
    [frame] = FrameParser(addressed=True).feed(bytes.fromhex("dd05248100000077"))
    assert (frame.register, frame.status, frame.address) == (0x24, 0x81, 5)


@pytest.mark.jumping
async def test_boards_on_one_line() -> None:
    """Two boards with an address each, one line, asked at the same time: each driver gets its own board's values."""
    bus = Bus(a1=FakeBoard(3300, 3300, 3300, 3300, soc=11), a2=FakeBoard(3400, 3400, 3400, 3400, soc=22, voltage_10mv=1360))
    line, clock = Line(MemoryTransport(bus.respond)), LoopClock(asyncio.get_running_loop())
    drivers = [JbdDriver(line, clock, name=f"b{number}", options=JbdOptions(address=number)) for number in (1, 2)]
    for _ in range(10):
        first, second = await asyncio.gather(*(driver.read() for driver in drivers))
        assert (first.soc, first.cells_v) == (0.11, (3.3,) * 4)
        assert (second.soc, second.cells_v) == (0.22, (3.4,) * 4)


@pytest.mark.jumping
async def test_two_boards_with_one_address() -> None:
    """A board that answers for another's address is refused with its reason, and counted."""
    board = FakeBoard()

    def respond(request: bytes) -> bytes:
        return addressed(board.respond(request[:1] + request[2:]), 9)

    lines = Lines(lambda port, _baud: MemoryTransport(respond, port=port))
    part = lines.line("/dev/x")
    with pytest.raises(DriverError, match="address_mismatch"):
        await JbdDriver(part, LoopClock(asyncio.get_running_loop()), name="b1", options=JbdOptions(address=5)).read()
    assert part.counters["address_mismatch"] == 3


@pytest.mark.jumping
async def test_simulated_boards_on_one_line() -> None:
    """Three simulated boards, addresses 1 to 3, on one paced line: each battery gets its own values and trip points."""
    async with JbdSimulator(SimulatorOptions(boards=3, address=1, sleep_after_s=None)) as simulator:
        line, clock = Line(SimulatorTransport(simulator)), LoopClock(asyncio.get_running_loop())
        drivers = []
        for number in (1, 2, 3):
            simulator.unit(number).set({"soc": number / 10})
            options = JbdOptions(address=number, read_protection=True, rating=Rating(300.0, 300.0))
            drivers.append(JbdDriver(line, clock, name=f"b{number}", options=options))
        for _ in range(10):
            samples = await asyncio.gather(*(driver.read() for driver in drivers))
            assert [sample.soc for sample in samples] == [0.1, 0.2, 0.3]
            assert [sample.limit_charge_a for sample in samples] == [230.0] * 3
        assert line.counters["address_mismatch"] == line.counters["register_mismatch"] == 0
