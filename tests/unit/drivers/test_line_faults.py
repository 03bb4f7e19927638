"""A line that damages, delays and repeats what passes: no wrong value comes through, and nothing but the two errors escapes."""

import asyncio
import random
from collections import Counter

import pytest

from bosd.clock import LoopClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.line import Line
from bosd.drivers.transport import MemoryEnd, memory_pair
from bosd.errors import DriverError, UnavailableError
from tests.support.jbd_frames import FakeBoard


class BadWire:
    """A board behind a wire that spoils each reply in one seeded way with probability `rate`."""

    def __init__(self, end: MemoryEnd, board: FakeBoard, rng: random.Random, rate: float) -> None:
        self.rate = rate
        self._end = end
        self._board = board
        self._rng = rng
        self._last = b""

    def data_received(self, data: bytes) -> None:
        reply = self._board.respond(data)
        pieces = self._spoil(data, reply) if self._rng.random() < self.rate else [(0.015, reply)]
        self._last = reply
        for delay_s, piece in pieces:
            asyncio.get_running_loop().call_later(delay_s, self._say, piece)

    def _spoil(self, request: bytes, reply: bytes) -> list[tuple[float, bytes]]:
        """Return (delay, bytes) pairs that arrive in place of `reply`."""
        at = self._rng.randrange(len(reply))
        garbage = self._rng.randbytes(self._rng.randrange(1, 9))
        kinds: list[list[tuple[float, bytes]]] = [
            [],
            [(0.015, reply[:at] + reply[at + 1 :])],
            [(0.015, reply[:at] + bytes((reply[at] ^ 1 << self._rng.randrange(8),)) + reply[at + 1 :])],
            [(0.015, reply[:at])],
            [(0.015, garbage + reply)],
            [(0.015, b"\xdd\x03\x00" + garbage[:1] + reply)],
            [(0.015, reply), (0.020, reply)],
            [(0.015, request + reply)],
            [(self._rng.uniform(0.2, 0.45), reply)],
            [(0.015, reply[:at]), (0.015 + self._rng.uniform(0.05, 0.3), reply[at:])],
            [(0.015, self._last)],
            [(0.015, self._last + reply)],
        ]
        return self._rng.choice(kinds)

    def _say(self, data: bytes) -> None:
        self._end.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Never here."""


@pytest.mark.jumping
@pytest.mark.parametrize("seed", range(8))
async def test_no_wrong_value_through_a_bad_wire(seed: int) -> None:
    """Of 500 polls with every fifth reply spoiled, none shows a value the board does not have; health returns at once."""
    near, far = memory_pair()
    board, rng, results = FakeBoard(soc=48), random.Random(seed), Counter[str]()
    wire = BadWire(far, board, rng, rate=0.2)
    await far.open(wire)
    line = Line(near)
    driver = JbdDriver(line, LoopClock(asyncio.get_running_loop()), name="b1")
    for _ in range(500):
        await asyncio.sleep(rng.uniform(0.0, 0.2))
        try:
            sample = await driver.read()
        except (DriverError, UnavailableError) as error:
            results[error.reason] += 1
            continue
        results["good"] += 1
        assert (sample.voltage_v, sample.soc, sample.charge_ah, sample.temperatures_c) == (13.2, 0.48, 50.0, (25.0, 25.0))
        assert sample.cells_v in (None, (3.3, 3.3, 3.3, 3.3))
    assert results["good"] > 450
    wire.rate = 0.0
    await asyncio.sleep(1.0)
    assert (await driver.read()).notes == ()
