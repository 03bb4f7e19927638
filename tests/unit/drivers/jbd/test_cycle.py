"""How often cells are read, on a simulated line of 9600 baud."""

import asyncio

import pytest

from bosd.drivers.jbd.driver import JbdOptions
from tests.support.jbd_bench import bench

pytestmark = pytest.mark.jumping


async def test_cells_every_fourth_cycle() -> None:
    """In between samples carry the last cells with their time."""
    async with bench(JbdOptions(cells_every=4)) as b1:
        for _ in range(40):
            await b1.driver.read()
            await asyncio.sleep(0.25)
        assert (b1.asked(3), b1.asked(4)) == (40, 10)


async def test_a_poll_that_does_not_fit() -> None:
    """A 24S board's whole poll takes 0.1 s on the wire and 2 x 15 ms: at 0.11 s cells come less often, which is said."""
    async with bench(JbdOptions(period_s=0.11), series=24, turnaround_ms=(15.0, 15.0)) as b1:
        for _ in range(60):
            await b1.driver.read()
        note = b1.driver.facts().notes[0]
        assert note.startswith("a whole poll takes 0.13")
        assert "the period is 0.11 s: cells are read in one cycle of 2" in note
        assert b1.asked(4) < 0.6 * b1.asked(3)


async def test_a_poll_that_fits() -> None:
    """At 1 s nothing is left out, also when now and then one takes longer."""
    async with bench(JbdOptions(period_s=1.0), series=24) as b1:
        b1.simulator.inject(fault="drop", probability=0.1)
        for _ in range(60):
            await b1.driver.read()
        assert b1.driver.facts().notes == ()
        assert b1.driver._cycle.cells_every == 1
