"""The hub: watchers of batteries, each with the latest of what changed and nothing older."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.clock import Clock
from bosd.errors import BadNameError
from bosd.node.api import WatchBatch

LONGEST_BEAT_S = 1.0
BEATS_PER_STALENESS = 3.0
EARLY_S = 1e-6
"""Event loops fire a timer up to their clock's resolution before its time; a beat that is due by so little is due."""


class Watcher:
    """What one reader has yet to be told: batteries, not values, so a slow reader costs one entry a battery."""

    def __init__(self, names: frozenset[str] | None) -> None:
        self.names = names
        self.pending: dict[Battery, None] = {}
        self.watched: dict[str, Battery] = {}
        self.removed: dict[str, None] = {}
        self._wake = asyncio.Event()

    def changed(self, battery: Battery) -> None:
        """Note that a battery's status may have changed."""
        self.pending[battery] = None
        self._wake.set()

    def follow(self, batteries: Iterable[Battery]) -> None:
        """Watch these batteries from now on; those that are gone are told as removed."""
        watched = {battery.name: battery for battery in batteries if self.names is None or battery.name in self.names}
        for name, battery in self.watched.items():
            if watched.get(name) is not battery:
                battery.listeners = tuple(listener for listener in battery.listeners if listener is not self)
                self.pending.pop(battery, None)
            if name not in watched:
                self.removed[name] = None
        for name, battery in watched.items():
            if self.watched.get(name) is not battery:
                if self not in battery.listeners:
                    battery.listeners = (*battery.listeners, self)
                self.pending[battery] = None
                self.removed.pop(name, None)
        self.watched = watched
        self._wake.set()

    async def wait(self, timeout_s: float) -> None:
        """Wait until something is pending, at most `timeout_s`."""
        if not self._wake.is_set():
            timer = asyncio.get_running_loop().call_later(timeout_s, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    def take(self) -> tuple[list[Battery], tuple[str, ...]]:
        """Return and forget what is pending: changed batteries, and names that are gone."""
        pending, removed = list(self.pending), tuple(self.removed)
        self.pending.clear()
        self.removed.clear()
        self._wake.clear()
        return pending, removed


class Hub:
    """All watchers of a node. `keep_fresh` is called with what is watched, at the rate of its beats."""

    def __init__(self, directory: Directory, clock: Clock, keep_fresh: Callable[[Iterable[Battery], float], None]) -> None:
        self._directory = directory
        self._clock = clock
        self._keep_fresh = keep_fresh
        self._watchers: dict[Watcher, None] = {}

    def topology_changed(self) -> None:
        """Let every watcher follow the batteries that are there now."""
        for watcher in self._watchers:
            watcher.follow(self._directory)

    def attach(self, watcher: Watcher) -> None:
        """Have a watcher of this process follow the batteries from now on; nothing is kept fresh for it."""
        self._watchers[watcher] = None
        watcher.follow(self._directory)

    async def watch(
        self, names: Sequence[str] | None, *, min_interval_s: float, max_staleness_s: float
    ) -> AsyncIterator[WatchBatch]:
        """Yield the current statuses at once, then what changed, at most every `min_interval_s`; quiet ones at each beat.

        Beats come every min(1 s, a third of `max_staleness_s`) (bal.md, "The topology"). Raises BadNameError at once for a name
        that does not exist.
        """
        beat_s = min(LONGEST_BEAT_S, max_staleness_s / BEATS_PER_STALENESS) if max_staleness_s > 0.0 else LONGEST_BEAT_S
        for name in names or ():
            if name not in self._directory.batteries:
                raise BadNameError(f"no battery is called {name!r}", name=name)
        watcher = Watcher(None if names is None else frozenset(names))
        self._watchers[watcher] = None
        try:
            watcher.follow(self._directory)
            async for batch in self._batches(watcher, min_interval_s, beat_s):
                yield batch
        finally:
            self._watchers.pop(watcher, None)
            watcher.names = frozenset()
            watcher.follow(())

    async def _batches(self, watcher: Watcher, min_interval_s: float, beat_s: float) -> AsyncIterator[WatchBatch]:
        clock, loop = self._clock, asyncio.get_running_loop()  # beats are for the wire: they come while simulated time stands
        sent: set[Battery] = set()
        sent_s = -math.inf
        beat_due_s = loop.time() + beat_s
        self._keep_fresh(watcher.watched.values(), max(beat_s, min_interval_s))
        while True:
            changed, removed = watcher.take()
            now_s = loop.time()
            if now_s >= beat_due_s - EARLY_S:
                self._keep_fresh(watcher.watched.values(), max(beat_s, min_interval_s))
                sent.update(changed)
                changed += [battery for battery in watcher.watched.values() if battery not in sent]
                beat_due_s = now_s + beat_s
                sent.clear()
            elif sent_s > -math.inf:
                if not changed and not removed:
                    await watcher.wait(max(0.0, beat_due_s - now_s))
                    continue
                sent.update(changed)
            sent_s = now_s
            at_s = clock.now_s()
            yield WatchBatch(statuses=tuple([battery.status(at_s) for battery in changed]), removed=removed, beat_s=beat_s)
            await watcher.wait(max(0.0, beat_due_s - loop.time()))
            pause_s = min_interval_s - (loop.time() - sent_s)
            if pause_s > 0.0:
                await asyncio.sleep(pause_s)
