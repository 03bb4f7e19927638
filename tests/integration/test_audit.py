"""The audit of real daemons: what `bosctl` leaves in it, tampering, `kill -9`, a disk that is full."""

import math
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from bosd.clock import SystemClock
from bosd.node.audit import AuditLog
from bosd.store.audit import AuditFilter, AuditTable
from bosd.store.store import Store
from tests.support.forked import run_process
from tests.support.processes import REPOSITORY, Caller, Node, pseudo, until
from tests.support.small_disk import small_disk

ROUNDS = 20
GROUPED_S = 1.0
"""A record is on the disk so long after its command at the latest."""

SPARE = '[[battery]]\nname = "spare"\nkind = "null"\nvoltage_v = 13.0\n'


def records(node: Node, *options: str) -> list[dict[str, Any]]:
    """Return the audit, oldest first, without starts and ends."""
    found = node.ask("audit", "--limit", "1000", *options)
    return [record for record in reversed(found) if record["action"] not in ("start", "end")]


def tamper(node: Node, statement: str) -> None:
    """Change the database of a node that does not run."""
    with closing(sqlite3.connect(node.state_dir / "bosd.sqlite")) as connection:
        connection.execute(statement)
        connection.commit()


def test_every_command_and_refusal_leaves_its_record(tmp_path: Path) -> None:
    """Set, clear, stop, release, pseudo, an edit; refusals with their reason and number; reads leave nothing."""
    (tmp_path / "spare.toml").write_text(SPARE)
    with Node(tmp_path, pseudo("p"), name="home") as node:
        node.ask("set", "p", "5")
        node.ask("set", "p", "none")
        node.ask("stop", "p", "--reason", "smoke")
        for _ in range(3):
            assert node.refusal("set", "p", "1")["reason"] == "STOPPED"
        node.ask("release", "p")
        node.ask("pseudo", "p", "charge_ah=40")
        node.ask("add", str(tmp_path / "spare.toml"), "-m", "a place for the next")
        assert node.refusal("rm", "nobody")["reason"] == "BAD_NAME"
        node.ask("set", "p", "5", "--dry-run")
        node.ask("status")
        node.ask("refresh", "p")
        found = records(node)
        done = [record for record in found if record["outcome"] == "done"]
        refused = {record["reason"]: record for record in found if record["outcome"] == "refused"}
        assert [record["action"] for record in done] == ["apply", "set", "clear", "stop", "release", "pseudo", "apply"]
        first, asked, _, stop, _, changed, edit = done
        assert (first["who"], first["comment"], first["names"]) == ("configuration", "first start", ["p"])
        assert asked["asked"] == {"current_a": 5.0, "ttl_s": None}
        assert (asked["before"]["requested_current_a"], asked["after"]["requested_current_a"]) == (None, 5.0)
        assert (stop["comment"], stop["after"]) == ("smoke", {"stopped": True, "unconfirmed": []})
        assert (changed["before"]["charge_ah"], changed["after"]["charge_ah"]) == (pytest.approx(50.0, abs=0.1), 40.0)
        assert (edit["names"], edit["comment"], edit["after"]["revision"]) == (["spare"], "a place for the next", 2)
        assert edit["who"].partition("@")[2]
        assert {reason: record["count"] for reason, record in refused.items()} == {"STOPPED": 3, "BAD_NAME": 1}
        assert refused["STOPPED"]["asked"]["current_a"] == 1.0
        until(lambda: node.ask("audit", "--verify")["last_number"] == 8, because="all records but the counted are written")
        assert {record["names"][0] for record in records(node, "--battery", "spare")} == {"spare"}
        assert records(node, "--who", "nobody") == []
        assert len(records(node, "--since", "1h")) == len(found)
        assert records(node, "--since", "2999-01-01") == []


def test_repeats_are_one_record_and_malformed_requests_are_refusals_too(tmp_path: Path) -> None:
    """Two hundred equal refusals of one caller: one record with the count. What the edge refuses is recorded as well."""
    with Node(tmp_path, pseudo("p")) as node:
        with Caller(node.target, "robot") as robot, Caller(node.target, "other") as other:
            for _ in range(200):
                with pytest.raises(grpc.RpcError):
                    robot.set("p", 1000.0)
            for current_a, ttl_s in ((math.nan, 1.0), (1.0, -1.0)):
                with pytest.raises(grpc.RpcError):
                    other.set("p", current_a, ttl_s)
        refused = [record for record in records(node) if record["outcome"] == "refused"]
        shown = [(record["who"], record["reason"], record["count"]) for record in refused]
        assert sorted(shown) == [("other", "INVALID_ARGUMENT", 2), ("robot", "CURRENT_OUT_OF_RANGE", 200)]
        node.terminate()
        node.start()
        assert [(record["who"], record["count"]) for record in records(node) if record["outcome"] == "refused"] == [
            ("robot", 200),
            ("other", 2),
        ]


def test_people_see_a_table_and_the_hash(tmp_path: Path) -> None:
    """The table names asker, command and change; `--verify` ends with the hash that can be kept elsewhere."""
    with Node(tmp_path, pseudo("p")) as node:
        node.ask("set", "p", "5")
        command = ["--target", node.target, "audit"]
        table = run_process("bosctl", command, REPOSITORY, 30.0).stdout
        assert "none -> +5 A" in table
        assert "first start" in table
        said = until(lambda: run_process("bosctl", [*command, "--verify"], REPOSITORY, 30.0).stdout)
        verdict = node.ask("audit", "--verify")
        assert f"the hash of record {verdict['last_number']} is {verdict['last_hash']}" in said
        assert records(node)[-1]["hash"] == verdict["last_hash"]


