"""The durable store on a real SQLite file."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bosd.bal.edits import Change
from bosd.errors import InDoubtError, StaleRevisionError, StoreError
from bosd.store import queries
from bosd.store import store as store_module
from bosd.store.records import MeterCheckpoint, StopLatch, StoredRevision, StoredTopology
from bosd.store.store import Store

CHANGE = Change(action="replace", name="b1", kind="jbd", detail="port /a -> /b, €")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An open store in a directory of its own."""
    opened = await Store.open(tmp_path / "state")
    yield opened
    await opened.close()


async def append(store: Store, expected: int, toml: str = "x") -> int:
    """Append a revision of which only the text matters."""
    return await store.append_revision(expected, toml=toml, changes=[CHANGE], who="me", comment="why", changed_utc_s=1e9 + 0.1)


async def test_revisions_count_from_one(store: Store) -> None:
    """An empty store has no topology; each revision is the newest when it is acknowledged, older ones stay readable."""
    assert await store.load_topology() is None
    assert await append(store, 0, "first") == 1
    assert await append(store, 1, "second") == 2
    assert await store.load_topology() == StoredTopology(revision=2, toml="second", changed_utc_s=1e9 + 0.1)
    assert await store.load_topology(1) == StoredTopology(revision=1, toml="first", changed_utc_s=1e9 + 0.1)
    assert await store.load_topology(3) is None


async def test_an_edit_against_an_old_revision_is_stale(store: Store) -> None:
    """Compare and set: the refusal has both numbers, and nothing is written."""
    await append(store, 0)
    for expected in (0, 2):
        with pytest.raises(StaleRevisionError) as caught:
            await append(store, expected)
        assert caught.value.metadata == {"expected": str(expected), "actual": "1"}
    assert len(await store.history(10)) == 1


async def test_of_two_edits_at_once_one_wins(store: Store) -> None:
    """Two appends against the same revision: one is acknowledged, the other is stale."""
    answers = await asyncio.gather(append(store, 0), append(store, 0), return_exceptions=True)
    assert answers[0] == 1
    assert isinstance(answers[1], StaleRevisionError)


async def test_history_is_newest_first(store: Store) -> None:
    """History has who, why and what changed, at most as many as asked for."""
    for revision in range(3):
        await append(store, revision)
    newest = StoredRevision(revision=3, changed_utc_s=1e9 + 0.1, who="me", comment="why", changes=(CHANGE,))
    assert (await store.history(10))[0] == newest
    assert [each.revision for each in await store.history(2)] == [3, 2]
    assert await store.history(0) == ()


async def test_history_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revisions beyond those kept are forgotten, oldest first."""
    monkeypatch.setattr(queries, "KEPT_REVISIONS", 3)
    for revision in range(5):
        await append(store, revision)
    assert [each.revision for each in await store.history(10)] == [5, 4, 3]


async def test_stops_outlive_the_process(tmp_path: Path) -> None:
    """A latch is there after reopening, replaced by a newer one of its name, gone when cleared; clearing twice is done."""
    first, second = (StopLatch(name="b1", reason=reason, who="me", at_utc_s=5.25) for reason in ("smoke", "fire"))
    other = StopLatch(name="a", reason="", who="", at_utc_s=0.0)
    store = await Store.open(tmp_path)
    await store.set_stops([first])
    await store.set_stops([second, other])
    await store.close()
    store = await Store.open(tmp_path)
    assert await store.load_stops() == (other, second)
    await store.clear_stops(["b1", "b1", "nobody"])
    await store.set_stops([])
    assert await store.load_stops() == (other,)
    await store.close()


async def test_meters_are_kept_whole(store: Store) -> None:
    """A checkpoint replaces the one before it whole; every float reads back exactly."""
    old = [MeterCheckpoint(name=f"b{index}", charge_ah=index / 3, unobserved_s=0.1, at_utc_s=1e9 / 7) for index in range(1000)]
    await store.save_meters(old)
    assert await store.load_meters() == {meter.name: meter for meter in old}
    await store.save_meters(old[:1])
    assert await store.load_meters() == {"b0": old[0]}
    await store.save_meters([])
    assert await store.load_meters() == {}


async def test_openings_are_counted(tmp_path: Path) -> None:
    """The boot counter goes up by one an opening."""
    for boots in (1, 2, 3):
        store = await Store.open(tmp_path)
        assert store.boots == boots
        await store.close()


async def test_the_file_is_durable_by_its_settings(store: Store) -> None:
    """Write-ahead log with a full sync of each commit, a busy time-out, foreign keys; readable by its owner alone."""
    with store._database.transaction() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]
    assert store.path.stat().st_mode & 0o777 == 0o600


async def test_a_second_store_on_the_directory_is_refused(store: Store) -> None:
    """One daemon a state directory."""
    with pytest.raises(StoreError, match="in use by another bosd"):
        await Store.open(store.path.parent)
    assert await append(store, 0) == 1


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """Calls after the end are refused; closing twice is done, and the directory is free again."""
    store = await Store.open(tmp_path)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.load_stops()
    await (await Store.open(tmp_path)).close()


async def test_other_databases_are_of_a_later_version(tmp_path: Path) -> None:
    """PostgreSQL is refused by name, without its password in the message."""
    with pytest.raises(StoreError, match="postgresql stores are not supported") as caught:
        await Store.open(tmp_path, "postgresql://me:secret@db/bosd")
    assert "secret" not in caught.value.message


async def test_a_damaged_file(tmp_path: Path) -> None:
    """A file that is no database is named with what to do, and the directory is not left locked."""
    (tmp_path / "bosd.sqlite").write_bytes(b"not a database, not at all" * 100)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"bosd\.sqlite: file is not a database: .* move it away"):
            await Store.open(tmp_path)


@pytest.mark.parametrize(("version", "message"), [(2, "has schema 2, this bosd knows 1"), (0, "is no store of bosd")])
async def test_a_schema_of_another_version(tmp_path: Path, version: int, message: str) -> None:
    """A newer schema is refused, not guessed at."""
    await (await Store.open(tmp_path)).close()
    with sqlite3.connect(tmp_path / "bosd.sqlite") as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (version,))
    connection.close()
    with pytest.raises(StoreError, match=message):
        await Store.open(tmp_path)


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """The error has the path and the key to change."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="state_dir"):
        await Store.open(tmp_path / "file" / "state")


