"""The store on a real small disk that fills up and turns read-only, and in two processes at once."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bosd.errors import StoreError
from bosd.store import store as store_module
from bosd.store.ledger import Books, LedgerEntry, LedgerFilter, LedgerTable
from bosd.store.records import StopLatch
from bosd.store.store import Store
from tests.support.small_disk import fill, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB in memory; skipped where this process may not mount one."""
    with small_disk(tmp_path / "disk", "1m") as place:
        yield place


def remount(disk: Path, mode: str) -> None:
    """Make the disk read-only or writable."""
    subprocess.run(["/bin/mount", "-o", f"remount,{mode}", disk], check=True)


def open_elsewhere(state_dir: Path) -> str:
    """Open a store in another process; return the process id its refusal names."""
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom bosd.errors import StoreError\nfrom bosd.store.store import Store\n"
        "try:\n    asyncio.run(Store.open(Path(sys.argv[1])))\nexcept StoreError as error:\n    print(error.metadata['pid'])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, state_dir], cwd=root, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


async def append(store: Store, expected: int, toml: str = "x") -> int:
    """Append a revision of which only the text matters."""
    return await store.append_revision(expected, toml=toml, changes=[], who="", comment="", changed_utc_s=0.0)


async def test_a_disk_that_fills_up(disk: Path) -> None:
    """A write without room is refused whole and says what to do; with room again the store works, nothing lost."""
    store = await Store.open(disk / "state")
    assert await append(store, 0, "first") == 1
    filler = disk / "filler"
    filler.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
    with pytest.raises(StoreError, match=r"the disk is full: free some space|the disk reported an error"):
        await append(store, 1, "y" * 100_000)
    filler.unlink()
    found = await store.load_topology()
    assert found is not None
    assert (found.revision, found.toml) == (1, "first")
    assert await append(store, 1, "second") == 2
    await store.close()


async def test_a_disk_that_turns_read_only(disk: Path) -> None:
    """Opened on a read-only disk it is read, and refuses writing; a new one is refused. Written again once that can be."""
    store = await Store.open(disk / "state")
    await store.set_stops([StopLatch(name="b", reason="smoke", who="me", at_utc_s=1.0)])
    await store.close()
    remount(disk, "ro")
    with pytest.raises(StoreError, match=r"other: cannot be made: Read-only file system"):
        await Store.open(disk / "other")
    store = await Store.open(disk / "state")
    assert [stop.reason for stop in await store.load_stops()] == ["smoke"]
    assert "mount it for writing" in store.unwritable
    with pytest.raises(StoreError, match="mount it for writing"):
        await store.clear_stops(["b"])
    assert open_elsewhere(disk / "state") == str(os.getpid())
    remount(disk, "rw")
    await written_again(store)
    await store.clear_stops(["b"])
    await store.close()


async def written_again(store: Store) -> None:
    """Wait until a store that could only be read can be written."""
    running = asyncio.create_task(store.run())
    async with asyncio.timeout(10.0):
        while store.unwritable:  # noqa: ASYNC110 (as its notice looks)
            await asyncio.sleep(0.01)
    running.cancel()


def opened_and_killed(state_dir: Path) -> None:
    """Have a stop kept by a process that ends without a word: what it wrote is in the log beside the file."""
    code = (
        "import asyncio, os, sys\nfrom pathlib import Path\nfrom bosd.store.records import StopLatch\n"
        "from bosd.store.store import Store\n"
        "async def main():\n    store = await Store.open(Path(sys.argv[1]))\n"
        "    await store.set_stops([StopLatch(name='b', reason='smoke', who='me', at_utc_s=1.0)])\n    os._exit(0)\n"
        "asyncio.run(main())"
    )
    subprocess.run([sys.executable, "-c", code, state_dir], cwd=Path(__file__).parents[2], check=True, timeout=30)


@pytest.mark.parametrize("killed", [False, True], ids=["closed before", "killed before"])
async def test_opened_on_a_full_disk(disk: Path, monkeypatch: pytest.MonkeyPatch, *, killed: bool) -> None:
    """What was kept is read, also from the log of a run that was killed; writes are refused, and work once there is room."""
    monkeypatch.setattr(store_module, "RETRY_S", 0.05)
    opened_and_killed(disk / "state")
    if not killed:
        store = await Store.open(disk / "state")
        await store.close()
    filler = fill(disk)
    store = await Store.open(disk / "state")
    assert "free some space" in store.unwritable
    assert [stop.reason for stop in await store.load_stops()] == ["smoke"]
    with pytest.raises(StoreError, match="free some space"):
        await append(store, 0, "y" * 10_000)
    filler.unlink()
    await written_again(store)
    assert store.boots == (2 if killed else 3)
    assert await append(store, 0, "first") == 1
    await store.close()
    store = await Store.open(disk / "state")
    found = await store.load_topology()
    assert found is not None
    assert found.toml == "first"
    await store.close()


async def test_what_the_ledger_left_open_is_closed_once_there_is_room(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of a run that was killed stay open on a full disk, and none is lost when the next one is written."""
    monkeypatch.setattr(store_module, "RETRY_S", 0.05)
    entry = LedgerEntry(account="b", giver="b", taker="ann", charge_ah=1.0, energy_wh=13.0, start_utc_s=0.0, end_utc_s=60.0)
    store = await Store.open(disk / "state")
    await LedgerTable(store).write(Books(entries=(), meters=(), gone=(), open_accounts=None, open_entries=(entry,)))
    await store.close()
    filler = fill(disk)
    store = await Store.open(disk / "state")
    table = LedgerTable(store)
    assert await table.load() == {}
    filler.unlink()
    await written_again(store)
    await table.write(Books(entries=(), meters=(), gone=(), open_accounts=None, open_entries=()))
    (found,) = await table.page(LedgerFilter(accounts=("b",)), 0, 10)
    assert (found.account, found.taker, found.charge_ah) == ("b", "ann", 1.0)
    await store.close()


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Another process on the same state directory is told which process holds it."""
    store = await Store.open(tmp_path)
    assert open_elsewhere(tmp_path) == str(os.getpid())
    await store.close()
