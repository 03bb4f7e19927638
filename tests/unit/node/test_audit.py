"""The audit of a node: groups, counts, a store that fails, bounds (control.md, "Stop always works" and its repeats)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bosd.clock import LoopClock, SystemClock
from bosd.errors import ClaimedError, StoppedError
from bosd.node import audit as module
from bosd.node.audit import AuditLog
from bosd.node.audit_counts import MAX_COUNTED
from bosd.store.audit import AuditFilter, AuditTable
from bosd.store.audit_chain import PRUNE, Record
from bosd.store.store import Store
from tests.support.memory_audit import MemoryAudit

ALL = AuditFilter()


@asynccontextmanager
async def running(store: MemoryAudit) -> AsyncIterator[AuditLog]:
    """Run an audit until the block ends; it is not closed, as after a kill."""
    audit = AuditLog(store, LoopClock(asyncio.get_running_loop(), 1000.0))
    await audit.load()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(audit.run())
        yield audit
        task.cancel()


def shown(records: list[Record]) -> list[tuple[str, int]]:
    """Return what was done and how often."""
    return [(record.action, record.count) for record in records]


@pytest.mark.jumping
async def test_records_of_a_second_are_one_transaction() -> None:
    """A hundred commands within half a second are on the disk a second after the first, in one transaction."""
    store = MemoryAudit()
    async with running(store) as audit:
        for _ in range(100):
            audit.note("set", who="ann", names=["b"])
            await asyncio.sleep(0.004)
        await asyncio.sleep(0.6)
        assert len(store.records) == 100
        assert store.appends == 1
        assert (await audit.verify()).fault is None


@pytest.mark.jumping
async def test_an_hour_without_commands_writes_nothing() -> None:
    """An SD card must live: no record, no transaction."""
    store = MemoryAudit()
    async with running(store):
        await asyncio.sleep(3600.0)
        assert store.appends == 0


@pytest.mark.jumping
async def test_equal_refusals_are_one_record_a_minute() -> None:
    """One refusal a second for 150 s: records of 60, 60 and 30, two short transactions each, and the last is not closed yet."""
    store = MemoryAudit()
    async with running(store) as audit:
        for _ in range(150):
            audit.refused("set", ClaimedError("held by bob"), who="ann", names=["b"], asked={"current_a": 1.0})
            await asyncio.sleep(1.0)
        assert [record.count for record in store.records] == [60, 60]
        first = store.records[0]
        assert (first.at_utc_s, first.until_utc_s, first.reason) == (1000.0, 1059.0, "CLAIMED")
        listed = await audit.list(ALL, 10)
        assert [(record.number, record.count) for record in listed] == [(0, 30), (2, 60), (1, 60)]
        assert store.appends <= 6
        await audit.close()
        assert [record.count for record in store.records] == [60, 60, 30]


@pytest.mark.jumping
async def test_refusals_that_differ_are_records_of_their_own() -> None:
    """Another asker, battery, reason or command is another record."""
    store = MemoryAudit()
    async with running(store) as audit:
        for who, name, error in (
            ("ann", "b", ClaimedError("x")),
            ("bob", "b", ClaimedError("x")),
            ("ann", "c", ClaimedError("x")),
            ("ann", "b", StoppedError("x")),
        ):
            audit.refused("set", error, who=who, names=[name])
            audit.refused("set", error, who=who, names=[name])
        audit.refused("clear", ClaimedError("x"), who="ann", names=["b"])
        assert sorted(shown(list(await audit.list(ALL, 10)))) == [("clear", 1), *[("set", 2)] * 4]


@pytest.mark.jumping
async def test_a_flood_of_names_takes_bounded_room() -> None:
    """Ten thousand refusals of names nobody has: 256 counted by name, the rest by reason alone, none lost."""
    store = MemoryAudit()
    async with running(store) as audit:
        for number in range(10_000):
            audit.refused("set", ClaimedError("x"), who=f"ann{number}", names=["b"])
        await audit.close()
    assert len(store.records) == MAX_COUNTED + 1
    assert sum(record.count for record in store.records) == 10_000


@pytest.mark.jumping
async def test_a_refusal_survives_a_kill_within_a_second() -> None:
    """The first of a minute's refusals is kept aside; the next start gives it its place."""
    store = MemoryAudit()
    async with running(store) as audit:
        audit.refused("set", ClaimedError("x"), who="ann", names=["b"])
        await asyncio.sleep(1.0)
        assert store.records == []
    async with running(store) as audit:
        await asyncio.sleep(1.0)
        assert shown(store.records) == [("set", 1)]
        assert store.counting == {}
        assert (await audit.verify()).fault is None


@pytest.mark.jumping
async def test_a_store_that_fails_loses_nothing_that_has_room() -> None:
    """Ten minutes without a disk: records wait in memory and are written in order when it is back, within the pause."""
    store = MemoryAudit()
    async with running(store) as audit:
        audit.note("set", who="ann")
        await asyncio.sleep(1.0)
        store.failed = True
        for number in range(10):
            audit.note("stop", who="ann", comment=str(number))
            await asyncio.sleep(60.0)
        assert audit.unwritten == 10
        store.failed = False
        await asyncio.sleep(module.RETRY_S + 1.0)
        assert [record.comment for record in store.records] == ["", *map(str, range(10))]
        assert (audit.unwritten, audit.dropped) == (0, 0)
        assert (await audit.verify()).fault is None


