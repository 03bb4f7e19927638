"""The line: one request in flight, attempts and their times, losses, and what a cancelled caller leaves behind."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from bosd.drivers.jbd.framing import Frame, FrameReader
from bosd.drivers.line import Line
from bosd.drivers.sending import looked_at
from bosd.drivers.transport import ByteReceiver, MemoryEnd, MemoryTransport, memory_pair
from bosd.errors import DriverError, UnavailableError
from tests.support.jbd_frames import READ_BASIC, READ_CELLS, basic_payload, cells_payload, reply

BASIC_REPLY = reply(3, basic_payload())
CELLS_REPLY = reply(4, cells_payload(3300, 3301, 3302, 3303))
REPLY_BYTES = 62
DEADLINE_S = 0.3 + (7 + REPLY_BYTES) * 10.56 / 9600
"""300 ms plus 1.1 ms for each byte of request and reply (jbd, timing)."""

pytestmark = pytest.mark.jumping


class Script:
    """The far end of a pair: notes when each request came and answers as told: (delay, bytes) pairs per request."""

    def __init__(self, *answers: list[tuple[float, bytes]]) -> None:
        self.near, self._far = memory_pair()
        self.asked: list[tuple[float, bytes]] = []
        self._answers = list(answers)

    async def start(self) -> Line:
        """Listen and return the line at the near end."""
        await self._far.open(self)
        return Line(self.near)

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.asked.append((loop.time(), data))
        for delay_s, answer in self._answers.pop(0) if self._answers else []:
            loop.call_later(delay_s, self.say, answer)

    def say(self, data: bytes) -> None:
        """Send bytes unasked."""
        if self._far._receiver is not None:
            self._far.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        """The test pulls the near end only."""


async def ask_basic(line: Line) -> Frame:
    """Read register 0x03."""
    return await line.transact(READ_BASIC, FrameReader(3), REPLY_BYTES)


class Broken:
    """A reader with a defect: it raises when it is fed, or when it is told that the line fell silent."""

    def __init__(self, *, fed: bool) -> None:
        self.rejects: Counter[str] = Counter()
        self._fed = fed

    def begin(self) -> None:
        """Nothing is kept."""

    def feed(self, data: bytes) -> None:
        if self._fed:
            raise KeyError(data[:1])

    def expire(self) -> None:
        raise KeyError("silent")


@pytest.mark.parametrize("fed", [True, False])
async def test_what_a_reader_raises_is_its_owner_s(fed: bool) -> None:
    """It ends that request with its error, not in the loop, and the rest of its reply is not the next one's."""
    script = Script([(0.02, BASIC_REPLY[:9]), (0.04, BASIC_REPLY[9:])], [(0.02, CELLS_REPLY)])
    line = await script.start()
    with pytest.raises(KeyError):
        await line.transact(READ_BASIC, Broken(fed=fed), REPLY_BYTES)
    assert (await ask_cells(line)).register == 4
    assert len(script.asked) == 2
    line.close()


async def ask_cells(line: Line) -> Frame:
    """Read register 0x04."""
    return await line.transact(READ_CELLS, FrameReader(4), REPLY_BYTES)


async def test_first_answer() -> None:
    """An answered request costs one attempt and no waiting."""
    script = Script([(0.05, BASIC_REPLY)])
    line = await script.start()
    assert (await ask_basic(line)).payload == basic_payload()
    assert asyncio.get_running_loop().time() == pytest.approx(0.05)
    assert line.counters == {"requests": 1, "opens": 1, "attempts": 1, "replies": 1}


async def test_silence() -> None:
    """Three attempts: the second at once after the deadline, the third 200 ms after the second's; then no answer."""
    script = Script()
    line = await script.start()
    with pytest.raises(UnavailableError, match="no answer"):
        await ask_basic(line)
    assert [at for at, _ in script.asked] == pytest.approx([0.0, DEADLINE_S, 2 * DEADLINE_S + 0.2])
    assert asyncio.get_running_loop().time() == pytest.approx(3 * DEADLINE_S + 0.2)
    assert line.counters["timeout"] == 3


async def test_waking_a_sleeping_board() -> None:
    """A board that swallows the first request answers the second: one lost attempt, no error."""
    script = Script([], [(0.02, BASIC_REPLY)])
    line = await script.start()
    await ask_basic(line)
    assert asyncio.get_running_loop().time() == pytest.approx(DEADLINE_S + 0.02)


async def test_unfinished_reply_ends_with_the_gap() -> None:
    """A reply that stops half way is given up 150 ms after its last byte, not at the deadline's end."""
    script = Script([(0.02, BASIC_REPLY[:10]), (0.1, BASIC_REPLY[10:20])], [(0.02, BASIC_REPLY)])
    line = await script.start()
    await ask_basic(line)
    assert [at for at, _ in script.asked] == pytest.approx([0.0, 0.1 + 0.15])
    assert line.counters["truncated"] == 1


