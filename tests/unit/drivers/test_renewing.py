"""A set point that hardware lets go of, written again (bosd/drivers/renewing.py)."""

import asyncio

import pytest

from bosd.drivers.renewing import Renewing
from bosd.errors import UnavailableError
from tests.support.bal_makers import FakeDevice

pytestmark = pytest.mark.jumping


class Supply(FakeDevice):
    """Writes take `takes_s`; while `raises` is set they fail."""

    def __init__(self) -> None:
        self.written: list[tuple[float, float]] = []
        self.takes_s = 0.0
        self.raises: UnavailableError | None = None

    async def set_current(self, current_a: float) -> None:
        await asyncio.sleep(self.takes_s)
        if self.raises is not None:
            raise self.raises
        self.written.append((asyncio.get_running_loop().time(), current_a))

    async def make_safe(self) -> str:
        await self.set_current(0.0)
        return "at 0 A"


async def test_writes_again_what_was_asked_last() -> None:
    """Three times within the hold; nothing is written where nothing is asked."""
    supply = Supply()
    device = Renewing(supply, 3.0)
    assert device.renew_every_s == 1.0
    assert not await device.renew()
    await device.set_current(5.0)
    assert await device.renew()
    assert [current_a for _, current_a in supply.written] == [5.0, 5.0]
    assert await device.make_safe() == "at 0 A"
    assert not await device.renew()


async def test_a_renewal_never_overtakes_a_command() -> None:
    """10 A is being renewed while 2 A is asked, and renewed again: 10, then 2, then 2 A."""
    supply = Supply()
    device = Renewing(supply, 3.0)
    await device.set_current(10.0)
    supply.takes_s = 0.4
    async with asyncio.TaskGroup() as group:
        group.create_task(device.renew())
        await asyncio.sleep(0.1)
        group.create_task(device.set_current(2.0))
        await asyncio.sleep(0.1)
        group.create_task(device.renew())
    assert supply.written == [(0.0, 10.0), (0.4, 10.0), (0.8, 2.0), (pytest.approx(1.2), 2.0)]


async def test_a_command_that_failed_is_not_followed_by_what_was_before() -> None:
    """0 A was asked and not confirmed: the 10 A before it are never written again."""
    supply = Supply()
    device = Renewing(supply, 3.0)
    await device.set_current(10.0)
    supply.raises = UnavailableError("silence")
    with pytest.raises(UnavailableError):
        await device.set_current(0.0)
    supply.raises = None
    assert not await device.renew()
    assert supply.written == [(0.0, 10.0)]
