"""Alone limits that other nodes count on, over restarts."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, inspect, select

from bosd.bal.alone import AloneW
from bosd.store.limit_schema import alone_told
from bosd.store.store import Store

Told = Mapping[tuple[str, str], AloneW]
"""By node and battery."""


class AloneTable:
    """The table; every method raises StoreError as the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> Told:
        """Return what was kept."""
        return await self._store.transact(_load)

    async def save(self, told: Told) -> None:
        """Keep this in place of what was kept."""
        await self._store.transact(lambda connection: _save(connection, told))


def _load(connection: Connection) -> Told:
    if not inspect(connection).has_table(alone_told.name):  # of an earlier version, on a disk that takes nothing
        return {}
    rows = connection.execute(select(alone_told)).mappings()
    return {(row["peer"], row["battery"]): AloneW(row["discharge_w"], row["charge_w"]) for row in rows}


def _save(connection: Connection, told: Told) -> None:
    connection.execute(delete(alone_told))
    rows = [{"peer": peer, "battery": battery, **limits._asdict()} for (peer, battery), limits in told.items()]
    if rows:
        connection.execute(insert(alone_told), rows)
