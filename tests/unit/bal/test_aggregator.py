"""The aggregator's tables and its members' peculiarities (bal.md, "Aggregators")."""

import math

import pytest

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.block import BLOCK_SIZE
from bosd.bal.pseudo import NullBattery
from bosd.bal.spec import NullSpec
from bosd.bal.status import Quality
from bosd.errors import VoltageMismatchError
from tests.support.bal_makers import aggregate, physical, pseudo, sample, sampled, split


def shares(battery: Aggregator, current_a: float, now_s: float = 0.0) -> dict[str, float]:
    """Return the members' shares by name."""
    return {member.name: share_a for member, share_a in battery.share(current_a, now_s)}


def derated(name: str, ideal_a: float, capacity_ah: float, now_a: float) -> Battery:
    """Return a full battery that can do less than its ideal limit."""
    battery = pseudo(name, ideal_a, capacity_ah)
    battery.modify({"max_discharge_current_a": now_a}, 0.0)
    return battery


def test_balanced() -> None:
    """60 A, 110 Ah with 40 A, 40 Ah, full: 150 Ah, 60/110 * 150 = 81.8 A, A gives 60 and B 21.8."""
    whole = aggregate(pseudo("A", 60.0, 110.0), pseudo("B", 40.0, 40.0))
    status = whole.status(0.0)
    assert (status.charge_ah, status.capacity_ah, status.soc) == (150.0, 150.0, 1.0)
    assert status.max_discharge_current_a == pytest.approx(60 / 110 * 150)
    assert status.ideal_max_discharge_current_a == pytest.approx(60 / 110 * 150)
    assert shares(whole, status.max_discharge_current_a) == pytest.approx({"A": 60.0, "B": 60 / 110 * 40})
    assert shares(whole, 50.0) == pytest.approx({"A": 50 * 110 / 150, "B": 50 * 40 / 150})


def test_unbalanced() -> None:
    """A holds 10 of its 110 Ah: 50 of 150 Ah, present limit 40/40 * 50 = 50 A, ideal 81.8 A."""
    status = aggregate(pseudo("A", 60.0, 110.0, 10.0), pseudo("B", 40.0, 40.0)).status(0.0)
    assert status.charge_ah == 50.0
    assert status.max_discharge_current_a == pytest.approx(50.0)
    assert status.soc == pytest.approx(1 / 3)
    assert status.ideal_max_discharge_current_a == pytest.approx(60 / 110 * 150)


@pytest.mark.parametrize(("now_a", "limit_a"), [(30.0, 30 / 110 * 150), (6.0, 40.0), (1.0, 40.0), (0.1, 40.0), (0.0, 40.0)])
def test_a_derated_member_does_not_drag_the_rest_down(now_a: float, limit_a: float) -> None:
    """A derated from 60 to 30, 6, 1, 0.1, 0 A: 40.9 A, then the 40 A of B; A is named where it is left out."""
    whole = aggregate(derated("A", 60.0, 110.0, now_a), pseudo("B", 40.0, 40.0))
    status = whole.status(0.0)
    assert status.max_discharge_current_a == pytest.approx(limit_a)
    assert ("A" in status.reason) == (now_a in (6.0, 1.0, 0.1))
    assert sum(shares(whole, limit_a).values()) == pytest.approx(limit_a)


def test_up_to_the_whole_sets_limit_the_whole_set_gives() -> None:
    """A derated to 6 A of 110 Ah, B 40 A of 40 Ah: 6/110 * 150 = 8.18 A come from both, 8.2 A from B alone."""
    whole = aggregate(derated("A", 60.0, 110.0, 6.0), pseudo("B", 40.0, 40.0))
    assert shares(whole, 8.0) == pytest.approx({"A": 8 * 110 / 150, "B": 8 * 40 / 150})
    assert shares(whole, 8.2) == pytest.approx({"A": 0.0, "B": 8.2})


@pytest.mark.parametrize("now_a", [1.0, 0.0])
def test_two_derated_members(now_a: float) -> None:
    """60, 40, 20 Ah, the first two derated to 1 A or 0, the third at its full 5 A: 5 A."""
    whole = aggregate(derated("a", 5.0, 60.0, now_a), derated("b", 5.0, 40.0, now_a), pseudo("c", 5.0, 20.0))
    assert whole.status(0.0).max_discharge_current_a == pytest.approx(5.0)


