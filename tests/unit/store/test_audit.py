"""The audit's tables on a real SQLite file: appending, reading in pages, cutting."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bosd.store.audit import AuditFilter, AuditTable
from bosd.store.audit_chain import GENESIS, PRUNE, Cut, Entry, Record, Verifier, bytes_of, row_of, seal
from bosd.store.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An open store in a directory of its own."""
    opened = await Store.open(tmp_path / "state")
    yield opened
    await opened.close()


def sealed(count: int, behind: Cut | None = None, **fields: Any) -> list[Record]:
    """Return so many records, a second apart from 1000 s on, by turns of ann about b1 and of bob about b2."""
    end = behind or Cut()
    records = []
    for _ in range(count):
        number = end.number + 1
        usual: dict[str, Any] = {
            "at_utc_s": 1000.0 + number,
            "until_utc_s": 1000.0 + number,
            "who": ("bob", "ann")[number % 2],
            "action": "set",
            "outcome": "done",
            "names": (("b2",), ("b1", "b_"))[number % 2],
        }
        records.append(seal(Entry(**{**usual, **fields}), number, end.hash))
        end = Cut(number, records[-1].hash)
    return records


async def fault_of(table: AuditTable) -> object:
    """Follow all that is stored up to its head."""
    verifier = Verifier()
    after = 0
    while rows := await table.chunk(after):
        verifier.follow(rows)
        after = int(str(rows[-1]["number"]))
    head, _ = await table.load()
    return verifier.end(head.cut)


async def test_what_is_appended_is_there_once(store: Store) -> None:
    """A write that is tried again after it was done (its answer was late) changes nothing."""
    table = AuditTable(store)
    records = sealed(5)
    await table.append(records[:3], {})
    head = await table.append(records, {})
    again = await table.append(records, {})
    assert head == again
    assert head.cut == Cut(5, records[4].hash)
    assert head.size_bytes == sum(bytes_of(row_of(record)) for record in records)
    assert await table.page(AuditFilter(), 10) == tuple(reversed(records))
    assert await fault_of(table) is None


async def test_a_store_without_the_tables_gets_them(tmp_path: Path) -> None:
    """A store that was made before there was an audit is opened and has one."""
    store = await Store.open(tmp_path)
    for name in ("audit", "audit_open", "audit_head"):
        await store.transact(lambda connection, name=name: connection.exec_driver_sql(f"DROP TABLE {name}"))  # type: ignore[misc]
    await store.close()
    store = await Store.open(tmp_path)
    assert (await AuditTable(store).load())[0].cut == Cut(0, GENESIS)
    await store.close()


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"since_utc_s": 1004.0}, [6, 5, 4]),
        ({"until_utc_s": 1002.5}, [2, 1]),
        ({"battery": "b1"}, [5, 3, 1]),
        ({"battery": "b_"}, [5, 3, 1]),
        ({"battery": "b"}, []),
        ({"who": "bob"}, [6, 4, 2]),
        ({"who": "bob", "before_number": 6}, [4, 2]),
        ({"after_number": 4}, [6, 5]),
    ],
)
async def test_filters(store: Store, wanted: dict[str, Any], numbers: list[int]) -> None:
    """Time, battery (the whole name), asker and place restrict; newest first."""
    table = AuditTable(store)
    await table.append(sealed(6), {})
    found = await table.page(AuditFilter(**wanted), 10)
    assert [record.number for record in found] == numbers


async def test_what_is_counted_survives_until_it_has_its_place(store: Store) -> None:
    """A record that is still being counted is kept aside, replaced, and gone when it is in the chain."""
    table = AuditTable(store)
    counting = seal(Entry(at_utc_s=1.0, until_utc_s=1.0, who="ann", action="set", outcome="refused"), 0, "")
    await table.append([], {"key": counting})
    await table.append([], {"key": counting})
    assert (await table.load())[1] == (counting,)
    await table.append(sealed(1), {"key": None})
    assert (await table.load())[1] == ()


async def test_cutting_by_age_and_by_size_keeps_the_chain(store: Store) -> None:
    """Ten records of one size: those before 1004 s go; then as many of the oldest as the excess needs, a part counts whole."""
    table = AuditTable(store)
    records = sealed(10, names=("b",), who="ann")
    head = await table.append(records, {})
    one_bytes = bytes_of(row_of(records[0]))
    assert await table.cut_to(older_utc_s=0.0, excess_bytes=0) is None
    assert await table.cut_to(older_utc_s=1004.0, excess_bytes=0) == (Cut(3, records[2].hash), 3)
    assert await table.cut_to(older_utc_s=0.0, excess_bytes=4 * one_bytes + 1) == (Cut(5, records[4].hash), 5)
    assert await table.cut_to(older_utc_s=1e9, excess_bytes=0) == (Cut(9, records[8].hash), 9)
    told = sealed(1, head.cut, action=PRUNE, after=Cut(3, records[2].hash).text(3))
    after = await table.append(told, {})
    assert [record.number for record in await table.page(AuditFilter(), 20)] == [11, 10, 9, 8, 7, 6, 5, 4]
    assert after.size_bytes == head.size_bytes + bytes_of(row_of(told[0])) - sum(bytes_of(row_of(r)) for r in records[:3])
    assert await fault_of(table) is None


async def test_a_forged_row_behind_the_end_is_overwritten(store: Store) -> None:
    """Somebody put a record 6 behind the last: the true record 6 takes its place."""
    table = AuditTable(store)
    records = sealed(6)
    await table.append(records[:5], {})
    forged = {**row_of(records[5]), "who": "mallory"}
    columns = ", ".join(f'"{name}"' for name in forged)
    await store.transact(
        lambda connection: connection.exec_driver_sql(
            f"INSERT INTO audit ({columns}) VALUES ({', '.join('?' * len(forged))})",  # noqa: S608
            tuple(forged.values()),
        )
    )
    await table.append(records[5:], {})
    assert await table.page(AuditFilter(), 1) == (records[5],)
    assert await fault_of(table) is None
