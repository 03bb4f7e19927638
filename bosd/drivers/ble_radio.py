"""A Bluetooth adapter's time: who connects or scans when, and how long after a failure."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from bosd.errors import UnavailableError

BACK_OFF_S = (1.0, 2.0, 5.0, 10.0)
"""Pauses of one battery after failures in a row, the last one repeated (jbd.md, driver design): no reconnect storms."""
MOST_WAITING = 64
"""More batteries than that on one adapter are refused their turn: a radio holds a handful of connections."""


@dataclass(slots=True)
class _Failures:
    count: int
    again_s: float
    cause: str


class Radio:
    """One adapter, whose turns to connect or scan are taken one at a time and in the order in which they were asked for.

    A battery asks for one turn at a time and takes it for a bounded time, so each of n batteries gets every n-th. One whose
    connection failed is refused until its pause is over, so that what is out of reach costs the others less and less.
    `links` are the connections by port, until they have ended.
    """

    def __init__(self, adapter: str = "") -> None:
        self.adapter = adapter
        self.holder = ""
        self.links: dict[str, asyncio.Task[None]] = {}
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._failures: dict[str, _Failures] = {}

    @contextlib.asynccontextmanager
    async def turn(self, who: str) -> AsyncIterator[None]:
        """Have the adapter to oneself; raises UnavailableError where too many wait for it already."""
        if self._waiting >= MOST_WAITING:
            raise UnavailableError(f"{who}: {self._waiting} others wait for the Bluetooth adapter, {self.holder} has it")
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        self.holder = who
        try:
            yield
        finally:
            self.holder = ""
            self._lock.release()

    def check(self, who: str) -> None:
        """Raise UnavailableError while `who` has to pause after its last failure."""
        failures = self._failures.get(who)
        now_s = asyncio.get_running_loop().time()
        if failures is not None and now_s < failures.again_s:
            wait_s = failures.again_s - now_s
            raise UnavailableError(f"{failures.cause}; next attempt in {wait_s:.1f} s", port=who, again_s=round(wait_s, 3))

    def failed(self, who: str, cause: str) -> None:
        """Note that `who` could not be reached, and why."""
        count = self._failures[who].count + 1 if who in self._failures else 1
        pause_s = BACK_OFF_S[min(count, len(BACK_OFF_S)) - 1]
        self._failures[who] = _Failures(count, asyncio.get_running_loop().time() + pause_s, cause)

    def reached(self, who: str) -> None:
        """Note that `who` answers."""
        self._failures.pop(who, None)


_RADIOS: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Radio]]" = WeakKeyDictionary()


def shared_radio(adapter: str = "") -> Radio:
    """Return the running loop's one radio for `adapter` (such as hci0; empty: the system's first)."""
    radios = _RADIOS.setdefault(asyncio.get_running_loop(), {})
    return radios.setdefault(adapter, Radio(adapter))
