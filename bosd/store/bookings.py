"""Bookings in the store, and the newest time that the store knows."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TypeVar

from sqlalchemy import Connection, delete, func, insert, select, update

from bosd.bal.schedule import Booking
from bosd.errors import InDoubtError, StoreError
from bosd.store.booking_schema import booking, clock_mark
from bosd.store.schema import metadata
from bosd.store.store import Store

T = TypeVar("T")

TIMES = frozenset({"at_utc_s", "changed_utc_s", "booked_utc_s"})
"""Columns that say when something was written."""


class BookingTable:
    """The bookings' tables; every method raises StoreError as the store does.

    A write whose end was not waited for, as its asker went away or the disk was slow, may be done or not. That is found out
    before the next write: a booking that nobody was told of goes, one that was taken away is among what `settle` returns.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: set[int] = set()
        self._gone: set[int] = set()
        self._unsure = False
        self._turn = asyncio.Lock()

    @property
    def settled(self) -> bool:
        """Whether what became of each write is known, and told."""
        return not self._unsure and not self._gone

    async def load(self) -> tuple[tuple[Booking, ...], float]:
        """Return all bookings by number, and the newest time in the store (UTC seconds, 0 when there is none)."""
        found, newest_utc_s = await self._store.transact(_load)
        self._known = {each.number for each in found}
        return found, newest_utc_s

    async def add(self, wanted: Booking) -> Booking:
        """Keep a booking and return it with its number; a disk that hangs is not given what it would keep once it was refused."""
        await self._store.prove()
        return await self._write(lambda connection: _add(connection, wanted), lambda added: self._known.add(added.number))

    async def remove(self, numbers: Sequence[int], *, at_utc_s: float | None = None, moved: Sequence[Booking] = ()) -> None:
        """Forget bookings, and keep the times of those that were `moved`; with `at_utc_s` note that one began or ended then."""

        def work(connection: Connection) -> None:
            _move(connection, moved)
            _remove(connection, numbers, at_utc_s)

        await self._write(work, lambda _: self._known.difference_update(numbers))

    async def settle(self) -> frozenset[int]:
        """Find out what became of writes that were not waited for; return the numbers of bookings that are gone by them."""
        if self._unsure:
            await self._write(lambda _: None, lambda _: None)
        gone, self._gone = frozenset(self._gone), set()
        return gone

    async def _write(self, work: Callable[[Connection], T], done: Callable[[T], None]) -> T:
        async with self._turn:
            known = frozenset(self._known) if self._unsure else None

            def both(connection: Connection) -> tuple[frozenset[int], T]:
                gone = frozenset[int]() if known is None else _tidy(connection, known)
                return gone, work(connection)

            self._unsure = True
            try:
                gone, result = await self._store.transact(both)
            except StoreError as error:
                if not isinstance(error, InDoubtError):
                    self._unsure = known is not None  # it was undone
                raise
            self._unsure = False
            self._known -= gone
            self._gone |= gone
            done(result)
            return result


def _load(connection: Connection) -> tuple[tuple[Booking, ...], float]:
    rows = connection.execute(select(booking).order_by(booking.c.number)).mappings()
    columns = [column for table in metadata.sorted_tables for column in table.columns if column.name in TIMES]
    newest = [connection.scalar(select(func.max(column))) for column in columns]
    return tuple(Booking(**row) for row in rows), max([0.0, *(each for each in newest if each is not None)])


def _tidy(connection: Connection, known: frozenset[int]) -> frozenset[int]:
    """Forget bookings that are not known; return the known ones that are not there."""
    there = frozenset(connection.scalars(select(booking.c.number)))
    for number in there - known:
        connection.execute(delete(booking).where(booking.c.number == number))
    return known - there


def _add(connection: Connection, wanted: Booking) -> Booking:
    row = asdict(wanted)
    del row["number"]
    number = connection.scalar(insert(booking).values(row).returning(booking.c.number))
    return replace(wanted, number=number or 0)


def _move(connection: Connection, moved: Sequence[Booking]) -> None:
    for each in moved:
        times = {"start_utc_s": each.start_utc_s, "end_utc_s": each.end_utc_s, "booked_utc_s": each.booked_utc_s}
        connection.execute(update(booking).where(booking.c.number == each.number).values(times))


def _remove(connection: Connection, numbers: Sequence[int], at_utc_s: float | None) -> None:
    for number in numbers:
        connection.execute(delete(booking).where(booking.c.number == number))
    if at_utc_s is not None:
        connection.execute(delete(clock_mark))
        connection.execute(insert(clock_mark).values(id=1, at_utc_s=at_utc_s))
