"""A look at a store at rest, and at who holds a state directory."""

import sqlite3
from pathlib import Path

import pytest

from bosd.errors import StoreError
from bosd.store.lock import DirectoryLock, holder
from bosd.store.look import look
from bosd.store.store import Store


async def test_the_newest_topology(tmp_path: Path) -> None:
    """The look reads what the store wrote last, while it is open too, and changes nothing in it."""
    assert look(tmp_path / "bosd.sqlite") is None
    store = await Store.open(tmp_path)
    assert look(store.path) is None
    for number in (0, 1):
        await store.append_revision(
            number, toml=f"# {number + 1}", changes=(), who="test", comment="", changed_utc_s=1_800_000_000.0
        )
    found = look(store.path)
    await store.close()
    assert found == look(store.path)
    assert found is not None
    assert (found.revision, found.toml) == (2, "# 2")


def test_what_is_no_store(tmp_path: Path) -> None:
    """A file that is none, and one without the table, are refused with the path."""
    path = tmp_path / "bosd.sqlite"
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        look(path)
    path.unlink()
    sqlite3.connect(path).close()
    path.touch()
    with pytest.raises(StoreError, match="no such table"):
        look(path)


def test_who_holds_a_directory(tmp_path: Path) -> None:
    """Nobody, then this process, then nobody again; asking takes nothing away."""
    import os

    assert holder(tmp_path) is None
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    assert holder(tmp_path) == str(os.getpid()) == holder(tmp_path)
    lock.release()
    assert holder(tmp_path) is None
    lock.acquire()
    lock.release()
