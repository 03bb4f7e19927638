"""The store through `kill -9`: what was acknowledged is there, and at most one revision more."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from bosd.store.store import Store

WRITER = """
import asyncio, sys
from pathlib import Path
from bosd.store.records import StopLatch
from bosd.store.store import Store

async def main():
    store = await Store.open(Path(sys.argv[1]))
    stored = await store.load_topology()
    revision = stored.revision if stored else 0
    while True:
        text = f"{revision + 1} " * 500
        revision = await store.append_revision(revision, toml=text, changes=[], who="", comment="", changed_utc_s=0.0)
        await store.set_stops([StopLatch(name="b", reason=str(revision), who="", at_utc_s=0.0)])
        print(revision, flush=True)

asyncio.run(main())
"""
ROUNDS = 10


async def acknowledged_until_killed(state_dir: Path, wanted: int) -> int:
    """Run a writer, kill it as soon as it has acknowledged so many revisions, return the last one it acknowledged."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(state_dir), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert writer.stdout is not None
    last = 0
    for _ in range(wanted):
        last = int(await writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    rest = (await writer.stdout.read()).split()
    await writer.wait()
    return int(rest[-1]) if rest else last


@pytest.mark.timeout(180)
async def test_no_acknowledged_revision_is_lost(tmp_path: Path) -> None:
    """Twenty kills at random moments of the writing: the old or the new, never a mix."""
    moments = random.Random(20)
    for _ in range(ROUNDS):
        last = await acknowledged_until_killed(tmp_path, moments.randint(1, 12))
        store = await Store.open(tmp_path)
        found = await store.load_topology()
        stops = await store.load_stops()
        revisions = [each.revision for each in await store.history(10_000)]
        await store.close()
        assert found is not None
        assert found.revision in (last, last + 1)
        assert found.toml == f"{found.revision} " * 500
        assert revisions == list(range(found.revision, 0, -1))
        assert int(stops[0].reason) in (last, last + 1)
        assert int(stops[0].reason) <= found.revision


@pytest.mark.timeout(60)
async def test_a_killed_owner_frees_the_directory(tmp_path: Path) -> None:
    """The kernel drops the lock of a killed process: the next daemon starts at once."""
    await acknowledged_until_killed(tmp_path, 1)
    store = await Store.open(tmp_path)
    assert store.boots == 2
    await store.close()
