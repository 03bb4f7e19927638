"""The one clock: the only module of `bosd` that reads time.

Monotonic instants (`_s` on a clock's own scale, suspend included) order everything inside the process; UTC exists for people.
"""

import asyncio
import time
from typing import Protocol


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
