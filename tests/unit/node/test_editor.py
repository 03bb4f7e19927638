"""Edits whose asker goes away, or whose disk hangs: made or not made, on the disk and in force alike; and those too long."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from bosd.bal.directory import Directory
from bosd.bal.portions import Merge
from bosd.bal.spec import BatterySpec, NullSpec, Topology
from bosd.clock import SystemClock
from bosd.config import parse_edit
from bosd.errors import InDoubtError, InvalidArgumentError, NoResourcesError, StoreError, UnsupportedError
from bosd.node.api import Edit
from bosd.node.editor import MADE_AT_ONCE, MOST_READ, READ_ASIDE, Editor
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


@asynccontextmanager
async def an_editor(tmp_path: Path) -> AsyncIterator[Editor]:
    """Yield the editor of a node with one null battery."""
    store = await Store.open(tmp_path)
    try:
        directory = Directory(no_leaf, policy)  # type: ignore[arg-type]
        editor = Editor(directory, store, SystemClock(), lambda _replaced: None, stops_nothing)
        await editor.load(Topology(batteries=(NullSpec(name="n", voltage_v=12.0),)))
        yield editor
    finally:
        await store.close()


@contextmanager
def slow_to_commit(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, quick: int
) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Have the disk take a commit after `quick` ones only once the second event is set; the first is when it has come so far."""
    begun, may_go = threading.Event(), threading.Event()
    transaction = store._database.transaction

    @contextmanager
    def slow() -> Iterator[Connection]:
        with transaction() as connection:
            yield connection
            nonlocal quick
            quick -= 1
            if quick < 0:
                begun.set()
                may_go.wait(WAIT_S)

    monkeypatch.setattr(store._database, "transaction", slow)
    try:
        yield begun, may_go
    finally:
        may_go.set()


async def test_an_asker_that_goes_while_its_edit_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled as the store commits: the edit is in force, as it is stored; watchers hear of it; the next is made against it."""
    async with an_editor(tmp_path) as editor:
        watching = editor.watch()
        assert (await anext(watching)).revision == 1
        seen = asyncio.ensure_future(anext(watching))
        with slow_to_commit(editor._store, monkeypatch, quick=1) as (begun, may_go):
            async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
                asking = group.create_task(editor.apply(added("m"), 1, "person", ""))
                await asyncio.to_thread(begun.wait, WAIT_S)
                asking.cancel()
                await asyncio.sleep(0.01)
                may_go.set()
                await asyncio.wait([asking])
        assert asking.cancelled()
        assert sorted(editor._directory.batteries) == ["m", "n"]
        assert editor.revision == 2
        assert (await asyncio.wait_for(seen, WAIT_S)).revision == 2
        assert (await editor.apply(added("o"), 2, "person", "")).revision == 3


async def test_a_disk_that_answers_an_edit_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It commits for longer than is waited for: the edit is in force, as it is stored, and the next one is made against it."""
    async with an_editor(tmp_path) as editor:
        submit, proved, given_up = editor._store._submit, asyncio.Event(), asyncio.Event()
        with slow_to_commit(editor._store, monkeypatch, quick=1) as (begun, may_go):

            async def impatient(job: Callable[[], object]) -> object:
                """Give up the first write that is slow once the store is at its end, as after 10 s."""
                if given_up.is_set() or not proved.is_set():
                    proved.set()
                    return await submit(job)
                given_up.set()
                writing = asyncio.ensure_future(submit(job))
                await asyncio.to_thread(begun.wait, WAIT_S)
                writing.cancel()
                raise InDoubtError("the disk did not answer within 10 s")

            monkeypatch.setattr(editor._store, "_submit", impatient)
            async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
                asking = group.create_task(editor.apply(added("m"), 1, "person", ""))
                await asyncio.to_thread(begun.wait, WAIT_S)
                await asyncio.sleep(0.01)
                may_go.set()
                assert (await asking).revision == 2
        assert sorted(editor._directory.batteries) == ["m", "n"]
        assert (await editor.apply(added("o"), 2, "person", "")).revision == 3


def many(count: int) -> str:
    """Return the tables of so many null batteries."""
    return "".join(f'[[battery]]\nname = "m{number}"\nkind = "null"\nvoltage_v = 12.0\n' for number in range(count))


