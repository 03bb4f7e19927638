"""The node's ledger over a real store: what it writes, what survives a restart, what it answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.spec import BatterySpec, JbdSpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.bal.splitter import Splitter
from bosd.clock import Clock
from bosd.errors import BadNameError, StoreError, UnsupportedError
from bosd.node import ledger as ledger_module
from bosd.node.ledger import Ledger
from bosd.policy.registry import policy
from bosd.store.ledger import Books, LedgerEntry, LedgerFilter, LedgerTable
from bosd.store.store import Store
from tests.support.bal_makers import jbd_spec, physical, sample

HOUR_S = 3600.0
MIDNIGHT_UTC_S = 1_800_057_600.0
"""2027-01-16T00:00:00Z."""


class HandClock:
    """A clock that a test moves; both scales together."""

    def __init__(self, at_s: float = 0.0) -> None:
        self.at_s = at_s
        self.ahead_s = 0.0

    def now_s(self) -> float:
        return self.at_s

    def utc_s(self) -> float:
        return MIDNIGHT_UTC_S + self.at_s + self.ahead_s


def about(value: object, *, abs: float | None = None) -> Any:  # noqa: A002 (as pytest.approx)
    """Equal but for rounding."""
    return pytest.approx(value, abs=abs)


TWO_PARTS = (
    PartitionSpec(name="p1", capacity_fraction=0.4, charge_fraction=0.8, current_fraction=0.5),
    PartitionSpec(name="p2", capacity_fraction=0.6, charge_fraction=0.2, current_fraction=0.5),
)


def source(**fields: float) -> PseudoSpec:
    """Return 100 of 200 Ah at 50 V, 100 A both ways."""
    values: dict[str, Any] = {"voltage_v": 50.0, "charge_ah": 100.0, "capacity_ah": 200.0, **fields}
    return PseudoSpec(name="s", max_discharge_current_a=100.0, max_charge_current_a=100.0, **values)


def split_topology(*specs: BatterySpec) -> Topology:
    """Return the partition accounting example of bal.md over `s`: P1 80 Ah and full, P2 120 Ah with 20 Ah."""
    return Topology(
        batteries=specs or (source(),),
        splitters=(SplitterSpec(name="sp", policy="proportional", source="s", partitions=TWO_PARTS),),
    )


class Home:
    """A directory, its ledger and their clock, without tasks."""

    def __init__(self, store: Store, clock: HandClock, topology: Topology) -> None:
        self.clock = clock
        self.table = LedgerTable(store)
        self.directory = Directory(self._leaf, policy)
        self.directory.change(topology, clock.now_s())
        self.ledger = Ledger(self.directory, clock, self.table)

    @staticmethod
    def _leaf(spec: BatterySpec) -> Battery:
        assert isinstance(spec, JbdSpec)
        return physical(spec.name, unavailable_after_s=1e6)

    @property
    def splitter(self) -> Splitter:
        """The one splitter."""
        return self.directory.splitters["sp"]

    def run(self, *currents_a: float) -> None:
        """Put set points on the partitions in force, as a commit does."""
        now_s = self.clock.now_s()
        self.splitter.step(now_s)
        for partition, current_a in zip(self.splitter.partitions, currents_a, strict=True):
            partition.applied_a = current_a
            partition.touch()
        self.splitter.source.apply(sum(currents_a), now_s)  # type: ignore[attr-defined]

    def pass_hours(self, hours: float) -> None:
        """Move the clock on, from full hour to full hour."""
        end_s = self.clock.at_s + hours * HOUR_S
        while self.ledger.due_s() <= end_s:
            self.clock.at_s = self.ledger.due_s()
            self.ledger.attend_due()
        self.clock.at_s = end_s

    def metered(self) -> list[float]:
        """Return the partitions' meters."""
        now_s = self.clock.now_s()
        return [partition.status(now_s).expected_ah(now_s) or 0.0 for partition in self.splitter.partitions]

    async def entries(self, name: str, **limits: float) -> tuple[LedgerEntry, ...]:
        """Return all entries of a name."""
        return await self.ledger.entries(
            name,
            since_utc_s=limits.get("since_utc_s"),
            until_utc_s=limits.get("until_utc_s"),
            after_number=int(limits.get("after_number", 0)),
            limit=int(limits.get("limit", 1000)),
        )


@asynccontextmanager
async def home(place: Path, topology: Topology | None = None, clock: HandClock | None = None) -> AsyncIterator[Home]:
    """Open a node's books; what is in the store is what a killed node left."""
    store = await Store.open(place)
    made = Home(store, clock or HandClock(), topology or split_topology())
    await made.ledger.load()
    yield made
    await store.close()


