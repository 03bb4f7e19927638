"""A real daemon through `kill -9` amid edits, bookings, stops, ledger writes and checkpoints; then on a disk that has no room.

`BOSD_CRASH_ROUNDS` says how many rounds (10; `make test-long` does 200).
"""

import contextlib
import os
import random
import shutil
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from bosd.v1 import audit_pb2 as apb
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import ledger_pb2 as lpb
from bosd.v1 import schedule_pb2 as spb
from bosd.v1 import topology_pb2 as tpb
from bosd.v1.audit_pb2_grpc import AuditServiceStub
from bosd.v1.ledger_pb2_grpc import LedgerServiceStub
from tests.support.processes import CALL_S, Caller, Node, aggregator, bosctl, pseudo, until

ROUNDS = int(os.environ.get("BOSD_CRASH_ROUNDS", "10"))
OFTEN = "import bosd.node.ledger as ledger\nledger.COMMIT_PERIOD_S, ledger.CHECKPOINT_PERIOD_S = 0.02, 0.05"
"""Ledger and checkpoints are written all the time, so that kills meet them."""

SPLITTER = """
[[splitter]]
name = "sp"
policy = "proportional"
source = "a"
[[splitter.partitions]]
name = "p1"
fraction = 0.5
[[splitter.partitions]]
name = "p2"
fraction = 0.5
"""
NESTED = SPLITTER.replace('"a"', '"p2"').replace('"p1"', '"q1"').replace('name = "p2"', 'name = "q2"').replace('"sp"', '"nested"')
HALF = {"charge_ah": 25.0, "capacity_ah": 50.0}
SOURCE = pseudo("a1", **HALF) + pseudo("a2", **HALF) + aggregator("a", "a1", "a2")
TOPOLOGY = SOURCE + pseudo("x") + pseudo("b") + pseudo("s") + SPLITTER + NESTED
ACCOUNTS = {"sp": ("a", 50.0, ("p1", "p2")), "nested": ("p2", 25.0, ("q1", "q2"))}
"""By splitter: its source, what that is metered to hold at first, and its partitions, with half of it each."""


Entry = tuple[str, str, str, float]
"""Account, giver, taker and charge in Ah."""


