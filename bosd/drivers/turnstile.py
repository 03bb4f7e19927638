"""A lock that lets urgent users through first; among equals the first come is the first served."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turnstile:
    """One holder at a time (`held`); who is cancelled while waiting leaves the queue."""

    def __init__(self) -> None:
        self.held = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, *, urgent: bool = False) -> AsyncIterator[None]:
        """Wait for the turn and have it inside the block."""
        if self.held:
            await self._wait(self._urgent if urgent else self._others)
        self.held = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, queue: "deque[asyncio.Future[None]]") -> None:
        """Wait until the turn is handed over; it stays held meanwhile, so nobody slips in between."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._pass_on()
            elif waiter in queue:  # else the turn has passed it by already
                queue.remove(waiter)
            raise

    def _pass_on(self) -> None:
        for queue in (self._urgent, self._others):
            while queue:
                waiter = queue.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
        self.held = False
