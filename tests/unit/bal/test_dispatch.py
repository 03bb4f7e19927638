"""From what is asked at the top to what each leaf is told."""

import math

import pytest

from bosd.bal.battery import Battery
from bosd.bal.dispatch import Plan, plan
from bosd.bal.setpoint import SetPoint
from bosd.node.execute import commit
from tests.support.bal_makers import aggregate, physical, pseudo, sample, sampled, split


def told(planned: Plan) -> dict[str, float]:
    """Return what each leaf is told, by name."""
    return {leaf.name: current_a for leaf, current_a in (*planned.computed, *planned.devices)}


def test_a_leaf_is_clamped_to_its_present_limit() -> None:
    """60 A of a battery that can do 40: 40 A, with the reason."""
    battery = pseudo("p", 40.0, 100.0, 50.0)
    planned = plan({battery: 60.0}, 0.0)
    assert told(planned) == {"p": 40.0}
    assert planned.clamped[battery].reason == "clamped to the present discharge limit 40 A"
    assert told(plan({battery: -60.0}, 0.0)) == {"p": -40.0}


def test_shares_of_an_aggregate() -> None:
    """50 A of the balanced one: 36.7 and 13.3 A."""
    whole = aggregate(pseudo("A", 60.0, 110.0), pseudo("B", 40.0, 40.0))
    assert told(plan({whole: 50.0}, 0.0)) == pytest.approx({"A": 50 * 110 / 150, "B": 50 * 40 / 150})


def test_devices_of_one_rank() -> None:
    """Two physical members: both told, in the members' order."""
    whole = aggregate(sampled("a"), sampled("b"))
    assert [(leaf.name, current_a) for leaf, current_a in plan({whole: 20.0}, 0.0).devices] == [("a", 10.0), ("b", 10.0)]


def test_partitions_are_summed() -> None:
    """40 A of one and -30 A of the other: the source is told 10 A, and its charge limit of the one never reaches it."""
    source = pseudo("s", 100.0, 200.0, 100.0)
    one, other = split(source, 0.5, 0.5).partitions
    planned = plan({one: 40.0, other: -30.0}, 0.0)
    assert told(planned) == {"s": 10.0}
    commit(planned, 0.0)
    assert (one.applied_a, other.applied_a, source.applied_a) == (40.0, -30.0, 10.0)
    assert told(plan({one: 20.0}, 0.0)) == {"s": -10.0}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_limit_that_moved_by_rounding_moves_nothing(sign: float) -> None:
    """Where a virtual limit is a rounding step away, what is applied stays, and what is asked just beyond is not clamped."""
    part = split(pseudo("s", 50.0, 200.0, 100.0), 1.0).partitions[0]
    almost_a = sign * math.nextafter(50.0, 0.0)
    commit(plan({part: almost_a}, 0.0), 0.0)
    assert told(plan({part: sign * 60.0}, 0.0)) == {}
    assert plan({part: sign * 60.0}, 0.0).clamped[part].reason
    assert not plan({part: sign * math.nextafter(50.0, 60.0)}, 0.0).clamped[part].reason
    assert told(plan({part: sign * 60.0 / 2.0}, 0.0)) == {"s": sign * 30.0}


def test_a_diamond() -> None:
    """An aggregate over two partitions of one splitter over an aggregate: 30 A arrive as 30 A, once."""
    a, b = pseudo("a", 60.0, 110.0, 55.0), pseudo("b", 40.0, 40.0, 20.0)
    lower = aggregate(a, b, name="lower")
    splitter = split(lower, 0.5, 0.3, 0.2)
    top = aggregate(*splitter.partitions[:2], name="top")
    planned = plan({top: 30.0, splitter.partitions[2]: -5.0}, 0.0)
    assert sum(told(planned).values()) == pytest.approx(25.0)
    commit(planned, 0.0)
    assert splitter.partitions[0].applied_a == pytest.approx(30 * 5 / 8)
    assert lower.applied_a == pytest.approx(25.0)


def test_shares_stay_within_a_hundredth() -> None:
    """Charge moves by 0.5 % of the set point: shares stay; by 5 %: they move, but not while they must wait."""
    a, b = pseudo("a", 100.0, 100.0, 50.0), pseudo("b", 100.0, 100.0, 50.0)
    whole = aggregate(a, b)
    commit(plan({whole: 20.0}, 0.0), 0.0)
    a.modify({"charge_ah": 50.5}, 0.0)
    assert told(plan({whole: 20.0}, 0.0)) == {}
    a.modify({"charge_ah": 60.0}, 0.0)
    assert told(plan({whole: 20.0}, 0.0, move_shares=False)) == {}
    assert told(plan({whole: 20.0}, 0.0)) == pytest.approx({"a": 20 * 60 / 110, "b": 20 * 50 / 110})


def test_a_limit_acts_at_once() -> None:
    """A member derated below its share is relieved although shares must wait."""
    a, b = pseudo("a", 20.0, 100.0, 50.0), pseudo("b", 100.0, 100.0, 50.0)
    whole = aggregate(a, b)
    commit(plan({whole: 20.0}, 0.0), 0.0)
    a.modify({"max_discharge_current_a": 2.0}, 0.0)
    now_told = told(plan({whole: 20.0}, 0.0, move_shares=False))
    assert now_told == pytest.approx({"a": 0.0, "b": 20.0})


