"""The meter: the charge a battery is expected to hold, from its own current alone.

Two things end an interval: a new sample and a step (a set point, a limit, empty or full). Reading never does. Between two samples
the current is taken as linear; with a step between them it is the old sample's up to the step and the new sample's from it
(bal.md, "The meter").
"""

import math
from typing import NamedTuple

SECONDS_PER_HOUR = 3600.0


class RestoredMeter(NamedTuple):
    """A meter as it stood before the node started, at a wall-clock time in seconds since 1970-01-01 UTC."""

    charge_ah: float
    unobserved_s: float
    at_utc_s: float


class Meter:
    """Coulomb counting for one leaf; charges in ampere-hours, positive current discharges, instants monotonic.

    Time between two samples further apart than `max_gap_s` is not integrated but counted in `unobserved_s`.
    """

    __slots__ = ("_sampled_ah", "_sampled_s", "_stepped", "at_s", "charge_ah", "current_a", "max_gap_s", "unobserved_s")

    def __init__(self, charge_ah: float, at_s: float, current_a: float = 0.0, max_gap_s: float = math.inf) -> None:
        self.charge_ah = charge_ah
        self.at_s = at_s
        self.current_a = current_a
        self.max_gap_s = max_gap_s
        self.unobserved_s = 0.0
        self._stepped = False
        self._sampled_s = at_s
        self._sampled_ah = charge_ah

    def sample(self, at_s: float, current_a: float) -> None:
        """End the interval with a measured current; a sample older than the interval's start is ignored."""
        elapsed_s = at_s - self.at_s
        if elapsed_s < 0.0:
            return
        gap_s = at_s - self._sampled_s
        if gap_s > self.max_gap_s:
            self.unobserved_s += gap_s
            self.charge_ah = self._sampled_ah
        else:
            mean_a = current_a if self._stepped else 0.5 * (self.current_a + current_a)
            self.charge_ah -= mean_a * elapsed_s / SECONDS_PER_HOUR
        self.at_s = at_s
        self.current_a = current_a
        self._stepped = False
        self._sampled_s, self._sampled_ah = at_s, self.charge_ah

    def step(self, at_s: float, delta_a: float) -> None:
        """End the interval where the current jumps by `delta_a`; the old value holds up to `at_s`."""
        elapsed_s = at_s - self.at_s
        if elapsed_s > 0.0:
            self.charge_ah -= self.current_a * elapsed_s / SECONDS_PER_HOUR
            self.at_s = at_s
        self.current_a += delta_a
        self._stepped = True

    def shift(self, by_ah: float) -> None:
        """Expect `by_ah` more, as a reset does; it ends no interval."""
        self.charge_ah += by_ah
        self._sampled_ah += by_ah

    def seen_until_s(self) -> float:
        """Return the instant after which nothing that runs is known any more."""
        return self._sampled_s + self.max_gap_s

    def running_on(self, now_s: float) -> tuple[float, float, float]:
        """Return charge, its instant and the rate (A) it runs on at; beyond the gap it stands as last sampled."""
        if now_s > self.seen_until_s():
            return self._sampled_ah, now_s, 0.0
        return self.charge_ah, self.at_s, self.current_a

    def value_ah(self, now_s: float) -> float:
        """Return the charge at `now_s`, the current running on from the interval's start."""
        return self.charge_ah - self.current_a * (now_s - self.at_s) / SECONDS_PER_HOUR
