"""A clock whose wall hand a test sets, over the loop's own time."""

import asyncio

from bosd.clock import LoopClock

UTC_AT_ZERO_S = 1_800_000_000.0
"""2027-01-15T08:00:00Z, the wall clock at loop time 0."""


class WallClock(LoopClock):
    """Monotonic time is the loop's; the wall clock is `ahead_s` of where it would be, and trusted while `synchronised`."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop(), UTC_AT_ZERO_S)
        self.ahead_s = 0.0
        self.synchronised = True

    def utc_s(self) -> float:
        return super().utc_s() + self.ahead_s

    def is_synchronised(self) -> bool:
        return self.synchronised
