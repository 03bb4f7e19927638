"""Bookings in the store: durable, numbered once, and the newest time that is known."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bosd.bal.schedule import Booking
from bosd.errors import StoreError
from bosd.store import store as store_module
from bosd.store.bookings import BookingTable
from bosd.store.records import StopLatch
from bosd.store.store import Store

WANTED = Booking(
    number=0, battery="b", current_a=-4.5, start_utc_s=1e9, end_utc_s=2e9, who="ann", booked_utc_s=5e8, request_id="r"
)


async def test_bookings_survive_and_numbers_are_given_once(tmp_path: Path) -> None:
    """After a restart the next number is larger than any given before, also than those of forgotten bookings."""
    store = await Store.open(tmp_path)
    first, second = [await BookingTable(store).add(WANTED) for _ in range(2)]
    assert (first, second) == (replace(WANTED, number=1), replace(WANTED, number=2))
    await BookingTable(store).remove([2])
    await store.close()
    store = await Store.open(tmp_path)
    assert await BookingTable(store).load() == ((first,), 5e8)
    assert (await BookingTable(store).add(WANTED)).number == 3
    await store.close()


async def test_the_newest_time(tmp_path: Path) -> None:
    """Anything that was written counts: a booking, a stop, a booking's begin; a booking's own times do not."""
    store = await Store.open(tmp_path)
    table = BookingTable(store)
    assert await table.load() == ((), 0.0)
    await table.add(WANTED)
    assert (await table.load())[1] == 5e8
    await store.set_stops([StopLatch(name="b", reason="", who="", at_utc_s=6e8)])
    assert (await table.load())[1] == 6e8
    await table.remove([], at_utc_s=7e8)
    await table.remove([], at_utc_s=7.5e8)
    assert (await table.load())[1] == 7.5e8
    await store.close()


class Slow:
    """Holds the commits of a store behind `quick` ones until `go_on`, past the look at whether somebody still waits."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, *, quick: int) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        inner = store._database.transaction

        @contextmanager
        def transaction() -> Iterator[Connection]:
            with inner() as connection:
                yield connection
                nonlocal quick
                quick -= 1
                if quick < 0:
                    self.begun.set()
                    assert self.go_on.wait(10.0)

        monkeypatch.setattr(store._database, "transaction", transaction)

    async def cut(self, asking: Coroutine[object, object, object]) -> None:
        """Have who asks go away while it is being committed, which then goes on."""
        task = asyncio.create_task(asking)
        await asyncio.to_thread(self.begun.wait, 10.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        self.go_on.set()


async def test_a_booking_whose_asker_went_away_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk has it, nobody was told: it goes with the next write, or when it is looked for, and a repeat is the only one."""
    store = await Store.open(tmp_path)
    table = BookingTable(store)
    await table.load()
    kept = await table.add(WANTED)
    with monkeypatch.context() as patch:
        await Slow(store, patch, quick=1).cut(table.add(WANTED))
    assert [table.settled] == [False]
    assert [each.number for each in (await BookingTable(store).load())[0]] == [1, 2]
    again = await table.add(WANTED)
    assert (await BookingTable(store).load())[0] == (kept, again)
    with monkeypatch.context() as patch:
        await Slow(store, patch, quick=1).cut(table.add(WANTED))
    assert await table.settle() == frozenset()
    assert table.settled
    assert (await BookingTable(store).load())[0] == (kept, again)
    await store.close()


async def test_a_cancelled_booking_whose_asker_went_away_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk has it no more: that is said once."""
    store = await Store.open(tmp_path)
    table = BookingTable(store)
    await table.load()
    await table.add(WANTED)
    with monkeypatch.context() as patch:
        await Slow(store, patch, quick=0).cut(table.remove([1]))
    assert await table.settle() == {1}
    assert table.settled
    assert await table.settle() == frozenset()
    await store.close()


@pytest.mark.parametrize("quick", [0, 1])
async def test_a_commit_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: int) -> None:
    """The asker is refused. A disk that hung before has nothing of it; one that begins to hang under it has it: it goes again."""
    store = await Store.open(tmp_path)
    table, prove = BookingTable(store), store.prove
    await table.load()

    async def proved() -> None:
        if quick:
            await prove()
        patch.setattr(store_module, "DEADLINE_S", 0.2)
        if not quick:
            await prove()

    with monkeypatch.context() as patch:
        slow = Slow(store, patch, quick=quick)
        patch.setattr(store, "prove", proved)
        with pytest.raises(StoreError, match="did not answer"):
            await table.add(WANTED)
        slow.go_on.set()
    assert len((await BookingTable(store).load())[0]) == quick
    assert await table.settle() == frozenset()
    assert (await BookingTable(store).load())[0] == ()
    await store.close()
