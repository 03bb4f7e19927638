"""Turns: batteries that are connected with each other are commanded one command at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory


class Turns:
    """The locks of a directory's components; those of an earlier topology are waited for until they are free."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._locks: dict[int, asyncio.Lock] = {}
        self._draining: list[asyncio.Lock] = []

    def _lock(self, battery: Battery) -> asyncio.Lock:
        return self._locks.setdefault(battery.component, asyncio.Lock())

    def busy(self, battery: Battery) -> bool:
        """Tell whether a command runs that concerns `battery`."""
        return self._lock(battery).locked() or any(lock.locked() for lock in self._draining)

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[Battery]:
        """Give the battery of this name to one command at a time, with all it is connected with, edits in between included."""
        while True:
            lock = self._lock(self._directory[name])
            async with lock:
                before = self._locks
                for old in tuple(self._draining) if lock is self._lock(self._directory[name]) else ():
                    async with old:
                        pass
                battery = self._directory[name]
                if before is self._locks and lock is self._lock(battery):
                    yield battery
                    return

    def topology_changed(self) -> None:
        """Begin anew; commands that run go on, and whoever comes next waits for them."""
        self._draining = [lock for lock in (*self._draining, *self._locks.values()) if lock.locked()]
        self._locks = {}
