"""Bookings that were made while the wall clock was not trusted (control.md, "Bookings")."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bosd.bal.schedule import Booking, Moment, Segment


@dataclass(frozen=True, slots=True)
class _Asked:
    """When a booking was asked for, and of its times those that are relative to that; monotonic seconds."""

    asked_s: float
    start_s: float | None
    end_s: float | None


class InDoubt:
    """None of them begins by that clock. Their relative times go by the monotonic one, their instants by the wall clock."""

    def __init__(self) -> None:
        self._asked: dict[int, _Asked] = {}

    def __contains__(self, number: object) -> bool:
        return number in self._asked

    def __iter__(self) -> Iterator[int]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)

    def add(self, booking: Booking, start: Moment, end: Moment, now_s: float) -> None:
        """Know a booking that was asked for at `now_s`, by its own `booked_utc_s`, with these times."""
        start_s, end_s = (
            None if moment.utc_s is not None else now_s + utc_s - booking.booked_utc_s
            for moment, utc_s in ((start, booking.start_utc_s), (end, booking.end_utc_s))
        )
        self._asked[booking.number] = _Asked(now_s, start_s, end_s)

    def settled(self, booking: Booking, now_s: float, utc_s: float) -> Booking:
        """Return it, and know it no more, as the wall clock is trusted and shows `utc_s` at `now_s`."""
        asked = self._asked.pop(booking.number, None)
        if asked is None:
            return booking
        offset_s = utc_s - now_s
        return replace(
            booking,
            start_utc_s=booking.start_utc_s if asked.start_s is None else asked.start_s + offset_s,
            end_utc_s=booking.end_utc_s if asked.end_s is None else asked.end_s + offset_s,
            booked_utc_s=asked.asked_s + offset_s,
        )

    def clear(self) -> None:
        """Know none."""
        self._asked.clear()


def note(segment: Segment | None, doubt: str) -> str:
    """Return what a battery says of its bookings while the wall clock is not trusted for a reason, nothing without one."""
    if not doubt:
        return ""
    goes_on = "" if segment is None else f"booking {segment.booking.number} goes on by monotonic time, "
    return f"{goes_on}no booking begins: the wall clock is not trusted, {doubt} (trust_clock = true overrides)"
