"""The limit book's tables."""

from sqlalchemy import Column, Float, Integer, Table, Text

from bosd.store.schema import metadata


def _columns() -> tuple[Column[object], ...]:
    return (
        *(Column(name, Text, nullable=False) for name in ("source", "battery", "direction", "identity")),
        *(Column(name, Float) for name in ("limit_w", "limit_a")),
        Column("priority", Integer, nullable=False),
        *(Column(name, Float) for name in ("from_utc_s", "until_utc_s")),
        *(Column(name, Text, nullable=False) for name in ("who", "comment")),
        Column("put_utc_s", Float, nullable=False),
        Column("revision", Integer, nullable=False),
    )


limit_book = Table("limit_book", metadata, Column("number", Integer, primary_key=True, autoincrement=False), *_columns())
"""What was put last by each source for a battery and direction; one without watts and amperes keeps a revision alone."""
limit_history = Table(
    "limit_history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at_utc_s", Float, nullable=False),
    Column("event", Text, nullable=False),
    Column("number", Integer, nullable=False),
    *_columns(),
    sqlite_autoincrement=True,
)
limit_grant = Table(
    "limit_grant",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("target", "remote_name", "direction")),
    *(Column(name, Float) for name in ("limit_w", "limit_a")),
    Column("revision", Integer, nullable=False),
)
"""The largest grant that may be in force at each battery of another node."""
alone_told = Table(
    "alone_told",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("peer", "battery")),
    *(Column(name, Float) for name in ("discharge_w", "charge_w")),
)
"""Alone limits that other nodes count on, and that the topology does not have any more."""
alone_commander = Table(
    "alone_commander",
    metadata,
    Column("battery", Text, primary_key=True),
    Column("peer", Text, nullable=False),
)
"""Which other node commanded a battery last, of those that count on alone limits."""
