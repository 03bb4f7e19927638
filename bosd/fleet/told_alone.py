"""What others count on of a node's alone limits: what each was told holds while it is not heard, whatever edits make of it.

Over restarts, too: what an edit is about to loosen, and somebody counts on, is on the disk before it is loosened.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from bosd.bal.alone import UNLIMITED, AloneW, Commanders, Told
from bosd.errors import BosError, InDoubtError, StoreError

RETRY_S = 5.0
GATHER_S = 1.0
"""How long is gathered what nobody waits for: after a start every battery is commanded for the first time."""

_log = structlog.get_logger("alone")

ByName = Mapping[str, AloneW]


class Table(Protocol):
    """Where it is kept; raises StoreError."""

    async def load(self) -> tuple[Told, Commanders]:
        """Return what was kept."""
        ...

    async def save(self, told: Told, commanders: Commanders) -> None:
        """Keep this in place of what was kept."""
        ...


class ToldAlone:
    """By peer and battery the tightest alone limits that it may know of: an answer may be lost."""

    def __init__(self) -> None:
        self._told: dict[str, ByName] = {}
        self._commanders: dict[str, str] = {}
        self._counting: set[str] = set()
        """Who was told some, and who commanded last in an earlier run."""
        self._stored: tuple[Told, Commanders] | None = None
        """None while nobody knows."""
        self._saves = 0
        self._table: Table | None = None
        self._configured: Callable[[], ByName] = dict
        self._coming: ByName | None = None
        self._wake = asyncio.Event()

    async def load(self, table: Table, configured: Callable[[], ByName]) -> Commanders:
        """Know what earlier runs told; keep it in `table` from now on as far as it is not `configured`. Raises StoreError.

        Return who commanded batteries last, of those that were told anything.
        """
        self._table, self._configured = table, configured
        self._stored = told, commanders = await table.load()
        for (peer, battery), limits in told.items():
            self._told[peer] = {**self._told.get(peer, {}), battery: limits}
        self._commanders = dict(commanders)
        self._counting |= {*self._told, *commanders.values()}
        return commanders

    def start(self, group: asyncio.TaskGroup) -> None:
        """Write, soon, what nobody waits for, in a task of `group`."""
        group.create_task(self._run(), name="told alone limits")

    @property
    def peers(self) -> Collection[str]:
        """Who was told some, or commanded last in an earlier run."""
        return self._counting

    @property
    def batteries(self) -> Collection[str]:
        """The batteries of which somebody was told some."""
        return {name for told in self._told.values() for name in told}

    def commanded(self, battery: str, peer: str) -> None:
        """Note who commands a battery: the next run is to miss it, too."""
        if self._commanders.get(battery) != peer:
            self._commanders[battery] = peer
            self._wake.set()

    def tell(self, peer: str, limits: ByName) -> None:
        """Note what a peer is being told."""
        known = self._told.get(peer, {})
        names = {*known, *limits}
        self._put(peer, {name: known.get(name, UNLIMITED).tighter(limits.get(name, UNLIMITED)) for name in names})

    def agreed(self, peer: str, limits: ByName) -> None:
        """Note that a peer counts on these and no others."""
        self._put(peer, limits)

    def forget(self, peer: str) -> ByName:
        """Note that a peer counts on, and commands, nothing; return what it did count on beyond what is configured."""
        beyond = {battery: limits for (who, battery), limits in self._needed().items() if who == peer}
        self._commanders = {battery: who for battery, who in self._commanders.items() if who != peer}
        self._put(peer, {})
        return beyond

    def _put(self, peer: str, limits: ByName) -> None:
        if limits:
            self._told[peer] = limits
            self._counting.add(peer)
        else:
            self._told.pop(peer, None)
            self._counting.discard(peer)
        self._wake.set()

    def known(self, battery: str, peers: Iterable[str]) -> AloneW:
        """Return the tightest limits of a battery that one of these peers may know of."""
        found = UNLIMITED
        for peer in peers:
            found = found.tighter(self._told.get(peer, {}).get(battery, UNLIMITED))
        return found

    # --- over restarts

    @asynccontextmanager
    async def kept(self, coming: ByName) -> AsyncIterator[None]:
        """Have on the disk what is not in force by itself once these limits, of all batteries, are configured. Raises StoreError.

        Where the block does not say whether they are stored, a restart may configure them: that goes on until the next time.
        """
        self._coming, in_doubt = coming, False
        try:
            await self._save_needed()
            in_doubt = True
            yield
            self._commanders = {at: who for at, who in self._commanders.items() if at in coming or at in self._told.get(who, ())}
            in_doubt = False
        except BosError as error:
            in_doubt = in_doubt and isinstance(error, InDoubtError)
            raise
        finally:
            if not in_doubt:
                self._coming = None
            self._wake.set()

    async def _save_needed(self) -> None:
        stored = {} if self._stored is None else self._stored[0]
        missing = [at for at, limits in self._needed().items() if stored.get(at) != limits]
        if self._table is None or not missing:
            return
        try:
            await self._save(self._table)
        except StoreError as error:
            names = ", ".join(f"{battery} of {peer}" for peer, battery in missing[:8])
            message = f"{error.message}: what others count on of alone limits cannot be noted: {names}"
            raise StoreError(message, **error.metadata) from error

    def _needed(self) -> Told:
        after = [self._configured(), *([] if self._coming is None else [self._coming])]
        return {
            (peer, battery): limits
            for peer, told in self._told.items()
            for battery, limits in told.items()
            if any((there := each.get(battery, UNLIMITED)) != limits and there.tighter(limits) != there for each in after)
        }

    def _to_store(self) -> tuple[Told, Commanders]:
        return self._needed(), {battery: peer for battery, peer in self._commanders.items() if peer in self._counting}

    async def _save(self, table: Table) -> None:
        self._saves, self._stored, needed = self._saves + 1, None, self._to_store()
        number = self._saves
        await table.save(*needed)  # one that answers late has it all the same
        if number == self._saves:
            self._stored = needed

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            if self._table is None or self._to_store() == self._stored:
                continue
            try:
                await self._save(self._table)
            except StoreError as error:
                _log.warning("told_alone_unwritten", detail=error.message)
                await asyncio.sleep(RETRY_S)
                self._wake.set()