async def test_two_hours_of_partition_accounting(tmp_path: Path) -> None:
    """P1 gives 40 A, P2 takes 50 A for two hours: 80 Ah from P1 to P2, 20 from outside, 4000 and 1000 Wh at 50 V."""
    async with home(tmp_path) as node:
        node.run(40.0, -50.0)
        node.pass_hours(2.0)
        node.run(0.0, 0.0)
        await node.ledger.write(whole=True)
        entries = await node.entries("s")
        assert [(entry.giver, entry.taker) for entry in entries] == [("p1", "p2"), ("outside", "p2")] * 2
        assert [entry.charge_ah for entry in entries] == about([40.0, 10.0] * 2)
        assert [entry.start_utc_s - MIDNIGHT_UTC_S for entry in entries] == [0.0, 0.0, HOUR_S, HOUR_S]
        assert [entry.end_utc_s - MIDNIGHT_UTC_S for entry in entries] == [HOUR_S, HOUR_S, 2 * HOUR_S, 2 * HOUR_S]
        stated = await node.ledger.statement("p2", since_utc_s=None, until_utc_s=None)
        assert {each.name: (each.in_ah, each.in_wh, each.out_ah) for each in stated.counterparties} == {
            "p1": about((80.0, 4000.0, 0.0)),
            "outside": about((20.0, 1000.0, 0.0)),
        }
        whole = await node.ledger.statement("sp", since_utc_s=None, until_utc_s=None)
        assert [(row.giver, row.taker, row.charge_ah) for row in whole.transfers] == [("p1", "p2", about(80.0))]
        assert whole.unallocated_ah == 0.0
        assert whole.unattributed_ah == 0.0
        with pytest.raises(BadNameError):
            await node.entries("nobody")


async def test_periods_pages_and_what_is_open(tmp_path: Path) -> None:
    """An entry is of a period that it overlaps; pages go on after a number; what is open comes last with number 0."""
    async with home(tmp_path) as node:
        node.run(10.0, 0.0)
        node.pass_hours(2.5)
        await node.ledger.write(whole=False)
        everything = await node.entries("p1")
        assert [entry.number for entry in everything] == [1, 2, 0]
        assert [entry.charge_ah for entry in everything] == about([10.0, 10.0, 5.0])
        second = MIDNIGHT_UTC_S + HOUR_S
        assert [entry.number for entry in await node.entries("p1", since_utc_s=second)] == [2, 0]
        assert [entry.number for entry in await node.entries("p1", until_utc_s=second)] == [1]
        assert [entry.number for entry in await node.entries("p1", limit=1)] == [1]
        assert [entry.number for entry in await node.entries("p1", after_number=1)] == [2, 0]
        assert await node.entries("p2") == ()


async def test_what_is_being_written_is_read_once(tmp_path: Path) -> None:
    """Read while a write is under way, before and after: two hours at 10 A are two entries of 10 Ah, and 20 Ah in all."""
    async with home(tmp_path) as node:
        node.run(10.0, 0.0)
        node.pass_hours(2.0)
        async with asyncio.TaskGroup() as group:
            group.create_task(node.ledger.write(whole=True))
            await asyncio.sleep(0.0)  # the write is on its way to the disk
            reading = group.create_task(node.entries("p1"))
            stating = group.create_task(node.ledger.statement("p1", since_utc_s=None, until_utc_s=None))
        assert [entry.charge_ah for entry in reading.result() if entry.charge_ah] == about([10.0, 10.0])
        assert sum(each.out_ah for each in stating.result().counterparties) == about(20.0)


async def test_reading_the_ledger_changes_nothing(tmp_path: Path) -> None:
    """A hundred readings on the way, and the entries are those of an hour in which nobody looked."""
    for reads in (0, 100):
        async with home(tmp_path / str(reads)) as node:
            node.run(7.0, -3.0)
            for _ in range(reads):
                node.clock.at_s += HOUR_S / 200
                await node.entries("s")
            node.clock.at_s = HOUR_S / 2
            node.run(0.0, 0.0)
            entries = await node.entries("s")
            assert [(entry.giver, entry.taker, entry.charge_ah) for entry in entries] == [
                ("p1", "p2", about(1.5)),
                ("p1", "outside", about(2.0)),
            ]


