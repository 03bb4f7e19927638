"""Whether a device does what it was told (bosd/bal/follow.py): tolerance, time, directions, and what is unknown."""

from typing import Any

import pytest

from bosd.bal.follow import CLEAR_MORE_S, Deviation, Follower, FollowRule, Reading

RULE = FollowRule(tolerance_a=0.5, within_s=5.0)
GATE = FollowRule(tolerance_a=0.5, within_s=5.0, gate=True)


def reading(commanded_a: float, at_s: float = 0.0, **known: Any) -> Reading:
    """Return a reading whose numbers are all of one instant."""
    return Reading(commanded_a=commanded_a, held_s=at_s, measured_s=at_s, **known)


def deviates(rule: FollowRule, commanded_a: float, **known: Any) -> str:
    """Return which way a device deviates that has shown the same for a minute since it was commanded; else nothing."""
    follower = Follower(rule)
    found = None
    for second in range(1, 61):
        found = follower.look(reading(commanded_a, float(second), **known), 0.0)
    return "" if found is None else found.way


@pytest.mark.parametrize(
    ("commanded_a", "known", "way"),
    [
        (-3.0, {"held_a": -3.0, "measured_a": -3.0}, ""),
        (-3.0, {"held_a": -3.5, "measured_a": -2.5}, ""),
        (-3.0, {"held_a": 0.0, "measured_a": 0.0}, "less"),
        (-3.0, {"held_a": -3.0, "measured_a": -2.4}, "less"),
        (-3.0, {"held_a": -3.0, "measured_a": 0.3}, "less"),
        (-3.0, {"held_a": -3.6, "measured_a": -3.0}, "more"),
        (-3.0, {"held_a": -3.0, "measured_a": 2.0}, "more"),
        (-3.0, {"held_a": -3.0}, ""),
        (-3.0, {"measured_a": -1.0}, "less"),
        (-3.0, {}, ""),
        (0.0, {"held_a": -2.0, "measured_a": -2.0}, "more"),
        (0.0, {"held_a": 0.0, "measured_a": 7.0}, ""),
        (0.0, {"measured_a": 7.0}, "more"),
        (4.0, {"held_a": 4.0, "measured_a": 6.0}, "more"),
    ],
)
def test_which_way(commanded_a: float, known: dict[str, float], way: str) -> None:
    """Held and measured, each alone enough; unknown is no mismatch; at 0 A what holds 0 A follows, whatever else flows."""
    assert deviates(RULE, commanded_a, **known) == way


def test_a_charger_at_its_top_voltage_follows() -> None:
    """It gives less of its own accord; giving nothing the other way, or more, is another matter."""
    assert deviates(RULE, -3.0, held_a=-3.0, measured_a=-1.0, restrained_by="constant voltage") == ""
    assert deviates(RULE, -3.0, held_a=-3.0, measured_a=-4.0, restrained_by="constant voltage") == "more"
    assert deviates(RULE, -3.0, held_a=0.0, measured_a=0.0, restrained_by="constant voltage") == "less"


@pytest.mark.parametrize(
    ("commanded_a", "measured_a", "way"),
    [
        (5.0, 40.0, ""),
        (5.0, 0.0, ""),
        (5.0, -2.0, "more"),
        (-5.0, -0.1, ""),
        (-5.0, 3.0, "more"),
        (0.0, 0.4, ""),
        (0.0, 2.0, "more"),
    ],
)
def test_a_gate_is_judged_by_direction_and_zero(commanded_a: float, measured_a: float, way: str) -> None:
    """The load decides how much."""
    assert deviates(GATE, commanded_a, measured_a=measured_a) == way


def test_only_after_its_time() -> None:
    """Five seconds of readings that differ, counted from the first of them."""
    follower = Follower(RULE)
    found = [follower.look(reading(-3.0, 10.0 + second, held_a=0.0), 0.0) is not None for second in range(7)]
    assert found == [False] * 5 + [True] * 2


def test_a_reading_between_that_agrees_starts_anew() -> None:
    """Four seconds, a good one, four seconds: no deviation."""
    follower = Follower(RULE)
    for second in range(9):
        held_a = -3.0 if second == 4 else 0.0
        assert follower.look(reading(-3.0, float(second), held_a=held_a), -1.0) is None


def test_the_numbers() -> None:
    """All three, as they were last seen."""
    follower = Follower(RULE)
    for second in range(6):
        follower.look(reading(-3.0, float(second), held_a=0.0, measured_a=0.02), -1.0)
    now = reading(-3.0, 5.0, held_a=0.0, measured_a=0.02)
    assert follower.deviation == Deviation(way="less", held=True, reading=now)
    assert str(follower.deviation) == "commanded -3 A, held 0 A, measured 0.02 A"
    assert str(Deviation(way="less", held=False, reading=reading(-3.0))) == "commanded -3 A, held unknown, measured unknown"


def test_what_it_holds_besides_its_current() -> None:
    """Another voltage than it was told is more than it was told, whatever its current."""
    assert deviates(RULE, -3.0, measured_a=-3.0, wrong="holds 15 V") == "more"


def test_one_old_sample_is_no_time() -> None:
    """The same sample looked at for a minute proves one instant; the next, ten seconds later, proves ten seconds."""
    follower = Follower(RULE)
    old = Reading(commanded_a=-3.0, measured_a=0.0, measured_s=2.0)
    assert all(follower.look(old, 0.0) is None for _ in range(60))
    assert follower.look(Reading(commanded_a=-3.0, measured_a=0.0, measured_s=12.0), 0.0) is not None


def test_a_sample_from_before_the_command_says_nothing() -> None:
    """What was measured before belongs to what was asked before."""
    follower = Follower(RULE)
    for second in range(60):
        assert follower.look(Reading(commanded_a=-3.0, measured_a=0.0, measured_s=float(second)), 59.0) is None


def test_a_new_command_has_its_time() -> None:
    """Another command begins the time anew; what stands against the device stays until it agrees."""
    follower = Follower(RULE)
    for second in range(5):
        follower.look(reading(-3.0, float(second), held_a=0.0), -1.0)
    assert follower.look(reading(-4.0, 5.0, held_a=0.0), 4.5) is None
    for second in range(6, 12):
        follower.look(reading(-4.0, float(second), held_a=0.0), 4.5)
    assert follower.deviation is not None
    assert follower.look(reading(-1.0, 12.0, held_a=0.0), 11.5) is not None


@pytest.mark.parametrize(("held_a", "needed_s"), [(0.0, RULE.within_s), (-5.0, CLEAR_MORE_S)])
def test_it_clears_when_it_has_agreed_long_enough(held_a: float, needed_s: float) -> None:
    """As long as it took for one that did too little, a minute for one that did too much; unknown readings end nothing."""
    follower = Follower(RULE)
    for second in range(6):
        follower.look(reading(-3.0, float(second), held_a=held_a), -1.0)
    assert follower.deviation is not None
    assert follower.look(reading(-3.0, 6.0), -1.0) is not None
    assert follower.look(reading(-3.0, 10.0, held_a=-3.0), -1.0) is not None
    assert follower.look(reading(-3.0, 9.9 + needed_s, held_a=-3.0), -1.0) is not None
    assert follower.look(reading(-3.0, 10.0 + needed_s, held_a=-3.0), -1.0) is None
