"""Bookings in the store: durable, numbered once, and the newest time that is known."""

from dataclasses import replace
from pathlib import Path

from bosd.bal.schedule import Booking
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
