"""Stored, usable now, and usable when balanced, at every level (bal.md, "The call set"; "Reserve")."""

import pytest

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.dispatch import plan
from bosd.bal.spec import AggregatorSpec, PartitionSpec
from bosd.bal.status import BatteryStatus
from bosd.node.execute import commit
from tests.support.bal_makers import aggregate, pseudo, sample, sampled, split


def three(status: BatteryStatus) -> tuple[float | None, float | None, float | None]:
    """Return stored, usable now, usable when balanced."""
    return status.charge_ah, status.usable_charge_ah, status.balanced_usable_charge_ah


def blocked(name: str, charge_ah: float = 50.0) -> Battery:
    """Return a pack whose protection shuts discharging."""
    battery = sampled(name, charge_ah=charge_ah)
    battery.sampled(sample(0.0, charge_ah, discharge_allowed=False, blocked_by=("cell_undervoltage",)))
    return battery


def reserved(*members: Battery, min_soc: float = 0.0, max_soc: float = 1.0) -> Aggregator:
    """Return an aggregate with a reserve of its own."""
    sources = tuple(each.name for each in members)
    spec = AggregatorSpec(name="agg", sources=sources, voltage_v=48.0, voltage_tolerance_v=4.0, min_soc=min_soc, max_soc=max_soc)
    return Aggregator(spec, members)


def test_a_blocked_leaf() -> None:
    """50 Ah stored, none of it now, 50 when it is able; with a reserve of 20 of 100 Ah, 30."""
    assert three(blocked("b").status(0.0)) == (50.0, 0.0, 50.0)
    battery = sampled("r", min_soc=0.2)
    assert three(battery.status(0.0)) == (50.0, 30.0, 30.0)


def test_a_blocked_member_neither_hides_nor_lends() -> None:
    """50 Ah blocked beside 30 Ah: 80 stored, 30 now, 80 balanced; the same through another aggregate."""
    inner = aggregate(blocked("b1"), sampled("b2", charge_ah=30.0), name="inner")
    assert three(inner.status(0.0)) == (80.0, 30.0, 80.0)
    outer = aggregate(inner, sampled("b3", charge_ah=20.0), name="outer")
    assert three(outer.status(0.0)) == (100.0, 50.0, 100.0)


def test_partitions_over_a_blocked_member() -> None:
    """100 Ah stored, half of it blocked, split 50/30/20: stored by fraction, usable now half of that; sums are the source's."""
    source = aggregate(blocked("b1"), sampled("b2"))
    found = [three(part.status(0.0)) for part in split(source, 0.5, 0.3, 0.2).partitions]
    assert found == [pytest.approx((50, 25, 50)), pytest.approx((30, 15, 30)), pytest.approx((20, 10, 20))]


def test_the_sources_reserve_is_nobodys() -> None:
    """100 of 200 Ah above a reserve of 20 %: 60 usable, halves have 30 each although 50 are stored."""
    source = pseudo("b", 40.0, 200.0, 100.0, min_soc=0.2)
    for part in split(source, 0.5, 0.5).partitions:
        assert three(part.status(0.0)) == pytest.approx((50.0, 30.0, 30.0))


def test_a_partitions_reserve_stays_its_own() -> None:
    """p1 keeps half of its 50 Ah capacity: of 80 Ah it has 40, 15 of them usable; p2 has all of its 40."""
    parts = (PartitionSpec(name="p1", fraction=0.5, min_soc=0.5), PartitionSpec(name="p2", fraction=0.5))
    one, two = split(pseudo("b", 40.0, 100.0, 80.0), parts=parts).partitions
    assert three(one.status(0.0)) == pytest.approx((40.0, 15.0, 15.0))
    assert three(two.status(0.0)) == pytest.approx((40.0, 40.0, 40.0))


def test_an_aggregate_with_a_reserve() -> None:
    """200 Ah with min_soc 0.3 and max_soc 0.6: at 100 Ah 40 usable; at 60 Ah empty, at 120 Ah full, each with limit 0."""
    member = pseudo("a", 40.0, 100.0, 50.0)
    other = pseudo("b", 40.0, 100.0, 50.0)
    whole = reserved(member, other, min_soc=0.3, max_soc=0.6)
    assert three(whole.status(0.0)) == pytest.approx((100.0, 40.0, 40.0))
    member.modify({"charge_ah": 10.0}, 0.0)
    low = whole.status(0.0)
    assert (low.max_discharge_current_a, low.usable_charge_ah, low.reason) == (0.0, 0.0, "empty")
    assert low.max_charge_current_a > 0.0
    member.modify({"charge_ah": 70.0}, 0.0)
    high = whole.status(0.0)
    assert (high.max_charge_current_a, high.reason) == (0.0, "full")
    assert high.max_discharge_current_a > 0.0


def test_an_aggregates_reserve_beside_a_blocked_member() -> None:
    """100 of 200 Ah, 50 of them blocked, reserve 60: above it are 40, of which the able member has 50: 40 usable now."""
    whole = reserved(blocked("b1"), sampled("b2"), min_soc=0.3)
    assert three(whole.status(0.0)) == pytest.approx((100.0, 40.0, 40.0))
    deep = reserved(blocked("b1", 90.0), sampled("b2", charge_ah=10.0), min_soc=0.3)
    assert three(deep.status(0.0)) == pytest.approx((100.0, 10.0, 40.0))


def test_when_an_aggregate_reaches_its_reserve() -> None:
    """100 of 200 Ah at 20 A down to 60 Ah: 2 h; without a reserve nothing is expected of it."""
    members = (pseudo("a", 40.0, 100.0, 50.0), pseudo("b", 40.0, 100.0, 50.0))
    whole = reserved(*members, min_soc=0.3)
    commit(plan({whole: 20.0}, 0.0), 0.0)
    assert whole.ends_s(0.0) == pytest.approx(2 * 3600.0)
    assert whole.status(2 * 3600.0).max_discharge_current_a == 0.0


def test_stopped() -> None:
    """A stop makes nothing usable now; what is stored and what could be stay."""
    whole = aggregate(sampled("a"), sampled("b"))
    whole.latch(stopped=True)
    assert three(whole.status(0.0)) == (100.0, 0.0, 100.0)
