"""What the EEBUS state machine keeps: values of the peer, the limit in force, and the limits it published."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from bosd.store.eebus_schema import eebus_kept, eebus_publication
from bosd.store.store import Store

MOST_PUBLICATIONS = 10_000
"""At one change a minute, a week; older ones are in the audit."""

Row = Mapping[str, Any]


class EebusTable:
    """The tables; every method raises StoreError as the store does. Rows are by column (eebus_schema.py)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> tuple[Row, tuple[Row, ...]]:
        """Return what was kept (empty: nothing), and the publications, oldest first."""
        return await self._store.transact(_load)

    async def save(self, kept: Row, publications: Sequence[Row]) -> None:
        """Keep this in place of what was kept, and add publications by number; one that is there stays. Safe to repeat."""
        await self._store.transact(lambda connection: _save(connection, kept, publications))


def _load(connection: Connection) -> tuple[Row, tuple[Row, ...]]:
    row = connection.execute(select(eebus_kept)).mappings().one_or_none()
    kept = {} if row is None else {key: value for key, value in row.items() if key != "id"}
    found = connection.execute(select(eebus_publication).order_by(eebus_publication.c.number)).mappings()
    return kept, tuple(dict(each) for each in found)


def _save(connection: Connection, kept: Row, publications: Sequence[Row]) -> None:
    connection.execute(delete(eebus_kept))
    connection.execute(insert(eebus_kept).values(id=1, **kept))
    if not publications:
        return
    connection.execute(insert(eebus_publication).on_conflict_do_nothing(), [dict(each) for each in publications])
    newest = connection.scalar(select(func.max(eebus_publication.c.number))) or 0
    connection.execute(delete(eebus_publication).where(eebus_publication.c.number <= newest - MOST_PUBLICATIONS))
