"""The bookings' tables."""

from sqlalchemy import Column, Float, Integer, Table, Text

from bosd.store.schema import metadata

booking = Table(
    "booking",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("battery", Text, nullable=False),
    Column("current_a", Float, nullable=False),
    Column("start_utc_s", Float, nullable=False),
    Column("end_utc_s", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("booked_utc_s", Float, nullable=False),
    Column("request_id", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Numbers are never given twice: the larger one was booked later."""
clock_mark = Table(
    "clock_mark",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at_utc_s", Float, nullable=False),
)
"""When a booking last began or ended, so that a clock that stepped back lets none begin twice."""
