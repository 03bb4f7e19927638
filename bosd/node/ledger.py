"""The node's ledger: closes books at full hours, writes them and the meters, and answers for them.

Closed entries are on the disk within a second, with the meters they add up to; all meters once a minute and at the end.
"""

import asyncio
import contextlib
import math
import zlib
from collections.abc import Iterable
from dataclasses import replace

import structlog

from bosd.bal.accounts import Restored
from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.ledger import Book, Line
from bosd.bal.meter import RestoredMeter
from bosd.bal.partition import Partition
from bosd.bal.physical import PhysicalBattery
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.reset import reset_meter
from bosd.bal.splitter import Splitter
from bosd.bal.status import BatteryStatus
from bosd.bal.tally import Tally
from bosd.clock import Clock
from bosd.errors import StoreError
from bosd.node.statement import Statement, filter_for, state
from bosd.store.ledger import Books, LedgerEntry, LedgerTable
from bosd.store.records import MeterCheckpoint

HOUR_S = 3600.0
DAY_S = 86400.0
COMMIT_PERIOD_S = 1.0
CHECKPOINT_PERIOD_S = 60.0
MOST_PENDING = 20_000
"""Closed entries that wait for the disk; beyond these books stay open, and nothing is lost."""
LAST_WRITE_S = 1.0
NODE = ""
"""The checkpoint that says until when the node itself observed; no battery has this name."""

_log = structlog.get_logger("ledger")


