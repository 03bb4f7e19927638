"""The accounts against a model: a second, slow way, in whole seconds and fractions, that is obviously right.

Invariants 3 and 5 of bal.md over random sequences, nested splitters included.
"""

import random
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bosd.bal.ledger import DEVIATION, NO_PARTITIONS, OUTSIDE, REPLACED, UNATTRIBUTED, Book
from bosd.bal.physical import PhysicalBattery
from bosd.bal.reset import reset_meter
from bosd.bal.spec import PartitionSpec
from bosd.bal.splitter import Splitter
from bosd.errors import UnsupportedError
from tests.support.bal_makers import aggregate, physical, pseudo, sample, split
from tests.support.examples import examples

HOUR = Fraction(3600)
AH = 1e-9
VOLTAGE_V = 48


@dataclass
class Model:
    """Charges per second with exact numbers: each second every partition's current flows, and pairs are matched.

    `capacities` are the parts' fractions; `residual_a` is what the hardware does beyond the set points.
    """

    names: list[str]
    capacities: list[Fraction]
    metered_ah: list[Fraction]
    applied_a: list[Fraction]
    residual_a: Fraction = Fraction(0)
    flows: dict[tuple[str, str], Fraction] = field(default_factory=dict)

    def currents_a(self) -> list[Fraction]:
        """Return what each partition's current is."""
        sizes = [abs(each) for each in self.applied_a]
        weights = [each / sum(sizes) for each in sizes] if sum(sizes) else self.capacities
        return [own + weight * self.residual_a for own, weight in zip(self.applied_a, weights, strict=True)]

    def second(self) -> None:
        """Let one second pass."""
        moved = [each / HOUR for each in self.currents_a()]
        self.metered_ah = [before - each for before, each in zip(self.metered_ah, moved, strict=True)]
        gives = {name: each for name, each in zip(self.names, moved, strict=True) if each > 0}
        takes = {name: -each for name, each in zip(self.names, moved, strict=True) if each < 0}
        given, taken = Fraction(sum(gives.values())), Fraction(sum(takes.values()))
        inside = Fraction(min(given, taken))
        for giver, gave in gives.items():
            self.add(giver, OUTSIDE, gave * (1 - inside / given))
            for taker, took in takes.items():
                self.add(giver, taker, inside * gave / given * took / taken)
        for taker, took in takes.items():
            self.add(OUTSIDE, taker, took * (1 - inside / taken))

    def add(self, giver: str, taker: str, charge_ah: Fraction) -> None:
        """Count a flow."""
        if charge_ah:
            self.flows[giver, taker] = self.flows.get((giver, taker), Fraction(0)) + charge_ah


def flows_of(book: Book) -> dict[tuple[str, str], tuple[float, float]]:
    """Return charge and energy by giver and taker, everything that was ever written."""
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    for line in (*book.drain(), *book.open_lines()):
        charge_ah, energy_wh = sums.get((line.giver, line.taker), (0.0, 0.0))
        sums[line.giver, line.taker] = charge_ah + line.charge_ah, energy_wh + (line.energy_wh or 0.0)
    return sums


