"""100,000 spoiled replies through the driver in virtual time: no crash, no growth, no wrong value."""

import asyncio
import logging
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog

from bosd.clock import LoopClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.line import LATENCIES_KEPT, Line
from bosd.drivers.transport import MemoryTransport
from bosd.errors import DriverError, UnavailableError
from tests.support.jbd_fuzz import KINDS, FuzzedBoard, is_near, is_true

SHARES = 10
INPUTS = 100_000 // SHARES
_CELLS_KEPT = 1000
GROWTH_BYTES = 200_000
"""Allowed between the middle and the end: what allocators keep; 5,000 inputs of 41 bytes would be as much."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Leave debug lines out: one for each spoiled reply costs more than all else."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


class Fuzz:
    """A driver on a fuzzed board, judged at each sample."""

    def __init__(self, seed: int) -> None:
        self.board = FuzzedBoard(seed)
        self.line = Line(MemoryTransport(self.board.respond))
        self.driver = JbdDriver(self.line, LoopClock(asyncio.get_running_loop()), name="b1")
        self.results: Counter[str] = Counter()
        self._cells: dict[tuple[float, ...], None] = {}
        self._tainted = False

    async def run(self, inputs: int) -> None:
        """Poll until the board has sent so many."""
        until = self.board.inputs.total() + inputs
        while self.board.inputs.total() < until:
            self.board.wander()
            self._cells[tuple(each / 1000 for each in self.board.millivolts)] = None
            if len(self._cells) > _CELLS_KEPT:
                del self._cells[next(iter(self._cells))]
            await self._poll()
            await asyncio.sleep(1.0)

    async def _poll(self) -> None:
        before = self.board.passable
        try:
            sample = await self.driver.read()
        except (DriverError, UnavailableError) as error:
            self.results[type(error).__name__] += 1
            return
        if is_true(sample, self.board, self._cells):
            self._tainted = False
            self.results["true"] += 1
            return
        passable = self.board.passable > before
        self._tainted = self._tainted or passable
        assert self._tainted, f"{sample} of {self.board.basic}, {self.board.millivolts}"
        assert is_near(sample, self.board), f"{sample} of {self.board.basic}, {self.board.millivolts}"
        self.results["passed the checksum"] += 1


@pytest.mark.jumping
@pytest.mark.parametrize("seed", range(SHARES))
async def test_spoiled_replies(seed: int) -> None:
    """A value that is shown is the board's own, unless a spoiled reply's checksum held; then it is one the pack could have.

    Every sixth input is made so that its sum holds: far more than any line does.
    """
    fuzz = Fuzz(seed)
    await fuzz.run(INPUTS)
    assert fuzz.board.inputs.keys() == set(KINDS)
    assert fuzz.results["true"] > 0.3 * fuzz.results.total(), fuzz.results
    assert fuzz.results["passed the checksum"] < 0.15 * fuzz.results.total(), fuzz.results
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
