"""Limits and grants in the store; what belongs together is one transaction."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select

from bosd.store.limit_schema import limit_book, limit_grant, limit_history
from bosd.store.store import Store

KEPT_EVENTS = 10_000
Direction = Literal["charge", "discharge"]
CHARGE: Direction = "charge"
DISCHARGE: Direction = "discharge"
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a source says may flow at most in one direction, as a magnitude; without watts and amperes it limits nothing.

    Watts are counted at the grid's side. It is in force from `from_utc_s` to `until_utc_s`; None is without a bound. Of one
    source, battery, direction and `identity` the newest, with the largest `number`, counts. `revision` is above 0 for a grant,
    which alone may have both.
    """

    source: str
    battery: str
    direction: Direction
    limit_w: float | None = None
    limit_a: float | None = None
    identity: str = ""
    priority: int = 0
    from_utc_s: float | None = None
    until_utc_s: float | None = None
    who: str = ""
    comment: str = ""
    put_utc_s: float = 0.0
    revision: int = 0
    number: int = 0

    @property
    def key(self) -> Key:
        """What it replaces is of the same key."""
        return self.source, self.battery, self.direction, self.identity

    @property
    def is_none(self) -> bool:
        """Whether it limits nothing."""
        return self.limit_w is None and self.limit_a is None

    @property
    def discharging(self) -> bool:
        """Whether it limits what flows out of the battery."""
        return self.direction == DISCHARGE


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitEvent:
    """One line of the book's history: `put`, `removed` or `ended`."""

    at_utc_s: float
    event: str
    limit: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGrant:
    """The largest grant that may be in force for a battery of another node."""

    target: str
    remote_name: str
    direction: Direction
    limit_w: float | None
    limit_a: float | None
    revision: int


class LimitTable:
    """The limits' tables; every method raises StoreError as the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> tuple[Limit, ...]:
        """Return all limits, oldest first."""
        return await self._store.transact(_load)

    async def put(self, limit: Limit, events: Sequence[LimitEvent]) -> None:
        """Keep a limit in place of those of its key, and what happened; one that limits nothing is kept for its revision."""
        await self._store.transact(lambda connection: _put(connection, limit, events))

    async def end(self, events: Sequence[LimitEvent]) -> None:
        """Forget the limits that ended, and keep what happened."""
        await self._store.transact(lambda connection: _end(connection, events))

    async def history(self, most: int, *, battery: str = "", source: str = "") -> tuple[LimitEvent, ...]:
        """Return the newest events, oldest first."""
        return await self._store.transact(lambda connection: _history(connection, most, battery, source))

    async def load_grants(self) -> tuple[StoredGrant, ...]:
        """Return the grants that may be in force at other nodes."""
        return await self._store.transact(_load_grants)

    async def save_grant(self, grant: StoredGrant) -> None:
        """Keep a grant in place of that of the same battery and direction."""
        await self._store.transact(lambda connection: _save_grant(connection, grant))


def _load(connection: Connection) -> tuple[Limit, ...]:
    return tuple(Limit(**row) for row in connection.execute(select(limit_book).order_by(limit_book.c.number)).mappings())


def _forget(connection: Connection, limit: Limit) -> None:
    columns = limit_book.c
    source, battery, direction, identity = limit.key
    same = (columns.source == source, columns.battery == battery, columns.direction == direction, columns.identity == identity)
    connection.execute(delete(limit_book).where(*same, columns.number <= limit.number))


def _put(connection: Connection, limit: Limit, events: Sequence[LimitEvent]) -> None:
    _forget(connection, limit)
    if not limit.is_none or limit.revision:
        connection.execute(insert(limit_book).values(**asdict(limit)))
    _note(connection, events)


def _end(connection: Connection, events: Sequence[LimitEvent]) -> None:
    for each in events:
        _forget(connection, each.limit)
    _note(connection, events)


def _note(connection: Connection, events: Sequence[LimitEvent]) -> None:
    if not events:
        return
    rows = [{"at_utc_s": each.at_utc_s, "event": each.event, **asdict(each.limit)} for each in events]
    connection.execute(insert(limit_history), rows)
    newest = connection.scalar(select(func.max(limit_history.c.id))) or 0
    connection.execute(delete(limit_history).where(limit_history.c.id <= newest - KEPT_EVENTS))


def _history(connection: Connection, most: int, battery: str, source: str) -> tuple[LimitEvent, ...]:
    query = select(limit_history).order_by(limit_history.c.id.desc()).limit(max(0, most))
    if battery:
        query = query.where(limit_history.c.battery == battery)
    if source:
        query = query.where(limit_history.c.source == source)
    found = []
    for row in reversed(connection.execute(query).mappings().all()):
        fields = {key: value for key, value in row.items() if key not in ("id", "at_utc_s", "event")}
        found.append(LimitEvent(at_utc_s=row["at_utc_s"], event=row["event"], limit=Limit(**fields)))
    return tuple(found)


def _load_grants(connection: Connection) -> tuple[StoredGrant, ...]:
    return tuple(StoredGrant(**row) for row in connection.execute(select(limit_grant)).mappings())


def _save_grant(connection: Connection, grant: StoredGrant) -> None:
    columns = limit_grant.c
    same = (
        columns.target == grant.target,
        columns.remote_name == grant.remote_name,
        columns.direction == grant.direction,
    )
    connection.execute(delete(limit_grant).where(*same))
    connection.execute(insert(limit_grant).values(**asdict(grant)))
