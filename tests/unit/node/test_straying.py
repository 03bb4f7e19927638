"""Devices that others command, too: what is told again, and when (bosd/node/execute.py, stopping.py, read_back.py)."""

import asyncio

import pytest

from bosd.bal.dispatch import plan
from bosd.bal.physical import PhysicalBattery
from bosd.bal.setpoint import Booked
from bosd.clock import LoopClock
from bosd.errors import NotFollowedError
from bosd.node.moves import moves_of
from bosd.node.read_back import ReadBack
from bosd.node.stopping import moves_to_stop
from tests.support.bal_makers import FakeDevice, aggregate, jbd_spec, sample, sampled


class App(FakeDevice):
    """A home battery whose app has put it in another mode."""

    strays = "in mode 2"


def at_home(applied_a: float) -> PhysicalBattery:
    """Return such a battery that confirmed `applied_a`, and has measured 2 A out since."""
    battery = PhysicalBattery(jbd_spec("h", current_control="direct"), App())
    battery.sampled(sample(0.0))
    battery.commanded_a = applied_a
    battery.settled(applied_a, 0.0)
    battery.sampled(sample(1.0, current_a=2.0))
    return battery


def told(battery: PhysicalBattery, current_a: float, *, asked: bool) -> list[float]:
    """Return what a device is told for `current_a`."""
    return [move.new_a for move in moves_of(plan({battery: current_a}, 1.0), 1.0, asked=asked)]


def test_the_same_set_point_takes_back_what_an_app_changed() -> None:
    """Asked for again it is told again; what stays in force is not, as changes at the app win until then (docs/sonnen.md)."""
    assert told(at_home(5.0), 5.0, asked=True) == [5.0]
    assert told(at_home(5.0), 5.0, asked=False) == []


def test_a_stop_tells_what_an_app_changed() -> None:
    """It counts at 0 A, and runs 2 A all the same."""
    battery = at_home(0.0)
    battery.latch(stopped=True)
    assert [move.leaf for move in moves_to_stop(plan({battery: 0.0}, 1.0), [battery])] == [battery]


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.jumping
async def test_while_stopped_it_is_told_again(*, stopped: bool) -> None:
    """2 A measured against 0 A: NOT_FOLLOWED after 5 s, and under a stop told again, counted at what it runs."""
    battery, again = at_home(0.0), []
    whole = aggregate(battery)
    battery.user = whole
    whole.latch(stopped=stopped)
    clock = LoopClock(asyncio.get_running_loop())
    look = ReadBack(
        battery, clock, begun=lambda *_: None, tell_again=lambda: again.append(battery.counts_at_a), sample_soon=lambda _: None
    )
    for _ in range(7):
        await look.look()
        await asyncio.sleep(1.0)
        battery.sampled(sample(clock.now_s(), current_a=2.0))
    assert "commanded 0 A, held unknown, measured 2 A" in battery.status(clock.now_s()).reason
    assert set(again) == ({2.0} if stopped else set())


def test_a_booking_of_nothing_opens_a_gate_that_was_never_told() -> None:
    """Its switches conduct since before the node started; without a booking they are left as they are, and later told once."""
    gate = sampled("g", current_control="gate")
    assert told(gate, 0.0, asked=False) == []
    gate.booked = Booked(number=1, current_a=0.0, ends_s=60.0)
    assert told(gate, 0.0, asked=False) == [0.0]
    gate.settled(0.0, 1.0)
    assert told(gate, 0.0, asked=False) == []


class Program(FakeDevice):
    """A gate whose switch another program has closed, for as long as `strays` says so."""

    strays = "discharge switch closed by another program, commanded open"

    async def held_current_a(self) -> float | None:
        """Say so."""
        raise NotFollowedError(self.strays)


@pytest.mark.jumping
async def test_a_gate_is_told_again_at_once_and_not_followed_when_that_does_not_help() -> None:
    """Told at the first look, counted at the 3 A that flow; where it stays closed for 5 s it is NOT_FOLLOWED with its numbers."""
    battery, again = PhysicalBattery(jbd_spec("g"), Program()), []
    battery.sampled(sample(0.0))
    battery.commanded_a = 0.0
    battery.settled(0.0, 0.0)
    clock = LoopClock(asyncio.get_running_loop())
    look = ReadBack(
        battery, clock, begun=lambda *_: None, tell_again=lambda: again.append(battery.counts_at_a), sample_soon=lambda _: None
    )
    battery.sampled(sample(clock.now_s(), current_a=3.0))
    await look.look()
    assert again == [3.0]
    for _ in range(4):
        await asyncio.sleep(1.0)
        await look.look()
    assert (again, battery.deviation) == ([3.0], None)
    await asyncio.sleep(1.0)
    await look.look()
    assert "commanded 0 A, held unknown, measured 3 A; discharge switch closed by another program" in str(battery.deviation)
    assert len(again) == 2
