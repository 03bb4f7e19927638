"""An edit whose asker goes away, or whose disk hangs: it is made or not made, on the disk and in force alike."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bosd.bal.directory import Directory
from bosd.bal.spec import BatterySpec, NullSpec, Topology
from bosd.clock import SystemClock
from bosd.errors import StoreError, UnsupportedError
from bosd.node.api import Edit
from bosd.node.editor import Editor
from bosd.policy.registry import policy
from bosd.store.store import Store

WAIT_S = 20.0


def no_leaf(spec: BatterySpec) -> None:
    """Make nothing: these topologies have no device."""
    raise UnsupportedError(spec.name)


async def stops_nothing(_batteries: object, _within_s: float) -> list[str]:
    """Stop nothing: nothing runs."""
    return []


def added(name: str) -> list[Edit]:
    """Return the edit that adds a null battery."""
    return [Edit(action="add", name=name, toml=f'[[battery]]\nname = "{name}"\nkind = "null"\nvoltage_v = 12.0\n')]


async def test_an_asker_that_goes_while_its_edit_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while the store commits: the edit is in force, as it is stored, and the next one is made against it."""
    begun, may_go = threading.Event(), threading.Event()
    store = await Store.open(tmp_path)
    try:
        directory = Directory(no_leaf, policy)  # type: ignore[arg-type]
        editor = Editor(directory, store, SystemClock(), lambda _replaced: None, stops_nothing)
        await editor.load(Topology(batteries=(NullSpec(name="n", voltage_v=12.0),)))
        transaction = store._database.transaction

        @contextmanager
        def slow_to_commit() -> Iterator[Connection]:
            with transaction() as connection:
                yield connection
                begun.set()
                may_go.wait(WAIT_S)

        monkeypatch.setattr(store._database, "transaction", slow_to_commit)
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            asking = group.create_task(editor.apply(added("m"), 1, "person", ""))
            await asyncio.to_thread(begun.wait, WAIT_S)
            asking.cancel()
            await asyncio.sleep(0.01)
            may_go.set()
            await asyncio.wait([asking])
        assert asking.cancelled()
        assert sorted(directory.batteries) == ["m", "n"]
        assert editor.revision == 2
        assert (await editor.apply(added("o"), 2, "person", "")).revision == 3
    finally:
        may_go.set()
        await store.close()


async def test_a_disk_that_answers_an_edit_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It commits for longer than is waited for: the edit is in force, as it is stored, and the next one is made against it."""
    begun, may_go = threading.Event(), threading.Event()
    store = await Store.open(tmp_path)
    try:
        directory = Directory(no_leaf, policy)  # type: ignore[arg-type]
        editor = Editor(directory, store, SystemClock(), lambda _replaced: None, stops_nothing)
        await editor.load(Topology(batteries=(NullSpec(name="n", voltage_v=12.0),)))
        transaction = store._database.transaction

        @contextmanager
        def slow_to_commit() -> Iterator[Connection]:
            with transaction() as connection:
                yield connection
                begun.set()
                may_go.wait(WAIT_S)

        monkeypatch.setattr(store._database, "transaction", slow_to_commit)
        given_up = asyncio.Event()
        submit = store._submit

        async def impatient(job: Callable[[], object]) -> object:
            """Give up the first write once the store is at its end, as after 10 s."""
            if given_up.is_set():
                return await submit(job)
            given_up.set()
            writing = asyncio.ensure_future(submit(job))
            await asyncio.to_thread(begun.wait, WAIT_S)
            writing.cancel()
            raise StoreError("the disk did not answer within 10 s") from TimeoutError()

        monkeypatch.setattr(store, "_submit", impatient)
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            asking = group.create_task(editor.apply(added("m"), 1, "person", ""))
            await asyncio.to_thread(begun.wait, WAIT_S)
            await asyncio.sleep(0.01)
            may_go.set()
            assert (await asking).revision == 2
        assert sorted(directory.batteries) == ["m", "n"]
        assert (await editor.apply(added("o"), 2, "person", "")).revision == 3
    finally:
        may_go.set()
        await store.close()
