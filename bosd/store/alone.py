"""Alone limits that other nodes count on, over restarts."""

from sqlalchemy import Connection, delete, insert, inspect, select

from bosd.bal.alone import AloneW, Commanders, Told
from bosd.store.limit_schema import alone_commander, alone_told
from bosd.store.store import Store


class AloneTable:
    """The table; every method raises StoreError as the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> tuple[Told, Commanders]:
        """Return what was kept."""
        return await self._store.transact(_load)

    async def save(self, told: Told, commanders: Commanders) -> None:
        """Keep this in place of what was kept."""
        await self._store.transact(lambda connection: _save(connection, told, commanders))


def _load(connection: Connection) -> tuple[Told, Commanders]:
    if not inspect(connection).has_table(alone_commander.name):  # of an earlier version, on a disk that takes nothing
        return {}, {}
    rows = connection.execute(select(alone_told)).mappings()
    told = {(row["peer"], row["battery"]): AloneW(row["discharge_w"], row["charge_w"]) for row in rows}
    rows = connection.execute(select(alone_commander)).mappings()
    return told, {row["battery"]: row["peer"] for row in rows}


def _save(connection: Connection, told: Told, commanders: Commanders) -> None:
    connection.execute(delete(alone_told))
    connection.execute(delete(alone_commander))
    rows = [{"peer": peer, "battery": battery, **limits._asdict()} for (peer, battery), limits in told.items()]
    if rows:
        connection.execute(insert(alone_told), rows)
    last = [{"battery": battery, "peer": peer} for battery, peer in commanders.items()]
    if last:
        connection.execute(insert(alone_commander), last)
