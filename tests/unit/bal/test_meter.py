"""The meter: only samples and steps end an interval (bal.md, "The meter")."""

import pytest

from bosd.bal.meter import Meter


def test_current_is_linear_between_samples() -> None:
    """10 A rising to 20 A over an hour are 15 Ah."""
    meter = Meter(100.0, 0.0, 10.0)
    meter.sample(3600.0, 20.0)
    assert meter.value_ah(3600.0) == pytest.approx(85.0, abs=1e-12)


def test_a_step_splits_the_interval() -> None:
    """10 A for half an hour, a step to 30 A, sampled as 28 A at the full hour: 5 and 14 Ah."""
    meter = Meter(100.0, 0.0, 10.0)
    meter.step(1800.0, 20.0)
    assert meter.value_ah(2160.0) == pytest.approx(100.0 - 5.0 - 3.0, abs=1e-12)
    meter.sample(3600.0, 28.0)
    assert meter.value_ah(3600.0) == pytest.approx(100.0 - 5.0 - 14.0, abs=1e-12)


def test_two_steps_keep_what_is_between_them() -> None:
    """Between two steps the stepped value counts, before the first the old sample's, after the last the new one's."""
    meter = Meter(0.0, 0.0, 1.0)
    meter.step(3600.0, 1.0)
    meter.step(7200.0, 2.0)
    meter.sample(10800.0, 5.0)
    assert meter.value_ah(10800.0) == pytest.approx(-(1.0 + 2.0 + 5.0), abs=1e-12)


def test_reading_ends_no_interval() -> None:
    """A thousand readings leave the trapezoid between two samples as it is."""
    read, unread = Meter(50.0, 0.0, 0.0), Meter(50.0, 0.0, 0.0)
    for instant in range(1000):
        read.value_ah(instant * 3.6)
        read.running_on(instant * 3.6)
    read.sample(3600.0, 40.0)
    unread.sample(3600.0, 40.0)
    assert read.value_ah(3600.0) == unread.value_ah(3600.0) == pytest.approx(30.0)


def test_charging_is_negative() -> None:
    """-10 A for an hour add 10 Ah."""
    meter = Meter(0.0, 0.0, -10.0)
    meter.sample(3600.0, -10.0)
    assert meter.value_ah(3600.0) == pytest.approx(10.0)


def test_a_gap_is_counted_and_not_integrated() -> None:
    """An hour without a sample, 9 s being the most that counts as seen, leaves the charge and adds 3600 s unobserved."""
    meter = Meter(100.0, 0.0, 10.0, max_gap_s=9.0)
    assert meter.running_on(9.0) == (100.0, 0.0, 10.0)
    assert meter.running_on(9.1) == (100.0, 9.1, 0.0)
    meter.sample(3600.0, 10.0)
    assert (meter.charge_ah, meter.unobserved_s) == (100.0, 3600.0)
    meter.sample(3609.0, 10.0)
    assert meter.charge_ah == pytest.approx(100.0 - 10.0 * 9.0 / 3600.0)
    assert meter.unobserved_s == 3600.0


def test_steps_do_not_hide_a_gap() -> None:
    """Steps every 5 s between two samples 20 s apart, with 9 s the most that counts as seen: still 20 s unobserved."""
    meter = Meter(100.0, 0.0, 10.0, max_gap_s=9.0)
    for instant in (5.0, 10.0, 15.0):
        meter.step(instant, 1.0)
    meter.sample(20.0, 10.0)
    assert (meter.charge_ah, meter.unobserved_s) == (100.0, 20.0)


def test_an_older_sample_is_ignored() -> None:
    """A sample from before the interval's start changes nothing."""
    meter = Meter(100.0, 10.0, 1.0)
    meter.sample(5.0, 99.0)
    assert (meter.charge_ah, meter.at_s, meter.current_a) == (100.0, 10.0, 1.0)
