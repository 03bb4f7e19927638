"""100,000 spoiled replies through the driver in virtual time: no crash, no growth, no wrong value."""

import asyncio
import tracemalloc

import pytest

from bosd.clock import LoopClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.line import LATENCIES_KEPT, Line
from bosd.drivers.transport import MemoryTransport
from tests.support.jbd_fuzz import KINDS, FuzzedBoard, Judge, check_shares

pytestmark = pytest.mark.usefixtures("quiet")

SHARES = 10
INPUTS = 100_000 // SHARES
GROWTH_BYTES = 200_000
"""Allowed between the middle and the end: what allocators keep; 5,000 inputs of 41 bytes would be as much."""


class Fuzz:
    """A driver on a fuzzed board, judged at each sample."""

    def __init__(self, seed: int) -> None:
        self.board = FuzzedBoard(seed)
        self.line = Line(MemoryTransport(self.board.respond))
        self.driver = JbdDriver(self.line, LoopClock(asyncio.get_running_loop()), name="b1")
        self.judge = Judge(self.board, self.driver)

    async def run(self, inputs: int) -> None:
        """Poll until the board has sent so many."""
        until = self.board.inputs.total() + inputs
        while self.board.inputs.total() < until:
            await self.judge.poll()
            await asyncio.sleep(1.0)


@pytest.mark.jumping
@pytest.mark.parametrize("seed", range(SHARES))
async def test_spoiled_replies(seed: int) -> None:
    """A value that is shown is the board's own, unless a spoiled reply's checksum held; then it is one the pack could have.

    Every sixth input is made so that its sum holds: far more than any line does.
    """
    fuzz = Fuzz(seed)
    await fuzz.run(INPUTS)
    assert fuzz.board.inputs.keys() == set(KINDS)
    check_shares(fuzz.judge.results)
    assert len(fuzz.line.latencies_s) <= LATENCIES_KEPT


@pytest.mark.jumping
async def test_memory_does_not_grow() -> None:
    """Half of the inputs after warming up leave as much memory behind as none."""
    fuzz = Fuzz(99)
    await fuzz.run(3000)
    tracemalloc.start()
    try:
        await fuzz.run(1000)
        before, _ = tracemalloc.get_traced_memory()
        await fuzz.run(4000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < GROWTH_BYTES
    assert all(reader._parser.pending_bytes <= 262 for _, reader in fuzz.driver._board._requests.values())
