"""A physical battery's status: age, limits, faults, meter (bal.md, "Leaves"; control.md, "Quality, link and commandability")."""

import pytest

from bosd.bal.battery import Battery
from bosd.bal.status import Quality
from tests.support.bal_makers import physical, sample, sampled


def test_never_sampled() -> None:
    """UNAVAILABLE with null values, ideal limits as configured, present ones 0."""
    status = physical("b").status(0.0)
    assert (status.quality, status.voltage_v, status.charge_ah, status.current_a) == (Quality.UNAVAILABLE, None, None, None)
    assert (status.ideal_max_discharge_current_a, status.max_discharge_current_a) == (40.0, 0.0)
    assert status.reason == "never sampled"


def test_quality_is_age() -> None:
    """Period 1 s: GOOD to 3 s, STALE to 9 s, then UNAVAILABLE with the last charge, no current and limits 0."""
    battery = sampled("b")
    assert [battery.status(at_s).quality for at_s in (0.0, 3.0, 3.001, 9.0, 9.001)] == [
        Quality.GOOD,
        Quality.GOOD,
        Quality.STALE,
        Quality.STALE,
        Quality.UNAVAILABLE,
    ]
    status = battery.status(20.0)
    assert (status.charge_ah, status.voltage_v, status.current_a) == (50.0, 48.0, None)
    assert (status.max_discharge_current_a, status.commandable, status.age_s(20.0)) == (0.0, False, 20.0)
    assert status.reason == "no sample in time"


@pytest.mark.parametrize(("period_s", "good_s"), [(0.1, 1.5), (1.0, 3.0), (10.0, 30.0)])
def test_staleness_follows_the_period(period_s: float, good_s: float) -> None:
    """Three periods, at least 1.5 s."""
    assert physical("b", refresh_period_s=period_s).max_staleness_s == pytest.approx(good_s)


def test_configured_ages_win() -> None:
    """max_staleness_s 5 and unavailable_after_s 6 as written."""
    battery = sampled("b", max_staleness_s=5.0, unavailable_after_s=6.0)
    assert [battery.status(at_s).quality for at_s in (5.0, 5.5, 6.5)] == [Quality.GOOD, Quality.STALE, Quality.UNAVAILABLE]


def test_lazy_is_stale_until_a_refresh_fails() -> None:
    """Unread for an hour it is STALE with reason lazy; after a failed refresh it is UNAVAILABLE with the failure."""
    battery = sampled("b", refresh="lazy")
    status = battery.status(3600.0)
    assert (status.quality, status.reason) == (Quality.STALE, "lazy")
    battery.failed("no answer")
    status = battery.status(3600.0)
    assert (status.quality, status.reason) == (Quality.UNAVAILABLE, "no answer")
    battery.sampled(sample(3601.0))
    assert battery.status(3601.0).reason == ""


def test_none_is_not_commandable() -> None:
    """current_control none: limits 0, reason, ideal limits as configured, live values."""
    status = sampled("b", current_control="none").status(0.0)
    assert (status.commandable, status.controllable, status.reason) == (False, False, "no current control")
    assert (status.max_discharge_current_a, status.ideal_max_discharge_current_a, status.charge_ah) == (0.0, 40.0, 50.0)
    assert status.applied_current_a is None


def test_an_unconfigured_limit_is_unknown() -> None:
    """Ideal limit null, present limit 0."""
    battery = physical("b", None)
    battery.sampled(sample(0.0))
    status = battery.status(0.0)
    assert (status.ideal_max_discharge_current_a, status.max_discharge_current_a) == (None, 0.0)


def test_a_blocked_direction() -> None:
    """Charging shut by an overvoltage: charge limit 0, the other stays, faults and reason name it."""
    battery = physical("b")
    battery.sampled(sample(0.0, charge_allowed=False, blocked_by=("cell_overvoltage",), faults=("cell_overvoltage",)))
    status = battery.status(0.0)
    assert (status.max_charge_current_a, status.max_discharge_current_a) == (0.0, 40.0)
    assert (status.faults, status.reason) == (("cell_overvoltage",), "cell_overvoltage")