class Ledger:
    """The books of every splitter, and of every battery that is no partition and not split.

    Reading ends no interval: what is taken up then are samples, which end one anyway, and computed batteries, which are exact.
    """

    def __init__(self, directory: Directory, clock: Clock, table: LedgerTable) -> None:
        self._retention_days = 400.0
        self._most_entries = 1_000_000
        self._directory = directory
        self._clock = clock
        self._table = table
        self._splitters: dict[str, Splitter] = {}
        self._tallies: dict[str, Tally] = {}
        self._identities: dict[str, int] = {}
        self._pending: list[LedgerEntry] = []
        self._saved: dict[str, MeterCheckpoint] = {}
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._hour_utc_s = self._next_hour()
        self._checkpoint_s = clock.now_s() + CHECKPOINT_PERIOD_S
        self._failed = False
        self._standing = False

    # --- life

    def keep(self, *, days: float, most_entries: int) -> None:
        """Forget, at full hours, entries that ended more than `days` ago or are more than `most_entries`."""
        self._retention_days, self._most_entries = days, most_entries

    async def load(self) -> None:
        """Close what was open when the node ended, and let meters go on from where they stood. Raises StoreError."""
        stored = await self._table.load()
        self.topology_changed()
        until_utc_s = stored[NODE].at_utc_s if NODE in stored else self._clock.utc_s()
        for battery in self._directory:
            checkpoint = stored.get(battery.name)
            if checkpoint is not None and checkpoint.identity == self._identities.get(battery.name):
                self._restore_leaf(battery, checkpoint, until_utc_s)
        for splitter in self._directory.splitters.values():
            self._restore_partitions(splitter, stored)
        self._saved = stored

    def _restore_leaf(self, battery: Battery, checkpoint: MeterCheckpoint, until_utc_s: float) -> None:
        if isinstance(battery, PhysicalBattery):
            battery.restored = RestoredMeter(checkpoint.charge_ah, checkpoint.unobserved_s, until_utc_s)
        elif isinstance(battery, PseudoBattery):
            unobserved_s = checkpoint.unobserved_s + max(0.0, self._clock.utc_s() - until_utc_s)
            held_ah = checkpoint.charge_ah if checkpoint.held_ah is None else checkpoint.held_ah
            battery.restore(checkpoint.charge_ah, held_ah, unobserved_s)

    def _restore_partitions(self, splitter: Splitter, stored: dict[str, MeterCheckpoint]) -> None:
        names = [splitter.name, *splitter.accounts.names]
        found = [stored[name] for name in names if name in stored and stored[name].identity == self._identities[name]]
        if len(found) == len(names):
            account, *parts = found
            restored = Restored(tuple(each.charge_ah for each in parts), tuple(each.deviation_ah for each in parts))
            splitter.accounts.restored = restored
            splitter.accounts.unattributed_ah = account.charge_ah

    def topology_changed(self) -> None:
        """Keep the books of what is there now; those of what went are closed."""
        now_s = self._clock.now_s()
        directory = self._directory
        for name, splitter in self._splitters.items():
            if directory.splitters.get(name) is not splitter:
                self._collect(name, splitter.accounts.book, now_s, close=True)
        tallied = {
            battery.name: battery
            for battery in directory
            if not isinstance(battery, Partition) and not (battery.user is not None and battery.user.splits)
        }
        for name, tally in self._tallies.items():
            if name not in tallied:
                self._collect(name, tally.book, now_s, close=True)
        self._splitters = dict(directory.splitters)
        self._tallies = {name: self._tallies.get(name) or Tally(battery) for name, battery in tallied.items()}
        self._identities = {}
        for battery in directory:
            if not battery.sources:
                self._identities[battery.name] = zlib.crc32(repr(battery.spec).encode())
        for splitter in directory.splitters.values():
            below = sorted(each.name for each in members_of(splitter.source))
            made_of = [splitter.accounts.names, *[(name, self._identities.get(name, 0)) for name in below]]
            identity = zlib.crc32(repr(made_of).encode())
            self._identities.update(dict.fromkeys((splitter.name, *splitter.accounts.names), identity))
        self._checkpoint_s = now_s
        self._wake.set()

    async def run(self) -> None:
        """Write what was closed once a second, and all meters once a minute, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(COMMIT_PERIOD_S):
                    await self._wake.wait()
            self._wake.clear()
            now_s = self._clock.now_s()
            if self._clock.utc_s() >= self._hour_utc_s:
                self._close_all(now_s)
                await self._prune()
            whole = now_s >= self._checkpoint_s
            self._look(now_s, whole=whole)
            if whole or self._pending:
                with contextlib.suppress(StoreError):
                    await self.write(whole=whole)
            await asyncio.sleep(COMMIT_PERIOD_S / 2)

    async def stop(self) -> None:
        """Write everything a last time, as far as the disk lets it within a second."""
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(LAST_WRITE_S):
                await self.write(whole=True)

    async def _prune(self) -> None:
        with contextlib.suppress(StoreError):
            older_utc_s = self._clock.utc_s() - self._retention_days * DAY_S
            gone = await self._table.prune(older_utc_s=older_utc_s, most=self._most_entries)
            if gone:
                _log.info("ledger_pruned", entries=gone)

    # --- time

    def _next_hour(self) -> float:
        return (math.floor(self._clock.utc_s() / HOUR_S) + 1.0) * HOUR_S

    async def settle(self) -> None:
        """Wait for nothing: no device is told anything here."""

    def stand(self, *, standing: bool) -> None:
        """Where time jumps, books are closed in the instant of a step, so that what flows out and in again is not netted."""
        self._standing = standing

    def due_s(self) -> float:
        """Return the next full hour while anything runs, now where time stands at a step; infinite while nothing runs."""
        if self._standing and any(tally.stepped for tally in self._tallies.values()):
            return self._clock.now_s()
        utc_s = self._clock.utc_s()
        if self._hour_utc_s - utc_s > HOUR_S:
            self._hour_utc_s = self._next_hour()
        if not any(battery.applied_a for battery in self._directory):
            return math.inf
        return self._clock.now_s() + max(0.0, self._hour_utc_s - utc_s)

    def attend_due(self) -> None:
        """Close all books at a full hour, before it those of whose set point is another."""
        close = self._close_all if self._clock.utc_s() >= self._hour_utc_s else self._look
        close(self._clock.now_s())

    # --- books

    def _look(self, now_s: float, *, whole: bool = False) -> None:
        """Take up the samples that came; settle those whose set point is another, with `whole` everybody."""
        for splitter in self._splitters.values():
            splitter.sampled(now_s)
            self._collect(splitter.name, splitter.accounts.book, now_s)
        for tally in self._tallies.values():
            if (stepped := tally.stepped) or whole:
                self._settle(tally, now_s)
                self._collect(tally.name, tally.book, now_s, close=stepped)

    def _settle(self, tally: Tally, now_s: float) -> None:
        battery = self._directory[tally.name]
        status = battery.status(now_s)
        tally.settle(_metered_s(status, now_s), status, of=battery)

    def _close_all(self, now_s: float) -> None:
        self._look(now_s, whole=True)
        for splitter in self._splitters.values():
            self._collect(splitter.name, splitter.accounts.book, now_s, close=True)
        for tally in self._tallies.values():
            self._collect(tally.name, tally.book, now_s, close=True)
        self._hour_utc_s = self._next_hour()

    def _collect(self, account: str, book: Book, now_s: float, *, close: bool = False) -> None:
        if close:
            book.close(now_s)
        if len(self._pending) < MOST_PENDING:
            self._pending += self._entries(account, book.drain(), now_s)

    def _entries(self, account: str, lines: Iterable[Line], now_s: float) -> list[LedgerEntry]:
        epoch_utc_s = self._clock.utc_s() - now_s
        return [
            LedgerEntry(
                account=account,
                giver=line.giver,
                taker=line.taker,
                charge_ah=line.charge_ah,
                energy_wh=line.energy_wh,
                start_utc_s=epoch_utc_s + line.start_s,
                end_utc_s=epoch_utc_s + line.end_s,
            )
            for line in lines
        ]

    def _open(self, now_s: float) -> list[LedgerEntry]:
        entries: list[LedgerEntry] = []
        for name, splitter in self._splitters.items():
            entries += self._entries(name, splitter.accounts.book.open_lines(), now_s)
        for name, tally in self._tallies.items():
            entries += self._entries(name, tally.book.open_lines(), now_s)
        return entries

    # --- the disk

    async def write(self, *, whole: bool) -> None:
        """Write closed entries with the meters of their accounts, or with all of them. Raises StoreError; then they are kept."""
        async with self._writing:
            await self._write(whole=whole)

    async def _write(self, *, whole: bool) -> None:
        now_s = self._clock.now_s()
        self._look(now_s, whole=whole)
        entries = tuple(self._pending)
        accounts = {entry.account for entry in entries}
        concerned = self._concerned(accounts)
        if not whole:
            accounts |= concerned & (self._splitters.keys() | self._tallies.keys())
            for tally in [self._tallies[name] for name in accounts & self._tallies.keys()]:
                self._settle(tally, now_s)
        meters = {each.name: each for each in self._meters(now_s, None if whole else concerned)}
        changed = [each for name, each in meters.items() if not _same(each, self._saved.get(name))]
        gone = [name for name in self._saved if name not in meters] if whole else []
        still_open = [entry for entry in self._open(now_s) if whole or entry.account in accounts]
        opened = None if whole else tuple(accounts)
        books = Books(entries=entries, meters=changed, gone=gone, open_accounts=opened, open_entries=still_open)
        try:
            await self._table.write(books)
        except StoreError as error:
            if not self._failed:
                _log.error("store_failed", detail=error.message, unwritten_entries=len(entries))
            self._failed = True
            raise
        self._failed = False
        del self._pending[: len(entries)]
        self._saved.update((each.name, each) for each in changed)
        for name in gone:
            del self._saved[name]
        if whole:
            self._checkpoint_s = now_s + CHECKPOINT_PERIOD_S

    def _concerned(self, accounts: set[str]) -> set[str]:
        """Return everything that shares a leaf with one of the accounts: meters of one instant add up, of several they do not."""
        sources = {name: splitter.source for name, splitter in self._splitters.items()}
        owners = {**self._directory.batteries, **sources}
        components = {owners[account].component for account in accounts if account in owners}
        return {NODE, *accounts, *(name for name, battery in owners.items() if battery.component in components)}

    def _meters(self, now_s: float, concerned: set[str] | None) -> Iterable[MeterCheckpoint]:
        """Yield the meters of these batteries and splitters, of all for None; a clock put back would make years unobserved."""
        utc_s = max(self._clock.utc_s(), self._saved[NODE].at_utc_s if NODE in self._saved else 0.0)
        yield MeterCheckpoint(name=NODE, charge_ah=0.0, unobserved_s=0.0, at_utc_s=utc_s)
        for name, battery in self._directory.batteries.items():
            if isinstance(battery, PhysicalBattery | PseudoBattery) and (concerned is None or name in concerned):
                checkpoint = self._leaf_meter(battery, now_s, utc_s)
                if checkpoint is not None:
                    yield checkpoint
        for name, splitter in self._splitters.items():
            if concerned is None or name in concerned:
                yield from self._account_meters(splitter, utc_s)

    def _leaf_meter(self, battery: PhysicalBattery | PseudoBattery, now_s: float, utc_s: float) -> MeterCheckpoint | None:
        status = battery.status(now_s)
        charge_ah = status.expected_ah(_metered_s(status, now_s))
        if charge_ah is None:
            return self._saved.get(battery.name)
        return MeterCheckpoint(
            name=battery.name,
            charge_ah=charge_ah,
            unobserved_s=status.unobserved_s,
            at_utc_s=utc_s,
            held_ah=battery.held_ah(now_s) if isinstance(battery, PseudoBattery) else None,
            identity=self._identities[battery.name],
        )

    def _account_meters(self, splitter: Splitter, utc_s: float) -> Iterable[MeterCheckpoint]:
        accounts = splitter.accounts
        metered_ah, deviations_ah = accounts.metered_ah, accounts.deviations_ah
        if metered_ah is None and accounts.restored is not None:
            metered_ah, deviations_ah = list(accounts.restored.metered_ah), accounts.restored.deviations_ah
        if metered_ah is None:
            return
        names = (splitter.name, *accounts.names)
        charges_ah = (accounts.unattributed_ah, *metered_ah)
        for name, charge_ah, deviation_ah in zip(names, charges_ah, (0.0, *deviations_ah), strict=True):
            yield MeterCheckpoint(
                name=name,
                charge_ah=charge_ah,
                unobserved_s=0.0,
                at_utc_s=utc_s,
                deviation_ah=deviation_ah,
                identity=self._identities[name],
            )

    # --- answers

    async def entries(
        self, name: str, *, since_utc_s: float | None, until_utc_s: float | None, after_number: int, limit: int
    ) -> tuple[LedgerEntry, ...]:
        """Return up to `limit` entries of a battery or splitter after a number, oldest first; open ones (number 0) come last.

        Raises BadNameError, StoreError.
        """
        wanted = filter_for(self._directory, name, since_utc_s, until_utc_s)
        async with self._writing:  # or what is being written were there twice
            waiting = self._unwritten(self._clock.now_s())
            stored = await self._table.page(wanted, after_number, limit)
        return stored if len(stored) >= limit else (*stored, *(entry for entry in waiting if wanted.admits(entry)))

    async def statement(self, name: str, *, since_utc_s: float | None, until_utc_s: float | None) -> Statement:
        """Return the sums of a period, what is still open included. Raises BadNameError, StoreError."""
        wanted = filter_for(self._directory, name, since_utc_s, until_utc_s)
        async with self._writing:
            now_s = self._clock.now_s()
            waiting = [entry for entry in self._unwritten(now_s) if wanted.admits(entry)]
            return state(self._directory, name, await self._table.sums(wanted), waiting, now_s)

    def _unwritten(self, now_s: float) -> list[LedgerEntry]:
        self._look(now_s, whole=True)
        return [*self._pending, *self._open(now_s)]

    async def reset_meter(self, name: str, *, holder: str) -> float:
        """Let a leaf's meter be the charge it holds and re-base all above; return the shift in Ah. Durable, or as it was.

        Raises BadNameError, UnsupportedError naming the leaves below what is none, UnavailableError, StoreError.
        """
        battery = self._directory[name]
        async with self._writing:
            now_s = self._clock.now_s()
            self._look(now_s, whole=True)
            shift_ah, undo = reset_meter(battery, now_s)
            self._rebased(now_s)
            try:
                await self._write(whole=True)
            except StoreError:
                undo()
                self._rebased(self._clock.now_s())
                raise
        _log.warning("meter_reset", battery=name, by_ah=shift_ah, who=holder)
        return shift_ah

    def _rebased(self, now_s: float) -> None:
        for tally in self._tallies.values():
            tally.rebased()
            self._settle(tally, now_s)


def _metered_s(status: BatteryStatus, now_s: float) -> float:
    """Return the instant of the newest sample, up to which the meter is certain."""
    return now_s if status.sampled_to_s is None else min(status.sampled_to_s, now_s)


def _same(one: MeterCheckpoint, other: MeterCheckpoint | None) -> bool:
    """Return whether a meter stands as it was written; that of the node always moves on."""
    return other is not None and one.name != NODE and replace(one, at_utc_s=other.at_utc_s) == other
