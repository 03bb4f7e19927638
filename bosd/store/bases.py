"""What splitters expect of their sources, kept over restarts."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Column, Connection, Float, Table, Text, delete, insert, select

from bosd.store.schema import metadata

splitter_base = Table(
    "splitter_base",
    metadata,
    Column("name", Text, primary_key=True),
    Column("capacity_ah", Float),
    Column("settled_json", Text, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitterBase:
    """What a splitter expects: its source's capacity, None where never known, and charges beyond the meters by partition."""

    name: str
    capacity_ah: float | None
    settled_ah: dict[str, float]


def save_bases(connection: Connection, bases: Sequence[SplitterBase]) -> None:
    """Keep these and no others."""
    connection.execute(delete(splitter_base))
    rows = [
        {"name": base.name, "capacity_ah": base.capacity_ah, "settled_json": msgspec.json.encode(base.settled_ah).decode()}
        for base in bases
    ]
    if rows:
        connection.execute(insert(splitter_base), rows)


def load_bases(connection: Connection) -> tuple[SplitterBase, ...]:
    """Return all, by name."""
    rows = connection.execute(select(splitter_base).order_by(splitter_base.c.name))
    return tuple(
        SplitterBase(
            name=row.name,
            capacity_ah=row.capacity_ah,
            settled_ah=msgspec.json.decode(row.settled_json, type=dict[str, float]),
        )
        for row in rows
    )
