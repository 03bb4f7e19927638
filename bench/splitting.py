"""How splitting, edits and the ledger grow: a thousand partitions, a thousand batteries, a hundred thousand entries."""

import gc
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.harness import Rounds, Row
from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.dispatch import asked_a, plan
from bosd.bal.edits import Add, apply_edits
from bosd.bal.setpoint import SetPoint
from bosd.bal.spec import BatterySpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.config import format_topology
from bosd.node.execute import commit
from bosd.policy.registry import POLICY_NAMES, policy
from bosd.store.ledger import Books, LedgerEntry, LedgerFilter, LedgerTable
from bosd.store.store import Store

LINEAR = 1.2
SPLIT = Row(
    name="splitting over 1000 partitions: growth from 100",
    goal=LINEAR,
    scale="us a partition",
    reference="the same on 100 partitions: the source changes, every partition's status is read, with all three policies; "
    "processor time a partition",
)
SET = Row(
    name="setting over 1000 partitions: growth from 100",
    goal=LINEAR,
    scale="us a partition",
    reference="the same on 100 partitions: each gets another set point, all are planned at once and put in force; "
    "processor time a partition",
)
EDIT = Row(
    name="a transaction of 1000 batteries: growth from 100",
    goal=LINEAR,
    scale="us a battery",
    reference="the same with 100 batteries: one edit adds them, is checked whole, stored durably and put in force; per battery",
)
REPLAY = Row(
    name="replaying 100,000 ledger entries: growth from 10,000",
    goal=LINEAR,
    scale="us an entry",
    reference="the same with 10,000 entries: all are read back from the store in pages of 1000, and a statement's sums are made; "
    "per entry",
)
ROWS = (SPLIT, SET, EDIT, REPLAY)


def no_device(spec: BatterySpec) -> Battery:
    """Refuse: all batteries here exist in software."""
    raise TypeError(f"no devices here: {spec}")


def leaf(name: str) -> PseudoSpec:
    """Return a pseudo battery that is half full."""
    return PseudoSpec(
        name=name,
        voltage_v=48.0,
        charge_ah=500.0,
        capacity_ah=1000.0,
        max_discharge_current_a=500.0,
        max_charge_current_a=500.0,
    )


class Split:
    """One battery in `count` partitions."""

    def __init__(self, count: int, policy_name: str) -> None:
        parts = tuple(PartitionSpec(name=f"p{number}", fraction=1.0 / count) for number in range(count))
        splitter = SplitterSpec(name="sp", policy=policy_name, source="a", partitions=parts)
        self.directory = Directory(no_device, policy)
        self.directory.change(Topology(batteries=(leaf("a"),), splitters=(splitter,)), 0.0)
        self.partitions = self.directory.splitters["sp"].partitions
        self.now_s = 0.0

    def read(self) -> None:
        """Let the source change, read all partitions."""
        self.directory["a"].touch()
        for partition in self.partitions:
            partition.status(self.now_s)

    def set(self) -> None:
        """Give every partition another set point and put all in force."""
        self.now_s += 1.0
        current_a = (100.0 + self.now_s % 7.0) / len(self.partitions)
        for partition in self.partitions:
            partition.setpoint = SetPoint(current_a=current_a, ends_s=self.now_s + 60.0, holder="bench")
            partition.touch()
        commit(plan({partition: asked_a(partition) for partition in self.partitions}, self.now_s), self.now_s)


def timed_s(work: Callable[[], object], repeats: int) -> float:
    """Return the seconds of processor time of one `work`, the least of three times `repeats` of them."""
    gc.collect()
    least_s = float("inf")
    for _ in range(3):
        began_s = time.thread_time()
        for _ in range(repeats):
            work()
        least_s = min(least_s, (time.thread_time() - began_s) / repeats)
    return least_s


