"""Whether a reading is true: judged against what the simulated device did while it was read."""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain

from bosd.bal.device import Sample
from bosd.drivers.impossible import VALUES, impossible
from bosd.drivers.kit.bench import Tolerance, Truth

_LIMITS = ("limit_discharge_a", "limit_charge_a")

_KEPT_S = 600.0
"""Cells may be older than the rest of a sample, up to here."""
_ANSWER_S = 5.0
"""Longest time from the moment a device took its cells' voltages to the moment that the driver dates them at."""
_CLOCKS_APART_S = 1.0
"""A sample's two instants are the same one by two clocks; so much may pass between looking at the one and at the other."""


class Judge:
    """Compares samples with what was true: from the begin of their reading on, and up to `memory_s` seconds before that.

    Where it `lets_cells_age`, as hardly any answer arrives whole, cells that were right once stay so, with their own instant.
    """

    def __init__(
        self,
        truth: Callable[[], Truth],
        tolerance: Tolerance,
        now_s: Callable[[], float],
        memory_s: float = 0.0,
        utc_s: Callable[[], float] | None = None,
    ) -> None:
        self._truth = truth
        self._tolerance = tolerance
        self._now_s = now_s
        self._memory_s = memory_s
        self._utc_s = utc_s
        self.lets_cells_age = False
        self._right_cells: tuple[float, tuple[float, ...]] | None = None
        self._past: deque[tuple[int, float, Truth]] = deque()
        self._looks = 0
        self._begun = 0
        self._begun_s = 0.0

    def look(self) -> None:
        """Note what is true now; also called just before and after each change."""
        now_s = self._now_s()
        while len(self._past) > 1 and self._past[1][1] <= now_s - _KEPT_S:
            self._past.popleft()
        self._looks += 1
        self._past.append((self._looks, now_s, self._truth()))

    def begin(self) -> None:
        """Note that a reading begins."""
        self.look()
        self._begun, self._begun_s = self._looks, self._now_s()

    def wrong(self, sample: Sample) -> list[str]:
        """Return what a sample says that was not true since its reading began, with numbers."""
        self.look()
        if self._memory_s:
            seen = self._between(self._begun_s - self._memory_s, self._now_s())
        else:
            seen = [truth for number, _, truth in self._past if number >= self._begun]
        said = (
            self._values(sample, seen),
            self._others(sample, seen),
            self._cells(sample),
            self._instants(sample),
            impossible(sample),
        )
        return [*chain.from_iterable(said)]

    def wrong_held(self, held_a: float | None) -> list[str]:
        """Return what is wrong with a set point that was read back, in words."""
        self.look()
        true = {truth.held_a for number, _, truth in self._past if number >= self._begun}
        slack_a = self._tolerance.held_a + 1e-9
        if any(held_a == each or (held_a is not None and each is not None and abs(held_a - each) <= slack_a) for each in true):
            return []
        return [f"held_current_a says {held_a!r}, the device held {', '.join(map(repr, true))}"]

    def _between(self, from_s: float, to_s: float) -> list[Truth]:
        """Return what was true from one instant to another, the neighbours outside included: values move between two looks."""
        first = max((place for place, (_, at_s, _) in enumerate(self._past) if at_s < from_s), default=0)
        last = next((place for place, (_, at_s, _) in enumerate(self._past) if at_s > to_s), len(self._past) - 1)
        return [self._past[place][2] for place in range(first, last + 1)]

    def _values(self, sample: Sample, seen: list[Truth]) -> Iterator[str]:
        for key in VALUES:
            said = getattr(sample, key)
            if said is None:
                continue
            true = [value for truth in seen if (value := getattr(truth, key)) is not None]
            if not true:
                yield f"{key}: says {said:g}, which the device cannot know; unknown is None"
                continue
            slack = getattr(self._tolerance, key) + 1e-9
            if not min(true) - slack <= said <= max(true) + slack:
                yield f"{key}: says {said:g}, true was {_span(true)} (tolerance {slack:g})"

    def _others(self, sample: Sample, seen: list[Truth]) -> Iterator[str]:
        """Judge what a bench may leave out of its truth: the device's own limits, and temperatures."""
        for key in _LIMITS:
            said, true = getattr(sample, key), [value for truth in seen if (value := getattr(truth, key)) is not None]
            slack = self._tolerance.limit_a + 1e-9
            if said is not None and true and not min(true) - slack <= said <= max(true) + slack:
                yield f"{key}: says {said:g}, true was {_span(true)} (tolerance {slack:g})"
        told_c = [truth.temperatures_c for truth in seen if truth.temperatures_c is not None]
        if sample.temperatures_c is None or not told_c:
            return
        if len(sample.temperatures_c) != len(told_c[-1]):
            yield f"temperatures_c: says {len(sample.temperatures_c)} sensors, true are {len(told_c[-1])}"
            return
        slack = self._tolerance.temperatures_c + 1e-9
        for number, said in enumerate(sample.temperatures_c):
            values = [each[number] for each in told_c]
            if not min(values) - slack <= said <= max(values) + slack:
                yield f"temperatures_c: sensor {number + 1} says {said:g} degC, true was {_span(values)} degC"

    def _instants(self, sample: Sample) -> Iterator[str]:
        """Judge when a sample says that it was taken: age is counted from there."""
        now_s = self._now_s()
        if not self._begun_s - self._memory_s - _ANSWER_S <= sample.sampled_s <= now_s + 1e-9:
            reading = f"the reading, {self._begun_s:g} to {now_s:g} s"
            yield f"sampled_s: {sample.sampled_s:g} s is no instant of {reading}; it comes from context.clock"
        elif self._utc_s is not None:
            apart_s = (self._utc_s() - sample.sampled_utc_s) - (now_s - sample.sampled_s)
            if not abs(apart_s) <= _CLOCKS_APART_S:
                yield f"sampled_utc_s: {apart_s:g} s from the instant that sampled_s names; it comes from context.clock"

    def _cells(self, sample: Sample) -> Iterator[str]:
        cells_v, cells_s = sample.cells_v, sample.cells_s
        if cells_v is None or cells_s is None or (self.lets_cells_age and (cells_s, cells_v) == self._right_cells):
            return
        if not self._now_s() - _KEPT_S <= cells_s <= self._now_s():
            yield f"cells_s: {cells_s:g} s is no instant of the last {_KEPT_S:g} s; now is {self._now_s():g} s"
            return
        seen = self._between(cells_s - _ANSWER_S - self._memory_s, cells_s)
        true = [truth.cells_v for truth in seen if truth.cells_v is not None]
        if not true or len(true[-1]) != len(cells_v):
            yield f"cells_v: says {len(cells_v)} cells, true are {len(true[-1]) if true else 'none known'}"
            return
        slack = self._tolerance.cells_v + 1e-9
        for number, said in enumerate(cells_v):
            values = [each[number] for each in true]
            if not min(values) - slack <= said <= max(values) + slack:
                yield f"cells_v: cell {number + 1} says {said:g} V, true was {_span(values)} V"
                return
        self._right_cells = (cells_s, cells_v)


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