async def test_a_partition_keeps_its_meter_over_a_restart(tmp_path: Path) -> None:
    """Killed while P1 gives 8 A: after ten dark minutes the meter stands where it was written, 600 s are unobserved."""
    async with home(tmp_path) as node:
        node.run(8.0, 0.0)
        node.pass_hours(1.5)
        node.directory["s"].modify({"charge_ah": 80.0}, node.clock.now_s())  # type: ignore[attr-defined]
        await node.ledger.write(whole=True)
        stood = node.metered()
        charges = [partition.status(node.clock.at_s).charge_ah for partition in node.splitter.partitions]
    assert stood == about([68.0, 20.0])
    async with home(tmp_path, clock=HandClock(1.5 * HOUR_S + 600.0)) as node:
        assert node.metered() == about(stood, abs=1e-9)
        now_s = node.clock.now_s()
        assert [partition.status(now_s).charge_ah for partition in node.splitter.partitions] == about(charges)
        assert node.splitter.partitions[0].status(now_s).unobserved_s == 600.0
        entries = await node.entries("p1")
        flows = [(entry.giver, entry.taker, entry.charge_ah) for entry in entries if entry.number]
        assert flows[:2] == [("p1", "outside", about(8.0)), ("p1", "outside", about(4.0))]
        assert flows[2][:2] == ("p1", "deviation")
        assert len(entries) == 3
    async with home(tmp_path, clock=HandClock(1.5 * HOUR_S + 900.0)) as node:
        await node.ledger.write(whole=True)
    async with home(tmp_path, clock=HandClock(2 * HOUR_S)) as node:
        assert node.metered() == about(stood, abs=1e-9)
        assert node.splitter.partitions[0].status(node.clock.now_s()).unobserved_s == 600.0 + 300.0 + 900.0


async def test_a_clock_that_was_put_back_leaves_no_unobserved_years(tmp_path: Path) -> None:
    """Of three runs the second has a clock three years back: the third counts the 600 s since the newest checkpoint, no years."""
    topology = Topology(batteries=(source(),))
    async with home(tmp_path, topology, HandClock(HOUR_S)) as node:
        await node.ledger.write(whole=True)
    async with home(tmp_path, topology, HandClock(HOUR_S - 3 * 365 * 24 * HOUR_S)) as node:
        await node.ledger.write(whole=True)
    async with home(tmp_path, topology, HandClock(HOUR_S + 600.0)) as node:
        assert node.directory["s"].status(node.clock.now_s()).unobserved_s == 600.0


async def test_a_pack_goes_on_at_its_first_sample(tmp_path: Path) -> None:
    """A device's meter is what it was, not what it reports now; the dark time is counted from the last writing to that sample."""
    topology = Topology(batteries=(jbd_spec("b", unavailable_after_s=1e6),))
    async with home(tmp_path, topology) as node:
        node.directory["b"].sampled(sample(0.0, 50.0, 10.0, sampled_utc_s=MIDNIGHT_UTC_S))  # type: ignore[attr-defined]
        node.clock.at_s = HOUR_S
        node.directory["b"].sampled(sample(HOUR_S, 41.0, 10.0, sampled_utc_s=MIDNIGHT_UTC_S + HOUR_S))  # type: ignore[attr-defined]
        await node.ledger.write(whole=True)
    async with home(tmp_path, topology, HandClock(HOUR_S + 60.0)) as node:
        assert node.directory["b"].status(HOUR_S + 60.0).expected_charge_ah is None
        first = sample(HOUR_S + 100.0, 39.0, 10.0, sampled_utc_s=MIDNIGHT_UTC_S + HOUR_S + 100.0)
        node.directory["b"].sampled(first)  # type: ignore[attr-defined]
        status = node.directory["b"].status(HOUR_S + 100.0)
        assert (status.expected_charge_ah, status.unobserved_s) == (about(40.0), about(100.0))


async def test_a_meter_of_something_else_is_not_taken_up(tmp_path: Path) -> None:
    """The source was replaced while the node was down: meters begin at what the new one holds."""
    async with home(tmp_path) as node:
        node.run(8.0, 0.0)
        node.pass_hours(1.0)
        await node.ledger.write(whole=True)
    async with home(tmp_path, split_topology(source(capacity_ah=150.0)), HandClock(HOUR_S)) as node:
        assert node.metered() == about([80.0, 20.0])