steps = st.lists(
    st.tuples(
        st.integers(1, 600),  # seconds
        st.lists(st.integers(-20, 20), min_size=3, max_size=3),  # set points in A
        st.integers(-3, 3),  # what the hardware does beyond them, in A
        st.booleans(),  # whether somebody reads in between
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=examples(60), deadline=None)
@given(steps)
def test_the_fast_way_is_the_slow_way(events: list[tuple[int, list[int], int, bool]]) -> None:
    """Meters and every pair's charge and energy agree with the model to 1e-9 Ah, however often anybody reads in between."""
    battery = physical("s", 100.0)
    battery.unavailable_after_s = 1e9
    splitter = split(battery, 0.5, 0.3, 0.2)
    battery.sampled(sample(0.0, 5000.0, 0.0, capacity_ah=10_000.0))
    splitter.sampled(0.0)
    shares = [Fraction(5, 10), Fraction(3, 10), Fraction(2, 10)]
    model = Model(list(splitter.accounts.names), shares, [5000 * each for each in shares], [Fraction(0)] * 3)
    now_s, total = 0, Fraction(5000)
    for seconds, currents_a, residual_a, reads in events:
        splitter.step(float(now_s))
        for partition, current_a in zip(splitter.partitions, currents_a, strict=True):
            partition.applied_a = float(current_a)
            partition.touch()
        battery.settled(float(sum(currents_a)), float(now_s))
        battery.sampled(sample(float(now_s), float(total), float(sum(currents_a) + residual_a), capacity_ah=10_000.0))
        splitter.sampled(float(now_s))
        model.applied_a, model.residual_a = [Fraction(each) for each in currents_a], Fraction(residual_a)
        for _ in range(seconds):
            model.second()
            now_s += 1
            if reads and now_s % 7 == 0:
                [partition.status(float(now_s)) for partition in splitter.partitions]
        total -= (sum(currents_a) + residual_a) * seconds / HOUR
        battery.sampled(sample(float(now_s), float(total), float(sum(currents_a) + residual_a), capacity_ah=10_000.0))
        splitter.sampled(float(now_s))
    metered_ah = [partition.status(float(now_s)).expected_ah(float(now_s)) for partition in splitter.partitions]
    assert metered_ah == pytest.approx([float(each) for each in model.metered_ah], abs=AH)
    flows = {pair: sums for pair, sums in flows_of(splitter.accounts.book).items() if DEVIATION not in pair}
    for pair in {*flows, *model.flows}:
        exact = float(model.flows.get(pair, 0))
        assert flows.get(pair, (0.0, 0.0)) == pytest.approx((exact, exact * VOLTAGE_V), abs=AH * VOLTAGE_V), pair


class World:
    """A pack, a pseudo battery and a stack of splitters over both; whatever happens, books and meters are compared."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now_s = 0.0
        self.pack: PhysicalBattery = physical("pack", 60.0)
        self.pseudo = pseudo("soft", 60.0, 100.0, 60.0)
        self.pack.sampled(sample(0.0, 50.0, 0.0))
        self.splitters = [split(aggregate(self.pack, self.pseudo), 0.5, 0.3, 0.2, name="p")]
        self.splitters.append(split(self.splitters[0].partitions[0], 0.7, 0.3, name="q"))
        empty = tuple(
            PartitionSpec(name=f"r{number}", fraction=0.5, charge_fraction=part) for number, part in enumerate((0.0, 1.0))
        )
        self.splitters.append(split(self.splitters[1].partitions[1], name="r", parts=empty))
        for splitter in self.splitters:
            splitter.sampled(0.0)
        self.begun = [self.accounts(splitter) for splitter in self.splitters]
        self.sources = [self.source_ah(splitter) for splitter in self.splitters]
        self.flows: list[dict[str, float]] = [{} for _ in self.splitters]

    def accounts(self, splitter: Splitter) -> dict[str, float]:
        """Return meters and the account nobody is charged with, as of the last step."""
        metered_ah = splitter.accounts.metered_ah
        assert metered_ah is not None
        return {**dict(zip(splitter.accounts.names, metered_ah, strict=True)), UNATTRIBUTED: splitter.accounts.unattributed_ah}

    def source_ah(self, splitter: Splitter) -> float:
        """Return the source's meter where the splitter's stand."""
        return splitter.accounts.source_ah

    def happen(self) -> None:
        """Let something happen."""
        self.chance.choice(
            [self.sample, self.sample, self.set, self.modify, self.wait, self.wait, self.read, self.look, self.reset]
        )()

    def sample(self) -> None:
        """Sample the pack."""
        beyond_a = self.chance.choice([0.0, 2.0, -1.5])
        charge_ah = self.chance.choice([0.0, 20.0, 50.0, 100.0])
        self.pack.sampled(sample(self.now_s, charge_ah, self.pack.applied_a + beyond_a))

    def set(self) -> None:
        """Give the lowest partitions set points; all above and below follow in one turn."""
        for splitter in self.splitters:
            splitter.step(self.now_s)
        for splitter in reversed(self.splitters):
            for partition in splitter.partitions:
                if partition.user is None:
                    partition.applied_a = self.chance.choice([0.0, 10.0, -5.0, 3.0])
                else:
                    partition.applied_a = sum(each.applied_a for each in partition.user.partitions)  # type: ignore[attr-defined]
                partition.touch()
        total_a = sum(partition.applied_a for partition in self.splitters[0].partitions)
        self.pack.settled(total_a / 2, self.now_s)
        self.pseudo.apply(total_a / 2, self.now_s)

    def modify(self) -> None:
        """Let the pseudo battery report something else."""
        self.pseudo.modify({"charge_ah": self.chance.choice([0.0, 40.0, 100.0])}, self.now_s)

    def wait(self) -> None:
        """Let time pass, sometimes longer than the pack may be silent."""
        self.now_s += self.chance.choice([0.3, 1.0, 5.0, 30.0, 1800.0])

    def read(self) -> None:
        """Read everything: it must not matter."""
        for splitter in self.splitters:
            before = splitter.accounts.metered_ah, splitter.accounts.synced_s
            for partition in splitter.partitions:
                partition.status(self.now_s)
            assert (splitter.accounts.metered_ah, splitter.accounts.synced_s) == before

    def look(self) -> None:
        """Take up samples, as the node does once a second."""
        for splitter in self.chance.sample(self.splitters, len(self.splitters)):
            splitter.sampled(self.now_s)
            if self.chance.random() < 0.3:
                splitter.accounts.book.close(self.now_s)

    def reset(self) -> None:
        """Reset a leaf, take that back, or be refused above one."""
        leaf = self.chance.choice([self.pack, self.pseudo])
        if self.chance.random() < 0.5:
            before = [(self.accounts(each), each.accounts.synced_s) for each in self.splitters]
            with pytest.raises(UnsupportedError):
                reset_meter(self.splitters[0].partitions[1], self.now_s)
            assert before == [(self.accounts(each), each.accounts.synced_s) for each in self.splitters]
        else:
            _, undo = reset_meter(leaf, self.now_s)
            if self.chance.random() < 0.3:
                undo()

    def check(self) -> None:
        """Compare: lines add up to what each meter changed by, and meters to their source's."""
        for splitter, begun, source_ah, sums in zip(self.splitters, self.begun, self.sources, self.flows, strict=True):
            for line in splitter.accounts.book.drain():
                self.count(sums, line.giver, line.taker, line.charge_ah)
            total = dict(sums)
            for line in splitter.accounts.book.open_lines():
                self.count(total, line.giver, line.taker, line.charge_ah)
            now = self.accounts(splitter)
            for name, begun_ah in begun.items():
                assert total.get(name, 0.0) == pytest.approx(now[name] - begun_ah, abs=AH), name
            changed_ah = sum(now.values()) - sum(begun.values())
            assert changed_ah == pytest.approx(self.source_ah(splitter) - source_ah, abs=AH)

    @staticmethod
    def count(sums: dict[str, float], giver: str, taker: str, charge_ah: float) -> None:
        """Add a line to what its parties gained; what is re-allotted moves no meter."""
        if DEVIATION not in (giver, taker):
            sums[giver] = sums.get(giver, 0.0) - charge_ah
            sums[taker] = sums.get(taker, 0.0) + charge_ah


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_books_add_up_to_meters_and_meters_to_their_source(seed: int, events: int) -> None:
    """Three splitters on top of each other over a pack and a pseudo battery: nothing is ever lost or made."""
    world = World(random.Random(seed))
    for _ in range(events):
        world.happen()
        world.check()


def test_the_words_that_are_no_partitions() -> None:
    """What is not a partition has one of four names (bal.md)."""
    assert (
        set(NO_PARTITIONS) == {OUTSIDE, UNATTRIBUTED, DEVIATION, REPLACED} == {"outside", "unattributed", "deviation", "replaced"}
    )