async def test_paced_bytes() -> None:
    """A reply that trickles in byte by byte at 9600 baud is one attempt."""
    script = Script([(0.015 + index / 960, bytes((byte,))) for index, byte in enumerate(BASIC_REPLY)])
    line = await script.start()
    await ask_basic(line)
    assert line.counters["attempts"] == 1


async def test_damaged_reply_is_asked_again() -> None:
    """A bad checksum costs an attempt; the repeat is delivered."""
    spoiled = BASIC_REPLY[:8] + bytes((BASIC_REPLY[8] ^ 1,)) + BASIC_REPLY[9:]
    script = Script([(0.02, spoiled)], [(0.02, BASIC_REPLY)])
    line = await script.start()
    assert (await ask_basic(line)).payload == basic_payload()
    assert line.counters["bad_checksum"] == 1


async def test_only_nonsense() -> None:
    """Three damaged replies are nonsense, not silence, and the error names what was wrong."""
    spoiled = BASIC_REPLY[:-1] + b"\x78"
    script = Script(*[[(0.02, spoiled)]] * 3)
    line = await script.start()
    with pytest.raises(DriverError, match="bad_end"):
        await ask_basic(line)


async def test_late_reply_is_not_delivered_to_the_next_request() -> None:
    """A reply that comes after its request was given up never answers another one, of any register."""
    late = reply(4, cells_payload(1, 1, 1, 1))
    script = Script([], [], [(DEADLINE_S + 0.1, late)], [(0.02, CELLS_REPLY)])
    line = await script.start()
    with pytest.raises(UnavailableError):
        await ask_cells(line)
    assert (await ask_cells(line)).payload == cells_payload(3300, 3301, 3302, 3303)
    assert line.counters["stray_bytes"] == len(late)


async def test_reply_to_another_register_is_dropped() -> None:
    """The answer to 0x03 that arrives while 0x04 waits is counted and dropped; the right one is delivered."""
    script = Script([(0.01, BASIC_REPLY), (0.05, CELLS_REPLY)])
    line = await script.start()
    assert (await ask_cells(line)).register == 4
    assert line.counters["register_mismatch"] == 1


async def test_second_reply_to_a_repeat_is_waited_out() -> None:
    """A slow board answers both attempts; the second answer does not meet the next request of the same register."""
    second = reply(3, basic_payload(soc=1))
    script = Script([(DEADLINE_S + 0.05, BASIC_REPLY)], [(0.1, second)], [(0.02, reply(3, basic_payload(soc=99)))])
    line = await script.start()
    await ask_basic(line)
    assert (await ask_basic(line)).payload == basic_payload(soc=99)


async def test_one_request_in_flight() -> None:
    """Requests of several devices take turns: the next goes out when the last is answered."""
    script = Script([(0.1, BASIC_REPLY)], [(0.1, CELLS_REPLY)])
    line = await script.start()
    async with asyncio.TaskGroup() as tasks:
        first, second = tasks.create_task(ask_basic(line)), tasks.create_task(ask_cells(line))
    assert (first.result().register, second.result().register) == (3, 4)
    assert [at for at, _ in script.asked] == pytest.approx([0.0, 0.1])


@pytest.mark.parametrize("cancel_at_s", [0.0, 0.01, 0.04, 0.3, DEADLINE_S, DEADLINE_S + 0.1, 2 * DEADLINE_S + 0.1, 1.2])
async def test_cancelled_anywhere(cancel_at_s: float) -> None:
    """A caller that is cancelled in any wait leaves the line usable, and its late reply reaches nobody."""
    late = reply(3, basic_payload(soc=1))
    script = Script([(0.05, late)] if cancel_at_s < 0.05 else [], [], [], [(0.02, BASIC_REPLY)], [(0.02, BASIC_REPLY)])
    line = await script.start()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(cancel_at_s):
            await ask_basic(line)
    script._answers = [[(0.02, BASIC_REPLY)]]
    assert (await ask_basic(line)).payload == basic_payload()
    assert line._waiter is None
    assert not line._turns.held


async def test_cancelled_while_waiting_for_its_turn() -> None:
    """Giving up in the queue does not disturb the request in flight."""
    script = Script([(0.1, BASIC_REPLY)])
    line = await script.start()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(ask_basic(line))
        queued = tasks.create_task(ask_cells(line))
        await asyncio.sleep(0.01)
        queued.cancel()
    assert first.result().register == 3
    assert len(script.asked) == 1


async def test_unplugged_in_flight() -> None:
    """A lost transport fails the waiting request at once, naming the port; plugged in again, the next request opens it."""
    script = Script([], [(0.02, BASIC_REPLY)])
    line = await script.start()
    asyncio.get_running_loop().call_later(0.1, script.near.lose)
    with pytest.raises(UnavailableError, match=r"memory: .*Input/output error"):
        await ask_basic(line)
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)
    with pytest.raises(UnavailableError, match="no such device"):
        await ask_basic(line)
    script.near.plugged = True
    assert (await ask_basic(line)).register == 3
    assert (line.counters["opens"], line.counters["losses"]) == (2, 1)


