"""The store's methods that a node uses, kept in memory: for loops that jump, on which no thread may run."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection, create_engine

from bosd.bal.edits import Change
from bosd.errors import InDoubtError, StaleRevisionError, StoreError
from bosd.store.bases import SplitterBase, save_bases
from bosd.store.records import StopLatch, StoredRevision, StoredTopology
from bosd.store.schema import prepare
from bosd.store.store import DEADLINE_S

T = TypeVar("T")


class MemoryStore:
    """Revisions and stop latches; while `failed` every call raises StoreError.

    `takes_s` is asked before each call how long the disk takes; calls end in the order in which they came. Until `hangs_until_s`
    of the loop none ends; one that waits for too long raises InDoubtError, and is written all the same where it is `taken_late`.
    """

    def __init__(self) -> None:
        self.revisions: list[tuple[StoredTopology, StoredRevision]] = []
        self.stops: dict[str, StopLatch] = {}
        self.failed = False
        self.takes_s: Callable[[], float] = lambda: 0.0
        self.hangs_until_s = -math.inf
        self.taken_late: Callable[[], bool] = lambda: False
        self._free_s = 0.0
        self._connection = create_engine("sqlite://").connect()
        with self._connection.begin():
            prepare(self._connection, "memory")

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction on a database in memory, at once."""

        def begun() -> T:
            with self._connection.begin():
                return work(self._connection)

        return await self._write(begun)

    @property
    def hangs(self) -> bool:
        """Whether no call ends."""
        return asyncio.get_running_loop().time() < self.hangs_until_s

    async def _write(self, work: Callable[[], T]) -> T:
        try:
            await self._turn()
        except InDoubtError:
            if self.taken_late():
                work()
            raise
        return work()

    async def _turn(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if takes_s := self.takes_s():
            self._free_s = max(self._free_s, now_s) + takes_s
        if (waits_s := max(self._free_s, self.hangs_until_s) - now_s) > 0.0 and (takes_s or self.hangs):
            await asyncio.sleep(min(waits_s, DEADLINE_S))
            if waits_s > DEADLINE_S:
                raise InDoubtError(f"the disk did not answer within {DEADLINE_S:g} s")
        if self.failed:
            raise StoreError("the disk is gone")

    async def prove(self) -> None:
        try:
            await self._turn()
        except InDoubtError as error:
            raise StoreError(error.message) from error

    async def load_topology(self, revision: int | None = None) -> StoredTopology | None:
        await self._turn()
        found = [topology for topology, _ in self.revisions if revision in (None, topology.revision)]
        return found[-1] if found else None

    async def append_revision(
        self,
        expected_revision: int,
        *,
        toml: str,
        changes: Sequence[Change],
        who: str,
        comment: str,
        changed_utc_s: float,
        bases: Sequence[SplitterBase] = (),
    ) -> int:
        number = expected_revision + 1
        line = StoredRevision(revision=number, changed_utc_s=changed_utc_s, who=who, comment=comment, changes=tuple(changes))

        def append(connection: Connection) -> int:
            if expected_revision != len(self.revisions):
                raise StaleRevisionError("moved on", expected=expected_revision, actual=len(self.revisions))
            save_bases(connection, bases)
            self.revisions.append((StoredTopology(revision=number, toml=toml, changed_utc_s=changed_utc_s), line))
            return number

        return await self.transact(append)

    async def history(self, limit: int) -> tuple[StoredRevision, ...]:
        await self._turn()
        return tuple(line for _, line in reversed(self.revisions))[:limit]

    async def load_stops(self) -> tuple[StopLatch, ...]:
        await self._turn()
        return tuple(self.stops[name] for name in sorted(self.stops))

    async def set_stops(self, stops: Sequence[StopLatch]) -> None:
        await self._write(lambda: self.stops.update((stop.name, stop) for stop in stops))

    async def clear_stops(self, names: Sequence[str]) -> None:

        def clear() -> None:
            for name in names:
                self.stops.pop(name, None)

        await self._write(clear)
