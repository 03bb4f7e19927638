"""Whether a reading is true: judged against what the simulated device did while it was read."""

from collections import deque
from collections.abc import Callable, Iterator
from math import isfinite

from bosd.bal.device import Sample
from bosd.drivers.kit.bench import Tolerance, Truth

VALUES = ("voltage_v", "current_a", "charge_ah", "capacity_ah", "soc")


class Judge:
    """Remembers the truth of the last `memory_s` seconds and compares samples with it."""

    def __init__(self, truth: Callable[[], Truth], tolerance: Tolerance, now_s: Callable[[], float], memory_s: float) -> None:
        self._truth = truth
        self._tolerance = tolerance
        self._now_s = now_s
        self._memory_s = memory_s
        self._past: deque[tuple[float, Truth]] = deque()

    def look(self) -> Truth:
        """Note what is true now; called before and after each reading, and at each change."""
        now_s, truth = self._now_s(), self._truth()
        while len(self._past) > 1 and self._past[1][0] <= now_s - self._memory_s:
            self._past.popleft()
        self._past.append((now_s, truth))
        return truth

    def wrong(self, sample: Sample, since_s: float) -> list[str]:
        """Return what a sample says that was true at no time from `since_s` less the memory on, with numbers."""
        self.look()
        from_s = since_s - self._memory_s
        before = [truth for at_s, truth in self._past if at_s < from_s]
        seen = [*before[-1:], *(truth for at_s, truth in self._past if at_s >= from_s)]
        return [*self._values(sample, seen), *self._cells(sample, seen), *impossible(sample)]

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

    def _cells(self, sample: Sample, seen: list[Truth]) -> Iterator[str]:
        cells_v = sample.cells_v
        if cells_v is None:
            return
        true = [truth.cells_v for truth in seen if truth.cells_v is not None]
        if not true or len(true[-1]) != len(cells_v):
            yield f"cells_v: says {len(cells_v)} cells, true are {len(true[-1]) if true else 'none known'}"
            return
        slack = self._tolerance.cells_v + 1e-9
        for number, said in enumerate(cells_v):
            values = [each[number] for each in true]
            if not min(values) - slack <= said <= max(values) + slack:
                yield f"cells_v: cell {number + 1} says {said:g} V, true was {_span(values)} V"


def impossible(sample: Sample) -> Iterator[str]:
    """Yield what no sample may say, whatever is true: numbers that are none, ratios and magnitudes out of range."""
    for key in (*VALUES, "limit_discharge_a", "limit_charge_a"):
        value = getattr(sample, key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value)):
            yield f"{key}: {value!r} is no finite number"
    for key in ("limit_discharge_a", "limit_charge_a", "voltage_v", "charge_ah", "capacity_ah"):
        value = getattr(sample, key)
        if value is not None and value < 0.0:
            yield f"{key}: {value:g} is negative"
    if sample.soc is not None and not 0.0 <= sample.soc <= 1.0:
        yield f"soc: {sample.soc:g} is no ratio of capacity, 0 to 1"
    if sample.cells_v is not None and sample.cells_s is None:
        yield "cells_s: None beside cells_v; it is the instant of their reading"
    if not (sample.charge_allowed and sample.discharge_allowed) and not sample.blocked_by:
        yield "blocked_by: empty, where a direction is not allowed; it names why"


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
