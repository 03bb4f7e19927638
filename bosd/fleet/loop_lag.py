"""How late the event loop is: what a slow second at this node looks like to others."""

import asyncio
import math

import structlog

LOOKS_PER_BOUND = 3.0

_log = structlog.get_logger(__name__)


class LoopLag:
    """Measures how late a timer fires, three times within `most_s` (a quarter of the lease); logs an error above that."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._period_s = most_s / LOOKS_PER_BOUND
        self._worst_s = 0.0
        self.worst_s = 0.0
        """The worst lag of this run."""
        self._late = (-math.inf, 0.0)

    def take(self) -> float:
        """Return the worst lag since this was asked last, in seconds."""
        worst_s, self._worst_s = self._worst_s, 0.0
        return worst_s

    def late_s(self, within_s: float) -> float | None:
        """Return by how much it was too late last, if that was within the last `within_s` seconds."""
        at_s, lag_s = self._late
        return lag_s if asyncio.get_running_loop().time() - at_s < within_s else None

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._period_s
        while True:
            await asyncio.sleep(due_s - loop.time())
            lag_s = max(0.0, loop.time() - due_s)
            self._worst_s = max(self._worst_s, lag_s)
            self.worst_s = max(self.worst_s, lag_s)
            if lag_s > self._most_s:
                self._late = (loop.time(), lag_s)
                _log.error("loop_lag", lag_s=round(lag_s, 3), most_s=self._most_s)
            due_s = max(due_s + self._period_s, loop.time())
