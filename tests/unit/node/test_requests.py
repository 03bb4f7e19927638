"""Whether a request lowers, which the holder may at any time: what is in force, not only what runs, is the measure."""

import pytest

from bosd.bal.setpoint import SetPoint
from bosd.node.requests import lowers_own
from tests.support.bal_makers import pseudo


@pytest.mark.parametrize(
    ("applied_a", "asked_a", "current_a", "lowers"),
    [
        (5.0, 5.0, 5.0, True),
        (5.0, 5.0, 0.0, True),
        (5.0, 5.0, 5.1, False),
        (5.0, 10.0, 7.0, False),  # clamped: more than runs
        (5.0, 4.0, 5.0, False),  # a lowering to 4 A is not confirmed: 5 A, which came late, would take it back
        (5.0, 4.0, 4.0, True),
        (5.0, 0.0, 1.0, False),
        (5.0, -4.0, 4.0, False),
        (-5.0, -4.0, -4.0, True),
    ],
)
def test_a_request_lowers_what_runs_and_what_is_asked(
    applied_a: float, asked_a: float, current_a: float, *, lowers: bool
) -> None:
    """It is neither above what is applied nor above the set point in force, nor in another direction than either."""
    battery = pseudo("p", 20.0, 100.0)
    battery.setpoint = SetPoint(current_a=asked_a, ends_s=60.0, holder="h")
    battery.applied_a = applied_a
    assert lowers_own(battery, current_a, "h", 0.0) is lowers
    assert not lowers_own(battery, current_a, "other", 0.0)
