"""Shared lines: what a silent device may take of its line, and when a connection counts as dead."""

import asyncio

import pytest

from bosd.drivers.jbd.framing import FrameReader, encode_read
from bosd.drivers.lines import LinePart, Lines
from bosd.drivers.transport import MemoryTransport
from bosd.errors import UnavailableError
from tests.support.jbd_frames import basic_payload, reply

pytestmark = pytest.mark.jumping

REPLY_BYTES = 62
SERIAL_S, TCP_S = 0.3, 1.0
REQUEST_S = 8 * 10.56 / 9600


class Bus:
    """Boards 1 to 3 on one line, those in `alive` answer at once, the others after `late_s` or never; `asked` notes when."""

    def __init__(self, *, reply_s: float, reopens: bool = False) -> None:
        self.alive = {1, 2, 3}
        self.late_s = 0.0
        self.asked: list[tuple[float, int]] = []
        self.transport = MemoryTransport(self.respond)
        self.transport.reply_s, self.transport.reopen_on_silence = reply_s, reopens
        self.lines = Lines(lambda _port, _baud: self.transport)

    def respond(self, request: bytes) -> bytes:
        """Answer register 0x03."""
        self.asked.append((asyncio.get_running_loop().time(), request[1]))
        answer = reply(3, basic_payload())
        answer = answer[:1] + request[1:2] + answer[1:]
        if request[1] not in self.alive and self.late_s:
            assert self.transport._receiver is not None
            asyncio.get_running_loop().call_later(self.late_s, self.transport._receiver.data_received, answer)
        return answer if request[1] in self.alive else b""

    def times(self, address: int) -> list[float]:
        """Return when a board was asked."""
        return [at_s for at_s, whom in self.asked if whom == address]

    def parts(self, count: int) -> list[LinePart]:
        """Return so many devices' parts."""
        return [self.lines.line("/dev/bus") for _ in range(count)]


async def ask(part: LinePart, address: int, *, urgent: bool = False) -> bool:
    """Read a board; return whether it answered."""
    try:
        await part.transact(encode_read(3, address), FrameReader(3, address), REPLY_BYTES, urgent=urgent)
    except UnavailableError:
        return False
    return True


async def poll(parts: list[LinePart], seconds: float, period_s: float = 1.0) -> None:
    """Ask all parts at a period, in turn."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + seconds
    while loop.time() < ends_s:
        due_s = loop.time() + period_s
        for address, part in enumerate(parts, 1):
            await ask(part, address)
        await asyncio.sleep(max(0.0, due_s - loop.time()))


@pytest.mark.parametrize("reply_s", [SERIAL_S, TCP_S])
async def test_a_silent_device_beside_another(reply_s: float) -> None:
    """Asked each second it gets an attempt each 2 s, and 15 % of the time at most.

    An attempt takes the request's bytes and 5/6 of a serial line's `reply_s`, as the other answers at once; each tenth its own.
    """
    bus = Bus(reply_s=reply_s)
    parts = bus.parts(2)
    assert await ask(parts[0], 1)
    bus.alive = {1}
    assert not await ask(parts[1], 2)
    begun = len(bus.times(2))
    await poll(parts, 100.0)
    short_s, long_s = (each * 5 / 6 + REQUEST_S for each in (SERIAL_S, reply_s))
    attempts = len(bus.times(2)) - begun
    longer = attempts // 10
    assert longer * long_s + (attempts - longer) * short_s <= 0.15 * 100.0
    every_s = 2.0 + (long_s / 0.15 - 1.0) / 10.0
    assert attempts >= 100.0 / every_s - 1.0


async def test_one_slower_than_the_others_is_heard_again() -> None:
    """An answer that begins later than a short attempt waits is heard at the tenth, which waits as for the slowest bridge."""
    bus = Bus(reply_s=TCP_S)
    parts = bus.parts(2)
    await ask(parts[0], 1)
    bus.alive = {1}
    await ask(parts[1], 2)
    bus.late_s = 0.6
    begun = len(bus.times(2))
    await poll(parts, 30.0)
    assert len(bus.times(2)) - begun >= 10
    assert parts[1].counters["replies"] >= 1


async def test_the_next_device_does_not_wait_behind_it() -> None:
    """On a shared line an attempt at which nothing was heard ends there: what comes late tells whose it is."""
    bus = Bus(reply_s=SERIAL_S)
    parts = bus.parts(2)
    await ask(parts[0], 1)
    bus.alive = {1}
    await ask(parts[1], 2)
    await asyncio.sleep(2.0)
    _, answered = await asyncio.gather(ask(parts[1], 2), ask(parts[0], 1))
    assert answered
    assert bus.times(1)[-1] - bus.times(2)[-1] == pytest.approx(SERIAL_S * 5 / 6 + REQUEST_S)


async def test_a_silent_device_alone_is_asked_as_often_as_wanted() -> None:
    """It takes nobody's time."""
    bus = Bus(reply_s=TCP_S)
    (part,) = bus.parts(1)
    bus.alive = set()
    assert not await ask(part, 1)
    before = len(bus.asked)
    for _ in range(5):
        assert not await ask(part, 1)
    assert len(bus.asked) == before + 5
    bus.alive = {1}
    assert await ask(part, 1)


async def test_what_is_urgent_is_sent() -> None:
    """A command to a silent device goes out at once, with all its attempts."""
    bus = Bus(reply_s=TCP_S)
    parts = bus.parts(2)
    await ask(parts[0], 1)
    bus.alive = {1}
    await ask(parts[1], 2)
    before = len(bus.times(2))
    assert not await ask(parts[1], 2)
    assert len(bus.times(2)) == before
    assert not await ask(parts[1], 2, urgent=True)
    assert len(bus.times(2)) == before + 3
    bus.alive = {1, 2}
    assert await ask(parts[1], 2, urgent=True)
    assert await ask(parts[1], 2)


async def test_a_dead_device_breaks_no_connection() -> None:
    """Over TCP silence may be a dead bridge: not while others answer, and soon when nobody does."""
    bus = Bus(reply_s=TCP_S, reopens=True)
    parts = bus.parts(3)
    await poll(parts, 3.0)
    bus.alive = {1, 3}
    await poll(parts, 10.0)
    bus.alive = {1}
    await poll(parts, 60.0)
    line = bus.lines.join(parts[0], "/dev/bus", 9600)
    assert line.counters["opens"] == 1
    bus.alive = set()
    assert not await ask(parts[0], 1)
    assert line.counters["losses"] == 1
    bus.alive = {1}
    assert await ask(parts[0], 1)
    assert line.counters["opens"] == 2


async def test_a_dead_bridge_with_devices_that_answered() -> None:
    """The second device that falls silent, with no answer between, breaks the connection."""
    bus = Bus(reply_s=TCP_S, reopens=True)
    parts = bus.parts(3)
    await poll(parts, 3.0)
    line = bus.lines.join(parts[0], "/dev/bus", 9600)
    bus.alive = set()
    assert not await ask(parts[0], 1)
    assert line.counters["losses"] == 0
    assert not await ask(parts[1], 2)
    assert line.counters["losses"] == 1
