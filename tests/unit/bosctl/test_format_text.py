import pytest

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.format_text import duration, fixed, limits, line, percent, setpoint, signed
from tests.support.bosctl_node import SAMPLED_UTC_S, aggregate, physical, unreachable


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "-"),
        (0.0, "0.0 s"),
        (0.34, "0.3 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7199.0, "120 min"),
        (7200.0, "2 h"),
        (172800.0, "2 d"),
    ],
)
def test_durations_keep_two_or_three_digits(seconds: float | None, expected: str) -> None:
    """An age is read at a glance, whatever its size."""
    assert duration(seconds) == expected


@pytest.mark.parametrize(("value", "expected"), [(4.0, "+4.00"), (-4.0, "-4.00"), (0.0, "0.00"), (-0.001, "0.00"), (None, "-")])
def test_a_current_shows_its_direction(value: float | None, expected: str) -> None:
    """Plus discharges, minus charges, and what rounds to nothing has no sign."""
    assert signed(value) == expected


def test_unknown_numbers_are_a_dash() -> None:
    """Never a zero in disguise."""
    assert (fixed(None), percent(None), percent(0.52)) == ("-", "-", "52.0")


@pytest.mark.parametrize(
    ("charge_a", "discharge_a", "expected"),
    [(30.0, 50.0, "-30.0/+50.0"), (0.0, 50.0, "0/+50.0"), (30.0, 0.0, "-30.0/0"), (0.0, 0.0, "0")],
)
def test_limits_are_a_range_in_the_sign_of_currents(charge_a: float, discharge_a: float, expected: str) -> None:
    """Charging is negative in limits as it is in set points."""
    assert limits(pb.BatteryStatus(max_charge_current_a=charge_a, max_discharge_current_a=discharge_a)) == expected


def test_a_clamped_set_point_shows_what_was_asked() -> None:
    """Requested and applied are two numbers."""
    assert setpoint(aggregate()) == "+50.00 of +60.00"
    assert setpoint(pb.BatteryStatus(requested_current_a=4.0, applied_current_a=4.0)) == "+4.00"
    assert setpoint(pb.BatteryStatus()) == "-"


def test_a_line_holds_what_a_log_needs() -> None:
    """Time, name, quality and age come first; the reason last."""
    good = line(physical("b1"), at_utc_s=SAMPLED_UTC_S)
    assert good == "2023-11-14 22:13:20Z  b1  GOOD  age 0.2 s  13.20 V  +4.00 A  52.00 of 100.00 Ah  52.0 %"
    lost = line(unreachable("b2"), at_utc_s=SAMPLED_UTC_S)
    assert lost.endswith("b2  UNAVAILABLE  age -  - V  - A  - of - Ah  - %  (no answer on /dev/ttyUSB1)")
