"""Properties of caps over nested aggregates: no sum above a cap, nothing left while somebody can take it, no jumps."""

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.cap import Cap
from bosd.bal.dispatch import Plan, plan
from tests.support.bal_makers import aggregate, pseudo

LEAF = st.tuples(st.floats(1.0, 60.0), st.floats(5.0, 150.0), st.one_of(st.none(), st.floats(0.0, 80.0)))
"""Limit in A, charge in Ah of twice as many, a cap in A or none."""
TREE = st.recursive(LEAF, lambda below: st.tuples(st.lists(below, min_size=1, max_size=3), st.none() | st.floats(0.0, 120.0)))
REQUEST = st.floats(-200.0, 200.0)
TOLERANCE = 1e-7


def put_cap(battery: Battery, cap_a: float | None) -> None:
    """Cap both directions, or none."""
    caps = [Cap(source="book", discharging=out, limit_a=cap_a, text="the limit") for out in (True, False) if cap_a is not None]
    battery.put_caps("book", tuple(caps))


class Tree:
    """Batteries made from a tree of leaves and lists."""

    def __init__(self, tree: Any) -> None:
        self.caps_a: dict[Battery, float] = {}
        self.leaves: list[Battery] = []
        self.wholes: list[Aggregator] = []
        top = self._make(tree)
        self.top = top if isinstance(top, Aggregator) else self._whole([top], None)

    def _make(self, tree: Any) -> Battery:
        if isinstance(tree[0], list):
            return self._whole([self._make(each) for each in tree[0]], tree[1])
        limit_a, charge_ah, cap_a = tree
        leaf = pseudo(f"l{len(self.leaves)}", limit_a, 2.0 * charge_ah, charge_ah)
        self.leaves.append(leaf)
        return self._capped(leaf, cap_a)

    def _whole(self, members: list[Battery], cap_a: float | None) -> Aggregator:
        whole = aggregate(*members, name=f"w{len(self.wholes)}")
        self.wholes.append(whole)
        self._capped(whole, cap_a)
        return whole

    def _capped(self, battery: Battery, cap_a: float | None) -> Battery:
        self.caps_a[battery] = math.inf if cap_a is None else cap_a
        put_cap(battery, cap_a)
        return battery

    def asked(self, part: float) -> tuple[Plan, float]:
        """Return the plan for a part of what may be asked, and the current."""
        status = self.top.status(0.0)
        current_a = part * (status.max_discharge_current_a if part > 0.0 else status.max_charge_current_a)
        return plan({self.top: current_a}, 0.0), current_a

    def told_a(self, planned: Plan, battery: Battery) -> float:
        """Return what flows in all leaves below a battery."""
        if isinstance(battery, Aggregator):
            return math.fsum(self.told_a(planned, member) for member in battery.sources)
        return planned.clamped[battery].current_a


@given(tree=TREE, part=st.floats(-1.0, 1.0))
def test_no_sum_above_its_cap_and_every_sum_right(tree: Any, part: float) -> None:
    """Leaves within limit and cap, every aggregate within its cap and the sum of its members; never more than asked."""
    world = Tree(tree)
    planned, current_a = world.asked(part)
    for battery, cap_a in world.caps_a.items():
        flows_a = world.told_a(planned, battery)
        assert abs(flows_a) <= cap_a + TOLERANCE, battery.name
        assert abs(planned.clamped[battery].current_a - flows_a) <= TOLERANCE, battery.name
    for leaf in world.leaves:
        assert abs(world.told_a(planned, leaf)) <= leaf.status(0.0).max_discharge_current_a + TOLERANCE
    assert abs(world.told_a(planned, world.top)) <= abs(current_a) + TOLERANCE


@given(leaves=st.lists(LEAF, min_size=2, max_size=6), part=st.floats(-1.0, 1.0))
def test_what_one_cannot_take_the_others_do_in_proportion(leaves: Any, part: float) -> None:
    """In one aggregate: all that was asked flows unless everybody is at a limit; who is at none has grown by the same factor."""
    world = Tree((leaves, None))
    planned, current_a = world.asked(part)
    natural = dict(world.top.share(current_a, 0.0))
    told = {leaf: world.told_a(planned, leaf) for leaf in world.leaves}
    room = [
        leaf
        for leaf in world.leaves
        if abs(told[leaf]) < min(world.caps_a[leaf], leaf.status(0.0).max_discharge_current_a) - TOLERANCE
        and natural[leaf] != 0.0
    ]
    if room:
        assert abs(math.fsum(told.values()) - current_a) <= TOLERANCE
        factors = [told[leaf] / natural[leaf] for leaf in room]
        assert max(factors) - min(factors) <= TOLERANCE * max(factors)
        assert min(factors) >= 1.0 - TOLERANCE


@given(tree=TREE, part=st.floats(-1.0, 1.0), less_a=st.floats(0.0, 1e-6))
def test_no_jumps(tree: Any, part: float, less_a: float) -> None:
    """Every cap a trace lower moves no leaf by more than the traces together, each amplified by the depth of the tree."""
    world = Tree(tree)
    before, _ = world.asked(part)
    for battery, cap_a in world.caps_a.items():
        put_cap(battery, None if math.isinf(cap_a) else max(0.0, cap_a - less_a))
    after, _ = world.asked(part)
    moved_a = [abs(world.told_a(before, leaf) - world.told_a(after, leaf)) for leaf in world.leaves]
    assert max(moved_a) <= 4.0 * len(world.caps_a) * less_a + TOLERANCE
