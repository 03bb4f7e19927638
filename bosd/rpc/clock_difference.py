"""How far another node's wall clock is from this one's: a note for people, since no age depends on it."""

import math

from bosd.errors import DriverError

CLOCKS_DIFFER_S = 2.0
"""Wall clocks further apart than this are named in `reason`."""


class ClockDifference:
    """Of one node: `ahead_s` is the newest difference, +- half the round trip, None before any; `note` its words."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._noted_s = 0.0
        self.ahead_s: float | None = None
        self.note = ""

    def compare(self, sent_at: float, half_rtt_s: float, utc_s: float) -> None:
        """Take the time at which the node says it sent what came at `utc_s`. Raises DriverError for one that is none."""
        if not math.isfinite(sent_at):
            raise DriverError(f"{self._target} sent nonsense: sent_at = {sent_at}")
        self.ahead_s = ahead_s = sent_at + half_rtt_s - utc_s
        if abs(ahead_s) <= CLOCKS_DIFFER_S:
            self.note = ""
        elif not self.note or abs(ahead_s - self._noted_s) > 1.0:
            self._noted_s = ahead_s
            self.note = f"the clock of {self._target} is {abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
