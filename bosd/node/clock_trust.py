"""Whether the wall clock is to be trusted (control.md, "Bookings")."""

from collections.abc import Callable
from datetime import UTC, datetime

from bosd.clock import Clock, SystemClock, kernel_synchronised

STEP_S = 2.0
"""A wall clock that goes back by no more than this has been adjusted, not set."""


class ClockTrust:
    """Judges the wall clock: the kernel calls it synchronised, and it is not earlier than the newest time known here."""

    def __init__(self, synchronised: Callable[[], bool], *, overridden: bool) -> None:
        self._synchronised = synchronised
        self._overridden = overridden
        self.newest_utc_s = 0.0

    def doubt(self, utc_s: float) -> str:
        """Return why `utc_s` is not to be trusted; empty when it is."""
        if self._overridden:
            return ""
        if utc_s < self.newest_utc_s - STEP_S:
            newest = datetime.fromtimestamp(self.newest_utc_s, UTC)
            return f"it is earlier than the newest time known here, {newest:%Y-%m-%dT%H:%M:%SZ}"
        return "" if self._synchronised() else "the kernel does not call it synchronised"


def trust_of(clock: Clock, *, overridden: bool) -> ClockTrust:
    """Return who judges a node's wall clock; a simulated one is right by definition."""
    machine = isinstance(clock, SystemClock)
    return ClockTrust(kernel_synchronised if machine else lambda: True, overridden=overridden)
