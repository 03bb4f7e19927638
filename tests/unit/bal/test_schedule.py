"""What is in force when: the rows of bal.md's table, edges, cancelling, and the times a booking may have."""

import math

import pytest

from bosd.bal.schedule import Booking, Moment, Schedule, checked_times
from bosd.errors import BadNameError, InvalidArgumentError


def booking(number: int, current_a: float, start_s: float, end_s: float) -> Booking:
    """Return a booking of battery b."""
    return Booking(number=number, battery="b", current_a=current_a, start_utc_s=start_s, end_utc_s=end_s)


def in_force(schedule: Schedule) -> list[tuple[float, float, float]]:
    """Return current, start and end of each segment."""
    return [(each.booking.current_a, each.start_utc_s, each.end_utc_s) for each in schedule.segments]


ROWS = [
    ((200, 1, 3), (300, 2, 4), [(200, 1, 2), (300, 2, 4)]),
    ((200, 1, 4), (300, 2, 3), [(200, 1, 2), (300, 2, 3), (200, 3, 4)]),
    ((200, 2, 4), (300, 1, 3), [(300, 1, 3), (200, 3, 4)]),
    ((200, 1, 2), (300, 2, 3), [(200, 1, 2), (300, 2, 3)]),
    ((100, 0, 5), (200, 2, 4), [(100, 0, 2), (200, 2, 4), (100, 4, 5)]),
]
"""bal.md, "Schedules": first, then, in force."""


@pytest.mark.parametrize(("first", "then", "expected"), ROWS)
def test_rows_of_the_table(
    first: tuple[float, float, float], then: tuple[float, float, float], expected: list[tuple[float, float, float]]
) -> None:
    """The later booking wins where it overlaps, the earlier keeps the rest of its time."""
    assert in_force(Schedule().plus(booking(1, *first)).plus(booking(2, *then))) == expected


def test_an_interval_holds_its_start_and_not_its_end() -> None:
    """At 2 the second of [1, 2), [2, 3) is in force; at 3 nothing is."""
    schedule = Schedule([booking(1, 200, 1, 2), booking(2, 300, 2, 3)])
    found = [schedule.at(at_s) for at_s in (0.999, 1.0, 2.0, 3.0)]
    assert [None if each is None else each.booking.number for each in found] == [None, 1, 2, None]


def test_cancelling_gives_the_time_back() -> None:
    """Without the second row's later booking the earlier one has all its time again."""
    schedule = Schedule([booking(1, 200, 1, 4), booking(2, 300, 2, 3)])
    assert in_force(schedule.minus(2)) == [(200, 1, 4)]
    assert in_force(schedule.minus(1)) == [(300, 2, 3)]
    with pytest.raises(BadNameError, match="no booking 3"):
        schedule.minus(3)


def test_edges_are_where_something_else_is_in_force() -> None:
    """A covered booking's own ends are no edges: 100 in [0, 5), 200 in [1, 4), 50 booked first in [2, 3)."""
    schedule = Schedule([booking(1, 50, 2, 3), booking(2, 100, 0, 5), booking(3, 200, 1, 4)])
    edges, at_s = [], -1.0
    while (at_s := schedule.next_edge_utc_s(at_s)) < math.inf:
        edges.append(at_s)
    assert edges == [0, 1, 4, 5]
    assert Schedule().next_edge_utc_s(0.0) == math.inf


def test_times_that_are_taken() -> None:
    """Relative times count from the owner's now; a start 5 s past is now; 24 h are the longest by default."""
    assert checked_times(Moment(in_s=600.0), Moment(in_s=1200.0), 1000.0, 24.0) == (1600.0, 2200.0)
    assert checked_times(Moment(utc_s=995.0), Moment(utc_s=1001.0), 1000.0, 24.0) == (1000.0, 1001.0)
    assert checked_times(Moment(), Moment(in_s=86400.0), 1000.0, 24.0) == (1000.0, 87400.0)


@pytest.mark.parametrize(
    ("start_s", "end_s", "said"),
    [
        (994.9, 2000.0, "5.1 s in the past"),
        (1000.0 - 3 * 86400.0, 2000.0, "3 d in the past"),
        (1100.0, 1100.0, "not after the start"),
        (1100.0, 1050.0, "not after the start but 50 s before it"),
        (996.0, 999.0, "not after the start"),
        (1000.0, 1000.0 + 24.1 * 3600.0, "at most 24 h"),
        (math.nan, 2000.0, "finite"),
        (1000.0, math.inf, "finite"),
        (1000.0, 3e11, "year 9999"),
    ],
)
def test_times_that_are_refused(start_s: float, end_s: float, said: str) -> None:
    """More than 5 s past, an end not after the start (which may be now), too long, no number."""
    with pytest.raises(InvalidArgumentError, match=said):
        checked_times(Moment(utc_s=start_s), Moment(utc_s=end_s), 1000.0, 24.0)
