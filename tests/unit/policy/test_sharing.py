"""How a set point is shared over sources: every policy, least currents, and what is left over (bal.md, "Aggregators")."""

import pytest

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.dispatch import plan
from bosd.bal.sharing import Bounded, Candidate, reach, share, share_within
from bosd.bal.spec import AggregatorSpec
from bosd.errors import CurrentOutOfRangeError
from bosd.node.requests import check_carried
from bosd.policy.sharing import ByAllowed, ByCharge, ByCRate, ByRatio, sharing
from tests.support.bal_makers import pseudo, sample, sampled, split


def member(name: str, limit_a: float = 10_000.0, available: float = 0.5, **fields: float) -> Candidate:
    """Return a member of 100 Ah at its full limit."""
    values = {"least_a": 0.0, "ideal_a": limit_a, "available_ah": 100.0 * available, "capacity_ah": 100.0, **fields}
    return Candidate(name=name, limit_a=limit_a, available_soc=available, **values)


def aggregate(*members: Battery, **fields: object) -> Aggregator:
    """Return an aggregate that shares as the keys of its specification say."""
    values: dict[str, object] = {"voltage_v": 48.0, "voltage_tolerance_v": 4.0, **fields}
    spec = AggregatorSpec(name="agg", sources=tuple(each.name for each in members), **values)  # type: ignore[arg-type]
    return Aggregator(spec, members, sharing(spec))


def shares(whole: Aggregator, current_a: float, now_s: float = 0.0) -> list[float]:
    """Return the members' shares in order."""
    return [share_a for _, share_a in whole.share(current_a, now_s)]


@pytest.mark.parametrize(
    ("exponent", "expected"), [(0.0, (4000, 4000)), (1.0, (2000, 6000)), (2.0, (800, 7200)), (3.0, (286, 7714))]
)
def test_charge_with_an_exponent(exponent: float, expected: tuple[int, int]) -> None:
    """8000 over equal capacities with 10 and 30 % available: 8000 * 10^e / (10^e + 30^e), 286 and 7714 for e = 3."""
    shared = share(ByCharge(exponent), [member("a", available=0.1), member("b", available=0.3)], 8000.0)
    assert shared.shares_a == pytest.approx(expected, abs=0.5)
    assert sum(shared.shares_a) == pytest.approx(8000.0)
    assert shared.left_over_a == 0.0


def test_charge_counts_capacity() -> None:
    """200 Ah at 20 % and 100 Ah at 20 % share 2 : 1."""
    members = [member("a", available=0.2, capacity_ah=200.0), member("b", available=0.2)]
    assert share(ByCharge(1.0), members, 30.0).shares_a == pytest.approx((20.0, 10.0))


def test_limits_of_the_policies() -> None:
    """Limits 60 and 40 A, 110 and 40 Ah: by C-rate 60/110 * 150, by allowed 60 + 40, by ratio 0.7 : 0.3 min(60/0.7, 40/0.3)."""
    members = [
        member("a", 60.0, 1.0, capacity_ah=110.0, available_ah=110.0),
        member("b", 40.0, 1.0, capacity_ah=40.0, available_ah=40.0),
    ]
    assert reach(ByCRate(), members).limit_a == pytest.approx(60 / 110 * 150)
    assert reach(ByAllowed(), members).limit_a == pytest.approx(100.0)
    assert reach(ByRatio({"a": 0.7, "b": 0.3}), members).limit_a == pytest.approx(60 / 0.7)
    assert reach(ByCharge(0.0), members).limit_a == pytest.approx(60 / 110 * 150)
    assert share(ByAllowed(), members, 50.0).shares_a == pytest.approx((30.0, 20.0))
    assert share(ByRatio({"a": 0.7, "b": 0.3}), members, 50.0).shares_a == pytest.approx((35.0, 15.0))


def test_a_derated_member_drags_no_policy_down() -> None:
    """Ratio 1 : 1, A derated from 60 to 5 A: both give 10 A together, B alone 40; A is named."""
    members = [member("a", 5.0, ideal_a=60.0), member("b", 40.0)]
    policy = ByRatio({"a": 0.5, "b": 0.5})
    assert reach(policy, members) == (40.0, ("a",))
    assert share(policy, members, 10.0).shares_a == pytest.approx((5.0, 5.0))
    assert share(policy, members, 12.0).shares_a == pytest.approx((0.0, 12.0))


@pytest.mark.parametrize(
    ("amount_a", "expected", "left_over_a"),
    [
        (20.0, (10.0, 10.0), 0.0),
        (4.0, (2.0, 2.0), 0.0),
        (3.0, (0.0, 3.0), 0.0),
        (1.0, (0.0, 0.0), 1.0),
        (0.0, (0.0, 0.0), 0.0),
    ],
)
def test_a_share_is_nothing_or_the_least(amount_a: float, expected: tuple[float, float], left_over_a: float) -> None:
    """Two equal members that use 2 A at least: 3 A go to one, 1 A to none."""
    shared = share_within(amount_a, [Bounded(1.0, 2.0, 10.0), Bounded(1.0, 2.0, 10.0)])
    assert sorted(shared.shares_a) == pytest.approx(expected)
    assert shared.left_over_a == pytest.approx(left_over_a)


