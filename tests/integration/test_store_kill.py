"""The store through `kill -9`: what was acknowledged is there, and at most one revision more."""

import random
from pathlib import Path

import pytest

from bosd.store.store import Store
from tests.support.killed_writers import writers

WRITER = """
from pathlib import Path
from bosd.store.records import StopLatch
from bosd.store.store import Store

async def main(state_dir):
    store = await Store.open(Path(state_dir))
    stored = await store.load_topology()
    revision = stored.revision if stored else 0
    while True:
        text = f"{revision + 1} " * 500
        revision = await store.append_revision(revision, toml=text, changes=[], who="", comment="", changed_utc_s=0.0)
        await store.set_stops([StopLatch(name="b", reason=str(revision), who="", at_utc_s=0.0)])
        print("done", revision, flush=True)
"""
ROUNDS = 10


@pytest.mark.timeout(180)
async def test_no_acknowledged_revision_is_lost(tmp_path: Path) -> None:
    """Ten kills at random moments of the writing: the old or the new, never a mix."""
    moments = random.Random(20)
    async with writers(WRITER) as killed:
        for _ in range(ROUNDS):
            lines = await killed.until_killed(tmp_path, wanted=moments.randint(1, 12))
            last = int(lines[-1][0])
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
    async with writers(WRITER) as killed:
        await killed.until_killed(tmp_path, wanted=1)
    store = await Store.open(tmp_path)
    assert store.boots == 2
    await store.close()
