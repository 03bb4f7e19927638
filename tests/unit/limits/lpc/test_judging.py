"""What is taken of what a peer writes (eebus.md 2.6, 2.7, 5.3)."""

import math
import sys

import pytest

from bosd.limits.lpc.judging import NANOSECONDS, Bounds, WrittenLimit, decide, refused_duration, refused_power, take_limit
from bosd.limits.lpc.use_case import LPC, LPP

BOUNDS = Bounds(nominal_w=22000.0, least_duration_s=7200.0, most_duration_s=86400.0)
SMALLEST = sys.float_info.min


def written(value_w: float, *, active: bool = True, **more: object) -> WrittenLimit:
    """Return a limit as the wire has it."""
    return WrittenLimit(active=active, value_w=value_w, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value_w", "approve"),
    [
        (0.0, True),
        (-0.0, True),
        (4200.0, True),
        (SMALLEST, True),
        (-SMALLEST, False),
        (-100.0, False),
        (math.nan, False),
        (math.inf, True),
        (-math.inf, False),
    ],
)
@pytest.mark.parametrize("active", [True, False])
def test_approval(value_w: float, approve: bool, active: bool) -> None:
    """2.6: activity, duration and the nominal maximum do not count; a denial names its rule."""
    decision = decide(written(value_w, active=active, duration_ns=-5), LPC, BOUNDS)
    assert decision.approve is approve
    assert decision.reason == "" if approve else "LPC-001" in decision.reason
    mirrored = decide(written(-value_w, active=active), LPP, BOUNDS)
    assert mirrored.approve is approve
    assert approve or "LPP-001" in mirrored.reason


def test_a_limit_above_the_nominal_maximum_is_approved_with_a_warning() -> None:
    """A limit above the nominal maximum is approved with a warning."""
    assert decide(written(22000.0), LPC, BOUNDS).warning == ""
    assert "nominal maximum of 22000 W" in decide(written(22000.5), LPC, BOUNDS).warning


def test_what_is_read_is_judged_again() -> None:
    """6.1 item 14: a negative or meaningless value that is read is not put in force."""
    for value_w in (-1.0, math.nan, -math.inf):
        order, said = take_limit(written(value_w), LPC, BOUNDS, 10.0)
        assert order is None
        assert "LPC-001" in said
        order, _ = take_limit(written(value_w, active=False), LPC, BOUNDS, 10.0)
        assert order is not None
        assert not order.active
    order, said = take_limit(written(math.inf), LPC, BOUNDS, 10.0)
    assert order is not None
    assert order.limit_w == 22000.0
    assert "above the nominal maximum" in said


@pytest.mark.parametrize(
    ("duration_ns", "delete", "duration_s"),
    [(0, False, None), (30 * NANOSECONDS, False, 30.0), (1, False, 1e-9), (30 * NANOSECONDS, True, None), (-1, False, None)],
)
def test_durations(duration_ns: int, delete: bool, duration_s: float | None) -> None:
    """2.7: 0 is no end, a deleted duration counts as 0, a negative one as 0 with a word."""
    order, said = take_limit(written(1000.0, duration_ns=duration_ns, delete_duration=delete), LPC, BOUNDS, 10.0)
    assert order is not None
    assert order.duration_s == duration_s
    assert bool(said) is (duration_ns < 0)
    assert order.until_s == (None if duration_s is None else 10.0 + duration_s)


@pytest.mark.parametrize(
    ("hours", "taken"), [(2.0, True), (24.0, True), (15.0, True), (1 + 59 / 60, False), (24 + 1 / 3600, False), (0.0, False)]
)
def test_failsafe_durations(hours: float, taken: bool) -> None:
    """5.3; unchecked (seed) all of these are taken, a negative one never."""
    duration_ns = round(hours * 3600) * NANOSECONDS
    assert (refused_duration(duration_ns, BOUNDS, checked=True) == "") is taken
    assert refused_duration(duration_ns, BOUNDS, checked=False) == ""
    assert refused_duration(-1, BOUNDS, checked=False)


@pytest.mark.parametrize(
    ("value_w", "taken"), [(0.0, True), (4200.0, True), (-100.0, False), (math.nan, False), (math.inf, False)]
)
def test_failsafe_powers(value_w: float, taken: bool) -> None:
    """Failsafe powers."""
    assert (refused_power(value_w) == "") is taken