class Known:
    """What callers know of a node: what was acknowledged, and what was asked and not answered."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.revision = 1
        self.capacities = {1: 100.0}
        self.asked_capacity_ah = 100.0
        self.booked: dict[str, float] = {}
        self.doubtful: set[str] = set()
        self.may_have_booked = 0
        self.stops: set[bool] = {False}
        self.entries: dict[int, Entry] = {}
        self.acknowledged = 0

    def edit(self, caller: Caller) -> None:
        """Give x another capacity."""
        self.asked_capacity_ah += 1.0
        edit = tpb.TopologyEdit.Replace(name="x", toml=pseudo("x", capacity_ah=self.asked_capacity_ah))
        answer = caller.topology.Apply(tpb.ApplyTopologyRequest(edits=[tpb.TopologyEdit(replace=edit)]), timeout=CALL_S)
        self.revision = answer.revision
        self.capacities[answer.revision] = self.asked_capacity_ah

    def book(self, caller: Caller) -> None:
        """Book something for b, or cancel what was booked."""
        if len(self.booked) > 5:
            number = self.chance.choice(sorted(self.booked))
            self.doubtful.add(number)
            caller.batteries.CancelSchedule(spb.CancelScheduleRequest(id=number), timeout=CALL_S)
            del self.booked[number]
            self.doubtful.discard(number)
            return
        current_a = float(self.chance.randint(1, 50))
        start_s = self.chance.uniform(3600.0, 7200.0)
        self.may_have_booked += 1
        request = spb.ScheduleRequest(name="b", current_a=current_a, start_in_s=start_s, end_in_s=start_s + 60.0)
        answer = caller.batteries.Schedule(request, timeout=CALL_S)
        self.booked[answer.booking.id] = current_a
        self.may_have_booked -= 1

    def set(self, caller: Caller) -> None:
        """Give a partition a current: an interval ends and becomes entries of the ledger."""
        name = self.chance.choice(["p1", "q1", "q2"])
        request = pb.SetCurrentRequest(name=name, current_a=self.chance.uniform(-12.0, 12.0), ttl_s=60.0)
        caller.batteries.SetCurrent(request, timeout=CALL_S)

    def latch(self, caller: Caller) -> None:
        """Stop s, or release it."""
        stop = not next(iter(self.stops))
        self.stops.add(stop)
        if stop:
            caller.batteries.Stop(pb.StopRequest(names=["s"], reason="round"), timeout=CALL_S)
        else:
            caller.batteries.Release(pb.ReleaseRequest(names=["s"]), timeout=CALL_S)
        self.stops = {stop}

    def read(self, caller: Caller) -> None:
        """Note the entries that are said to be on the disk."""
        for name in ACCOUNTS:
            of_it = (number for number, entry in self.entries.items() if entry[0] == name)
            self.entries.update(closed(caller, name, max(of_it, default=0)))

    @property
    def enough(self) -> bool:
        """Whether the kills met something; a busy machine does little in a round."""
        return self.revision > ROUNDS / 2 and len(self.entries) > ROUNDS

    def work(self, node: Node, seconds: float) -> None:
        """Do all of it at the same time, kill the node after so many seconds."""
        works = (self.edit, self.book, self.set, self.latch, self.read)
        threads = [threading.Thread(target=self._repeat, args=(work, node.target)) for work in works]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        node.kill()
        for thread in threads:
            thread.join(CALL_S)
            assert not thread.is_alive()

    def _repeat(self, work: Callable[[Caller], None], target: str) -> None:
        with Caller(target, who=work.__name__) as caller:
            while True:
                try:
                    work(caller)
                except grpc.RpcError as error:
                    if code_of(error) in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                        return
                    raise
                self.acknowledged += 1

    def check(self, node: Node) -> None:
        """Compare with what the node has after its restart, and know that from now on."""
        with Caller(node.target) as caller:
            audit: Any = AuditServiceStub(caller.channel)
            assert audit.Verify(apb.VerifyAuditRequest(), timeout=CALL_S).ok
            self._check_topology(caller)
            self._check_bookings(caller)
            assert ("stopped" in caller.status("s").reason) in self.stops
            self.stops = {"stopped" in caller.status("s").reason}
            self._check_ledger(caller)

    def _check_topology(self, caller: Caller) -> None:
        found = caller.topology.Get(tpb.GetTopologyRequest(), timeout=CALL_S)
        self.capacities.setdefault(self.revision + 1, self.asked_capacity_ah)
        assert found.revision in (self.revision, self.revision + 1)
        tables = {each["name"]: each for each in tomllib.loads(found.toml)["battery"]}
        assert set(tables) == {"a", "a1", "a2", "b", "s", "x"}
        assert tables["x"]["capacity_ah"] == self.capacities[found.revision]
        assert caller.status("x").capacity_ah == self.capacities[found.revision]
        self.revision = found.revision
        self.capacities = {found.revision: self.capacities[found.revision]}

    def _check_bookings(self, caller: Caller) -> None:
        found = caller.batteries.ListSchedule(spb.ListScheduleRequest(), timeout=CALL_S).bookings
        currents_a = {booking.id: booking.current_a for booking in found}
        sure = {number: current_a for number, current_a in self.booked.items() if number not in self.doubtful}
        assert sure.items() <= currents_a.items()
        assert len(currents_a.keys() - self.booked.keys()) <= self.may_have_booked
        self.booked, self.doubtful, self.may_have_booked = currents_a, set(), 0

    def _check_ledger(self, caller: Caller) -> None:
        ledger: Any = LedgerServiceStub(caller.channel)
        now = {number: entry for name in ACCOUNTS for number, entry in closed(caller, name, 0).items()}
        assert self.entries.items() <= now.items()
        self.entries = now
        for splitter, (source, began_ah, parts) in ACCOUNTS.items():
            expected_ah = {name: caller.status(name).expected_charge_ah for name in (source, *parts)}
            for name in parts:
                moved = [ah * ((taker == name) - (giver == name)) for of, giver, taker, ah in now.values() if of == splitter]
                assert expected_ah[name] == pytest.approx(began_ah / 2.0 + sum(moved), abs=1e-9)
            statement = ledger.Statement(lpb.LedgerStatementRequest(name=splitter), timeout=CALL_S)
            together_ah = sum(expected_ah[name] for name in parts) + statement.unattributed_ah
            assert expected_ah[source] == pytest.approx(together_ah, abs=1e-9)


def code_of(error: Any) -> grpc.StatusCode:
    """Return what a call ended with."""
    code: grpc.StatusCode = error.code()
    return code


def closed(caller: Caller, splitter: str, after: int) -> dict[int, Entry]:
    """Return the entries of a splitter's books that are on the disk, by number."""
    ledger: Any = LedgerServiceStub(caller.channel)
    found: dict[int, Entry] = {}
    while True:
        request = lpb.ListLedgerRequest(name=splitter, after_number=after)
        answer = ledger.List(request, timeout=CALL_S)
        found.update(
            {each.number: (each.account, each.giver, each.taker, each.charge_ah) for each in answer.entries if each.number}
        )
        if not answer.next_after:
            return found
        after = answer.next_after


@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """After each kill: the old or the new, what was acknowledged, books that add up to the meters, an audit that verifies."""
    known = Known(20)
    node = Node(tmp_path, TOPOLOGY, prelude=OFTEN)
    for number in range(3 * ROUNDS):
        if number >= ROUNDS and known.enough:
            break
        with node:
            if number:
                known.check(node)
            known.work(node, known.chance.uniform(0.02, 0.4))
    with node:
        known.check(node)
        verified = bosctl(node.target, "audit", "--verify")
        assert verified.status == 0, verified
    assert known.enough


