"""Caps: which one binds, watts to amperes, and how what one member cannot take is given to the others (control.md)."""

import math

import pytest

from bosd.bal.battery import Battery
from bosd.bal.cap import Cap
from bosd.bal.caps import can_take_a, caps_below, clamp_to_caps, efficiency, tightest, voltage_v
from bosd.bal.dispatch import plan
from bosd.bal.explain import explain
from bosd.node.execute import commit
from tests.support.bal_makers import aggregate, pseudo, sample, sampled, split


def cap(source: str = "book", *, out: bool = True, **fields: float | bool) -> Cap:
    """Return a cap that is named after its source."""
    return Cap(source=source, discharging=out, text=f"the limit of {source}", **fields)  # type: ignore[arg-type]


def capped(battery: Battery, *caps: Cap) -> Battery:
    """Put caps of source `book` on a battery."""
    battery.put_caps("book", caps)
    return battery


def test_the_tightest_binds() -> None:
    """960 W at 48 V are 20 A, less than 25 A; the other direction is free; 0 W is 0 A."""
    battery = pseudo("b", 40.0, 100.0, 50.0)
    battery.put_caps("book", (cap(limit_w=960.0),))
    battery.put_caps("ramp", (cap("ramp", limit_a=25.0),))
    assert clamp_to_caps(battery, 30.0, 0.0) == (20.0, "clamped to the limit of book")
    assert clamp_to_caps(battery, -30.0, 0.0) == (-30.0, "")
    battery.put_caps("book", ())
    assert clamp_to_caps(battery, 30.0, 0.0) == (25.0, "clamped to the limit of ramp")
    battery.put_caps("book", (cap(limit_w=0.0),))
    assert clamp_to_caps(battery, 30.0, 0.0) == (0.0, "clamped to the limit of book")
    assert tightest(battery, 0.0, discharging=True, ignoring=("book",)).limit_a == 25.0


def test_putting_the_same_again_touches_nothing() -> None:
    """Only a change is one."""
    battery = pseudo("b", 40.0, 100.0)
    assert battery.put_caps("book", (cap(limit_a=1.0),))
    assert not battery.put_caps("book", (cap(limit_a=1.0),))
    assert battery.put_caps("book", ())
    assert battery.caps == ()


def test_the_grid_side() -> None:
    """960 W at the grid with 0.8 on the way: 768 W may charge, 1200 W discharge; alone limits are at the battery."""
    battery = pseudo("b", 40.0, 100.0, 50.0, efficiency=0.8)
    capped(battery, cap(limit_w=960.0, at_grid=True), cap(out=False, limit_w=960.0, at_grid=True))
    assert tightest(battery, 0.0, discharging=True).limit_a == pytest.approx(25.0)
    assert tightest(battery, 0.0, discharging=False).limit_a == pytest.approx(16.0)
    capped(battery, cap(limit_w=960.0))
    assert tightest(battery, 0.0, discharging=True).limit_a == 20.0


def test_the_worst_efficiency_below_counts() -> None:
    """0.9 of the whole over 0.8 and 0.95: the worse draws most when charging, the better feeds in most."""
    whole = aggregate(pseudo("a", 40.0, 100.0, 50.0, efficiency=0.8), pseudo("b", 40.0, 100.0, 50.0, efficiency=0.95))
    assert efficiency(whole, discharging=False) == pytest.approx(0.8)
    assert efficiency(whole, discharging=True) == pytest.approx(0.95)


def test_the_largest_voltage_below_counts() -> None:
    """46 and 50 V: 2400 W are 48 A at most, whoever carries them; a late sample counts at the voltage it may have."""
    low, high = sampled("a"), sampled("b")
    low.sampled(sample(0.0, voltage_v=46.0))
    high.sampled(sample(0.0, voltage_v=50.0))
    whole = aggregate(low, high)
    assert voltage_v(whole, 0.0) == 50.0
    capped(whole, cap(limit_w=2400.0))
    assert tightest(whole, 0.0, discharging=True).limit_a == 48.0
    assert plan({whole: 60.0}, 0.0).clamped[whole].current_a == 48.0