def test_a_lost_member_is_told_but_not_waited_for() -> None:
    """A member that went away at 10 A is to be told 0 and listed as lost; the other keeps its own 10."""
    a, b = sampled("a"), sampled("b")
    whole = aggregate(a, b)
    a.settled(10.0, 0.0)
    b.settled(10.0, 0.0)
    whole.applied_a = 20.0
    b.sampled(sample(20.0))
    planned = plan({whole: 20.0}, 20.0)
    assert planned.lost == {a}
    assert told(planned) == {"a": 0.0, "b": 10.0}


def test_a_lost_member_counted_otherwise_than_told_moves_nobody() -> None:
    """Told 10 A, counted at 10.002: the others do with 1 mA less each, once; charge that moves by a trifle moves nobody then."""
    a, b, c = leaves = sampled("a"), sampled("b"), sampled("c")
    whole = aggregate(*leaves)
    for leaf in leaves:
        leaf.settled(10.0, 0.0)
    whole.applied_a = 30.0
    a.unconfirmed_a = 10.002
    for leaf in (b, c):
        leaf.sampled(sample(20.0))
    planned = plan({whole: 30.0}, 20.0)
    assert told(planned) == pytest.approx({"a": 0.0, "b": 9.999, "c": 9.999})
    for leaf in (b, c):
        leaf.settled(planned.targets_a[leaf], 20.0)
    b.sampled(sample(20.0, charge_ah=50.25))
    planned = plan({whole: 30.0}, 20.0)
    assert (planned.targets_a[b], planned.targets_a[c]) == (b.applied_a, c.applied_a)


def test_ends_travel_down() -> None:
    """A member's end is the aggregate's; of two partitions the source's is the earlier; an end still to come wins."""
    a = sampled("a")
    whole = aggregate(a)
    whole.setpoint = SetPoint(current_a=5.0, ends_s=60.0, holder="h")
    assert plan({whole: 5.0}, 0.0).ends_s[a] == 60.0
    assert plan({whole: 5.0}, 0.0, ends_s={whole: 90.0}).ends_s[a] == 90.0
    source = sampled("s")
    one, other = split(source, 0.5, 0.5).partitions
    assert plan({one: 5.0, other: 5.0}, 0.0, ends_s={one: 70.0, other: 50.0}).ends_s[source] == 50.0


def test_a_limit_that_moves_by_a_trifle_moves_nothing() -> None:
    """80 A applied of 100 A asked: a limit of 79.94 A changes nothing, 79.90 A is followed (a thousandth of 80 A is 0.08)."""
    a, b = physical("a"), physical("b")
    for battery in (a, b):
        battery.sampled(sample(0.0, 50.0))
        battery.settled(40.0, 0.0)
    both = aggregate(a, b)
    both.applied_a = 80.0
    followed = {}
    for charge_ah in (50.08, 50.12):
        a.sampled(sample(1.0, charge_ah))
        limit_a = both.status(1.0).max_discharge_current_a
        assert limit_a == pytest.approx(40.0 * (1.0 + 50.0 / charge_ah))
        followed[charge_ah] = plan({both: 100.0}, 1.0).clamped[both].current_a, limit_a
    assert followed[50.08][0] == 80.0
    assert followed[50.12][0] == followed[50.12][1]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_partitions_follow_what_moves_exactly(sign: float) -> None:
    """Of 80 A one member can do a trifle less, so that shares move: partitions add up to what the source is told.

    Shares by charge of two alike: the source's limit is twice the lesser one, 2 * 39.98 A.
    """
    a, b = pseudo("a", 40.0, 100.0, 50.0), pseudo("b", 40.0, 100.0, 50.0)
    whole = aggregate(a, b)
    one, other = split(whole, 0.6, 0.4).partitions
    asked: dict[Battery, float] = {one: sign * 48.0, other: sign * 32.0}
    commit(plan(asked, 0.0), 0.0)
    assert whole.applied_a == pytest.approx(sign * 80.0)
    b.modify({"max_discharge_current_a": 39.98, "max_charge_current_a": 39.98}, 0.0)
    commit(plan(asked, 0.0), 0.0)
    assert whole.applied_a == pytest.approx(sign * 79.96)
    assert one.applied_a + other.applied_a == pytest.approx(whole.applied_a, rel=1e-12)
    assert one.applied_a / other.applied_a == pytest.approx(1.5)
    assert "present" in one.clamped_by


def test_what_is_meant_is_what_somebody_asks_for() -> None:
    """P2 is asked for, the aggregate over p1 and y is at its safe value: x below both is meant, y is not."""
    x, y = pseudo("x", 50.0, 100.0), pseudo("y", 50.0, 100.0)
    one, other = split(x, 0.5, 0.5).partitions
    whole = aggregate(one, y)
    other.setpoint = SetPoint(current_a=0.0, ends_s=60.0, holder="h")
    planned = plan({whole: 0.0, other: 0.0}, 0.0)
    assert [planned.is_meant(each) for each in (x, y, one, other, whole)] == [True, False, False, True, False]
    assert plan({whole: 0.0}, 0.0, ends_s={whole: 60.0}).is_meant(y)
    assert not plan({whole: 0.0}, 0.0).is_meant(y)