def refused(call: Callable[[], Any]) -> str:
    """Return what a call is refused with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    call_error: Any = caught.value
    return str(call_error.details())


def takes_nothing(caller: Caller) -> None:
    """Ask on a disk that takes nothing: a current falls, `stop` holds, edits and bookings are refused, and why is said."""
    assert caller.set("b", 2.0, 60.0).applied_current_a == 2.0
    caller.batteries.Stop(pb.StopRequest(names=["s"], reason="smoke"), timeout=CALL_S)
    assert caller.status("s").applied_current_a == 0.0
    assert "is stopped" in refused(lambda: caller.set("s", 1.0))
    assert "disk" in refused(lambda: [caller.add(pseudo(f"y{number}")) for number in range(200)])
    booking = spb.ScheduleRequest(name="b", current_a=1.0, start_in_s=3600.0, end_in_s=7200.0)
    assert "disk" in refused(lambda: [caller.batteries.Schedule(booking, timeout=CALL_S) for _ in range(2000)])
    caller.status("b")
    assert caller.set("b", 1.0, 60.0).applied_current_a == 1.0


def begin(caller: Caller) -> None:
    """Let b and s carry 5 A, book an hour, add a battery: all of it is acknowledged."""
    caller.set("b", 5.0, 60.0)
    caller.set("s", 5.0, 60.0)
    booking = spb.ScheduleRequest(name="b", current_a=1.0, start_in_s=3600.0, end_in_s=7200.0)
    caller.batteries.Schedule(booking, timeout=CALL_S)
    caller.add(pseudo("z"))


def nothing_is_missing(node: Node, disk_is_back: Callable[[], None]) -> None:
    """Ask on a disk that takes nothing, let it take everything again, start anew: what was acknowledged is there."""
    with Caller(node.target) as caller:
        takes_nothing(caller)
        revision = caller.topology.Get(tpb.GetTopologyRequest(), timeout=CALL_S).revision
        bookings = caller.batteries.ListSchedule(spb.ListScheduleRequest(), timeout=CALL_S).bookings
    disk_is_back()
    node.start()
    with Caller(node.target) as caller:
        assert caller.topology.Get(tpb.GetTopologyRequest(), timeout=CALL_S).revision == revision
        assert caller.batteries.ListSchedule(spb.ListScheduleRequest(), timeout=CALL_S).bookings == bookings
    assert node.bosctl("audit", "--verify").status == 0


@pytest.mark.timeout(120)
def test_a_full_disk(tmp_path: Path, disk: Path) -> None:
    """Lowering and `stop` work, edits and bookings are refused; with room again the stop too is kept through a kill."""
    with Node(tmp_path, TOPOLOGY, state_dir=str(disk / "state")) as node:
        with Caller(node.target) as caller:
            begin(caller)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

        def disk_is_back() -> None:
            filler.unlink()
            until(lambda: node.bosctl("release", "s").status == 0, because="there is room again")
            with Caller(node.target) as caller:
                caller.batteries.Stop(pb.StopRequest(names=["s"], reason="smoke"), timeout=CALL_S)
            node.kill()

        nothing_is_missing(node, disk_is_back)
        assert "stopped" in node.status("s")["reason"]


@pytest.fixture
def card(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A device with an ext4 that turns read-only at an error, as memory cards do, and its place; needs root and loop devices."""
    tools = [shutil.which(name, path="/usr/sbin:/sbin:/bin:/usr/bin") for name in ("losetup", "mkfs.ext4", "mount")]
    losetup, mkfs, mount = tools
    if losetup is None or mkfs is None or mount is None or os.geteuid() != 0:
        pytest.skip("an ext4 of its own needs root, losetup and mkfs.ext4")
    image, place = tmp_path / "image", tmp_path / "card"
    image.write_bytes(bytes(8 << 20))
    place.mkdir()
    subprocess.run([mkfs, "-q", "-F", image], check=True)
    attached = subprocess.run([losetup, "-f", "--show", image], check=False, capture_output=True, text=True)
    if attached.returncode != 0:
        pytest.skip("no loop device is to be had here")
    device = attached.stdout.strip()
    if subprocess.run([mount, "-o", "errors=remount-ro", device, place], check=False, capture_output=True).returncode != 0:
        subprocess.run([losetup, "-d", device], check=True)
        pytest.skip("mounting a file system is not allowed here")
    yield device, place
    subprocess.run(["/bin/umount", "-l", place], check=True)
    subprocess.run([losetup, "-d", device], check=True)


@pytest.mark.timeout(120)
def test_a_disk_that_turns_read_only(tmp_path: Path, card: tuple[str, Path]) -> None:
    """The card fails under a running node: lowering and `stop` work, edits and bookings are refused; later all is there."""
    device, place = card
    trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
    if not trigger.exists():
        pytest.skip("this kernel triggers no ext4 errors")
    with Node(tmp_path, TOPOLOGY, state_dir=str(place / "state")) as node:
        with Caller(node.target) as caller:
            begin(caller)
        trigger.write_text("a test")

        def disk_is_back() -> None:
            node.kill()
            subprocess.run(["/bin/umount", place], check=True)
            subprocess.run(["/bin/mount", "-o", "errors=remount-ro", device, place], check=True)

        nothing_is_missing(node, disk_is_back)
