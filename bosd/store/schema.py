"""Tables of the store, and what a newer or older schema means."""

from sqlalchemy import Column, Connection, Float, Integer, MetaData, Table, Text, insert, inspect, select

from bosd.errors import StoreError

SCHEMA_VERSION = 1

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Integer, nullable=False),
)
topology_revision = Table(
    "topology_revision",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("changed_utc_s", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("toml", Text, nullable=False),
    Column("changes_json", Text, nullable=False),
)
stop_latch = Table(
    "stop_latch",
    metadata,
    Column("name", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at_utc_s", Float, nullable=False),
)
meter_checkpoint = Table(
    "meter_checkpoint",
    metadata,
    Column("name", Text, primary_key=True),
    Column("charge_ah", Float, nullable=False),
    Column("unobserved_s", Float, nullable=False),
    Column("at_utc_s", Float, nullable=False),
    Column("deviation_ah", Float, nullable=False, server_default="0"),
    Column("held_ah", Float),
    Column("identity", Integer, nullable=False, server_default="0"),
)


def prepare(connection: Connection, place: str) -> None:
    """Make the tables that are not there yet. Raises StoreError for a store that another version of bosd made."""
    if not inspect(connection).has_table(meta.name):
        metadata.create_all(connection)
        connection.execute(insert(meta), [{"key": "schema", "value": SCHEMA_VERSION}, {"key": "boots", "value": 0}])
        return
    check(connection, place)
    metadata.create_all(connection)


def check(connection: Connection, place: str) -> None:
    """Raise StoreError for a store that another version of bosd made."""
    version = connection.scalar(select(meta.c.value).where(meta.c.key == "schema"))
    if version is None or version < 1:
        raise StoreError(f"{place}: is no store of bosd; move it away", path=place)
    if version != SCHEMA_VERSION:
        message = f"{place}: has schema {version}, this bosd knows {SCHEMA_VERSION}: run the version of bosd that wrote it"
        raise StoreError(message, path=place, schema=version, known=SCHEMA_VERSION)
