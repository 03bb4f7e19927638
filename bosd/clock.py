"""The one clock: the only module of `bosd` that reads time.

Monotonic instants (`_s` on a clock's own scale, suspend included) order everything inside the process; UTC exists for people.
"""

import asyncio
import time
from typing import Protocol

_TIME_ERROR = 5
_TIMEX_BYTES = 512
"""More than struct timex has on any platform (208 on 64 bits)."""


class Clock(Protocol):
    """Source of both time scales."""

    def now_s(self) -> float:
        """Return the monotonic instant in seconds; it counts suspend and never goes back."""
        ...

    def utc_s(self) -> float:
        """Return the wall clock as seconds since 1970-01-01 UTC; it may jump."""
        ...


class SystemClock:
    """The machine's boot-time clock and its wall clock."""

    def now_s(self) -> float:
        """Return CLOCK_BOOTTIME in seconds."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def utc_s(self) -> float:
        """Return CLOCK_REALTIME in seconds since 1970-01-01 UTC."""
        return time.time()


class SteppedClock:
    """A clock that stands still until it is moved on; it begins at 0 s. One that is `switchable` can follow `base` as well."""

    def __init__(self, base: Clock, *, switchable: bool = False, following: bool = False) -> None:
        self._base = base
        self.switchable = switchable
        self._at_s = 0.0
        self._base_s = base.now_s()
        self._utc_at_zero_s = base.utc_s()
        self.following = following

    def now_s(self) -> float:
        """Return the instant in seconds since the clock was made, as far as it was moved or followed."""
        return self._at_s + self._base.now_s() - self._base_s if self.following else self._at_s

    def utc_s(self) -> float:
        """Return the wall clock that goes with `now_s`, in seconds since 1970-01-01 UTC."""
        return self._base.utc_s() if self.following else self._utc_at_zero_s + self._at_s

    def follow(self, *, following: bool) -> None:
        """Follow the base from now on, or stand still; `now_s` does not jump, a wall clock that stands begins where it was."""
        utc_s = self.utc_s()
        self._at_s, self._base_s = self.now_s(), self._base.now_s()
        self.following = following
        self.set_utc(utc_s)

    def move_to(self, now_s: float) -> None:
        """Move a clock that stands on to `now_s`, its wall clock by as much; an instant in the past changes nothing."""
        self._at_s = max(self._at_s, now_s)

    def set_utc(self, utc_s: float) -> None:
        """Set the wall clock of a clock that stands."""
        self._utc_at_zero_s = utc_s - self._at_s


def kernel_synchronised() -> bool:
    """Return whether the kernel calls its wall clock synchronised (adjtimex(2): not TIME_ERROR); False if it cannot say."""
    import ctypes  # noqa: PLC0415 (only a node with bookings asks)

    timex = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: only look
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        return False
    return 0 <= int(state) < _TIME_ERROR


class LoopClock:
    """The running event loop's time, for loops that jump: both scales move together.

    `utc_start_s` is the wall clock at loop time zero, in seconds since 1970-01-01 UTC.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, utc_start_s: float = 1_800_000_000.0) -> None:
        self._loop = loop
        self._utc_start_s = utc_start_s

    def now_s(self) -> float:
        """Return the loop's time in seconds."""
        return self._loop.time()

    def utc_s(self) -> float:
        """Return the simulated wall clock in seconds since 1970-01-01 UTC."""
        return self._utc_start_s + self._loop.time()
