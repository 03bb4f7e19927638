"""What the scheduler puts in force under a wall clock that steps, is lost and found, against a model of lists and comparisons."""

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.schedule import Moment
from bosd.bal.spec import PseudoSpec, Topology
from bosd.node.clock_trust import ClockTrust
from bosd.node.scheduler import Scheduler
from bosd.policy.registry import policy
from bosd.store.bookings import BookingTable
from tests.support.examples import examples
from tests.support.memory_store import MemoryStore

UTC_S = 1_800_000_000
GRACE_S = 2
"""How far back a wall clock may go and still be trusted."""


class HandClock:
    """Both hands of the clock are set by hand, in whole seconds."""

    def __init__(self) -> None:
        self.mono_s = 1000
        self.wall_s = UTC_S
        self.synchronised = True

    def now_s(self) -> float:
        """Return the monotonic hand."""
        return float(self.mono_s)

    def utc_s(self) -> float:
        """Return the wall hand."""
        return float(self.wall_s)


def run(coroutine: object) -> object:
    """Run a coroutine that waits for nothing."""
    with asyncio.Runner() as runner:
        return runner.run(coroutine)  # type: ignore[arg-type]


class SchedulerMachine(RuleBasedStateMachine):
    """One battery; bookings are (number, start, end); what had begun when the clock was last trusted may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.directory = Directory(Battery, policy)
        spec = PseudoSpec(
            name="b", voltage_v=48.0, charge_ah=50.0, capacity_ah=100.0, max_discharge_current_a=50.0, max_charge_current_a=50.0
        )
        self.directory.change(Topology(batteries=(spec,)), 0.0)
        self.told: list[object] = []
        self.scheduler = Scheduler(
            self.directory,
            self.clock,
            BookingTable(MemoryStore()),  # type: ignore[arg-type]
            ClockTrust(lambda: self.clock.synchronised, overridden=False),
            self.told.extend,
            node="n",
            edits=asyncio.Lock(),
        )
        self.bookings: dict[int, tuple[int, int]] = {}
        self.in_doubt: dict[int, tuple[int, int]] = {}
        self.newest_s = 0
        self.last: tuple[int, int] | None = None

    @rule(seconds=st.integers(1, 120))
    def time_passes(self, seconds: int) -> None:
        """Both hands move on, a second at a time as the scheduler looks."""
        for _ in range(seconds):
            self.clock.mono_s += 1
            self.clock.wall_s += 1
            self.look()

    @rule(seconds=st.integers(-400, 400))
    def somebody_sets_the_clock(self, seconds: int) -> None:
        """The wall hand alone moves."""
        self.clock.wall_s += seconds
        self.look()

    @rule(synchronised=st.booleans())
    def the_kernel_says(self, synchronised: bool) -> None:
        """Synchronisation is lost or found."""
        self.clock.synchronised = synchronised
        self.look()

    @rule(in_s=st.integers(0, 300), lasts_s=st.integers(1, 300))
    def book(self, in_s: int, lasts_s: int) -> None:
        """Book by the time of asking: its instants are those of the wall clock when that is next trusted."""
        booked = self.scheduler.book("b", 1.0, Moment(in_s=in_s), Moment(in_s=in_s + lasts_s), holder="h")
        number = int(run(booked).booking.booking_id)  # type: ignore[attr-defined]
        self.bookings[number] = (self.clock.wall_s + in_s, self.clock.wall_s + in_s + lasts_s)
        self.in_doubt[number] = (self.clock.mono_s + in_s, self.clock.mono_s + in_s + lasts_s)
        self.look()

    @precondition(lambda self: self.bookings)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel one that is not over."""
        number = data.draw(st.sampled_from(sorted(self.bookings)))
        run(self.scheduler.cancel(str(number), holder="h"))
        del self.bookings[number]
        self.in_doubt.pop(number, None)
        self.look()

    def doubted(self) -> bool:
        """Whether the wall clock is not to be trusted now."""
        return not self.clock.synchronised or self.clock.wall_s < self.newest_s - GRACE_S

    def look(self) -> None:
        """Have both sides look at the clock."""
        self.scheduler.attend_due()
        if self.bookings and not self.doubted():
            offset_s = self.clock.wall_s - self.clock.mono_s
            self.bookings |= {
                number: (start_s + offset_s, end_s + offset_s) for number, (start_s, end_s) in self.in_doubt.items()
            }
            self.in_doubt.clear()
            self.last = (self.clock.wall_s, self.clock.mono_s)
            self.newest_s = max(self.newest_s, self.clock.wall_s)
            self.bookings = {number: times for number, times in self.bookings.items() if times[1] > self.clock.wall_s}

    def expected(self) -> int | None:
        """Return the number of what is to be in force."""
        at_s, begun = self.clock.wall_s, self.bookings
        if self.doubted():
            if self.last is None:
                return None
            at_s = self.last[0] + self.clock.mono_s - self.last[1]
            begun = {number: times for number, times in begun.items() if times[0] <= self.last[0] and number not in self.in_doubt}
        return max((number for number, (start_s, end_s) in begun.items() if start_s <= at_s < end_s), default=None)

    @invariant()
    def in_force(self) -> None:
        """The scheduler's booking in force is the model's, and `reason` speaks of the clock where anything waits for it."""
        battery = self.directory["b"]
        assert (None if battery.booked is None else battery.booked.number) == self.expected()
        assert bool(battery.booking_note) == (bool(self.bookings) and self.doubted())
        if battery.booked is not None:
            assert battery.booked.ends_s > self.clock.mono_s


SchedulerMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)
test_the_scheduler_agrees_with_the_model = SchedulerMachine.TestCase
