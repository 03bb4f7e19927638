"""Statements: what flowed in and out of a battery in a period, by counterparty."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bosd.bal.directory import Directory
from bosd.bal.partition import Partition
from bosd.errors import BadNameError
from bosd.store.ledger import LedgerEntry, LedgerFilter, Sum


@dataclass(slots=True, kw_only=True)
class Counterparty:
    """What came from and went to one other party; charges in Ah, energies in Wh, never negative."""

    name: str
    in_ah: float = 0.0
    in_wh: float = 0.0
    out_ah: float = 0.0
    out_wh: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The sums of a period. `transfers` are those between the partitions of a splitter, where it or its source is asked for.

    `unpriced_ah` flowed while the voltage was not known: no energy counts it. `expected_charge_ah` is the meter now.
    """

    name: str
    counterparties: tuple[Counterparty, ...]
    transfers: tuple[Sum, ...]
    unpriced_ah: float
    expected_charge_ah: float | None = None
    unobserved_s: float = 0.0
    unallocated_ah: float | None = None
    unattributed_ah: float | None = None


class LedgerApi(Protocol):
    """A node's ledger, to be read; methods raise BadNameError and StoreError."""

    async def entries(
        self, name: str, *, since_utc_s: float | None, until_utc_s: float | None, after_number: int, limit: int
    ) -> tuple[LedgerEntry, ...]:
        """Return up to `limit` entries of a battery or splitter after a number, oldest first; open ones (number 0) come last."""
        ...

    async def statement(self, name: str, *, since_utc_s: float | None, until_utc_s: float | None) -> Statement:
        """Return the sums of a period, what is still open included."""
        ...


@dataclass(slots=True)
class _Sums:
    rows: dict[tuple[str, str], Sum] = field(default_factory=dict)

    def add(self, giver: str, taker: str, charge_ah: float, energy_wh: float, unpriced_ah: float) -> None:
        old = self.rows.get((giver, taker))
        if old is not None:
            charge_ah, energy_wh = charge_ah + old.charge_ah, energy_wh + old.energy_wh
            unpriced_ah += old.unpriced_ah
        self.rows[giver, taker] = Sum(giver=giver, taker=taker, charge_ah=charge_ah, energy_wh=energy_wh, unpriced_ah=unpriced_ah)


def filter_for(directory: Directory, name: str, since_utc_s: float | None, until_utc_s: float | None) -> LedgerFilter:
    """Return which entries tell of a battery or a splitter. Raises BadNameError."""
    if name in directory.splitters:
        return LedgerFilter(accounts=(name,), since_utc_s=since_utc_s, until_utc_s=until_utc_s)
    battery = directory.batteries.get(name)
    if battery is None:
        raise BadNameError(f"no battery or splitter is called {name!r}", name=name)
    if isinstance(battery, Partition):
        account = battery.splitter.name
        return LedgerFilter(accounts=(), party=name, party_account=account, since_utc_s=since_utc_s, until_utc_s=until_utc_s)
    accounts = (name, battery.user.name) if battery.user is not None and battery.user.splits else (name,)
    return LedgerFilter(accounts=accounts, since_utc_s=since_utc_s, until_utc_s=until_utc_s)


def state(directory: Directory, name: str, stored: Sequence[Sum], waiting: Iterable[LedgerEntry], now_s: float) -> Statement:
    """Return the statement of a battery or a splitter from sums in the store and entries that are not there yet."""
    sums = _Sums()
    for row in stored:
        sums.add(row.giver, row.taker, row.charge_ah, row.energy_wh, row.unpriced_ah)
    for entry in waiting:
        unpriced_ah = entry.charge_ah if entry.energy_wh is None else 0.0
        sums.add(entry.giver, entry.taker, entry.charge_ah, entry.energy_wh or 0.0, unpriced_ah)
    battery = directory.batteries.get(name)
    user = battery.user if battery is not None else None
    split = directory.splitters.get(user.name if user is not None and user.splits else name)
    whole = split is not None and not isinstance(battery, Partition)
    inside = {name, *split.accounts.names} if split is not None and whole else {name}
    source = split.source if battery is None and split is not None else battery
    status = None if source is None else source.status(now_s)
    counterparties, transfers = _sorted(sums.rows.values(), inside)
    return Statement(
        name=name,
        counterparties=counterparties,
        transfers=transfers,
        unpriced_ah=sum(row.unpriced_ah for row in sums.rows.values()),
        expected_charge_ah=None if status is None else status.expected_ah(now_s),
        unobserved_s=0.0 if status is None else status.unobserved_s,
        unallocated_ah=None if status is None else status.unallocated_ah,
        unattributed_ah=split.accounts.unattributed_ah if split is not None else None,
    )


def _sorted(rows: Iterable[Sum], inside: set[str]) -> tuple[tuple[Counterparty, ...], tuple[Sum, ...]]:
    others: dict[str, Counterparty] = {}
    transfers = []
    for row in rows:
        if row.giver in inside and row.taker in inside:
            transfers.append(row)
        elif row.taker in inside:
            other = others.setdefault(row.giver, Counterparty(name=row.giver))
            other.in_ah, other.in_wh = other.in_ah + row.charge_ah, other.in_wh + row.energy_wh
        else:
            other = others.setdefault(row.taker, Counterparty(name=row.taker))
            other.out_ah, other.out_wh = other.out_ah + row.charge_ah, other.out_wh + row.energy_wh
    return tuple(others[name] for name in sorted(others)), tuple(transfers)
