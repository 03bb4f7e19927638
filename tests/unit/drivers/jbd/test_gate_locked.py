"""The gate on a simulated board: PINs, configuration mode, and switches that somebody else moves."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bosd.drivers.jbd.driver import JbdOptions
from bosd.drivers.jbd.registers import FACTORY_ENTER, FET_CONTROL
from bosd.errors import DriverError, NotFollowedError
from tests.support.jbd_bench import bench
from tests.support.jbd_frames import reply

pytestmark = pytest.mark.jumping

WRITE = 0x5A
GATE: dict[str, Any] = {"current_control": "gate", "safe": "open"}
PIN: dict[str, Any] = {"password": "123456"}


async def test_direct_needs_no_mode() -> None:
    """0xE1 is acknowledged outside configuration mode (captured): it is not entered."""
    async with bench(driver=GATE) as b1:
        await b1.driver.set_current(5.0)
        assert (b1.asked(FACTORY_ENTER, WRITE), b1.simulator.get()["charge_fet"]) == (0, False)


async def test_refused_outside_the_mode() -> None:
    """A board that wants configuration mode for 0xE1 gets it: written inside, read back, and the mode is left."""
    async with bench(driver=GATE) as b1:
        b1.simulator.raw(FET_CONTROL, reply(FET_CONTROL, status=0x81))
        written = b1.transport.write

        def board(data: bytes) -> None:
            if data[1:3] == bytes((WRITE, FACTORY_ENTER)):
                b1.simulator.raw(FET_CONTROL, None)
            written(data)

        b1.transport.write = board  # type: ignore[method-assign]
        await b1.driver.set_current(5.0)
        assert await b1.driver.held_current_a() is None
        assert b1.simulator.get()["charge_fet"] is False
        assert b1.simulator.get()["factory_mode"] is False
        assert b1.asked(FET_CONTROL, WRITE) == 2


async def test_a_pin_opens(tmp_path: Path) -> None:
    """A board with a PIN refuses with 81; the password is presented, then the command works."""
    path = tmp_path / "pin"
    path.write_text("123456\n")
    path.chmod(0o600)
    async with bench(JbdOptions(password_file=str(path)), driver=GATE, **PIN) as b1:
        await b1.driver.set_current(-5.0)
        assert b1.simulator.get()["discharge_fet"] is False


async def test_a_pin_that_nobody_gave() -> None:
    """Without password_file the call fails with status 81 and says what was tried and what may help."""
    async with bench(driver=GATE, **PIN) as b1:
        with pytest.raises(
            DriverError, match="tried directly and in configuration mode; a PIN may be set: see password_file"
        ) as caught:
            await b1.driver.set_current(5.0)
        assert caught.value.metadata["status"] == "81"
        assert (await b1.driver.read()).charge_switch_closed is True


async def test_a_wrong_pin(tmp_path: Path) -> None:
    """A wrong password is named as such (83) and not tried again."""
    path = tmp_path / "pin"
    path.write_text("000000")
    path.chmod(0o600)
    async with bench(JbdOptions(password_file=str(path)), driver=GATE, **PIN) as b1:
        with pytest.raises(DriverError, match="refused with 83: wrong password"):
            await b1.driver.set_current(5.0)
        assert b1.asked(0x06, WRITE) == 1


async def test_the_vendor_app_opens_a_switch() -> None:
    """A FET opened by somebody else is named, and its direction is shut; the next command closes it again."""
    async with bench(driver=GATE) as b1:
        await b1.driver.set_current(5.0)
        assert (await b1.driver.read()).notes == ()
        b1.simulator.set(discharge_enabled=False)
        sample = await b1.driver.read()
        assert sample.notes == ("discharge switch opened by another program, commanded closed",)
        assert (sample.discharge_allowed, sample.discharge_switch_closed) == (False, False)
        assert b1.driver.strays == sample.notes[0]
        assert await b1.driver.held_current_a() is None, "less than was told: nobody is to be told 0 A for it"
        await b1.driver.set_current(5.0)
        assert (await b1.driver.read()).notes == ()
        assert b1.driver.strays == ""


async def test_the_vendor_app_closes_a_switch() -> None:
    """A FET closed by somebody else is named until a command opens it again."""
    async with bench(driver=GATE) as b1:
        await b1.driver.set_current(5.0)
        b1.simulator.set(charge_enabled=True)
        assert b1.driver.strays == ""
        assert (await b1.driver.read()).notes == ("charge switch closed by another program, commanded open",)
        with pytest.raises(NotFollowedError, match="charge switch closed by another program"):
            await b1.driver.held_current_a()
        await b1.driver.set_current(5.0)
        assert (await b1.driver.read()).notes == ()
        assert b1.simulator.get()["charge_fet"] is False


async def test_a_protection_is_nobody() -> None:
    """A FET that a protection opens is not blamed on anybody: the protection is named."""
    async with bench(driver=GATE) as b1:
        await b1.driver.set_current(5.0)
        b1.simulator.set(protection_bits=0x1002)
        await asyncio.sleep(1.0)
        sample = await b1.driver.read()
        assert sample.notes == ()
        assert sample.faults == ("cell_undervoltage",)


async def test_the_body_diode_is_no_program() -> None:
    """While 5 A flow out, a board that closes its opened charge FET by itself has obeyed (jbd.md, 5)."""
    async with bench(driver=GATE, load_current_a=5.0) as b1:
        await b1.driver.set_current(5.0)
        await asyncio.sleep(2.0)
        assert (await b1.driver.read()).notes == ()


@pytest.mark.parametrize("cancel_ms", range(0, 400, 20))
async def test_cancelled_while_unlocking(cancel_ms: int) -> None:
    """A set point cancelled on its way through configuration mode leaves it, and the safe action works afterwards."""
    async with bench(driver=GATE) as b1:
        b1.simulator.raw(FET_CONTROL, reply(FET_CONTROL, status=0x81))
        try:
            async with asyncio.timeout(cancel_ms / 1000.0):
                await b1.driver.set_current(5.0)
        except (TimeoutError, DriverError):
            pass
        assert b1.simulator.get()["factory_mode"] is False
        b1.simulator.raw(FET_CONTROL, None)
        assert await b1.driver.make_safe() == "both switches open"