@pytest.mark.parametrize(
    ("statement", "number", "why"),
    [
        ("UPDATE audit SET who = 'nobody' WHERE number = 3", "3", "changed after it was written"),
        ("UPDATE audit SET after = '{}' WHERE number = 2", "2", "changed after it was written"),
        ("DELETE FROM audit WHERE number = 2", "2", "it is missing: the next in place is 3"),
        ("DELETE FROM audit WHERE number > 3", "4", "it is missing: the next in place is 6"),
    ],
)
def test_tampering_with_the_file_is_found(tmp_path: Path, statement: str, number: str, why: str) -> None:
    """`bosctl audit --verify` ends with status 1 and names the first record that is not as it was written."""
    with Node(tmp_path, pseudo("p")) as node:
        node.ask("set", "p", "5")
        node.ask("set", "p", "6")
        node.terminate()
        tamper(node, statement)
        node.start()
        answer = node.bosctl("audit", "--verify")
        assert answer.status == 1
        error = answer.error["error"]
        assert error["reason"] == "AUDIT_BROKEN"
        assert error["metadata"]["number"] == number
        assert why in error["message"]


def test_bookings_and_meters_leave_their_records(tmp_path: Path) -> None:
    """A booking with its times, its refusal, its end, and the reset of a meter."""
    with Node(tmp_path, pseudo("p")) as node:
        booked = node.ask("schedule", "add", "p", "4", "--start", "+1h", "--end", "+2h")
        assert node.refusal("schedule", "add", "p", "400", "--start", "+1h", "--end", "+2h")["reason"] == "CURRENT_OUT_OF_RANGE"
        identity = str(booked["id"])
        node.ask("schedule", "cancel", identity)
        node.ask("meter", "reset", "p")
        found = {(record["action"], record["outcome"]): record for record in records(node)[1:]}
        assert set(found) == {("book", "done"), ("book", "refused"), ("cancel", "done"), ("reset", "done")}
        book, cancel = found["book", "done"], found["cancel", "done"]
        assert (book["names"], book["after"]["current_a"], book["after"]["booking_id"]) == (["p"], 4.0, identity)
        assert book["after"]["end_utc_s"] - book["after"]["start_utc_s"] == pytest.approx(3600.0, abs=0.1)
        assert cancel["before"]["booking_id"] == identity


async def held(state_dir: Path) -> tuple[list[float], object]:
    """Open the store of a dead node as a daemon would; return the set points in its audit, oldest first, and the verdict."""
    store = await Store.open(state_dir)
    try:
        audit = AuditLog(AuditTable(store), SystemClock())
        await audit.load()
        verdict = await audit.verify()
        found = await audit.list(AuditFilter(who="writer"), 100_000)
        return [float(record.asked.split('"current_a":')[1].split(",")[0]) for record in reversed(found)], verdict.fault
    finally:
        await store.close()


@pytest.mark.timeout(300)
async def test_the_chain_holds_through_kill_9(tmp_path: Path) -> None:
    """Twenty kills at random moments while set points come: the chain verifies, in order, and lacks the last second at most."""
    moments = random.Random(12)
    node = Node(tmp_path, pseudo("p"))
    value = 0
    for _ in range(ROUNDS):
        node.start()
        acknowledged: list[tuple[float, float]] = []
        with Caller(node.target, "writer") as writer:
            ends_s = time.monotonic() + moments.uniform(0.05, 1.3)
            while time.monotonic() < ends_s:
                value += 1
                writer.set("p", value / 1000.0)
                acknowledged.append((time.monotonic(), value / 1000.0))
            killed_s = time.monotonic()
            node.kill()
        kept, fault = await held(node.state_dir)
        assert fault is None
        assert kept == sorted(kept)
        durable = [current_a for at_s, current_a in acknowledged if at_s < killed_s - GROUPED_S]
        assert set(durable) <= set(kept)
        value = max(value, round(1000.0 * kept[-1]) if kept else 0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB in memory; skipped where this process may not mount one."""
    with small_disk(tmp_path / "disk", "2m") as place:
        yield place


def fill(disk: Path) -> Path:
    """Leave no room on a disk; return the file that takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@pytest.mark.timeout(120)
def test_a_full_disk_stops_no_stop_and_loses_no_record(tmp_path: Path, disk: Path) -> None:
    """With no room left set points fall and `stop` holds at once; when there is room again all of it is in the chain."""
    with Node(tmp_path, pseudo("p"), state_dir=str(disk / "state")) as node, Caller(node.target, "writer") as writer:
        filler = fill(disk)
        sent = 0

        def failed() -> bool:
            nonlocal sent
            for _ in range(200):
                sent += 1
                writer.set("p", 10.0 + sent % 100 / 10.0)
            return bool(node.events("store_failed", logger="audit") or node.events("store_failed"))

        until(failed, timeout_s=60.0, because="the audit cannot be written any more")
        assert writer.set("p", 1.0).applied_current_a == 1.0
        assert node.ask("stop", "p", "--reason", "smoke")["stopped"] == ["p"]
        assert node.status("p")["max_discharge_current_a"] == 0.0
        filler.unlink()
        until(
            lambda: any(record["comment"] == "smoke" and record["number"] for record in records(node)),
            timeout_s=30.0,
            because="the stop is recorded",
        )
        until(lambda: node.ask("audit", "--verify")["unwritten"] == 0, timeout_s=30.0, because="all is written")
        verdict = node.ask("audit", "--verify")
        assert (verdict["ok"], verdict["dropped"]) == (True, 0)
        lowered = [record for record in records(node) if record["asked"] == {"current_a": 1.0, "ttl_s": None}]
        assert len(lowered) == 1
