"""The ledger's tables."""

from sqlalchemy import Column, Float, Index, Integer, Table, Text

from bosd.store.schema import metadata


def _columns() -> tuple[Column[object], ...]:
    return (
        Column("account", Text, nullable=False),
        Column("giver", Text, nullable=False),
        Column("taker", Text, nullable=False),
        Column("charge_ah", Float, nullable=False),
        Column("energy_wh", Float),
        Column("start_utc_s", Float, nullable=False),
        Column("end_utc_s", Float, nullable=False),
    )


ledger_entry = Table(
    "ledger_entry",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    *_columns(),
    sqlite_autoincrement=True,
)
"""Closed entries in the order in which they were closed; numbers are never given twice."""
Index("ledger_entry_by_account", ledger_entry.c.account, ledger_entry.c.number)

ledger_open = Table("ledger_open", metadata, *_columns())
"""What flowed since the last close, as of the newest checkpoint: a node that was killed closes it when it starts."""