def test_empty_and_full_members_do_not_limit_the_others() -> None:
    """A empty: B's 40 A discharge; charging, A takes its 60 A and the full B nothing."""
    whole = aggregate(pseudo("A", 60.0, 110.0, 0.0), pseudo("B", 40.0, 40.0))
    status = whole.status(0.0)
    assert status.max_discharge_current_a == pytest.approx(40.0)
    assert status.max_charge_current_a == pytest.approx(60.0)
    assert shares(whole, 10.0) == {"A": 0.0, "B": pytest.approx(10.0)}
    assert shares(whole, -10.0) == {"A": pytest.approx(-10.0), "B": 0.0}


def test_charging_goes_by_headroom() -> None:
    """Headroom 100 and 50 Ah: -30 A are shared 2 : 1."""
    whole = aggregate(pseudo("A", 60.0, 200.0, 100.0), pseudo("B", 60.0, 100.0, 50.0))
    assert shares(whole, -30.0) == pytest.approx({"A": -20.0, "B": -10.0})


def test_voltage_is_the_mean_and_null_members_count_in_nothing() -> None:
    """47 and 49 V are 48 V, with or without a null battery of 10 V, which leaves limits and charge alone."""
    members = (pseudo("A", 10.0, 100.0, 50.0, voltage_v=47.0), pseudo("B", 10.0, 100.0, 50.0, voltage_v=49.0))
    null = NullBattery(NullSpec(name="n", voltage_v=10.0))
    whole = aggregate(*members, null)
    status = whole.status(0.0)
    assert (status.voltage_v, status.capacity_ah, status.controllable) == (48.0, 200.0, True)
    assert status.max_discharge_current_a == pytest.approx(20.0)
    assert status.ideal_max_discharge_current_a == pytest.approx(20.0)
    assert shares(whole, 10.0)["n"] == 0.0


def test_only_null_members() -> None:
    """Absent on purpose: GOOD, nothing stored, nothing to be asked, no UNSUPPORTED."""
    status = aggregate(NullBattery(NullSpec(name="n", voltage_v=48.0))).status(0.0)
    assert (status.quality, status.charge_ah, status.max_discharge_current_a) == (Quality.GOOD, 0.0, 0.0)
    assert (status.controllable, status.voltage_v) == (True, None)


def test_a_stale_member_keeps_its_share() -> None:
    """30 A from a good one with limit 40 and 20 A from a stale one: limit 60, the 50 stay, 60 give the good one 40."""
    stale, good = sampled("s"), sampled("g")
    stale.settled(20.0, 0.0)
    good.settled(30.0, 0.0)
    whole = aggregate(stale, good)
    good.sampled(sample(5.0, 50.0, 30.0))
    status = whole.status(5.0)
    assert status.quality is Quality.STALE
    assert status.max_discharge_current_a == pytest.approx(60.0)
    assert shares(whole, 50.0, 5.0) == pytest.approx({"s": 20.0, "g": 30.0})
    assert shares(whole, 60.0, 5.0) == pytest.approx({"s": 20.0, "g": 40.0})
    assert shares(whole, 10.0, 5.0) == pytest.approx({"s": 10.0, "g": 0.0})


def test_a_lost_member_is_in_no_sum_but_counts() -> None:
    """Lost at 20 A: charge and limit are the good one's, the current is null with the known sum, 20 A stay reserved."""
    lost, good = sampled("l"), sampled("g")
    lost.settled(20.0, 0.0)
    whole = aggregate(lost, good)
    good.sampled(sample(20.0, 50.0, 30.0))
    status = whole.status(20.0)
    assert (status.quality, status.charge_ah, status.current_a) == (Quality.GOOD, 50.0, None)
    assert status.max_discharge_current_a == pytest.approx(40.0)
    assert "left out, unavailable: l" in status.reason
    assert "may still run: l up to 20 A" in status.reason
    assert "current of the others 30 A" in status.reason
    assert shares(whole, 35.0, 20.0) == pytest.approx({"l": 20.0, "g": 15.0})


