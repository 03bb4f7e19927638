"""Reads and writes of the store, each inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from bosd.bal.edits import Change
from bosd.errors import StaleRevisionError
from bosd.store.records import MeterCheckpoint, StopLatch, StoredRevision, StoredTopology
from bosd.store.schema import meta, meter_checkpoint, stop_latch, topology_revision

KEPT_REVISIONS = 1000


def count_boot(connection: Connection) -> int:
    """Count this opening and return the count, from 1."""
    connection.execute(update(meta).where(meta.c.key == "boots").values(value=meta.c.value + 1))
    return boots(connection)


def count_proof(connection: Connection) -> None:
    """Count a write that is for its own sake: SQLite writes nothing where nothing differs."""
    if not connection.execute(update(meta).where(meta.c.key == "proofs").values(value=meta.c.value + 1)).rowcount:
        connection.execute(insert(meta).values(key="proofs", value=1))


def boots(connection: Connection) -> int:
    """Return how often the store was opened and could say so."""
    return int(connection.scalars(select(meta.c.value).where(meta.c.key == "boots")).one())


def load_topology(connection: Connection, revision: int | None) -> StoredTopology | None:
    """Return a revision's topology, the newest for None."""
    table = topology_revision
    query = select(table.c.revision, table.c.toml, table.c.changed_utc_s).order_by(table.c.revision.desc()).limit(1)
    if revision is not None:
        query = query.where(table.c.revision == revision)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else StoredTopology(**row)


def append_revision(connection: Connection, expected: int, row: Mapping[str, object], changes: Sequence[Change]) -> int:
    """Add the revision after the expected one and forget those older than the newest 1000. Raises StaleRevisionError."""
    table = topology_revision
    actual = connection.scalar(select(func.max(table.c.revision))) or 0
    if actual != expected:
        message = f"the topology is at revision {actual}, the edit was made against {expected}: look again and repeat it"
        raise StaleRevisionError(message, expected=expected, actual=actual)
    changes_json = msgspec.json.encode(changes).decode()
    connection.execute(insert(table).values(revision=actual + 1, changes_json=changes_json, **row))
    connection.execute(delete(table).where(table.c.revision <= actual + 1 - KEPT_REVISIONS))
    return actual + 1


def history(connection: Connection, limit: int) -> tuple[StoredRevision, ...]:
    """Return the newest revisions, newest first."""
    table = topology_revision
    columns = (table.c.revision, table.c.changed_utc_s, table.c.who, table.c.comment, table.c.changes_json)
    rows = connection.execute(select(*columns).order_by(table.c.revision.desc()).limit(max(limit, 0)))
    return tuple(
        StoredRevision(
            revision=row.revision,
            changed_utc_s=row.changed_utc_s,
            who=row.who,
            comment=row.comment,
            changes=msgspec.json.decode(row.changes_json, type=tuple[Change, ...]),
        )
        for row in rows
    )


def load_stops(connection: Connection) -> tuple[StopLatch, ...]:
    """Return all stop latches, by name."""
    rows = connection.execute(select(stop_latch).order_by(stop_latch.c.name)).mappings()
    return tuple(StopLatch(**row) for row in rows)


def set_stops(connection: Connection, stops: Sequence[StopLatch]) -> None:
    """Put latches in place of those of the same names."""
    latest = {stop.name: stop for stop in stops}
    clear_stops(connection, tuple(latest))
    if latest:
        connection.execute(insert(stop_latch), [asdict(stop) for stop in latest.values()])


def clear_stops(connection: Connection, names: Sequence[str]) -> None:
    """Remove latches by name."""
    for name in names:
        connection.execute(delete(stop_latch).where(stop_latch.c.name == name))


def load_meters(connection: Connection) -> dict[str, MeterCheckpoint]:
    """Return all meter checkpoints by name."""
    rows = connection.execute(select(meter_checkpoint).order_by(meter_checkpoint.c.name)).mappings()
    return {row["name"]: MeterCheckpoint(**row) for row in rows}


def save_meters(connection: Connection, meters: Sequence[MeterCheckpoint]) -> None:
    """Put these checkpoints in place of all others."""
    connection.execute(delete(meter_checkpoint))
    if meters:
        connection.execute(insert(meter_checkpoint), [asdict(meter) for meter in meters])
