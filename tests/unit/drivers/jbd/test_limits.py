"""What a pack allows: derating on a simulated board, with cells that are read late or not at all."""

import asyncio

import pytest

from bosd.bal.derating import LFP
from bosd.drivers.jbd.driver import JbdOptions
from bosd.drivers.jbd.limits import Rating
from tests.support.jbd_bench import bench

pytestmark = pytest.mark.jumping

DERATED = JbdOptions(rating=Rating(100.0, 50.0), derating=LFP)


async def test_a_full_cell_derates_charging() -> None:
    """One cell at 3.525 V halves 50 A of charging and leaves discharging alone."""
    async with bench(DERATED) as b1:
        b1.simulator.set(cell_v=[3.4, 3.525, 3.4, 3.4])
        sample = await b1.driver.read()
        assert sample.limit_charge_a == pytest.approx(25.0)
        assert sample.limit_discharge_a is None
        assert sample.limited_by == ("charge limited to 25 A: derated to 50 %: highest cell at 3.525 V",)


async def test_an_empty_cell_derates_discharging() -> None:
    """One cell at 2.85 V halves discharging (2.70 nothing, 3.00 all), one at 0 V (a broken sense wire) ends it."""
    async with bench(DERATED) as b1:
        b1.simulator.set(cell_v=[3.2, 2.85, 3.2, 3.2])
        assert (await b1.driver.read()).limit_discharge_a == pytest.approx(50.0)
        b1.simulator.set(cell_v=[3.2, 0.0, 3.2, 3.2])
        assert (await b1.driver.read()).limit_discharge_a == 0.0


async def test_cold_packs_are_not_charged() -> None:
    """At -5 degC nothing is charged; discharging falls to 37.5 % (0 at -20 degC, half at 0 degC)."""
    async with bench(DERATED, ambient_c=-5.0) as b1:
        sample = await b1.driver.read()
        assert sample.limit_charge_a == 0.0
        assert sample.limit_discharge_a == pytest.approx(37.5)


async def test_a_board_without_cells_or_sensors() -> None:
    """What was never known lets nothing flow under a curve, and the reason says so; without curves it does not matter."""
    async with bench(DERATED, ntc_count=0) as b1:
        sample = await b1.driver.read()
        assert (sample.limit_charge_a, sample.limit_discharge_a) == (0.0, 0.0)
        assert "no temperature is known" in sample.limited_by[0]
    async with bench(JbdOptions(rating=Rating(100.0, 50.0)), ntc_count=0) as b1:
        assert (await b1.driver.read()).limited_by == ()


async def test_cells_that_stop_answering_do_not_loosen() -> None:
    """Cells at 3.525 V halved charging; silent for a minute, they still do, and the mean of a fuller pack lowers further."""
    async with bench(DERATED) as b1:
        b1.simulator.set(cell_v=[3.4, 3.525, 3.4, 3.4])
        await b1.driver.read()
        b1.simulator.raw(4, b"")
        b1.simulator.set(cell_v=[3.4, 3.4, 3.4, 3.4])
        for _ in range(60):
            await b1.driver.read()
            await asyncio.sleep(1.0)
        sample = await b1.driver.read()
        assert sample.limit_charge_a == pytest.approx(25.0)
        b1.simulator.set(cell_v=[3.57, 3.57, 3.57, 3.57])
        assert (await b1.driver.read()).limit_charge_a == pytest.approx(10.0)
        b1.simulator.raw(4, None)
        b1.simulator.set(cell_v=[3.4, 3.4, 3.4, 3.4])
        assert (await b1.driver.read()).limit_charge_a is None
