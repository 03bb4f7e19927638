"""A lock that lets urgent users through first; among equals the first come is the first served."""

import asyncio
from collections import deque


class Turn:
    """A block in which one has a turnstile's turn; a plain class, as a generator costs more than the rest of a request."""

    __slots__ = ("_turnstile", "_urgent")

    def __init__(self, turnstile: "Turnstile", *, urgent: bool) -> None:
        self._turnstile, self._urgent = turnstile, urgent

    async def __aenter__(self) -> None:
        await self._turnstile.take(urgent=self._urgent)

    async def __aexit__(self, *_: object) -> None:
        self._turnstile.pass_on()


class Turnstile:
    """One holder at a time (`held`); who is cancelled while waiting leaves the queue."""

    def __init__(self) -> None:
        self.held = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    def turn(self, *, urgent: bool = False) -> Turn:
        """Return a block that waits for the turn and has it inside."""
        return Turn(self, urgent=urgent)

    async def take(self, *, urgent: bool) -> None:
        """Wait for the turn; who has it passes it on."""
        if self.held:
            await self._wait(self._urgent if urgent else self._others)
        self.held = True

    async def _wait(self, queue: "deque[asyncio.Future[None]]") -> None:
        """Wait until the turn is handed over; it stays held meanwhile, so nobody slips in between."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.pass_on()
            elif waiter in queue:  # else the turn has passed it by already
                queue.remove(waiter)
            raise

    def pass_on(self) -> None:
        """Give the turn to the next one, if anybody waits."""
        for queue in (self._urgent, self._others):
            while queue:
                waiter = queue.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
        self.held = False