def test_a_lost_member_is_named_through_all_levels() -> None:
    """Lost at 20 A two sums down, and behind two partitions: every sum above names it, once, and reserves its 20 A."""
    lost, good, behind = sampled("l"), sampled("g"), sampled("s")
    lost.settled(20.0, 0.0)
    behind.settled(8.0, 0.0)
    splitter = split(behind, 0.75, 0.25)
    splitter.partitions[0].applied_a = 4.0  # and nothing of the second any more
    inner = aggregate(lost, good, name="inner")
    middle = aggregate(inner, sampled("m", at_s=20.0), name="middle")
    whole = aggregate(middle, *splitter.partitions, sampled("o", at_s=20.0), name="whole")
    good.sampled(sample(20.0))
    assert "may still run: l up to 20 A" in inner.status(20.0).reason
    assert "may still run: l up to 20 A" in middle.status(20.0).reason
    assert "may still run: l up to 20 A, s up to 8 A" in whole.status(20.0).reason
    assert whole.lost_a(20.0, discharging=True) == 28.0
    assert shares(whole, 40.0, 20.0) == pytest.approx({"middle": 28.0, "sp1": 8.0, "sp2": 0.0, "o": 4.0})


def test_a_lost_member_that_runs_nothing() -> None:
    """The current of the others is the aggregate's; its capacity still counts in the ideal limit."""
    lost, good = sampled("l"), sampled("g")
    whole = aggregate(lost, good)
    good.sampled(sample(20.0, 50.0, 30.0))
    status = whole.status(20.0)
    assert (status.current_a, status.capacity_ah) == (30.0, 100.0)
    assert status.ideal_max_discharge_current_a == pytest.approx(40 / 100 * 200)


def test_all_lost() -> None:
    """UNAVAILABLE, nothing known, nothing to be asked."""
    status = aggregate(sampled("a"), sampled("b")).status(50.0)
    assert (status.quality, status.charge_ah, status.current_a, status.commandable) == (Quality.UNAVAILABLE, None, None, False)
    assert (status.max_discharge_current_a, status.sampled_from_s) == (0.0, None)


def test_meters_of_absent_members_still_count() -> None:
    """A member lost or led out takes no metered charge with it: 50 + 50 Ah before, while away, and after."""
    lost, good = sampled("l"), sampled("g")
    whole = aggregate(lost, good)
    assert whole.status(0.0).expected_ah(0.0) == pytest.approx(100.0)
    good.sampled(sample(20.0))
    assert whole.status(20.0).expected_ah(20.0) == pytest.approx(100.0)
    lost.sampled(sample(21.0))
    assert whole.status(21.0).expected_ah(21.0) == pytest.approx(100.0)


def test_an_unknown_charge_is_unknown_above() -> None:
    """A member without a charge: the sum is null and the member named; the other still gives its 40 A."""
    odd, good = physical("odd"), sampled("g")
    odd.sampled(sample(0.0, None))
    status = aggregate(odd, good).status(0.0)
    assert (status.charge_ah, status.soc, status.quality) == (None, None, Quality.GOOD)
    assert status.max_discharge_current_a == pytest.approx(40.0)
    assert "charge or voltage unknown: odd" in status.reason


def test_an_uncontrollable_member_makes_it_unsupported() -> None:
    """Present limits 0, not controllable, the member named; sums as ever."""
    status = aggregate(sampled("fixed", current_control="none"), sampled("g")).status(0.0)
    assert (status.controllable, status.commandable, status.max_discharge_current_a) == (False, False, 0.0)
    assert (status.charge_ah, status.applied_current_a) == (100.0, None)
    assert "no current control: fixed" in status.reason


def test_an_ideal_limit_that_was_never_known() -> None:
    """Null where a member's is null."""
    odd = physical("odd", None)
    odd.sampled(sample(0.0))
    assert aggregate(odd, sampled("g")).status(0.0).ideal_max_discharge_current_a is None


def test_the_interval_of_samples() -> None:
    """From the oldest to the newest sample; the age is the oldest's, pseudo batteries are not older than that."""
    old, new = sampled("o"), sampled("n")
    new.sampled(sample(2.0))
    status = aggregate(old, new, pseudo("p", 1.0, 10.0)).status(2.5)
    assert (status.sampled_from_s, status.age_s(2.5)) == (0.0, 2.5)


def test_a_stopped_member_is_a_source_with_limit_zero() -> None:
    """The other one's limit remains, and the whole follows."""
    stopped, good = pseudo("s", 40.0, 100.0), pseudo("g", 30.0, 100.0)
    stopped.stopped = True
    whole = aggregate(stopped, good)
    assert whole.status(0.0).max_discharge_current_a == pytest.approx(30.0)
    assert shares(whole, 30.0) == pytest.approx({"s": 0.0, "g": 30.0})


