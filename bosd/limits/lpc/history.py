"""What was published, in memory and on its way to the store: nothing here waits for a disk."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from bosd.errors import StoreError
from bosd.limits.lpc.port import Kept, Memory, Published

MOST_KEPT = 10_000
"""As many as the store keeps (store/eebus.py)."""
MOST_WAITING = 10_000
RETRY_S = 1.0

_log = structlog.get_logger("eebus")


class History:
    """Keeps the newest publications, and writes them with what else is to survive; `kept` returns that."""

    def __init__(self, memory: Memory, kept: Callable[[], Kept]) -> None:
        self._memory = memory
        self._kept = kept
        self._all: deque[Published] = deque(maxlen=MOST_KEPT)
        self._waiting: deque[Published] = deque(maxlen=MOST_WAITING)
        self._wake = asyncio.Event()
        self._next = 1
        self.failure = ""

    async def load(self) -> Kept:
        """Take up what an earlier run kept. Raises StoreError."""
        kept, found = await self._memory.load()
        self._all.extend(found)
        self._next = found[-1].number + 1 if found else 1
        return kept

    def add(self, *, at_utc_s: float, state: str, limit_w: float | None, until_utc_s: float | None, reason: str) -> Published:
        """Note one, and have it written soon."""
        published = Published(
            number=self._next, at_utc_s=at_utc_s, state=state, limit_w=limit_w, until_utc_s=until_utc_s, reason=reason
        )
        self._next += 1
        self._all.append(published)
        self._waiting.append(published)
        self.touch()
        return published

    def touch(self) -> None:
        """Have what survives written soon."""
        self._wake.set()

    def newest(self, limit: int = 0) -> Sequence[Published]:
        """Return the newest so many (0: all), oldest first."""
        found = tuple(self._all)
        return found[-limit:] if limit else found

    async def run(self) -> None:
        """Write what changes, for ever; what fails is tried again each second."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self.write():
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def write(self) -> bool:
        """Write what waits; return whether it is on the disk."""
        news, kept = tuple(self._waiting), self._kept()
        try:
            await self._memory.save(kept, news)
        except StoreError as error:
            if not self.failure:
                _log.error("eebus_unwritten", detail=error.message, publications=len(news))
            self.failure = error.message
            return False
        self.failure = ""
        while news and self._waiting and self._waiting[0].number <= news[-1].number:
            self._waiting.popleft()
        return True
