"""The audit's tables."""

from sqlalchemy import Column, Float, Integer, Table, Text

from bosd.store.schema import metadata

COLUMNS = (
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_utc_s", Float, nullable=False),
    Column("until_utc_s", Float, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("who", "action", "outcome", "names")),
    Column("count", Integer, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("reason", "message", "comment", "asked", "before", "after")),
    *(Column(name, Text, nullable=False) for name in ("previous", "hash")),
)
audit = Table("audit", metadata, *COLUMNS)
audit_open = Table("audit_open", metadata, *(Column(c.name, c.type, nullable=False) for c in COLUMNS), Column("key", Text))
"""Records that are still being counted, so that a crash does not lose them."""
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("hash", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
)