async def test_a_database_held_by_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that does not go away within the busy time-out is a StoreError; when it goes the store works again."""
    monkeypatch.setattr("bosd.store.database._PRAGMAS", ("PRAGMA journal_mode = WAL", "PRAGMA busy_timeout = 1"))
    store = await Store.open(tmp_path)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program holds the database"):
        await append(store, 0)
    other.execute("ROLLBACK")
    other.close()
    assert await append(store, 0) == 1
    await store.close()


async def test_a_full_disk(store: Store) -> None:
    """A write that finds no room changes nothing and says so; with room it works again."""
    with store._database.transaction() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(StoreError, match="the disk is full: free some space"):
        await append(store, 0, "x" * 1_000_000)
    assert await store.load_topology() is None
    with store._database.transaction() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")
    assert await append(store, 0) == 1


async def test_a_given_up_write_is_undone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that goes away before the commit leaves nothing behind."""
    entered, proceed = threading.Event(), threading.Event()
    plain = queries.append_revision

    def held(*args: object) -> int:
        entered.set()
        proceed.wait(10.0)
        return plain(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(queries, "append_revision", held)
    task = asyncio.create_task(append(store, 0))
    await asyncio.to_thread(entered.wait, 10.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    proceed.set()
    assert await store.load_topology() is None


async def test_a_disk_that_hangs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk has an end, and so has the number of calls that wait for it."""
    proceed = threading.Event()
    monkeypatch.setattr(store_module, "DEADLINE_S", 0.0)
    monkeypatch.setattr(store_module, "MAX_WAITING", 2)
    monkeypatch.setattr(queries, "load_stops", lambda _: proceed.wait(10.0))
    for _ in range(2):
        with pytest.raises(StoreError, match="did not answer within"):
            await store.load_stops()
    with pytest.raises(StoreError, match="2 writes wait"):
        await store.load_stops()
    monkeypatch.setattr(store_module, "MAX_WAITING", 3)
    with pytest.raises(StoreError, match="did not answer within") as caught:
        await store.prove()
    assert not isinstance(caught.value, InDoubtError), "nothing that anybody asked for was given to it"
    monkeypatch.setattr(store_module, "DEADLINE_S", 10.0)
    proceed.set()


async def test_a_fault_of_the_program_is_no_store_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong SQL is a bug and must escape as one."""
    monkeypatch.setattr(queries, "load_stops", lambda connection: connection.exec_driver_sql("SELECT nonsense"))
    with pytest.raises(Exception, match="nonsense") as caught:
        await store.load_stops()
    assert not isinstance(caught.value, StoreError)


def test_the_mapper_is_never_imported() -> None:
    """The core of SQLAlchemy is enough: its mapper would cost memory and start-up time."""
    import subprocess
    import sys

    code = "import bosd.store.store, sys; print([name for name in sys.modules if name.startswith('sqlalchemy.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert "sqlalchemy.engine" in done.stdout
    assert "sqlalchemy.orm" not in done.stdout
    assert "sqlalchemy.ext" not in done.stdout
