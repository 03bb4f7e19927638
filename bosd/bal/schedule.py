"""Bookings and what is in force when: interval algebra on UTC seconds, without a clock (bal.md, "Schedules").

Every interval is half open, [start, end). Where bookings of one battery overlap, the one booked last is in force; the others
keep the rest of their time, and get the overlap back when it is cancelled.
"""

import heapq
import math
from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from bosd.errors import BadNameError, InvalidArgumentError

START_GRACE_S = 5.0
"""A start at most this far in the past is now (bal.md, "Schedules")."""
LAST_UTC_S = 253_402_300_799.0
"""9999-12-31T23:59:59Z, the last that people can be shown."""
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A current (positive discharges) for a battery in [start, end); a larger `number` was booked later."""

    number: int
    battery: str
    current_a: float
    start_utc_s: float
    end_utc_s: float
    who: str = ""
    booked_utc_s: float = 0.0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A time in which one booking is in force."""

    booking: Booking
    start_utc_s: float
    end_utc_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time as somebody asked for it: an instant, or seconds from when the owner hears of it."""

    utc_s: float | None = None
    in_s: float = 0.0

    def resolved(self, now_utc_s: float) -> float:
        """Return the instant in UTC seconds."""
        return now_utc_s + self.in_s if self.utc_s is None else self.utc_s


class Schedule:
    """The bookings of one battery, immutable; `segments` do not overlap and are in order of time."""

    __slots__ = ("_starts", "bookings", "segments")

    def __init__(self, bookings: Iterable[Booking] = ()) -> None:
        self.bookings = tuple(sorted(bookings, key=lambda booking: booking.number))
        self.segments = _segments(self.bookings)
        self._starts = [segment.start_utc_s for segment in self.segments]

    def __bool__(self) -> bool:
        """Whether anything is booked."""
        return bool(self.bookings)

    def plus(self, booking: Booking) -> "Schedule":
        """Return the schedule with one more booking."""
        return Schedule((*self.bookings, booking))

    def minus(self, number: int) -> "Schedule":
        """Return the schedule without a booking. Raises BadNameError when there is none of this number."""
        rest = [booking for booking in self.bookings if booking.number != number]
        if len(rest) == len(self.bookings):
            raise BadNameError(f"no booking {number}", booking=number)
        return Schedule(rest)

    def until(self, utc_s: float, *, without: Collection[int] = ()) -> "Schedule":
        """Return the bookings that had begun at `utc_s`, `without` those of some numbers."""
        return Schedule(each for each in self.bookings if each.start_utc_s <= utc_s and each.number not in without)

    def over(self, utc_s: float) -> tuple[Booking, ...]:
        """Return the bookings whose time is over at `utc_s`."""
        return tuple(booking for booking in self.bookings if booking.end_utc_s <= utc_s)

    def at(self, utc_s: float) -> Segment | None:
        """Return what is in force at `utc_s`."""
        index = bisect_right(self._starts, utc_s) - 1
        if index < 0 or self.segments[index].end_utc_s <= utc_s:
            return None
        return self.segments[index]

    def next_edge_utc_s(self, utc_s: float) -> float:
        """Return the first instant after `utc_s` at which something else is in force; infinity when there is none."""
        index = bisect_right(self._starts, utc_s)
        if index > 0 and (end_s := self.segments[index - 1].end_utc_s) > utc_s:
            return end_s
        return self._starts[index] if index < len(self._starts) else math.inf


def _segments(bookings: Iterable[Booking]) -> tuple[Segment, ...]:
    """Sweep over starts and ends; of the bookings that run the one with the largest number is in force."""
    waiting = sorted(bookings, key=lambda booking: booking.start_utc_s, reverse=True)
    edges = sorted({edge for booking in waiting for edge in (booking.start_utc_s, booking.end_utc_s)})
    running: list[tuple[int, Booking]] = []
    segments: list[Segment] = []
    for start_s, end_s in pairwise(edges):
        while waiting and waiting[-1].start_utc_s <= start_s:
            booking = waiting.pop()
            heapq.heappush(running, (-booking.number, booking))
        while running and running[0][1].end_utc_s <= start_s:
            heapq.heappop(running)
        if not running:
            continue
        winner = running[0][1]
        last = segments[-1] if segments else None
        if last is not None and last.booking is winner and last.end_utc_s == start_s:
            segments[-1] = Segment(winner, last.start_utc_s, end_s)
        else:
            segments.append(Segment(winner, start_s, end_s))
    return tuple(segments)


def _lasting(for_s: float) -> str:
    for limit_s, unit_s, unit in ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172800.0, 3600.0, "h")):
        if for_s < limit_s:
            return f"{for_s / unit_s:.3g} {unit}"
    return f"{for_s / 86400.0:.0f} d"


def checked_times(start: Moment, end: Moment, now_utc_s: float, longest_h: float) -> tuple[float, float]:
    """Return start and end in UTC seconds; a start up to 5 s past is now.

    Raises InvalidArgumentError for an earlier start, an end not after the start, or more than `longest_h` hours.
    """
    start_s, end_s = start.resolved(now_utc_s), end.resolved(now_utc_s)
    if not (math.isfinite(start_s) and math.isfinite(end_s)):
        raise InvalidArgumentError("start and end must be finite", field="start")
    late_s = now_utc_s - start_s
    if late_s > START_GRACE_S:
        raise InvalidArgumentError(
            f"the start is {_lasting(late_s)} in the past; at most {START_GRACE_S:g} s are taken for now", field="start"
        )
    if end_s > LAST_UTC_S:
        raise InvalidArgumentError("the end is after the year 9999", field="end")
    start_s = max(start_s, now_utc_s)
    if end_s <= start_s:
        raise InvalidArgumentError(f"the end is not after the start but {_lasting(start_s - end_s)} before it", field="end")
    if end_s - start_s > longest_h * SECONDS_PER_HOUR:
        raise InvalidArgumentError(
            f"a booking of {(end_s - start_s) / SECONDS_PER_HOUR:.1f} h: at most {longest_h:g} h are taken (max_booking_h)",
            field="end",
            maximum_h=longest_h,
        )
    return start_s, end_s
