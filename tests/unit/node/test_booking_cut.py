"""Bookings and cancellations whose asker goes away while the store commits: whole or not at all, in memory as on the disk."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from tests.support.memory_store import MemoryStore
from tests.unit.node.test_scheduler import HOUR_S, SETTLED_S, Home, home

pytestmark = pytest.mark.jumping

T = TypeVar("T")


class Late(MemoryStore):
    """A store that has committed some time before it says so, while `late_s` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.late_s = 0.0

    async def transact(self, work: Callable[[Connection], T]) -> T:
        result = await super().transact(work)
        await asyncio.sleep(self.late_s)
        return result


async def cut(store: Late, asking: Coroutine[object, object, object]) -> None:
    """Have who asks go away between commit and answer, and what follows of it settle."""
    store.late_s = 1.0
    task = asyncio.create_task(asking)
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.late_s = 0.0
    await asyncio.sleep(SETTLED_S)


async def kept(live: Home, store: Late) -> list[list[float]]:
    """Return the currents that are booked, in memory and after a restart."""
    memory = [each.current_a for each in await live.node.bookings()]
    async with home(clock=live.clock, store=store) as again:
        disk = [each.current_a for each in await again.node.bookings()]
    return [memory, disk]


async def test_a_booking_is_not_made() -> None:
    """It was on the disk for a moment, as nobody heard of it; asked again with the same request id it is made, once."""
    store = Late()
    async with home(store=store) as live:
        await live.book(100, 5, 6)
        await cut(store, live.book(200, 1, 2, request_id="r"))
        assert await kept(live, store) == [[100.0], [100.0]]
        await live.at(1.5)
        assert live.applied() == 0.0
        await live.book(200, 2, 3, request_id="r")
        assert await kept(live, store) == [[200.0, 100.0], [200.0, 100.0]]


async def test_the_first_booking_of_all_is_not_made() -> None:
    """Nothing else is booked that would have the schedule looked at."""
    store = Late()
    async with home(store=store) as live:
        await cut(store, live.book(200, 1, 2))
        assert await kept(live, store) == [[], []]


async def test_a_running_booking_that_was_cancelled_ends() -> None:
    """The disk has it no more, so it runs no more."""
    store = Late()
    async with home(store=store) as live:
        made = await live.book(100, 0, 5)
        await asyncio.sleep(SETTLED_S)
        assert live.applied() == 100.0
        await cut(store, live.node.cancel_booking(made.booking.booking_id, holder="h"))
        await asyncio.sleep(2.0)
        assert live.applied() == 0.0
        assert await kept(live, store) == [[], []]


async def test_a_write_that_was_undone_is_no_doubt() -> None:
    """A store that refuses has done nothing: what is booked stays, and nothing is looked for."""
    store = Late()
    async with home(store=store) as live:
        made = await live.book(100, 1, 2)
        await asyncio.sleep(HOUR_S / 2.0)
        store.failed = True
        with pytest.raises(Exception, match="the disk is gone"):
            await live.node.cancel_booking(made.booking.booking_id, holder="h")
        store.failed = False
        await live.at(1)
        assert live.applied() == 100.0
