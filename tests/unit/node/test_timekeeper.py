"""The timekeeper: from due instant to due instant, and never past what is still to be done at one."""

import asyncio
import math

import pytest

from bosd.bal.directory import Directory
from bosd.bal.spec import JbdSpec, PseudoSpec, Topology
from bosd.clock import SteppedClock, SystemClock
from bosd.errors import InvalidArgumentError, UnsupportedError
from bosd.node.timekeeper import LONGEST_TICK_S, Timekeeper
from bosd.policy.registry import policy
from bosd.policy.sharing import sharing


class Still:
    """A machine's clock that a test moves."""

    def __init__(self) -> None:
        self.s = 1000.0

    def now_s(self) -> float:
        return self.s

    def utc_s(self) -> float:
        return 1_800_000_000.0 + self.s


class Alarm:
    """Acts at given instants and notes what the clock showed; `again` instants follow at the one that rings first."""

    def __init__(self, clock: SteppedClock, *instants_s: float, again: int = 0) -> None:
        self._clock = clock
        self._instants_s = sorted(instants_s)
        self._again = again
        self.rung_s: list[float] = []
        self.standing = False

    async def settle(self) -> None:
        """Nothing goes on."""

    def stand(self, *, standing: bool) -> None:
        self.standing = standing

    def due_s(self) -> float:
        return self._instants_s[0] if self._instants_s else math.inf

    def attend_due(self) -> None:
        self.rung_s.append(self._clock.now_s())
        if self._again:
            self._again -= 1
        else:
            self._instants_s.pop(0)


def directory() -> Directory:
    """Return one without batteries."""
    return Directory(lambda spec: pytest.fail(spec.name), policy, sharing)


async def test_each_instant_is_attended_to_at_itself() -> None:
    """In a tick of 10 s alarms at 3, 3, 7 and 10 s ring then, the one at 11 s does not; the clock ends at 10 s."""
    clock = SteppedClock(Still())
    one, other = Alarm(clock, 7.0, 3.0, 11.0), Alarm(clock, 3.0, 10.0, again=2)
    keeper = Timekeeper(clock, directory(), [one, other])
    view = await keeper.tick(10.0)
    assert one.rung_s == [3.0, 7.0]
    assert other.rung_s == [3.0, 3.0, 3.0, 10.0]
    assert (view.now_s, view.instants) == (10.0, 3)
    assert (await keeper.tick(0.5)).now_s == 10.5


async def test_what_is_due_a_rounding_after_the_end_belongs_to_the_tick() -> None:
    """An end computed as 7200.0000001 s is part of a tick of two hours."""
    clock = SteppedClock(Still())
    alarm = Alarm(clock, 7200.0000001)
    view = await Timekeeper(clock, directory(), [alarm]).tick(7200.0)
    assert alarm.rung_s == [7200.0000001]
    assert view.now_s == pytest.approx(7200.0, abs=1e-6)


async def test_two_ticks_at_once_add_up() -> None:
    """Ticks asked for together run one after the other."""
    clock = SteppedClock(Still())
    keeper = Timekeeper(clock, directory(), [Alarm(clock, *map(float, range(1, 300)))])
    views = await asyncio.gather(keeper.tick(100.0), keeper.tick(50.0))
    assert sorted(view.now_s for view in views) == [100.0, 150.0]


async def test_time_that_is_not_ours_is_not_moved() -> None:
    """The machine's clock, one that follows it, and durations outside 0 to the longest are refused; nothing moves."""
    with pytest.raises(UnsupportedError):
        await Timekeeper(SystemClock(), directory(), []).tick(1.0)
    clock = SteppedClock(Still(), switchable=True, following=True)
    keeper = Timekeeper(clock, directory(), [])
    with pytest.raises(UnsupportedError):
        await keeper.tick(1.0)
    await keeper.adjust(follow=False)
    for duration_s in (-1.0, math.nan, 2.0 * LONGEST_TICK_S):
        with pytest.raises(InvalidArgumentError):
            await keeper.tick(duration_s)
    assert clock.now_s() == 0.0


async def test_the_clock_follows_and_stands_without_a_jump() -> None:
    """now_s goes on from where it is at each change; who waits is told whether time stands; the wall clock may be set alone."""
    base = Still()
    clock = SteppedClock(base, switchable=True, following=True)
    alarm = Alarm(clock)
    keeper = Timekeeper(clock, directory(), [alarm])
    base.s += 5.0
    assert (clock.now_s(), clock.utc_s(), alarm.standing) == (5.0, base.utc_s(), False)
    view = await keeper.adjust(follow=False)
    assert (view.simulated, view.now_s, view.utc_s, alarm.standing) == (True, 5.0, base.utc_s(), True)
    base.s += 100.0
    view = await keeper.adjust(utc_s=0.0)
    assert (view.now_s, view.utc_s) == (5.0, 0.0)
    assert (await keeper.tick(10.0)).utc_s == 10.0
    view = await keeper.adjust(follow=True)
    assert (view.simulated, view.now_s, view.utc_s) == (False, 15.0, base.utc_s())
    with pytest.raises(UnsupportedError):
        await Timekeeper(SteppedClock(base), directory(), []).adjust(follow=True)


def test_devices_have_no_place_on_a_simulated_clock() -> None:
    """A pack is refused by name on a clock that only ticks; on one that can follow the machine's it is not."""
    pack = Topology(batteries=(JbdSpec(name="pack", port="/dev/ttyUSB0"),))
    pseudo = PseudoSpec(name="p", voltage_v=1, charge_ah=1, capacity_ah=1, max_discharge_current_a=1, max_charge_current_a=1)
    keeper = Timekeeper(SteppedClock(Still()), directory(), [])
    with pytest.raises(UnsupportedError, match="pack"):
        keeper.admit(pack)
    keeper.admit(Topology(batteries=(pseudo,)))
    Timekeeper(SteppedClock(Still(), switchable=True), directory(), []).admit(pack)
    Timekeeper(SystemClock(), directory(), []).admit(pack)
