"""The one connection to the database, and what its failures mean to a person."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from bosd.errors import StoreError
from bosd.store.schema import check, prepare

BUSY_TIMEOUT_S = 5.0

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 4194304",
)
_ADVICE = {
    sqlite3.SQLITE_BUSY: "another program holds the database: close it",
    sqlite3.SQLITE_LOCKED: "another program holds the database: close it",
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "the file or its disk is read-only: mount it for writing and check its owner",
    sqlite3.SQLITE_PERM: "the file may not be opened: check its owner and mode",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: check the directory's owner and mode",
    sqlite3.SQLITE_IOERR: "the disk reported an error: check it, and replace the card",
    sqlite3.SQLITE_PROTOCOL: "the file system cannot lock files: use a local disk",
    sqlite3.SQLITE_CORRUPT: "the database is damaged: move it away or restore a copy, then start again",
    sqlite3.SQLITE_NOTADB: "the file is no database: move it away or restore a copy, then start again",
    sqlite3.SQLITE_NOMEM: "memory is used up",
}


_TAKES_NOTHING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def takes_nothing(error: StoreError) -> bool:
    """Tell whether it failed because the disk takes nothing, full, read-only or failing, so that it may still be read."""
    cause = error.__cause__
    if isinstance(cause, OSError):
        return cause.errno in _NO_ROOM
    return isinstance(cause, DBAPIError) and _code(cause) in _TAKES_NOTHING


class Database:
    """A SQLite file; every method belongs to the one thread that opened it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: Connection | None = None

    def open(self) -> None:
        """Open or make the file, durable with its directory entry. Raises StoreError."""
        with self._explained():
            existed = self.path.exists()
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            engine = create_engine(f"sqlite:///{self.path}", poolclass=NullPool, connect_args={"isolation_level": None})
            event.listen(engine, "connect", _configure)
            event.listen(engine, "begin", _begin)
            self._connection = engine.connect()
            with self.transaction() as connection:
                prepare(connection, str(self.path))
            if not existed:
                sync_directory(self.path.parent)

    def open_to_read(self) -> None:
        """Open a file of before on a disk that takes nothing, for this process alone: nothing is made beside it.

        Writes are refused as long as there is no room; on a read-only disk until it is opened again. Raises StoreError.
        """
        beside = {end: self.path.with_name(f"{self.path.name}-{end}") for end in ("wal", "shm")}
        address = f"{self.path.absolute().as_uri()}?mode="
        writable = os.access(self.path, os.W_OK)
        if writable:
            address += "rw"
        elif beside["shm"].exists() or not beside["wal"].exists() or beside["wal"].stat().st_size == 0:
            address += "ro" if beside["shm"].exists() else "ro&immutable=1"
        else:
            raise StoreError(f"{beside['wal']}: holds what was written last, and the disk is read-only: mount it for writing")
        with self._explained():
            engine = create_engine("sqlite://", poolclass=NullPool, creator=lambda: _connect(address, alone=writable))
            event.listen(engine, "begin", _begin if writable else _begin_to_read)
            self._connection = engine.connect()
            with self.transaction() as connection:
                check(connection, str(self.path))

    def close(self) -> None:
        """Close the file; closing twice is done."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run a block whole or not at all; it is on the disk when the block has ended. Raises StoreError."""
        if self._connection is None:
            raise StoreError(f"{self.path}: the store is closed", path=self.path)
        with self._explained(), self._connection.begin():
            yield self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if (code := _code(error)) not in _ADVICE:
                raise
            raise StoreError(f"{self.path}: {error.orig}: {_ADVICE[code]}", path=self.path) from error
        except OSError as error:
            raise StoreError(
                f"{self.path}: {error.strerror}: check the directory's owner, mode and space", path=self.path
            ) from error


def _code(error: DBAPIError) -> int:
    return int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF


def _connect(address: str, *, alone: bool) -> sqlite3.Connection:
    """Return a connection that makes no file; `alone`: its index of the log is in memory (sqlite.org/wal.html, section 8)."""
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    locking = ("PRAGMA locking_mode = EXCLUSIVE",) if alone else ()
    for pragma in (*locking, "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"):
        connection.execute(pragma)
    return connection


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_to_read(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def sync_directory(directory: Path) -> None:
    """Have the entries of a directory on the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
