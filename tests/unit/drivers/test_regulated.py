"""A pack with a regulator: set, read back, and refused in the direction that the regulator cannot do."""

import asyncio

import pytest

from bosd.bal.device import Device
from bosd.clock import LoopClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.line import Line
from bosd.drivers.regulated import Regulated
from bosd.drivers.regulator import BOTH_DIRECTIONS, Direction
from bosd.drivers.transport import MemoryTransport
from bosd.errors import NotFollowedError, UnsupportedError
from tests.support.jbd_frames import FakeBoard

pytestmark = [pytest.mark.jumping, pytest.mark.asyncio]


class HeldRegulator:
    """A regulator that holds what it is told, or `stuck_at`."""

    hold_s: float | None = None
    failsafe_time_s = 0.0
    restrained_by = ""

    def __init__(self, stuck_at: float | None = None, directions: frozenset[Direction] = BOTH_DIRECTIONS) -> None:
        self.directions = directions
        self.held_a = 0.0
        self.stuck_at = stuck_at
        self.closed = 0

    async def set_current(self, current_a: float) -> None:
        self.held_a = current_a

    async def read(self) -> float:
        return self.held_a if self.stuck_at is None else self.stuck_at

    async def measured_a(self) -> float | None:
        return None

    async def close(self) -> None:
        self.closed += 1


def pack_with(regulator: HeldRegulator) -> Device:
    """Return a pack whose current `regulator` sets."""
    line = Line(MemoryTransport(FakeBoard().respond))
    return Regulated(JbdDriver(line, LoopClock(asyncio.get_running_loop()), name="b1"), regulator, "b1")


async def test_confirms() -> None:
    """A regulator is set and read back; its safe action is 0 A."""
    regulator = HeldRegulator()
    device = pack_with(regulator)
    await device.set_current(-7.5)
    assert await device.held_current_a() == regulator.held_a == -7.5
    assert await device.make_safe() == "regulator at 0 A"
    assert regulator.held_a == 0.0


async def test_not_followed() -> None:
    """A regulator that holds something else for two seconds does not follow."""
    device = pack_with(HeldRegulator(stuck_at=3.0))
    with pytest.raises(NotFollowedError) as caught:
        await device.set_current(5.0)
    assert caught.value.metadata["held_a"] == "3.0"
    assert asyncio.get_running_loop().time() == pytest.approx(2.0, abs=0.11)


@pytest.mark.parametrize(("direction", "refused_a", "taken_a"), [("charge", 2.0, -2.0), ("discharge", -2.0, 2.0)])
async def test_one_direction(direction: Direction, refused_a: float, taken_a: float) -> None:
    """A source cannot discharge, a load cannot charge: refused before anything is written, and the limit there is 0."""
    regulator = HeldRegulator(directions=frozenset({direction}))
    device = pack_with(regulator)
    with pytest.raises(UnsupportedError, match="cannot"):
        await device.set_current(refused_a)
    assert regulator.held_a == 0.0
    await device.set_current(taken_a)
    assert regulator.held_a == taken_a
    sample = await device.read()
    shut, open_ = (
        (sample.limit_discharge_a, sample.limit_charge_a)
        if direction == "charge"
        else (sample.limit_charge_a, sample.limit_discharge_a)
    )
    assert (shut, open_) == (0.0, None)
    assert len(sample.limited_by) == 1


async def test_closes_both() -> None:
    """Line and regulator are let go of."""
    regulator = HeldRegulator()
    await pack_with(regulator).close()
    assert regulator.closed == 1
