"""Pseudo and null batteries (bal.md, "Leaves")."""

import math

import pytest

from bosd.bal.pseudo import NullBattery
from bosd.bal.spec import NullSpec
from bosd.bal.status import Quality
from bosd.errors import InvalidArgumentError
from tests.support.bal_makers import pseudo


def test_it_follows_its_set_point() -> None:
    """20 A for half an hour take 10 of 50 Ah, and the meter with them."""
    battery = pseudo("p", 40.0, 100.0, 50.0)
    battery.apply(20.0, 0.0)
    status = battery.status(1800.0)
    assert (status.current_a, status.applied_current_a) == (20.0, 20.0)
    assert status.charge_ah == pytest.approx(40.0)
    assert status.expected_ah(1800.0) == pytest.approx(40.0)


def test_it_stops_when_empty_at_the_exact_moment() -> None:
    """50 Ah at 20 A are gone after 2.5 h; charge and meter stay at 0 however late one looks."""
    battery = pseudo("p", 40.0, 100.0, 50.0)
    battery.apply(20.0, 0.0)
    assert battery.ends_s() == pytest.approx(2.5 * 3600)
    status = battery.status(10 * 3600.0)
    assert (status.charge_ah, status.current_a, status.max_discharge_current_a, status.reason) == (0.0, 0.0, 0.0, "empty")
    assert status.expected_ah(10 * 3600.0) == pytest.approx(0.0, abs=1e-9)
    battery.apply(-10.0, 10 * 3600.0)
    assert battery.status(11 * 3600.0).charge_ah == pytest.approx(10.0)
    assert battery.status(11 * 3600.0).expected_ah(11 * 3600.0) == pytest.approx(10.0)


def test_it_stops_when_full() -> None:
    """50 Ah of headroom at -25 A are full after 2 h; it may then discharge only."""
    battery = pseudo("p", 40.0, 100.0, 50.0)
    battery.apply(-25.0, 0.0)
    status = battery.status(3 * 3600.0)
    assert (status.charge_ah, status.current_a, status.reason) == (100.0, 0.0, "full")
    assert (status.max_discharge_current_a, status.max_charge_current_a) == (40.0, 0.0)


def test_reserve_counts_as_empty_and_full() -> None:
    """min_soc 0.2 and max_soc 0.8 of 100 Ah: empty at 20, full at 80, 30 Ah usable at 50."""
    battery = pseudo("p", 40.0, 100.0, 50.0, min_soc=0.2, max_soc=0.8)
    assert battery.status(0.0).usable_charge_ah == pytest.approx(30.0)
    battery.apply(30.0, 0.0)
    assert battery.status(7200.0).charge_ah == pytest.approx(20.0)
    assert battery.status(7200.0).max_discharge_current_a == 0.0
    battery.apply(-30.0, 7200.0)
    assert battery.status(7200.0 + 3 * 3600.0).charge_ah == pytest.approx(80.0)


def test_modify_changes_the_report_and_no_meter() -> None:
    """Another charge and limit: limits and charge follow, ideal limits and the meter stay."""
    battery = pseudo("p", 40.0, 100.0, 50.0)
    battery.modify({"charge_ah": 10.0, "max_discharge_current_a": 6.0}, 0.0)
    status = battery.status(0.0)
    assert (status.charge_ah, status.max_discharge_current_a, status.ideal_max_discharge_current_a) == (10.0, 6.0, 40.0)
    assert status.expected_ah(0.0) == 50.0


def test_modify_in_flight_keeps_the_meter_running() -> None:
    """10 A for 1 h, then 30 Ah reported, 10 A for another: the meter says 30, the charge 20 Ah."""
    battery = pseudo("p", 40.0, 100.0, 50.0)
    battery.apply(10.0, 0.0)
    battery.modify({"charge_ah": 30.0}, 3600.0)
    status = battery.status(7200.0)
    assert status.charge_ah == pytest.approx(20.0)
    assert status.expected_ah(7200.0) == pytest.approx(30.0)


@pytest.mark.parametrize(
    "values", [{"charge_ah": 101.0}, {"capacity_ah": 49.0}, {"current_a": 1.0}, {"voltage_v": math.nan}, {"charge_ah": -1.0}]
)
def test_modify_refuses_whole(values: dict[str, float]) -> None:
    """A charge that does not fit, an unknown key, NaN, a negative: refused, nothing changed."""
    battery = pseudo("p", 40.0, 100.0, 50.0)
    before = battery.status(0.0)
    with pytest.raises(InvalidArgumentError):
        battery.modify({"max_discharge_current_a": 1.0, **values}, 0.0)
    battery.touch()
    assert battery.status(0.0) == before


def test_stopped() -> None:
    """A stopped battery may be asked nothing and says so."""
    battery = pseudo("p", 40.0, 100.0, 50.0)
    battery.stopped = True
    status = battery.status(0.0)
    assert (status.commandable, status.max_discharge_current_a, status.max_charge_current_a) == (False, 0.0, 0.0)
    assert status.reason == "stopped"
    assert status.controllable


def test_it_never_ages() -> None:
    """Sampled when asked: GOOD a year later, age 0."""
    status = pseudo("p", 40.0, 100.0).status(0.0)
    assert status.quality is Quality.GOOD
    assert status.age_s(3.2e7) == 0.0


def test_null() -> None:
    """A voltage and zero of everything else; soc of nothing is unknown."""
    status = NullBattery(NullSpec(name="n", voltage_v=47.0)).status(5.0)
    assert (status.voltage_v, status.current_a, status.charge_ah, status.capacity_ah) == (47.0, 0.0, 0.0, 0.0)
    assert (status.ideal_max_discharge_current_a, status.max_charge_current_a, status.soc) == (0.0, 0.0, None)
    assert (status.quality, status.controllable) == (Quality.GOOD, True)
