"""Schedules against a model that keeps, for each second, the list of who booked it."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bosd.bal.schedule import Booking, Schedule
from tests.support.examples import examples

DAY = 60
"""Seconds that the model keeps."""


class ScheduleMachine(RuleBasedStateMachine):
    """Books and cancels whole seconds; after each step every second has the same booking in force on both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule()
        self.seconds: list[list[int]] = [[] for _ in range(DAY)]
        self.booked = 0

    @rule(start=st.integers(0, DAY - 1), length=st.integers(1, DAY), current_a=st.integers(-50, 50))
    def book(self, start: int, length: int, current_a: int) -> None:
        """Book a time: its number goes on top of every second it holds."""
        self.booked += 1
        end = min(DAY, start + length)
        booking = Booking(number=self.booked, battery="b", current_a=current_a, start_utc_s=float(start), end_utc_s=float(end))
        self.schedule = self.schedule.plus(booking)
        for second in range(start, end):
            self.seconds[second].append(self.booked)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel one: its number goes from every second."""
        if not self.schedule:
            return
        number = data.draw(st.sampled_from([booking.number for booking in self.schedule.bookings]))
        self.schedule = self.schedule.minus(number)
        for second in self.seconds:
            if number in second:
                second.remove(number)

    @invariant()
    def every_second_agrees(self) -> None:
        """The newest of a second is in force at its beginning and in its middle; edges lie where that changes."""
        edges = []
        for second, numbers in enumerate(self.seconds):
            expected = numbers[-1] if numbers else None
            for at_s in (float(second), second + 0.5):
                found = self.schedule.at(at_s)
                assert (None if found is None else found.booking.number) == expected
            before = self.seconds[second - 1] if second else []
            if (before[-1] if before else None) != expected:
                edges.append(float(second))
        if self.seconds[-1]:
            edges.append(float(DAY))
        found_edges, at_s = [], -1.0
        while (at_s := self.schedule.next_edge_utc_s(at_s)) < math.inf:
            found_edges.append(at_s)
        assert found_edges == edges


ScheduleMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
test_schedules_agree_with_the_model = ScheduleMachine.TestCase