async def test_a_free_battery_has_an_account_with_the_outside(tmp_path: Path) -> None:
    """5 A for half an hour, then -2 A for half an hour: 2.5 Ah out and 1 Ah in, a line each, and the meter is their sum."""
    async with home(tmp_path, Topology(batteries=(source(),))) as node:
        battery = node.directory["s"]
        await node.ledger.write(whole=True)
        for current_a in (5.0, -2.0):
            battery.apply(current_a, node.clock.now_s())  # type: ignore[attr-defined]
            await node.ledger.write(whole=False)
            node.pass_hours(0.5)
        entries = [(entry.giver, entry.taker, entry.charge_ah) for entry in await node.entries("s")]
        assert entries == [("s", "outside", about(2.5)), ("outside", "s", about(1.0))]
        stated = await node.ledger.statement("s", since_utc_s=None, until_utc_s=None)
        assert stated.expected_charge_ah == about(100.0 - 2.5 + 1.0)


async def test_a_full_disk_loses_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store fails entries wait, are answered all the same, and are written once it works."""

    async def fail(self: LedgerTable, books: Books) -> None:
        raise StoreError("the disk is full")

    async with home(tmp_path) as node:
        node.run(10.0, 0.0)
        with monkeypatch.context() as patch:
            patch.setattr(LedgerTable, "write", fail)
            for _ in range(3):
                node.pass_hours(1.0)
                with pytest.raises(StoreError):
                    await node.ledger.write(whole=True)
            assert [entry.charge_ah for entry in await node.entries("p1")] == about([10.0, 10.0, 10.0])
            with pytest.raises(StoreError):
                await node.ledger.reset_meter("s", holder="h")
            assert node.metered() == about([50.0, 20.0])
        await node.ledger.write(whole=False)
        stored = await node.table.page(LedgerFilter(accounts=("sp",)), 0, 100)
        assert [entry.charge_ah for entry in stored if "replaced" not in (entry.giver, entry.taker)] == about([10.0] * 3)


async def test_a_reset_is_durable_and_refused_above_a_leaf(tmp_path: Path) -> None:
    """20 of 100 Ah are gone: the reset moves meters by it in proportion, a restart knows it; above it is refused."""
    async with home(tmp_path) as node:
        node.splitter.sampled(0.0)
        node.directory["s"].modify({"charge_ah": 80.0}, 0.0)  # type: ignore[attr-defined]
        with pytest.raises(UnsupportedError, match="here s"):
            await node.ledger.reset_meter("p1", holder="h")
        assert await node.ledger.reset_meter("s", holder="h") == about(-20.0)
        assert node.metered() == about([64.0, 16.0])
        lines = {(entry.giver, entry.taker): entry.charge_ah for entry in await node.entries("sp")}
        assert lines["p1", "replaced"] == about(16.0)
    async with home(tmp_path) as node:
        assert node.metered() == about([64.0, 16.0])


async def test_what_is_too_old_or_too_much_goes(tmp_path: Path) -> None:
    """Of 100 hourly entries those of the last two days stay, and of these the newest ten; numbers go on."""
    async with home(tmp_path) as node:
        node.run(0.5, 0.0)
        node.pass_hours(100.0)
        await node.ledger.write(whole=False)
        assert len(await node.entries("p1")) == 100
        two_days_ago = node.clock.utc_s() - 48 * HOUR_S
        assert await node.table.prune(older_utc_s=two_days_ago, most=1000) == 51
        assert await node.table.prune(older_utc_s=two_days_ago, most=10) == 39
        assert [entry.number for entry in await node.entries("p1")] == list(range(91, 101))


async def test_a_clock_that_steps_closes_no_hour_twice(tmp_path: Path) -> None:
    """An hour back: the next full hour is the one the clock shows next, and charge is counted by monotonic time."""
    async with home(tmp_path) as node:
        node.run(6.0, 0.0)
        node.pass_hours(0.5)
        node.clock.ahead_s = -HOUR_S
        assert node.ledger.due_s() == about(node.clock.now_s() + HOUR_S / 2)
        node.pass_hours(1.0)
        assert sum(entry.charge_ah for entry in await node.entries("p1")) == about(9.0)


async def test_at_rest_nothing_is_due(tmp_path: Path) -> None:
    """A simulated century without a current has no full hours to stop at."""
    async with home(tmp_path) as node:
        assert node.ledger.due_s() == float("inf")
        node.run(1.0, 0.0)
        assert node.ledger.due_s() == HOUR_S


def test_the_periods() -> None:
    """Entries within a second, meters once a minute (bal.md; the issue)."""
    assert (ledger_module.COMMIT_PERIOD_S, ledger_module.CHECKPOINT_PERIOD_S) == (1.0, 60.0)
    clock: Clock = HandClock()
    assert clock.utc_s() % HOUR_S == 0.0