def test_drift_leads_out_after_10_s_and_back_after_30_s() -> None:
    """Outside the tolerance for 10 s: out of sums and shares, in the current while it runs; back after 30 s inside."""
    drifting, good = pseudo("d", 40.0, 100.0), pseudo("g", 40.0, 100.0)
    whole = aggregate(drifting, good)
    drifting.apply(5.0, 0.0)
    drifting.modify({"voltage_v": 60.0}, 0.0)
    assert whole.status(0.0).capacity_ah == 200.0
    assert whole.status(9.9).capacity_ah == 200.0
    status = whole.status(10.0)
    assert (status.capacity_ah, status.voltage_v, status.current_a) == (100.0, 48.0, 5.0)
    assert status.ideal_max_discharge_current_a == pytest.approx(80.0)
    assert "d left out at 60 V" in status.reason
    assert shares(whole, 10.0, 10.0) == pytest.approx({"d": 0.0, "g": 10.0})
    drifting.apply(0.0, 10.0)
    assert whole.status(10.0).current_a == 0.0
    drifting.modify({"voltage_v": 48.0}, 20.0)
    assert whole.status(20.0).capacity_ah == 100.0
    assert whole.status(49.0).capacity_ah == 100.0
    assert whole.status(50.0).capacity_ah == 200.0


def test_a_short_excursion_is_forgiven() -> None:
    """9 s outside, 1 s inside, 9 s outside: never led out."""
    drifting = pseudo("d", 40.0, 100.0)
    whole = aggregate(drifting, pseudo("g", 40.0, 100.0))
    for start_s in (0.0, 10.0):
        drifting.modify({"voltage_v": 60.0}, start_s)
        assert whole.status(start_s).capacity_ah == 200.0
        assert whole.status(start_s + 9.0).capacity_ah == 200.0
        drifting.modify({"voltage_v": 48.0}, start_s + 9.0)
        assert whole.status(start_s + 9.0).capacity_ah == 200.0


def test_all_members_led_out() -> None:
    """No member in use: UNAVAILABLE, although both are GOOD."""
    members = [pseudo(name, 40.0, 100.0, voltage_v=60.0) for name in "ab"]
    whole = aggregate(*members)
    whole.status(0.0)
    status = whole.status(10.0)
    assert (status.quality, status.sampled_from_s, status.charge_ah) == (Quality.UNAVAILABLE, None, None)


def test_voltages_are_checked_at_creation() -> None:
    """Outside 48 +- 4 V is refused by name; null members are not asked."""
    whole = aggregate(pseudo("low", 1.0, 1.0, voltage_v=43.9), NullBattery(NullSpec(name="n", voltage_v=10.0)))
    with pytest.raises(VoltageMismatchError, match=r"low at 43\.9 V"):
        whole.check_voltages(0.0)


def test_nested_aggregates_share_through() -> None:
    """One aggregate of two in another of three: the same limit and shares as if flat (equal rates)."""
    inner = aggregate(pseudo("a", 10.0, 100.0), pseudo("b", 10.0, 100.0), name="inner")
    outer = aggregate(inner, pseudo("c", 10.0, 100.0), name="outer")
    assert outer.status(0.0).max_discharge_current_a == pytest.approx(30.0)
    assert shares(outer, 15.0) == pytest.approx({"inner": 10.0, "c": 5.0})


def test_nested_staleness_is_announced() -> None:
    """A leaf good for 30 s below two aggregates: the top announces 30 s too."""
    inner = aggregate(sampled("a", refresh_period_s=10.0), name="inner")
    assert aggregate(inner, name="outer").status(0.0).max_staleness_s == 30.0


def test_one_change_costs_the_same_as_a_full_pass() -> None:
    """200 members, one changed: bit for bit what a fresh aggregate of the same members says."""
    members = [pseudo(f"p{i}", 10.0 + i % 7, 50.0 + i % 37, 20.0 + i % 13) for i in range(3 * BLOCK_SIZE + 8)]
    whole = aggregate(*members)
    whole.status(0.0)
    members[BLOCK_SIZE].modify({"voltage_v": 48.7, "charge_ah": 11.0}, 0.0)
    changed = whole.status(0.0)
    for slot in range(len(members)):
        whole.source_touched(slot)
    assert whole.status(0.0) == changed
    assert changed.charge_ah == pytest.approx(math.fsum(member.status(0.0).charge_ah or 0.0 for member in members))