def test_a_small_part_is_raised_where_the_others_cannot_do_without() -> None:
    """11 A over 10 A and one of weight 0.1 with least 2: the second gets its 2, the first 9."""
    assert share_within(11.0, [Bounded(1.0, 0.0, 10.0), Bounded(0.1, 2.0, 10.0)]).shares_a == pytest.approx((9.0, 2.0))


def test_what_lies_between_is_left_over() -> None:
    """3 A at most or 8 A at least: of 5 A three are carried and 2 left over; the limit is 20 + 3."""
    bounds = [Bounded(1.0, 0.0, 3.0), Bounded(1.0, 8.0, 20.0)]
    shared = share_within(5.0, bounds)
    assert shared.shares_a == pytest.approx((3.0, 0.0))
    assert shared.left_over_a == pytest.approx(2.0)


def test_an_aggregate_by_allowed_current() -> None:
    """60 and 40 A allowed: 100 A in all, 50 A as 30 and 20, both ways."""
    whole = aggregate(pseudo("a", 60.0, 110.0, 50.0), pseudo("b", 40.0, 40.0, 30.0), share="allowed")
    status = whole.status(0.0)
    assert (status.max_discharge_current_a, status.max_charge_current_a) == (100.0, 100.0)
    assert shares(whole, 50.0) == pytest.approx([30.0, 20.0])
    assert shares(whole, -50.0) == pytest.approx([-30.0, -20.0])


def test_an_aggregate_by_charge_counts_from_reserve_to_ceiling() -> None:
    """50 % with a reserve of 40 %, and 50 % without: 10 : 50 on discharge, equal on charge but for a ceiling of 60 %: 10 : 50."""
    low = pseudo("a", 50.0, 100.0, 50.0, min_soc=0.4, max_soc=0.6)
    whole = aggregate(low, pseudo("b", 50.0, 100.0, 50.0), share="charge")
    assert shares(whole, 60.0) == pytest.approx([10.0, 50.0])
    assert shares(whole, -60.0) == pytest.approx([-10.0, -50.0])
    assert whole.status(0.0).max_discharge_current_a == pytest.approx(60.0)


def test_by_ratio_goes_on_without_an_empty_member() -> None:
    """0.5 : 0.3 : 0.2 with the first one empty: the others share 3 : 2, bounded by 20/0.6."""
    members = (pseudo("a", 20.0, 100.0, 0.0), pseudo("b", 20.0, 100.0), pseudo("c", 20.0, 100.0))
    whole = aggregate(*members, share="ratio", share_ratios=(("a", 0.5), ("b", 0.3), ("c", 0.2)))
    assert whole.status(0.0).max_discharge_current_a == pytest.approx(20 / 0.6)
    assert shares(whole, 10.0) == pytest.approx([0.0, 6.0, 4.0])


def test_a_stale_member_keeps_its_share_under_any_policy() -> None:
    """A stale member runs on at 20 A; of 50 A the other gives 30, whatever the ratio."""
    stale, good = sampled("s"), sampled("g")
    stale.settled(20.0, 0.0)
    good.settled(30.0, 0.0)
    whole = aggregate(stale, good, share="ratio", share_ratios=(("g", 0.1), ("s", 0.9)))
    good.sampled(sample(5.0, 50.0, 30.0))
    assert whole.status(5.0).max_discharge_current_a == pytest.approx(60.0)
    assert shares(whole, 50.0, 5.0) == pytest.approx([20.0, 30.0])


def test_what_cannot_be_shared_is_refused_with_what_is_left_over() -> None:
    """Both members use 2 A at least: 1 A is refused with 1 A left over, 3 A is carried by one of them."""
    whole = aggregate(pseudo("a", 20.0, 100.0), pseudo("b", 20.0, 100.0), least_current_a=(("a", 2.0), ("b", 2.0)))
    planned = plan({whole: 1.0}, 0.0)
    with pytest.raises(CurrentOutOfRangeError, match="1 A left over") as refusal:
        check_carried(whole, 1.0, "ann", planned, 0.0)
    assert refusal.value.metadata["left_over_a"] == "1.0"
    carried = plan({whole: 3.0}, 0.0)
    check_carried(whole, 3.0, "ann", carried, 0.0)
    assert sorted(current_a for _, current_a in carried.computed) == pytest.approx([3.0])


def test_partitions_do_without_what_is_left_over() -> None:
    """A set point in force that falls between: partitions add up to what the source carries, here nothing."""
    whole = aggregate(pseudo("a", 20.0, 100.0), pseudo("b", 20.0, 100.0), least_current_a=(("a", 2.0), ("b", 2.0)))
    parts = split(whole, 0.5, 0.5).partitions
    planned = plan({parts[0]: 0.75, parts[1]: 0.25}, 0.0)
    assert planned.left_over_a == {whole: 1.0}
    assert [planned.clamped[part].current_a for part in parts] == pytest.approx([0.0, 0.0])
    assert "1 A left over" in planned.clamped[parts[0]].reason
