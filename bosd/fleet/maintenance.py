"""Nodes whose absence is expected, each for a bounded time; in memory alone, so a restart expects everybody."""

from typing import NamedTuple

from bosd.clock import Clock
from bosd.errors import InvalidArgumentError, NoResourcesError

LONGEST_S = 7 * 86400.0
MOST_WINDOWS = 256


class Window(NamedTuple):
    """Until when a node may be away, on the clock of `Maintenance`, and why."""

    ends_s: float
    reason: str


class Maintenance:
    """The windows, by node. One ends at its time or by `end`; contact ends none, since what is mended comes and goes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, Window] = {}

    def begin(self, node: str, for_s: float, reason: str) -> bool:
        """Expect a node's absence from now on; return whether it was expected already. Raises InvalidArgumentError."""
        if not 0.0 < for_s <= LONGEST_S:
            raise InvalidArgumentError(f"for_s is {for_s:g} s: above 0 and at most {LONGEST_S:g} s, a week", field="for_s")
        before = self.find(node) is not None
        if not before and len(self._windows) >= MOST_WINDOWS:
            self._windows = {each: window for each, window in self._windows.items() if self._clock.now_s() < window.ends_s}
            if len(self._windows) >= MOST_WINDOWS:
                raise NoResourcesError(f"{MOST_WINDOWS} nodes are in maintenance: no more")
        self._windows[node] = Window(self._clock.now_s() + for_s, reason)
        return before

    def end(self, node: str) -> bool:
        """Expect a node again; return whether it was in maintenance."""
        before = self.find(node) is not None
        self._windows.pop(node, None)
        return before

    def find(self, node: str) -> Window | None:
        """Return the window a node is in."""
        window = self._windows.get(node)
        return window if window is not None and self._clock.now_s() < window.ends_s else None
