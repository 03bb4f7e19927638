"""Aggregates in one process: recomputing a thousand members, one change among them, chains."""

import gc
import time
from collections.abc import Callable, Iterable

from bench.by_hand import Totals, by_hand
from bench.harness import Rounds, Row
from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.block import BLOCK_SIZE
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.spec import AggregatorSpec, PseudoSpec

RECOMPUTE = Row(
    name="recompute an aggregate of 1000",
    goal=1.5,
    scale="us",
    reference="one hand-written loop over the same 1000 statuses that computes every field, no function calls; equal to 1e-9",
)
ONE_CHANGE = Row(
    name="one of 1000 members changes",
    goal=0.25,
    scale="us",
    reference="the full recompute of the same aggregate; the candidate has one member report another voltage, then reads it",
)
CHAIN = Row(
    name="chain of 64 aggregators",
    goal=10.0,
    scale="us",
    reference="the same on a chain of 8: the leaf changes, the top is read",
)
ROWS = (RECOMPUTE, ONE_CHANGE, CHAIN)
MEMBERS = 1000
NOW_S = 1000.0


def member(number: int) -> PseudoBattery:
    """Return one of a thousand batteries that differ in everything."""
    capacity_ah = 50.0 + number % 37
    spec = PseudoSpec(
        name=f"p{number}",
        voltage_v=47.0 + (number % 11) * 0.2,
        charge_ah=capacity_ah * (0.2 + 0.6 * (number % 13) / 13.0),
        capacity_ah=capacity_ah,
        max_discharge_current_a=20.0 + number % 7,
        max_charge_current_a=15.0 + number % 5,
    )
    return PseudoBattery(spec, 0.0)


def aggregate(members: Iterable[Battery], name: str = "agg") -> Aggregator:
    """Return an aggregate of `members`."""
    rested_on = tuple(members)
    spec = AggregatorSpec(name=name, sources=tuple(each.name for each in rested_on), voltage_v=48.0, voltage_tolerance_v=4.0)
    return Aggregator(spec, rested_on)


def chain(length: int) -> tuple[PseudoBattery, Battery]:
    """Return a leaf and the top of `length` aggregators on it."""
    leaf = member(1)
    top: Battery = leaf
    for level in range(length):
        top = aggregate((top,), f"level{level}")
    return leaf, top


def timed_us(work: Callable[[], object], repeats: int) -> float:
    """Return the microseconds of one `work`, over `repeats` of them."""
    gc.collect()
    started_s = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - started_s) / repeats * 1e6


class Thousand:
    """The aggregate of 1000, and the three things that are done to it."""

    def __init__(self) -> None:
        self.members = [member(number) for number in range(MEMBERS)]
        self.aggregate = aggregate(self.members)
        self.statuses = [each.status(NOW_S) for each in self.members]
        self._voltage_v = 48.0

    def recompute(self) -> None:
        """Invalidate all that the aggregate keeps of its members, then read."""
        for slot in range(0, MEMBERS, BLOCK_SIZE):
            self.aggregate.source_touched(slot)
        self.aggregate.status(NOW_S)

    def by_hand(self) -> Totals:
        """Compute the same by hand."""
        return by_hand(self.statuses, NOW_S)

    def change_one(self) -> None:
        """Let one member report another voltage, then read the aggregate."""
        self._voltage_v = 48.1 if self._voltage_v == 48.0 else 48.0
        self.members[500].modify({"voltage_v": self._voltage_v}, NOW_S)
        self.aggregate.status(NOW_S)

    def check_equal(self) -> None:
        """Raise unless both ways give the same to 1e-9."""
        self.recompute()
        status, totals = self.aggregate.status(NOW_S), self.by_hand()
        for name in Totals.__dataclass_fields__:
            ours, theirs = getattr(status, name), getattr(totals, name)
            if ours != theirs and not abs(ours - theirs) <= 1e-9 * max(1.0, abs(theirs)):
                raise ArithmeticError(f"{name}: {ours} by the aggregate, {theirs} by hand")


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure the wanted rows."""
    results = {name: Rounds() for name in wanted}
    repeats = 20 if quick else 200
    thousand = Thousand()
    thousand.check_equal()
    short, long = chain(8), chain(64)
    for leaf, top in (short, long):
        timed_us(lambda leaf=leaf, top=top: _change(leaf, top), repeats)  # type: ignore[misc]
    timed_us(thousand.by_hand, repeats)
    for _ in range(rounds):
        by_hand_us = timed_us(thousand.by_hand, repeats)
        full_us = timed_us(thousand.recompute, repeats)
        one_us = timed_us(thousand.change_one, repeats)
        short_us = timed_us(lambda: _change(*short), repeats)
        long_us = timed_us(lambda: _change(*long), repeats)
        pairs = {RECOMPUTE.name: (full_us, by_hand_us), ONE_CHANGE.name: (one_us, full_us), CHAIN.name: (long_us, short_us)}
        for name in wanted:
            results[name].add(*pairs[name])
    thousand.check_equal()
    return results


def _change(leaf: PseudoBattery, top: Battery) -> None:
    leaf.modify({"charge_ah": 20.0}, NOW_S)
    top.status(NOW_S)