@pytest.mark.jumping
async def test_memory_is_bounded_and_keeps_room_for_stops() -> None:
    """Without a disk 4096 records wait, 256 places more are for what makes safe; what is lost is counted and recorded."""
    store = MemoryAudit()
    async with running(store) as audit:
        store.failed = True
        for _ in range(module.MAX_WAITING + 100):
            audit.note("set", who="ann")
        for _ in range(module.KEPT_FOR_STOPS + 5):
            audit.note("stop", who="ann")
        assert (audit.unwritten, audit.dropped) == (module.MAX_WAITING + module.KEPT_FOR_STOPS, 105)
        store.failed = False
        await asyncio.sleep(module.RETRY_S + 2.0)
        assert sum(record.action == "stop" for record in store.records) == module.KEPT_FOR_STOPS
        lost = store.records[-1]
        assert (lost.action, json.loads(lost.after)) == ("lost", {"records": 105})
        assert (await audit.verify()).fault is None


@pytest.mark.jumping
async def test_memory_is_bounded_in_bytes_too() -> None:
    """Without a disk, records of 10 kB each: 16 MiB of them wait, not 4096; all the room is given back afterwards."""
    store = MemoryAudit()
    async with running(store) as audit:
        for _ in range(2):
            store.failed = True
            for _ in range(3000):
                audit.note("apply", who="ann", after={"changes": "x" * 10_000})
            assert audit.unwritten * 10_000 == pytest.approx(module.MAX_WAITING_BYTES, rel=0.05)
            store.failed = False
            await asyncio.sleep(module.RETRY_S + 2.0)
            assert audit.unwritten == 0
        assert [record.action for record in store.records].count("lost") == 2


@pytest.mark.jumping
async def test_what_is_not_written_yet_is_listed() -> None:
    """A reader sees a command at once, before its group is on the disk, and no record twice."""
    store = MemoryAudit()
    async with running(store) as audit:
        audit.note("set", who="ann", names=["b"])
        assert shown(list(await audit.list(AuditFilter(battery="b"), 10))) == [("set", 1)]
        assert await audit.list(AuditFilter(battery="c"), 10) == ()
        await asyncio.sleep(1.0)
        audit.note("clear", who="ann", names=["b"])
        assert shown(list(await audit.list(ALL, 10))) == [("clear", 1), ("set", 1)]
        assert shown(list(await audit.list(AuditFilter(before_number=2), 10))) == [("set", 1)]


async def test_old_and_too_many_records_are_cut_and_the_chain_holds(tmp_path: Path) -> None:
    """A bound of 0.1 MiB (104,857 bytes): after cutting nine tenths of it are left at most, and the rest follows."""
    store = await Store.open(tmp_path)
    audit = AuditLog(AuditTable(store), SystemClock(), max_mib=0.1)
    await audit.load()
    for turn in range(3):
        for _ in range(500):
            audit.note("set", who="ann", names=["b"], asked={"current_a": 1.0})
        await audit.prune()
        verdict = await audit.verify()
        assert verdict.fault is None
        assert verdict.records < 400
        assert verdict.head.number == 500 * (turn + 1) + turn + 1
        (newest,) = await audit.list(ALL, 1)
        assert newest.action == PRUNE
        assert json.loads(newest.after)["cut_to"] == verdict.first - 1
    again = AuditLog(AuditTable(store), SystemClock(), retention_days=1e-9)
    await again.load()
    await again.prune()
    verdict = await again.verify()
    assert (verdict.fault, verdict.records) == (None, 2)
    await store.close()


async def test_a_tampered_file_is_found_while_running_and_after(tmp_path: Path) -> None:
    """A changed name, a record that is gone, a cut end with a changed note of the end: each by its number."""
    for number, statement in (
        (4, "UPDATE audit SET who = 'bob' WHERE number = 4"),
        (7, "DELETE FROM audit WHERE number = 7"),
        (10, "DELETE FROM audit WHERE number = 10"),
        (1, "DELETE FROM audit WHERE number = 1"),
        (10, "UPDATE audit_head SET number = 9"),
    ):
        directory = tmp_path / str(abs(hash(statement)))
        store = await Store.open(directory)
        audit = AuditLog(AuditTable(store), SystemClock())
        await audit.load()
        for _ in range(10):
            audit.note("set", who="ann", names=["b"])
        await audit.flush()
        await store.transact(lambda connection, statement=statement: connection.exec_driver_sql(statement))  # type: ignore[misc]
        verdict = await audit.verify()
        assert verdict.fault is not None, statement
        assert verdict.fault.number == number, statement
        again = AuditLog(AuditTable(store), SystemClock())
        await again.load()
        assert (await again.verify()).fault is not None, statement
        await store.close()


async def test_verifying_does_not_stop_recording(tmp_path: Path) -> None:
    """Records that come while 5000 are followed, in portions, are written meanwhile and disturb nothing."""
    store = await Store.open(tmp_path)
    audit = AuditLog(AuditTable(store), SystemClock())
    await audit.load()
    for _ in range(5000 // 1000):
        for _ in range(1000):
            audit.note("set", who="ann", names=["b"])
        await audit.flush()

    async def write() -> None:
        for _ in range(20):
            audit.note("set", who="bob")
            await audit.flush()

    async with asyncio.TaskGroup() as group:
        verdict = group.create_task(audit.verify())
        group.create_task(write())
    assert verdict.result().fault is None
    assert verdict.result().records >= 5000
    assert (await audit.verify()).records == 5020
    await store.close()