async def edit_s(directory: Path, count: int, number: int) -> float:
    """Return how long one edit that adds `count` batteries takes: checked, on the disk, in force."""
    store = await Store.open(directory / f"edit{count}-{number}")
    live = Directory(no_device, policy)
    fragment = Topology(batteries=tuple(leaf(f"b{each}") for each in range(count)))
    try:
        gc.collect()
        began_s = time.perf_counter()
        after = apply_edits(live.topology, [Add(fragment)], POLICY_NAMES)
        text = format_topology(after)
        await store.append_revision(0, toml=text, changes=[], who="", comment="", changed_utc_s=0.0)
        live.change(after, 0.0)
        return time.perf_counter() - began_s
    finally:
        await store.close()


def entries(count: int) -> list[LedgerEntry]:
    """Return entries of one splitter, second by second."""
    return [
        LedgerEntry(
            account="sp",
            giver=f"p{number % 7}",
            taker="outside",
            charge_ah=0.001 * (number % 11),
            energy_wh=0.048,
            start_utc_s=float(number),
            end_utc_s=number + 1.0,
        )
        for number in range(count)
    ]


async def filled(directory: Path, count: int) -> tuple[Store, LedgerTable]:
    """Return a store with so many entries."""
    store = await Store.open(directory / f"ledger{count}")
    table = LedgerTable(store)
    every = entries(count)
    for first in range(0, count, 5000):
        books = Books(entries=every[first : first + 5000], meters=(), gone=(), open_accounts=(), open_entries=())
        await table.write(books)
    return store, table


async def replay_s(table: LedgerTable, count: int) -> float:
    """Return how long reading back all entries and a statement's sums take. Raises ArithmeticError if they disagree."""
    wanted = LedgerFilter(accounts=("a",), party_account="sp", party="outside")
    began_s = time.perf_counter()
    after, read, charge_ah = 0, 0, 0.0
    while page := await table.page(wanted, after, 1000):
        after, read = page[-1].number, read + len(page)
        charge_ah += sum(entry.charge_ah for entry in page)
    summed_ah = sum(each.charge_ah for each in await table.sums(wanted))
    took_s = time.perf_counter() - began_s
    if read != count or abs(summed_ah - charge_ah) > 1e-6:
        raise ArithmeticError(f"{read} entries of {count}, {charge_ah} Ah against {summed_ah} Ah")
    return took_s


def split_us(count: int, work: Callable[[Split], Callable[[], None]], repeats: int) -> float:
    """Return the microseconds a partition of some work, over all three policies."""
    total_s = 0.0
    for name in sorted(POLICY_NAMES):
        split = Split(count, name)
        work(split)()
        total_s += timed_s(work(split), repeats)
    return total_s / count * 1e6 / len(POLICY_NAMES)


async def growth(result: Rounds, small: int, large: int, measure_s: Callable[[int], Awaitable[float]]) -> None:
    """Add a round: time by size, of the large against the small."""
    small_us = await measure_s(small) / small * 1e6
    result.add(await measure_s(large) / large * 1e6, small_us)


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure the wanted rows."""
    results = {name: Rounds() for name in wanted}
    repeats = 1 if quick else 3
    for _ in range(rounds):
        for row, work in ((SPLIT, lambda split: split.read), (SET, lambda split: split.set)):
            if row.name in wanted:
                small_us = split_us(100, work, 10 * repeats)
                results[row.name].add(split_us(1000, work, repeats), small_us)
    with tempfile.TemporaryDirectory() as name:
        if EDIT.name in wanted:
            await _edits(results[EDIT.name], Path(name), rounds)
        if REPLAY.name in wanted:
            await _replays(results[REPLAY.name], Path(name), rounds)
    return results


async def _edits(result: Rounds, directory: Path, rounds: int) -> None:
    for number in range(rounds):

        async def median_s(count: int, number: int = number) -> float:
            taken_s = sorted([await edit_s(directory, count, 3 * number + each) for each in range(3)])
            return taken_s[1]

        await growth(result, 100, 1000, median_s)


async def _replays(result: Rounds, directory: Path, rounds: int) -> None:
    small, large = await filled(directory, 10_000), await filled(directory, 100_000)
    tables = {10_000: small[1], 100_000: large[1]}
    for _ in range(rounds):
        await growth(result, 10_000, 100_000, lambda count: replay_s(tables[count], count))
    await small[0].close()
    await large[0].close()