def test_three_of_which_the_book_caps_one() -> None:
    """bal.md, "Aggregators": three of 100 Ah, 50 A each, the third capped to 5 A by the book carry 105 A."""
    members = [pseudo(name, 50.0, 100.0) for name in "abc"]
    whole = aggregate(*members)
    capped(members[2], cap(limit_a=5.0))
    assert whole.status(0.0).max_discharge_current_a == 150.0
    planned = plan({whole: 150.0}, 0.0)
    assert [planned.clamped[each].current_a for each in members] == [50.0, 50.0, 5.0]
    assert planned.clamped[whole].current_a == 105.0
    assert planned.clamped[whole].reason == "clamped to the limits of c: the limit of book"


def test_what_an_inner_aggregate_cannot_take_goes_to_the_outer_ones() -> None:
    """40 A over (a, b) and c, a at 2 A: b takes what a cannot, within its 12 A; c takes the rest."""
    a, b, c = (pseudo(name, limit_a, 100.0, 50.0) for name, limit_a in (("a", 40.0), ("b", 40.0), ("c", 40.0)))
    inner = aggregate(a, b, name="inner")
    outer = aggregate(inner, c, name="outer")
    capped(a, cap(limit_a=2.0))
    capped(b, cap(limit_a=12.0))
    assert caps_below([outer])
    assert can_take_a(inner, 0.0, discharging=True) == 14.0
    planned = plan({outer: 40.0}, 0.0)
    told = [planned.clamped[each].current_a for each in (a, b, inner, c, outer)]
    assert told == pytest.approx([2.0, 12.0, 14.0, 26.0, 40.0])
    commit(planned, 0.0)
    assert not plan({outer: 40.0}, 0.0).computed  # and that stays
    capped(inner, cap(limit_a=10.0))
    planned = plan({outer: 40.0}, 0.0)
    assert [planned.clamped[each].current_a for each in (a, b, c)] == pytest.approx([2.0, 8.0, 30.0])


def test_a_partition_over_a_capped_source_as_a_member() -> None:
    """The partition's source is at 5 A: the other member takes the rest, and the sums are right."""
    source = pseudo("s", 40.0, 100.0, 50.0)
    part = split(source, 1.0).partitions[0]
    other = pseudo("o", 40.0, 100.0, 50.0)
    whole = aggregate(part, other)
    capped(source, cap(limit_a=5.0))
    planned = plan({whole: 30.0}, 0.0)
    told = [planned.clamped[each].current_a for each in (source, part, other, whole)]
    assert told == pytest.approx([5.0, 5.0, 25.0, 30.0])


def test_what_cannot_be_reached_keeps_what_it_may_run() -> None:
    """A lost device counts at the 20 A it may run, whatever its cap says: the others are given nothing of that."""
    lost, other = sampled("a"), sampled("b")
    whole = aggregate(lost, other)
    commit(planned := plan({whole: 40.0}, 0.0), 0.0)
    for leaf, current_a in planned.devices:
        leaf.settled(current_a, 0.0)
    other.sampled(sample(20.0))
    assert not lost.status(20.0).commandable
    lost.put_caps("book", (cap(limit_a=5.0),))
    whole.put_caps("book", (cap(limit_a=30.0),))
    planned = plan({whole: 40.0}, 20.0)
    assert planned.lost == {lost}
    assert dict(planned.devices)[other] == pytest.approx(10.0)


def test_a_member_below_its_least_current_gets_nothing() -> None:
    """That much or nothing: capped below its least current, a member does without, and the others carry on."""
    from bosd.bal.aggregator import Aggregator
    from bosd.bal.spec import AggregatorSpec
    from bosd.policy.sharing import sharing

    members = tuple(pseudo(name, 40.0, 100.0, 50.0) for name in "ab")
    spec = AggregatorSpec(name="agg", sources=("a", "b"), voltage_v=48.0, voltage_tolerance_v=4.0, least_current_a=(("a", 4.0),))
    whole = Aggregator(spec, members, sharing(spec))
    capped(members[0], cap(limit_a=3.0))
    planned = plan({whole: 20.0}, 0.0)
    assert [planned.clamped[each].current_a for each in members] == pytest.approx([0.0, 20.0])


def test_explain_names_the_limit() -> None:
    """What is in force, and what binds it."""
    battery = pseudo("b", 40.0, 100.0, 50.0)
    capped(battery, cap(limit_w=480.0))
    commit(plan({battery: 30.0}, 0.0), 0.0)
    assert (battery.applied_a, explain(battery, 0.0).in_force.limited_by) == (10.0, "clamped to the limit of book")
    assert math.isinf(tightest(battery, 0.0, discharging=False).limit_a)
