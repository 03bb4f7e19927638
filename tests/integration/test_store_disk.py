"""The store on a real small disk that fills up and turns read-only, and in two processes at once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bosd.errors import StoreError
from bosd.store.records import StopLatch
from bosd.store.store import Store
from tests.support.small_disk import small_disk


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
    """A read-only disk refuses writing and opening, by path; what was acknowledged is there when it can be written again."""
    store = await Store.open(disk / "state")
    await store.set_stops([StopLatch(name="b", reason="smoke", who="me", at_utc_s=1.0)])
    await store.close()
    remount(disk, "ro")
    with pytest.raises(StoreError, match=r"bosd\.lock: cannot be written: Read-only file system"):
        await Store.open(disk / "state")
    remount(disk, "rw")
    store = await Store.open(disk / "state")
    assert [stop.reason for stop in await store.load_stops()] == ["smoke"]
    await store.close()


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Another process on the same state directory is told which process holds it."""
    store = await Store.open(tmp_path)
    assert open_elsewhere(tmp_path) == str(os.getpid())
    await store.close()