def test_empty_and_full_by_charge_or_ratio() -> None:
    """20 Ah with min_soc 0.2 of 100 Ah is empty; without a charge the board's ratio decides."""
    battery = physical("b", min_soc=0.2)
    battery.sampled(sample(0.0, charge_ah=20.0))
    assert (battery.status(0.0).max_discharge_current_a, battery.status(0.0).reason) == (0.0, "empty")
    battery.sampled(sample(1.0, charge_ah=None, soc=1.0))
    status = battery.status(1.0)
    assert (status.max_charge_current_a, status.max_discharge_current_a, status.charge_ah) == (0.0, 40.0, None)


def test_a_lost_answer_counts_at_the_larger_magnitude() -> None:
    """Applied 5 A, told -20 A without an answer: counts at -20 A and says so, until it settles."""
    battery = sampled("b")
    battery.settled(5.0, 0.0)
    battery.lost_answer(-20.0)
    assert battery.counts_at_a == -20.0
    assert "unconfirmed, counted at -20 A" in battery.status(0.0).reason
    battery.lost_answer(1.0)
    assert battery.counts_at_a == -20.0
    battery.settled(1.0, 0.0)
    assert (battery.counts_at_a, battery.status(0.0).reason) == (1.0, "")


def test_what_is_being_told_counts() -> None:
    """While 30 A are under way the battery counts at 30 A, afterwards at what it confirmed."""
    battery = sampled("b")
    battery.telling_a = 30.0
    assert battery.counts_at_a == 30.0
    battery.telling_a = None
    assert battery.counts_at_a == 0.0


def test_the_meter_steps_with_a_confirmed_set_point() -> None:
    """0 A to 1800 s, 20 A confirmed, sampled as 20 A at 3600 s: 10 Ah of 50 are gone by the meter."""
    battery = sampled("b", max_staleness_s=4000.0)
    battery.settled(20.0, 1800.0)
    battery.sampled(sample(3600.0, 45.0, 20.0))
    status = battery.status(3600.0)
    assert status.expected_ah(3600.0) == pytest.approx(40.0)
    assert status.charge_ah == 45.0
    assert status.expected_ah(5400.0) == pytest.approx(30.0)


def test_a_lost_battery_is_unobserved() -> None:
    """Beyond 9 s without a sample the meter stands; with the next one the gap is counted."""
    battery = physical("b")
    battery.sampled(sample(0.0, 50.0, 36.0))
    assert battery.status(9.0).expected_ah(9.0) == pytest.approx(50.0 - 36.0 * 9.0 / 3600.0)
    assert battery.status(100.0).expected_ah(100.0) == 50.0
    battery.sampled(sample(100.0, 49.0, 36.0))
    assert (battery.status(100.0).unobserved_s, battery.status(100.0).expected_ah(100.0)) == (100.0, 50.0)


def test_a_status_is_computed_once_per_sample() -> None:
    """Reads between samples return the same object."""
    battery = sampled("b")
    assert battery.status(1.0) is battery.status(2.0)
    battery.sampled(sample(2.5))
    assert battery.status(2.5) is not battery.status(0.0) or battery.status(2.5).sampled_from_s == 2.5


def test_whoever_reads_first_tells_that_it_grew_old() -> None:
    """A read just after the edge of STALE does not hide the edge from listeners."""
    battery = sampled("b")
    battery.status(0.0)
    told: list[str] = []

    class Ear:
        """A listener."""

        def changed(self, battery: Battery) -> None:
            """Note who changed."""
            told.append(battery.name)

    battery.listeners = (Ear(),)
    assert battery.status(battery.max_staleness_s).quality is Quality.GOOD
    assert told == []
    assert battery.status(battery.max_staleness_s + 0.1).quality is Quality.STALE
    assert told == [battery.name]
