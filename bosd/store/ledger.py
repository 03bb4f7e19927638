"""Ledger entries and meter checkpoints in the store: what belongs together is one transaction."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select
from sqlalchemy.dialects.sqlite import insert as upsert

from bosd.errors import StoreError
from bosd.store.ledger_schema import ledger_entry, ledger_open
from bosd.store.records import MeterCheckpoint
from bosd.store.schema import meter_checkpoint
from bosd.store.store import Store

MOST_PRUNED = 20_000
"""Entries that go at a time, so that a clock that once ran ahead does not empty the ledger in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Charge, never negative, that `giver` gave to `taker`; `account` is the splitter, or the battery, whose books these are.

    `energy_wh` is None where the voltage was not known. `number` is 0 for what is still open.
    """

    account: str
    giver: str
    taker: str
    charge_ah: float
    energy_wh: float | None
    start_utc_s: float
    end_utc_s: float
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFilter:
    """Which entries: all of `accounts`, and those of `party_account` in which `party` gives or takes.

    Entries that ended after `since_utc_s` and began before `until_utc_s`; None does not restrict.
    """

    accounts: tuple[str, ...]
    party: str = ""
    party_account: str = ""
    since_utc_s: float | None = None
    until_utc_s: float | None = None

    def admits(self, entry: LedgerEntry) -> bool:
        """Tell whether an entry passes."""
        return (
            (entry.account in self.accounts or (entry.account == self.party_account and self.party in (entry.giver, entry.taker)))
            and (self.since_utc_s is None or entry.end_utc_s > self.since_utc_s)
            and (self.until_utc_s is None or entry.start_utc_s < self.until_utc_s)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What `giver` gave to `taker` in all entries that were asked for; `unpriced_ah` is the part without a known energy."""

    giver: str
    taker: str
    charge_ah: float
    energy_wh: float
    unpriced_ah: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """One write: entries that were closed, meters that changed or went, and the open entries of some accounts (None: of all)."""

    entries: Sequence[LedgerEntry]
    meters: Sequence[MeterCheckpoint]
    gone: Sequence[str]
    open_accounts: Sequence[str] | None
    open_entries: Sequence[LedgerEntry]


class LedgerTable:
    """The ledger's tables; every method raises StoreError as the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left_open = False

    async def load(self) -> dict[str, MeterCheckpoint]:
        """Close what was open when the node ended, or with the first write where nothing can be written; return the meters."""
        try:
            await self._store.transact(_close_entries)
        except StoreError:
            self._left_open = True
        return await self._store.transact(_meters)

    async def write(self, books: Books) -> None:
        """Keep all of it or nothing."""
        left_open = self._left_open

        def work(connection: Connection) -> None:
            if left_open:
                _close_entries(connection)
            _write(connection, books)

        await self._store.transact(work)
        self._left_open = False

    async def page(self, wanted: LedgerFilter, after_number: int, limit: int) -> tuple[LedgerEntry, ...]:
        """Return up to `limit` entries after a number, oldest first."""
        return await self._store.transact(lambda connection: _page(connection, wanted, after_number, limit))

    async def sums(self, wanted: LedgerFilter) -> tuple[Sum, ...]:
        """Return the sums by giver and taker."""
        return await self._store.transact(lambda connection: _sums(connection, wanted))

    async def prune(self, *, older_utc_s: float, most: int) -> int:
        """Forget the oldest entries that ended before an instant or are more than `most`; return how many went."""
        return await self._store.transact(lambda connection: _prune(connection, older_utc_s, most))


def _row(entry: LedgerEntry) -> dict[str, object]:
    row = asdict(entry)
    del row["number"]
    return row


def _close_entries(connection: Connection) -> None:
    columns = [column.name for column in ledger_open.columns]
    connection.execute(insert(ledger_entry).from_select(columns, select(ledger_open)))
    connection.execute(delete(ledger_open))


def _meters(connection: Connection) -> dict[str, MeterCheckpoint]:
    rows = connection.execute(select(meter_checkpoint)).mappings()
    return {row["name"]: MeterCheckpoint(**row) for row in rows}


def _write(connection: Connection, books: Books) -> None:
    if books.entries:
        connection.execute(insert(ledger_entry), [_row(entry) for entry in books.entries])
    if books.meters:
        statement = upsert(meter_checkpoint)
        changed = {column.name: column for column in statement.excluded if column.name != "name"}
        statement = statement.on_conflict_do_update(index_elements=["name"], set_=changed)
        connection.execute(statement, [asdict(meter) for meter in books.meters])
    for name in books.gone:
        connection.execute(delete(meter_checkpoint).where(meter_checkpoint.c.name == name))
    if books.open_accounts is None:
        connection.execute(delete(ledger_open))
    for account in books.open_accounts or ():
        connection.execute(delete(ledger_open).where(ledger_open.c.account == account))
    if books.open_entries:
        connection.execute(insert(ledger_open), [_row(entry) for entry in books.open_entries])


def _where(wanted: LedgerFilter, *, in_order: bool = False) -> ColumnElement[bool]:
    """Return the condition; `in_order` keeps several accounts from being looked up each by itself and sorted for every page."""
    table = ledger_entry.c
    several = bool(wanted.party_account) or len(wanted.accounts) != 1
    account = table.account.concat("") if in_order and several else table.account
    clauses: list[ColumnElement[bool]] = [account.in_(wanted.accounts)]
    if wanted.party_account:
        party = and_(account == wanted.party_account, or_(table.giver == wanted.party, table.taker == wanted.party))
        clauses = [or_(*clauses, party)]
    if wanted.since_utc_s is not None:
        clauses.append(table.end_utc_s > wanted.since_utc_s)
    if wanted.until_utc_s is not None:
        clauses.append(table.start_utc_s < wanted.until_utc_s)
    return and_(*clauses)


def _page(connection: Connection, wanted: LedgerFilter, after_number: int, limit: int) -> tuple[LedgerEntry, ...]:
    query = select(ledger_entry).where(_where(wanted, in_order=True), ledger_entry.c.number > after_number)
    rows = connection.execute(query.order_by(ledger_entry.c.number).limit(limit)).mappings()
    return tuple(LedgerEntry(**row) for row in rows)


def _sums(connection: Connection, wanted: LedgerFilter) -> tuple[Sum, ...]:
    table = ledger_entry.c
    unpriced = func.sum(table.charge_ah).filter(table.energy_wh.is_(None))
    columns = (table.giver, table.taker, func.sum(table.charge_ah), func.total(table.energy_wh), func.coalesce(unpriced, 0.0))
    rows = connection.execute(select(*columns).where(_where(wanted)).group_by(table.giver, table.taker))
    return tuple(Sum(giver=row[0], taker=row[1], charge_ah=row[2], energy_wh=row[3], unpriced_ah=row[4]) for row in rows)


def _prune(connection: Connection, older_utc_s: float, most: int) -> int:
    table = ledger_entry.c
    newest = connection.scalar(select(func.max(table.number))) or 0
    old = select(table.number).where(or_(table.end_utc_s < older_utc_s, table.number <= newest - most))
    last = connection.scalar(select(func.max(old.order_by(table.number).limit(MOST_PRUNED).subquery().c.number)))
    if last is None:
        return 0
    gone = connection.execute(
        delete(ledger_entry).where(table.number <= last, or_(table.end_utc_s < older_utc_s, table.number <= newest - most))
    )
    return gone.rowcount
