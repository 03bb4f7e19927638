"""A battery that plays a CSV file, in virtual time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bosd.clock import LoopClock
from bosd.drivers.csv_file.driver import CsvBattery
from bosd.errors import DriverError, UnavailableError, UnsupportedError

pytestmark = pytest.mark.jumping

ROWS = "seconds,voltage_v,current_a,charge_ah,capacity_ah\n100,13.2,5,50,100\n110,13.1,-5,49,100\n120,13.0,0,,\n"


def battery(directory: Path, text: str | None = ROWS, **how: Any) -> CsvBattery:
    """Return a battery of this file."""
    path = directory / "pack.csv"
    if text is not None:
        path.write_text(text)
    return CsvBattery(path, LoopClock(asyncio.get_running_loop()), name="b", **how)


async def test_it_plays_from_its_first_reading_and_begins_again(tmp_path: Path) -> None:
    """Rows of 10 s: the first at once, whatever its time in the file; the last is in force as long as the one before."""
    device = battery(tmp_path)
    await asyncio.sleep(1000.0)
    currents = []
    for _ in range(7):
        currents.append((await device.read()).current_a)
        await asyncio.sleep(5.0)
    assert currents == [5.0, 5.0, -5.0, -5.0, 0.0, 0.0, 5.0]


async def test_a_reading_is_of_now_and_its_state_of_charge_follows(tmp_path: Path) -> None:
    """Charge over capacity where no column has it; what is empty is unknown."""
    device = battery(tmp_path)
    loop = asyncio.get_running_loop()
    await asyncio.sleep(3.0)
    sample = await device.read()
    assert (sample.sampled_s, sample.voltage_v, sample.charge_ah, sample.soc) == (3.0, 13.2, 50.0, 0.5)
    await asyncio.sleep(25.0)
    sample = await device.read()
    assert (sample.sampled_s, sample.charge_ah, sample.soc) == (loop.time(), None, None)


async def test_a_rate_makes_it_faster(tmp_path: Path) -> None:
    """Sixty seconds of the file a second."""
    device = battery(tmp_path, "seconds,current_a\n0,1\n60,2\n120,3\n", rate=60.0)
    found = []
    for _ in range(4):
        found.append((await device.read()).current_a)
        await asyncio.sleep(1.0)
    assert found == [1.0, 2.0, 3.0, 1.0]


async def test_without_a_loop_it_ends_with_a_reason(tmp_path: Path) -> None:
    """At the end of its last row, and from then on."""
    device = battery(tmp_path, loop=False)
    await device.read()
    await asyncio.sleep(29.9)
    assert (await device.read()).current_a == 0.0
    await asyncio.sleep(0.1)
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"pack\.csv: the recording has ended with line 4; loop = true plays it again"):
            await device.read()
        await asyncio.sleep(3600.0)


async def test_a_file_that_comes_later_or_is_mended_is_played(tmp_path: Path) -> None:
    """A good one is read once: what is written to it later changes nothing until the battery is closed."""
    device = battery(tmp_path, None)
    with pytest.raises(UnavailableError, match="no such file or directory"):
        await device.read()
    (tmp_path / "pack.csv").write_text("seconds,soc\n0,5\n")
    with pytest.raises(DriverError, match="column soc"):
        await device.read()
    (tmp_path / "pack.csv").write_text(ROWS)
    assert (await device.read()).voltage_v == 13.2
    (tmp_path / "pack.csv").write_text("seconds,voltage_v\n0,99\n")
    assert (await device.read()).voltage_v == 13.2
    await device.close()
    assert (await device.read()).voltage_v == 99.0


async def test_it_cannot_be_commanded(tmp_path: Path) -> None:
    """Read-only, and nothing to make safe."""
    device = battery(tmp_path)
    with pytest.raises(UnsupportedError, match="a recording cannot be commanded"):
        await device.set_current(1.0)
    assert await device.held_current_a() is None
    assert await device.make_safe() == "a recording: nothing to do"
