"""Bookings in the store, and the newest time that the store knows."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection, delete, func, insert, select

from bosd.bal.schedule import Booking
from bosd.store.booking_schema import booking, clock_mark
from bosd.store.schema import metadata
from bosd.store.store import Store

TIMES = frozenset({"at_utc_s", "changed_utc_s", "booked_utc_s"})
"""Columns that say when something was written."""


class BookingTable:
    """The bookings' tables; every method raises StoreError as the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> tuple[tuple[Booking, ...], float]:
        """Return all bookings by number, and the newest time in the store (UTC seconds, 0 when there is none)."""
        return await self._store.transact(_load)

    async def add(self, wanted: Booking) -> Booking:
        """Keep a booking and return it with its number."""
        return await self._store.transact(lambda connection: _add(connection, wanted))

    async def remove(self, numbers: Sequence[int], *, at_utc_s: float | None = None) -> None:
        """Forget bookings; with `at_utc_s` note that one began or ended then."""
        await self._store.transact(lambda connection: _remove(connection, numbers, at_utc_s))


def _load(connection: Connection) -> tuple[tuple[Booking, ...], float]:
    rows = connection.execute(select(booking).order_by(booking.c.number)).mappings()
    columns = [column for table in metadata.sorted_tables for column in table.columns if column.name in TIMES]
    newest = [connection.scalar(select(func.max(column))) for column in columns]
    return tuple(Booking(**row) for row in rows), max([0.0, *(each for each in newest if each is not None)])


def _add(connection: Connection, wanted: Booking) -> Booking:
    row = asdict(wanted)
    del row["number"]
    number = connection.scalar(insert(booking).values(row).returning(booking.c.number))
    return replace(wanted, number=number or 0)


def _remove(connection: Connection, numbers: Sequence[int], at_utc_s: float | None) -> None:
    for number in numbers:
        connection.execute(delete(booking).where(booking.c.number == number))
    if at_utc_s is not None:
        connection.execute(delete(clock_mark))
        connection.execute(insert(clock_mark).values(id=1, at_utc_s=at_utc_s))
