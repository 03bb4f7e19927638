"""Refreshing one battery: period, lazy, back-off, waiting, ending (bal.md, "Refreshing")."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from bosd.bal.device import Sample
from bosd.bal.physical import PhysicalBattery
from bosd.bal.status import Quality
from bosd.clock import LoopClock
from bosd.errors import UnavailableError
from bosd.node.refresh import Refresher
from tests.support.bal_makers import FakeDevice, jbd_spec, sample

pytestmark = pytest.mark.jumping


class Device(FakeDevice):
    """Takes `takes_s` for a sample, or fails while `down`; notes when each read began."""

    def __init__(self) -> None:
        self.began_s: list[float] = []
        self.takes_s = 0.1
        self.down = False

    async def read(self) -> Sample:
        loop = asyncio.get_running_loop()
        self.began_s.append(loop.time())
        await asyncio.sleep(self.takes_s)
        if self.down:
            raise UnavailableError("no answer")
        return sample(loop.time())


@asynccontextmanager
async def refreshing(**fields: Any) -> AsyncIterator[tuple[Refresher, Device]]:
    """Run a refresher until the block ends."""
    device = Device()
    refresher = Refresher(PhysicalBattery(jbd_spec("b", **fields), device), LoopClock(asyncio.get_running_loop()))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(refresher.run())
        yield refresher, device
        task.cancel()


async def test_active_keeps_its_period() -> None:
    """Period 1 s, 0.1 s a read: begun at 0, 1, 2, ..., whatever the read takes."""
    async with refreshing() as (_, device):
        await asyncio.sleep(5.5)
        assert device.began_s == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])


async def test_a_read_longer_than_the_period_does_not_pile_up() -> None:
    """1.5 s a read at a period of 1 s: one after the other, none at once with another."""
    async with refreshing() as (_, device):
        device.takes_s = 1.5
        await asyncio.sleep(6.1)
        assert device.began_s == pytest.approx([0.0, 1.5, 3.0, 4.5, 6.0])


async def test_being_asked_does_not_put_the_next_one_off() -> None:
    """Ten extra samples within a second: the ones at 1 s and 2 s are taken all the same."""
    async with refreshing() as (refresher, device):
        device.takes_s = 0.01
        await asyncio.sleep(0.05)
        for _ in range(10):
            refresher.ask()
            await asyncio.sleep(0.05)
        await asyncio.sleep(2.0)
        assert [at_s for at_s in device.began_s if at_s > 0.6] == pytest.approx([1.0, 2.0])


async def test_back_off_is_1_2_2() -> None:
    """After failures in a row the pauses are 1, 2, 2 s, never longer; a success goes back to the period."""
    async with refreshing() as (refresher, device):
        device.takes_s, device.down = 0.0, True
        await asyncio.sleep(8.0)
        assert device.began_s == pytest.approx([0.0, 1.0, 3.0, 5.0, 7.0])
        device.down = False
        await asyncio.sleep(4.5)
        assert device.began_s[5:] == pytest.approx([9.0, 10.0, 11.0, 12.0])
        assert refresher.battery.fault == ""


async def test_a_loss_is_logged_once_and_the_return_once() -> None:
    """Ten seconds away: one warning, one note with the count."""
    with structlog.testing.capture_logs() as lines:
        async with refreshing() as (_, device):
            device.down = True
            await asyncio.sleep(10.0)
            device.down = False
            await asyncio.sleep(5.0)
    assert [line["event"] for line in lines] == ["battery_lost", "battery_back"]


async def test_lazy_is_read_when_asked() -> None:
    """Unread for an hour: no sample; one wait, one sample begun after the call."""
    async with refreshing(refresh="lazy") as (refresher, device):
        await asyncio.sleep(3600.0)
        assert device.began_s == []
        await refresher.refresh(5.0)
        assert device.began_s == [3600.0]
        assert refresher.battery.status(3600.1).quality is Quality.GOOD


async def test_lazy_tries_again_until_it_is_back() -> None:
    """A failed refresh of a lazy battery is tried again in the background, then it rests again."""
    async with refreshing(refresh="lazy") as (refresher, device):
        device.takes_s, device.down = 0.0, True
        with pytest.raises(UnavailableError, match="no answer"):
            await refresher.refresh(5.0)
        await asyncio.sleep(2.5)
        device.down = False
        await asyncio.sleep(60.0)
        assert device.began_s == pytest.approx([0.0, 1.0, 3.0])


async def test_a_refresh_waits_for_a_sample_begun_after_it() -> None:
    """Asked while a read is under way since 0 s: the answer is of the next one, begun when that ended."""
    async with refreshing() as (refresher, device):
        device.takes_s = 0.5
        await asyncio.sleep(0.2)
        await refresher.refresh(5.0)
        assert device.began_s[:2] == [0.0, 0.5]
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)


async def test_waiters_share_a_sample_and_their_deadline_is_their_own() -> None:
    """Three wait for one read of 2 s; the one with 1 s gives up, the others get it."""
    async with refreshing(refresh="lazy") as (refresher, device):
        device.takes_s = 2.0
        results = await asyncio.gather(*(refresher.refresh(deadline_s) for deadline_s in (5.0, 1.0, 5.0)), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), UnavailableError, type(None)]
        assert device.began_s == [0.0]


async def test_ending_tells_who_waits() -> None:
    """Cancelled in the middle of a read: whoever waits hears it at once, also those that wait for the next one."""
    device = Device()
    device.takes_s = 3.0
    refresher = Refresher(PhysicalBattery(jbd_spec("b"), device), LoopClock(asyncio.get_running_loop()))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(refresher.run())
        early = group.create_task(_outcome(refresher))
        await asyncio.sleep(1.0)
        late = group.create_task(_outcome(refresher))
        await asyncio.sleep(0.1)
        task.cancel()
    assert isinstance(early.result(), UnavailableError)
    assert isinstance(late.result(), UnavailableError)
    assert asyncio.get_running_loop().time() == pytest.approx(1.1)


async def _outcome(refresher: Refresher) -> BaseException | None:
    try:
        await refresher.refresh(30.0)
    except UnavailableError as error:
        return error
    return None