@pytest.mark.parametrize("action", ["plan", "apply"])
async def test_the_loop_goes_on_while_a_long_edit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    """Reading goes on only once the loop has had a turn; devices are tried a few at a time, with turns between them."""
    loop_ran, read, turns, tried = threading.Event(), parse_edit, 0, list[tuple[int, int]]()

    def reads_late(*arguments: Any) -> object:
        assert loop_ran.wait(WAIT_S), "the loop stands still"
        return read(*arguments)

    async def beats() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1
            loop_ran.set()

    def tries(topology: Topology) -> None:
        tried.append((turns, len(topology.batteries)))

    monkeypatch.setattr("bosd.node.editor.parse_edit", reads_late)
    long = [Edit(action="add", toml=many(4 * MADE_AT_ONCE) + "#" * READ_ASIDE)]
    async with an_editor(tmp_path) as editor:
        editor.try_devices = tries
        beating = asyncio.create_task(beats())
        result = await (editor.plan(long, 1) if action == "plan" else editor.apply(long, 1, "person", ""))
        beating.cancel()
    assert len(result.changes) == 4 * MADE_AT_ONCE
    assert [size for _, size in tried] == [MADE_AT_ONCE] * 4 + [1]
    assert len({turn for turn, _ in tried}) == len(tried), "others had their turn between any two"


async def test_what_is_too_long_for_one_transaction(tmp_path: Path) -> None:
    """More TOML than is read, in one edit or all together, and a merge beside a long one, are refused with what is right."""
    half = Edit(action="add", toml="#" * (MOST_READ // 2 + 1))
    merge = Edit(action="recut", name="a", recut=Merge(name="a", into="b"))
    async with an_editor(tmp_path) as editor:
        with pytest.raises(NoResourcesError, match=f"at most {MOST_READ}"):
            await editor.plan([half, half], None)
        with pytest.raises(InvalidArgumentError, match="a transaction of its own"):
            await editor.plan([Edit(action="add", toml="#" * READ_ASIDE), merge], None)
        assert (await editor.plan([Edit(action="add", toml=many(1))], None)).revision == 1


async def test_an_edit_that_was_refused_and_is_stored_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk hangs until nobody looks any more: the next edit is made against what is in force."""
    async with an_editor(tmp_path) as editor:
        store = editor._store
        submit, late = store._submit, 3

        async def hung(job: Callable[[], object]) -> object:
            nonlocal late
            done, late = await submit(job), late - 1
            if 0 <= late < 2:
                raise InDoubtError("the disk did not answer within 10 s")
            return done

        monkeypatch.setattr(store, "_submit", hung)
        with pytest.raises(StoreError, match="did not answer"):
            await editor.apply(added("m"), None, "person", "")
        assert (editor.revision, sorted(editor._directory.batteries)) == (1, ["n"])
        applied = await editor.apply(added("o"), None, "person", "")
        assert (applied.revision, sorted(editor._directory.batteries)) == (4, ["n", "o"])
        stored = await store.load_topology()
        assert stored is not None
        assert (stored.revision, stored.toml) == (4, editor.view().toml)
        comments = [revision.comment for revision in await editor.history(4)]
        assert comments[1] == "revision 2 was refused, as the disk did not answer: taken back"


async def test_what_was_refused_as_the_disk_hung_is_not_in_force_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was handed to the disk is written late, when nobody asks for anything any more."""
    async with an_editor(tmp_path) as editor:
        with slow_to_commit(editor._store, monkeypatch, quick=0):
            monkeypatch.setattr("bosd.store.store.DEADLINE_S", 0.05)
            with pytest.raises(StoreError, match="did not answer"):
                await editor.apply(added("m"), 1, "person", "")
            monkeypatch.undo()
    async with an_editor(tmp_path) as editor:
        assert (editor.revision, sorted(editor._directory.batteries)) == (1, ["n"])


async def test_a_disk_that_hangs_from_the_edit_itself_on_and_answers_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took the write before; the asker hears that nobody knows, and the edit is taken back without another one."""
    async with an_editor(tmp_path) as editor:
        append = editor._store.append_revision

        async def hangs(*arguments: Any, **more: Any) -> int:
            monkeypatch.setattr("bosd.store.store.DEADLINE_S", 0.1)
            return await append(*arguments, **more)

        monkeypatch.setattr(editor._store, "append_revision", hangs)
        with slow_to_commit(editor._store, monkeypatch, quick=1):
            with pytest.raises(StoreError, match="not known whether"):
                await editor.apply(added("m"), 1, "person", "")
            assert (editor.revision, sorted(editor._directory.batteries)) == (1, ["n"])
            monkeypatch.undo()
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            running = group.create_task(editor.run())
            while editor.revision != 3:  # noqa: ASYNC110 (the last of many steps)
                await asyncio.sleep(0.01)
            running.cancel()
    async with an_editor(tmp_path) as editor:
        assert (editor.revision, sorted(editor._directory.batteries)) == (3, ["n"])
