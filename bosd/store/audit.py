"""The audit in the store: append, read, cut; all that belongs together in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from bosd.store.audit_chain import PRUNE, Cut, Record, Row, bytes_of, canonical, record_of, row_of
from bosd.store.audit_schema import COLUMNS, audit, audit_head, audit_open
from bosd.store.store import Store

CHUNK = 2000
"""Records of one reading transaction: a verification never keeps a write waiting for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which records to read; None and empty texts do not restrict. Times are seconds since 1970-01-01 UTC."""

    since_utc_s: float | None = None
    until_utc_s: float | None = None
    battery: str = ""
    who: str = ""
    before_number: int | None = None
    after_number: int | None = None

    def admits(self, record: Record) -> bool:
        """Tell whether a record passes, its number aside."""
        return (
            (self.since_utc_s is None or record.until_utc_s >= self.since_utc_s)
            and (self.until_utc_s is None or record.at_utc_s <= self.until_utc_s)
            and (not self.battery or self.battery in record.names)
            and (not self.who or self.who == record.who)
        )


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record's place, and about how many bytes all records take."""

    cut: Cut
    size_bytes: int


class AuditTable:
    """The audit's tables; every method raises StoreError as the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> tuple[Head, tuple[Record, ...]]:
        """Return the head, and the records that were being counted when the node ended."""
        return await self._store.transact(_load)

    async def append(self, records: Sequence[Record], counting: Mapping[str, Record | None]) -> Head:
        """Append records that are not there yet, and keep what is being counted (None: no more); return the new head."""
        return await self._store.transact(lambda connection: _append(connection, records, counting))

    async def page(self, wanted: AuditFilter, limit: int) -> tuple[Record, ...]:
        """Return the newest records that pass, newest first."""
        return await self._store.transact(lambda connection: _page(connection, wanted, limit))

    async def chunk(self, after_number: int) -> Sequence[Mapping[str, object]]:
        """Return up to `CHUNK` rows after a number as they are stored, oldest first."""
        return await self._store.transact(lambda connection: _chunk(connection, after_number))

    async def cut_to(self, *, older_utc_s: float, excess_bytes: int) -> tuple[Cut, int] | None:
        """Return the last of the oldest records that are too old or too many, and how many go; None if none has to."""
        return await self._store.transact(lambda connection: _cut_to(connection, older_utc_s, excess_bytes))


def _head(connection: Connection) -> Head:
    row = connection.execute(select(audit_head)).one_or_none()
    return Head(Cut(), 0) if row is None else Head(Cut(row.number, row.hash), row.bytes)


def _load(connection: Connection) -> tuple[Head, tuple[Record, ...]]:
    rows = connection.execute(select(*(audit_open.c[c.name] for c in COLUMNS)).order_by(audit_open.c.at_utc_s)).mappings()
    return _head(connection), tuple(record_of(dict(row)) for row in rows)


def _append(connection: Connection, records: Sequence[Record], counting: Mapping[str, Record | None]) -> Head:
    head = _head(connection)
    known = next((place for place, record in enumerate(records, 1) if record.hash == head.cut.hash), 0)
    rows = [row_of(record) for record in records[known:]]
    size_bytes = head.size_bytes + sum(map(bytes_of, rows))
    if rows:
        connection.execute(insert(audit).prefix_with("OR REPLACE"), rows)
    for record in records[known:]:
        if record.action == PRUNE:
            size_bytes -= _cut(connection, Cut.of(record).number)
    _keep(connection, counting)
    if not rows:
        return head
    number, hashed = records[-1].number, records[-1].hash
    connection.execute(delete(audit_head))
    connection.execute(insert(audit_head), {"id": 1, "number": number, "hash": hashed, "bytes": size_bytes})
    return Head(Cut(number, hashed), size_bytes)


def _keep(connection: Connection, counting: Mapping[str, Record | None]) -> None:
    for key, record in counting.items():
        connection.execute(delete(audit_open).where(audit_open.c.key == key))
        if record is not None:
            connection.execute(insert(audit_open), {**row_of(record), "key": key})


def _cut(connection: Connection, number: int) -> int:
    """Remove the records up to a number; return how many bytes they took."""
    rows = connection.execute(select(audit).where(audit.c.number <= number)).mappings()
    size_bytes = sum(bytes_of(_plain(row)) for row in rows)
    connection.execute(delete(audit).where(audit.c.number <= number))
    return size_bytes


def _plain(row: RowMapping) -> Row:
    return {str(key): value for key, value in row.items()}


def _page(connection: Connection, wanted: AuditFilter, limit: int) -> tuple[Record, ...]:
    query = select(audit).order_by(audit.c.number.desc()).limit(limit)
    if wanted.since_utc_s is not None:
        query = query.where(audit.c.until_utc_s >= wanted.since_utc_s)
    if wanted.until_utc_s is not None:
        query = query.where(audit.c.at_utc_s <= wanted.until_utc_s)
    if wanted.battery:
        query = query.where(func.instr(audit.c.names, canonical(wanted.battery)) > 0)
    if wanted.who:
        query = query.where(audit.c.who == wanted.who)
    if wanted.before_number is not None:
        query = query.where(audit.c.number < wanted.before_number)
    if wanted.after_number is not None:
        query = query.where(audit.c.number > wanted.after_number)
    return tuple(record_of(dict(row)) for row in connection.execute(query).mappings())


def _chunk(connection: Connection, after_number: int) -> list[dict[str, object]]:
    query = select(audit).where(audit.c.number > after_number).order_by(audit.c.number).limit(CHUNK)
    return [{str(key): value for key, value in row.items()} for row in connection.execute(query).mappings()]


def _cut_to(connection: Connection, older_utc_s: float, excess_bytes: int) -> tuple[Cut, int] | None:
    """Go through the oldest records until one is young enough and enough bytes are gone; the newest stays in any case."""
    last = connection.scalar(select(func.max(audit.c.number)))
    found: tuple[Cut, int] | None = None
    rows = connection.execute(select(audit).order_by(audit.c.number).execution_options(yield_per=CHUNK)).mappings()
    for count, row in enumerate(rows, 1):
        if row["number"] == last or (row["until_utc_s"] >= older_utc_s and excess_bytes <= 0):
            break
        excess_bytes -= bytes_of(_plain(row))
        found = Cut(row["number"], row["hash"]), count
    rows.close()
    return found
