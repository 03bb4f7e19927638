"""What is renewed, and what is not (bosd/node/renew.py)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bosd.bal.physical import PhysicalBattery
from bosd.drivers.renewing import Renewing
from bosd.drivers.sending import look_again
from bosd.errors import UnavailableError
from bosd.node.renew import renew
from tests.support.bal_makers import FakeDevice, jbd_spec

pytestmark = pytest.mark.jumping


class Supply(FakeDevice):
    """Counts what it is told; while `raises` is set it fails."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.raises: UnavailableError | None = None

    async def set_current(self, current_a: float) -> None:
        self.told.append(current_a)
        if self.raises is not None:
            raise self.raises


class World:
    """A pack behind a device that lets go after 3 s, following 8 A."""

    def __init__(self) -> None:
        self.supply = Supply()
        self.device = Renewing(self.supply, 3.0)
        self.battery = PhysicalBattery(jbd_spec("b"), self.device)
        self.looks = 0
        self.in_force = True

    def look(self) -> None:
        self.looks += 1


@asynccontextmanager
async def renewing() -> AsyncIterator[World]:
    """Yield a world in which renewals run."""
    world = World()
    await world.device.set_current(8.0)
    world.battery.settled(8.0, 0.0)
    task = asyncio.create_task(renew(world.battery, world.device, world.look, lambda: world.in_force))
    yield world
    task.cancel()


async def test_three_times_within_the_hold() -> None:
    """A hold of 3 s is renewed each second."""
    async with renewing() as world:
        await asyncio.sleep(3.5)
        assert world.supply.told == [8.0] * 4


async def test_not_what_is_over() -> None:
    """The process was paused over the end of the set point: the renewal that is due then is none."""
    async with renewing() as world:
        world.in_force = False
        await asyncio.sleep(3.5)
        assert world.supply.told == [8.0]


async def test_not_what_is_unconfirmed() -> None:
    """It fails once: the device counts at 8 A, is looked at again, and is left to whoever keeps set points in force."""
    async with renewing() as world:
        world.supply.raises = UnavailableError("silence")
        await asyncio.sleep(3.5)
        assert world.supply.told == [8.0, 8.0]
        assert (world.battery.unconfirmed_a, world.looks) == (8.0, 1)
        world.supply.raises = None
        world.battery.settled(8.0, 3.5)
        await asyncio.sleep(1.0)
        assert world.supply.told == [8.0, 8.0, 8.0]


@pytest.mark.parametrize("what", ["over", "told anew"])
async def test_not_what_is_late_on_its_line(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal waits 0.5 s for its line, and is over, or its device told 2 A, meanwhile: it is not sent, no answer is lost."""
    follow = Supply.set_current

    async def in_turn(supply: Supply, current_a: float) -> None:
        await asyncio.sleep(0.5)
        look_again()
        await follow(supply, current_a)

    async with renewing() as world:
        monkeypatch.setattr(Supply, "set_current", in_turn)
        await asyncio.sleep(1.2)
        world.in_force = what != "over"
        world.battery.telling_a = 2.0 if what == "told anew" else None
        await asyncio.sleep(1.0)
        assert world.supply.told == [8.0]
        assert (world.battery.unconfirmed_a, world.looks) == (None, 0)
