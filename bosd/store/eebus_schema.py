"""The tables of the EEBUS state machine."""

from sqlalchemy import Column, Float, Integer, Table, Text

from bosd.store.schema import metadata

eebus_kept = Table(
    "eebus_kept",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("failsafe_limit_w", Float),
    Column("failsafe_duration_s", Float),
    Column("bound_ski", Text, nullable=False),
    Column("limit_w", Float),
    Column("limit_until_utc_s", Float),
    Column("restored_utc_s", Float),
    Column("endpoint", Text, nullable=False),
    Column("grpc_port", Integer, nullable=False),
)
"""One row."""
eebus_publication = Table(
    "eebus_publication",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_utc_s", Float, nullable=False),
    Column("state", Text, nullable=False),
    Column("limit_w", Float),
    Column("until_utc_s", Float),
    Column("reason", Text, nullable=False),
)
