"""The durable store: every write is on the disk before its method returns, and one thread does them all in order."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from sqlalchemy import Connection

from bosd.bal.edits import Change
from bosd.errors import InDoubtError, StoreError
from bosd.store import (
    audit_schema,  # noqa: F401 (its tables belong to every store)
    booking_schema,  # noqa: F401
    eebus_schema,  # noqa: F401
    limit_schema,  # noqa: F401
    queries,
)
from bosd.store.bases import SplitterBase, save_bases
from bosd.store.database import Database, takes_nothing
from bosd.store.lock import DirectoryLock
from bosd.store.records import MeterCheckpoint, StopLatch, StoredRevision, StoredTopology

T = TypeVar("T")

DEADLINE_S = 10.0
MAX_WAITING = 64
RETRY_S = 5.0


class Store:
    """The store in a state directory; `boots` counts how often it was opened.

    On a disk that takes nothing a store of before opens all the same: it is read, and writes are refused (`unwritable`).

    Every method raises StoreError when the disk or the database fails, when 64 calls wait, or after 10 s. A write that ran
    into the 10 s is undone unless it was being committed just then.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "bosd.sqlite"
        self.boots = 0
        self.unwritable = ""
        """Why nothing can be written since it was opened: the disk is full or read-only; empty: it can."""
        self._lock = DirectoryLock(state_dir)
        self._database = Database(self.path)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._waiting = 0
        self._closed = False

    @classmethod
    async def open(cls, state_dir: Path, url: str = "sqlite") -> Self:
        """Open or make the store and take the state directory for this process. Raises StoreError."""
        if url != "sqlite":
            raise StoreError(
                f"{url.partition(':')[0]} stores are not supported by this version; use sqlite", url=url.partition(":")[0]
            )
        store = cls(state_dir)
        try:
            await store._run(store._open)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Finish what was begun, close the database and free the state directory; closing twice is done."""
        if self._closed:
            return
        try:
            await self._submit(self._close)
        finally:
            self._closed = True
            self._writer.shutdown(wait=False)

    async def prove(self) -> None:
        """Return once the disk took a write that means nothing: one that is known to hang is given nothing that does.

        Raises StoreError, which leaves nothing in doubt.
        """
        try:
            await self.transact(queries.count_proof)
        except InDoubtError as error:
            raise StoreError(error.message, **error.metadata) from error

    async def load_topology(self, revision: int | None = None) -> StoredTopology | None:
        """Return the newest topology, or that of a revision; None when there is none."""
        return await self.transact(lambda connection: queries.load_topology(connection, revision))

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
        """Add a topology after the expected revision (0: the first), with what its splitters expect; return its number.

        Raises StaleRevisionError.
        """
        row = {"toml": toml, "who": who, "comment": comment, "changed_utc_s": changed_utc_s}

        def append(connection: Connection) -> int:
            save_bases(connection, bases)
            return queries.append_revision(connection, expected_revision, row, changes)

        return await self.transact(append)

    async def history(self, limit: int) -> tuple[StoredRevision, ...]:
        """Return the newest revisions, newest first."""
        return await self.transact(lambda connection: queries.history(connection, limit))

    async def load_stops(self) -> tuple[StopLatch, ...]:
        """Return all stop latches, by name."""
        return await self.transact(queries.load_stops)

    async def set_stops(self, stops: Sequence[StopLatch]) -> None:
        """Keep stop latches; one of the same name is replaced."""
        await self.transact(lambda connection: queries.set_stops(connection, stops))

    async def clear_stops(self, names: Sequence[str]) -> None:
        """Forget stop latches; those that are not there are done."""
        await self.transact(lambda connection: queries.clear_stops(connection, names))

    async def load_meters(self) -> dict[str, MeterCheckpoint]:
        """Return all meter checkpoints by name."""
        return await self.transact(queries.load_meters)

    async def save_meters(self, meters: Sequence[MeterCheckpoint]) -> None:
        """Keep these meter checkpoints and no others."""
        await self.transact(lambda connection: queries.save_meters(connection, meters))

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = (
                f"{self.path.parent}: cannot be made: {error.strerror}: give [node] state_dir a directory that bosd may write"
            )
            raise StoreError(message, path=self.path.parent) from error
        self._lock.acquire()
        self._open_database()

    def _open_database(self) -> None:
        """Open the database, on a disk that takes nothing to read what is there. Raises StoreError."""
        try:
            self._database.open()
            with self._database.transaction() as connection:
                self.boots = queries.count_boot(connection)
        except StoreError as error:
            self._database.close()
            if not takes_nothing(error) or not self.path.exists():
                raise
            self._open_to_read(error)
        else:
            self.unwritable = ""

    def _open_to_read(self, why: StoreError) -> None:
        """Go on with what is there. Raises `why` where that cannot be read."""
        try:
            self._database.open_to_read()
            with self._database.transaction() as connection:
                self.boots = queries.boots(connection) + 1
        except StoreError as error:
            self._database.close()
            raise why from error
        self.unwritable = why.message
        try:  # opening fails for what it makes beside the file; a write says what is wrong with the disk
            with self._database.transaction() as connection:
                queries.count_boot(connection)
        except StoreError as error:
            self.unwritable = error.message

    async def run(self) -> None:
        """While nothing can be written, try to open it anew, until cancelled; what was refused stays refused."""
        while True:
            await asyncio.sleep(RETRY_S)
            if self.unwritable:
                with contextlib.suppress(StoreError):
                    await self._run(self._open_anew)

    def _open_anew(self) -> None:
        self._database.close()
        self._open_database()

    def _close(self) -> None:
        self._database.close()
        self._lock.release()

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction on the writer thread; what it did is on the disk when this returns."""
        abandoned = threading.Event()

        def job() -> T:
            with self._database.transaction() as connection:
                result = work(connection)
                if abandoned.is_set():
                    raise StoreError(f"{self.path}: given up", path=self.path)
                return result

        try:
            return await self._run(job)
        except BaseException:
            abandoned.set()
            raise

    async def _run(self, job: Callable[[], T]) -> T:
        if self._closed:
            raise StoreError(f"{self.path}: the store is closed", path=self.path)
        if self._waiting >= MAX_WAITING:
            raise StoreError(f"{self.path}: {MAX_WAITING} writes wait for the disk already", path=self.path)
        return await self._submit(job)

    async def _submit(self, job: Callable[[], T]) -> T:
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._writer, job)
        future.add_done_callback(self._finished)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise InDoubtError(f"{self.path}: the disk did not answer within {DEADLINE_S:g} s", path=self.path) from error

    def _finished(self, future: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()
