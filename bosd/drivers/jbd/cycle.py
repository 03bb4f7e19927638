"""How often cells are read: as configured, less often where a cycle does not fit into its period."""

import statistics
from collections import deque

import structlog

_JUDGED = 5
"""Cycles with cells that are looked at: their median is no single retry."""
_LEAST_OFTEN = 8

_log = structlog.get_logger("jbd")


class Cycle:
    """Counts cycles; `note` says what does not fit, empty while all does."""

    def __init__(self, name: str, cells_every: int, period_s: float | None) -> None:
        self.note = ""
        self.cells_every = max(1, cells_every)
        self._name = name
        self._period_s = period_s
        self._until_cells = 0
        self._took_s: deque[float] = deque(maxlen=_JUDGED)

    def wants_cells(self) -> bool:
        """Whether cells are due in this cycle; each call is one cycle."""
        if self._until_cells > 0:
            self._until_cells -= 1
            return False
        self._until_cells = self.cells_every - 1
        return True

    def took(self, cycle_s: float) -> None:
        """Take the time of a cycle with cells; where such cycles do not fit, say so once and read cells half as often."""
        self._took_s.append(cycle_s)
        if self._period_s is None or len(self._took_s) < _JUDGED or self.cells_every >= _LEAST_OFTEN:
            return
        median_s = statistics.median(self._took_s)
        if median_s <= self._period_s * self._share():
            return
        self.cells_every *= 2
        self._took_s.clear()
        if not self.note:
            _log.info("poll_does_not_fit", battery=self._name, cycle_s=round(median_s, 4), period_s=self._period_s)
        self.note = (
            f"a whole poll takes {median_s:.3f} s, the period is {self._period_s:g} s: "
            f"cells are read in one cycle of {self.cells_every}"
        )

    def _share(self) -> float:
        """Return how many periods a cycle with cells may take: what the cycles without leave over goes to it, half of it."""
        return 1.0 + (self.cells_every - 1) / 2.0