async def test_unplugged_between_attempts() -> None:
    """A loss during the pause before the third attempt ends the request."""
    script = Script()
    line = await script.start()
    asyncio.get_running_loop().call_later(2 * DEADLINE_S + 0.1, script.near.lose)
    with pytest.raises(UnavailableError, match="lost"):
        await ask_basic(line)


async def test_closed_by_the_last_device() -> None:
    """The line closes when its last device lets go, and fails what is in flight."""
    script = Script()
    line = await script.start()
    line.share()
    line.share()
    line.close()
    asyncio.get_running_loop().call_later(0.1, line.close)
    with pytest.raises(UnavailableError, match="closed"):
        await ask_basic(line)
    with pytest.raises(UnavailableError, match="closed"):
        await ask_basic(line)
    assert line.counters["opens"] == 1


async def test_strays_are_counted() -> None:
    """Bytes that nobody asked for are dropped and counted."""
    script = Script([(0.02, BASIC_REPLY)])
    line = await script.start()
    await ask_basic(line)
    script.say(b"\xff" * 5)
    await asyncio.sleep(0.01)
    assert line.counters["stray_bytes"] == 5


async def test_write_that_fails() -> None:
    """A transport that takes nothing is dropped; the request fails and the next one opens it again."""
    refuse = True

    class Stubborn(MemoryTransport):
        def write(self, data: bytes) -> None:
            if refuse:
                raise UnavailableError("memory: takes no more bytes")
            super().write(data)

    line = Line(Stubborn(lambda request: BASIC_REPLY))
    with pytest.raises(UnavailableError, match="takes no more"):
        await ask_basic(line)
    refuse = False
    assert (await ask_basic(line)).register == 3
    assert line.counters["opens"] == 2


@pytest.mark.parametrize("reopens", [False, True])
async def test_silence_on_a_bridge(reopens: bool) -> None:
    """Where a dead peer shows only as silence (TCP), an unanswered request makes the next one connect afresh."""
    transport = MemoryTransport(lambda request: b"")
    transport.reopen_on_silence = reopens
    line = Line(transport)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await ask_basic(line)
    assert line.counters["opens"] == (2 if reopens else 1)


async def test_noise_without_end_is_bounded() -> None:
    """A babbling line ends each attempt at its deadline."""
    near, far = memory_pair()
    line = Line(near)
    await far.open(Babbler(far))
    with pytest.raises(DriverError, match="bad_start"):
        await ask_basic(line)
    assert asyncio.get_running_loop().time() == pytest.approx(3 * DEADLINE_S + 0.2, abs=0.05)


class Babbler:
    """Sends FF every 10 ms from the first request on, for 30 s."""

    def __init__(self, end: MemoryEnd) -> None:
        self._write: Callable[[bytes], None] = end.write
        self._started = False

    def data_received(self, data: bytes) -> None:
        if not self._started:
            self._started = True
            for step in range(3000):
                asyncio.get_running_loop().call_later(step / 100, self._write, b"\xff" * 10)

    def connection_lost(self, error: Exception | None) -> None:
        """Never here."""


async def test_closed_while_it_opens() -> None:
    """A line whose last device leaves while its port opens closes it again: nothing holds the port."""
    near, far = memory_pair()
    opening = asyncio.Event()
    opened = near.open

    async def slowly(receiver: ByteReceiver) -> None:
        opening.set()
        await asyncio.sleep(1.0)
        await opened(receiver)

    near.open = slowly  # type: ignore[method-assign]
    line = Line(near)
    line.share()
    asking = asyncio.ensure_future(ask_basic(line))
    await opening.wait()
    line.close()
    with pytest.raises(UnavailableError, match="closed"):
        await asking
    assert (line.is_open, near._receiver) == (False, None)
    del far


async def test_what_is_over_when_it_has_its_turn_is_not_sent() -> None:
    """A request waits 0.1 s behind another one and is over meanwhile: it never goes out, and the next one does."""
    script = Script([(0.1, BASIC_REPLY)], [(0.1, BASIC_REPLY)])
    line, looks = await script.start(), 0

    def look() -> None:
        nonlocal looks
        looks += 1
        raise UnavailableError("over")

    async def ask_late() -> None:
        with looked_at(look), pytest.raises(UnavailableError, match="over"):
            await line.transact(READ_CELLS, FrameReader(4), REPLY_BYTES)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask_basic(line))
        group.create_task(ask_late())
    await ask_basic(line)
    assert (looks, [request for _, request in script.asked]) == (1, [READ_BASIC, READ_BASIC])
