"""Statuses on the wire."""

import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.bal.cap import OwnLimit, Unreached
from bosd.bal.status import BatteryStatus, Link, Quality, SetpointSource
from bosd.errors import DriverError
from bosd.rpc.convert import MAX_PATH, amended, from_message, to_message
from bosd.v1 import battery_pb2 as pb

NOW_S = 1000.0
UTC_S = 1_800_000_000.0

number = st.floats(-1e6, 1e6)
magnitude = st.floats(0.0, 1e6)
maybe = st.none() | number
ages = st.floats(0.0, 900.0)


@st.composite
def statuses(draw: st.DrawFn) -> BatteryStatus:
    """Any status a battery may have, sampled before NOW_S, its meter standing at NOW_S."""
    sampled = draw(st.booleans())
    age_s, spread_s = draw(ages), draw(st.floats(0.0, 10.0))
    cycles = draw(st.none() | st.integers(0, 10_000))
    own = st.builds(OwnLimit, magnitude, st.text(max_size=50))
    unreached = st.builds(Unreached, magnitude, magnitude, st.text(max_size=50), magnitude)
    return BatteryStatus(
        name=draw(st.text("abc", min_size=1, max_size=63)),
        kind=draw(st.sampled_from(["jbd", "aggregator"])),
        voltage_v=draw(maybe),
        current_a=draw(maybe),
        charge_ah=draw(maybe),
        capacity_ah=draw(st.none() | magnitude),
        soc=draw(maybe),
        max_discharge_current_a=draw(magnitude),
        max_charge_current_a=draw(magnitude),
        ideal_max_discharge_current_a=draw(maybe),
        ideal_max_charge_current_a=draw(maybe),
        usable_charge_ah=draw(maybe),
        balanced_usable_charge_ah=draw(maybe),
        expected_charge_ah=draw(maybe),
        expected_at_s=NOW_S,
        unobserved_s=draw(magnitude),
        requested_current_a=draw(maybe),
        applied_current_a=draw(maybe),
        setpoint_source=draw(st.none() | st.sampled_from(SetpointSource)),
        setpoint_ends_s=draw(st.none() | st.floats(NOW_S, NOW_S + 3600.0)),
        sampled_from_s=NOW_S - age_s if sampled else None,
        sampled_to_s=min(NOW_S, NOW_S - age_s + spread_s) if sampled else None,
        sampled_from=UTC_S - age_s if sampled else None,
        sampled_to=UTC_S - age_s + min(spread_s, age_s) if sampled else None,
        quality=draw(st.sampled_from(Quality)),
        link=draw(st.sampled_from(Link)),
        commandable=draw(st.booleans()),
        controllable=draw(st.booleans()),
        reason=draw(st.text(max_size=50)),
        cells_v=draw(st.none() | st.lists(number, min_size=1, max_size=4).map(tuple)),
        temperatures_c=draw(st.none() | st.lists(number, min_size=1, max_size=4).map(tuple)),
        cycles=cycles,
        faults=None if cycles is None else draw(st.lists(st.text(max_size=9), max_size=3).map(tuple)),
        path=draw(st.lists(st.text("ab/", max_size=9), max_size=3).map(tuple)),
        hops=draw(st.integers(0, 16)),
        max_staleness_s=draw(st.floats(0.1, 1e6) | st.just(math.inf)),
        unallocated_ah=draw(maybe),
        unreached_charge=draw(st.none() | unreached),
        unreached_discharge=draw(st.none() | unreached),
        own_charge_limit=draw(st.none() | own),
        own_discharge_limit=draw(st.none() | own),
    )


@given(statuses())
def test_round_trip(status: BatteryStatus) -> None:
    """Sent and read back on the same clocks, everything a status says is what it was."""
    wire = to_message(status, NOW_S, UTC_S).SerializeToString()
    back = from_message(pb.BatteryStatus.FromString(wire), NOW_S, sent_at=UTC_S)
    for field in fields(BatteryStatus):
        expected, actual = getattr(status, field.name), getattr(back, field.name)
        if isinstance(expected, float):
            assert actual == pytest.approx(expected, abs=1e-5), field.name  # a double holds 2e-7 s at today's UTC
        else:
            assert actual == expected, field.name


def test_unknown_is_absent_and_zero_is_not() -> None:
    """None is an absent field, 0.0 a present one, both ways."""
    status = BatteryStatus(name="b", kind="jbd", voltage_v=0.0)
    message = to_message(status, NOW_S, UTC_S)
    assert message.HasField("voltage_v")
    assert not message.HasField("current_a")
    assert not message.HasField("age_s")
    back = from_message(message, NOW_S)
    assert (back.voltage_v, back.current_a, back.sampled_from_s) == (0.0, None, None)


def test_age_counts_sending_and_half_the_round_trip() -> None:
    """Age here = age at sending + time since receipt + half the round trip; wall clocks an hour apart change nothing."""
    status = BatteryStatus(
        name="b", kind="jbd", sampled_from_s=NOW_S - 2.0, sampled_to_s=NOW_S - 1.5, sampled_from=1.0, sampled_to=1.5
    )
    message = to_message(status, NOW_S, UTC_S - 3600.0)
    back = from_message(message, 50.0, half_rtt_s=0.25, sent_at=UTC_S - 3600.0)
    assert back.sampled_from_s == pytest.approx(50.0 - 0.25 - 2.0)
    assert back.sampled_to_s == pytest.approx(50.0 - 0.25 - 1.5)
    assert back.age_s(51.0) == pytest.approx(3.25)
    assert (back.sampled_from, back.sampled_to) == (1.0, 1.5)


def test_newest_sample_never_lies_in_the_future() -> None:
    """A remote whose two sample times are far apart cannot date a sample after its receipt."""
    message = pb.BatteryStatus(
        name="b", quality=pb.QUALITY_GOOD, link=pb.LINK_LOCAL, age_s=1.0, sampled_from=1.0, sampled_to=9999.0
    )
    assert from_message(message, 50.0).sampled_to_s == 50.0


def test_set_point_ends_by_the_senders_clock_alone() -> None:
    """The end travels as a difference of the sender's own wall clock."""
    status = BatteryStatus(name="b", kind="jbd", setpoint_ends_s=NOW_S + 30.0)
    message = to_message(status, NOW_S, 5000.0)
    assert message.setpoint_ends_at == pytest.approx(5030.0)
    assert from_message(message, 50.0, half_rtt_s=0.5, sent_at=5000.0).setpoint_ends_s == pytest.approx(79.5)
    assert from_message(message, 50.0).setpoint_ends_s is None


def test_meter_runs_to_the_moment_of_sending() -> None:
    """36 A for 100 s are 1 Ah."""
    status = BatteryStatus(name="b", kind="jbd", expected_charge_ah=10.0, expected_at_s=NOW_S - 100.0, expected_rate_a=36.0)
    assert to_message(status, NOW_S, UTC_S).expected_charge_ah == pytest.approx(9.0)


def test_power_is_voltage_times_current() -> None:
    """Positive on discharge, absent when one factor is unknown."""
    status = BatteryStatus(name="b", kind="jbd", voltage_v=12.0, current_a=-2.0)
    assert to_message(status, NOW_S, UTC_S).power_w == -24.0
    assert not to_message(replace(status, current_a=None), NOW_S, UTC_S).HasField("power_w")


def test_a_reason_without_measure_is_cut_and_refuses_no_battery() -> None:
    """Each virtual battery tells the reasons of those below: three deep they are longer than who hears them takes."""
    status = from_message(to_message(BatteryStatus(name="b", kind="aggregator", reason="lost; " * 5000), NOW_S, UTC_S), NOW_S)
    assert status.reason.startswith("lost; lost; ")
    assert status.reason.endswith("…")


def test_a_note_joins_the_reason() -> None:
    """What the receiver has to say stands behind what the remote said."""
    message = pb.BatteryStatus(name="b", quality=pb.QUALITY_GOOD, link=pb.LINK_LOCAL, reason="lazy")
    assert from_message(message, 0.0, note="its clock is 9 s ahead").reason == "lazy; its clock is 9 s ahead"
    message.reason = ""
    assert from_message(message, 0.0, note="x").reason == "x"


NONSENSE = {
    "NaN": {"voltage_v": math.nan},
    "infinite": {"current_a": -math.inf},
    "infinities that cancel": {"current_a": -math.inf, "charge_ah": math.inf},
    "absurd": {"charge_ah": 1e300},
    "negative limit": {"max_charge_current_a": -1.0},
    "negative capacity": {"capacity_ah": -1.0},
    "negative age": {"age_s": -0.5},
    "NaN age": {"age_s": math.nan},
    "negative unobserved time": {"unobserved_s": -1.0},
    "NaN unobserved time": {"unobserved_s": math.nan},
    "NaN staleness": {"max_staleness_s": math.nan},
    "NaN cell": {"cells_v": [3.3, math.nan]},
    "infinite temperature": {"temperatures_c": [math.inf]},
    "too many cells": {"cells_v": [3.3] * 5000},
    "no name": {"name": ""},
    "endless name": {"name": "x" * 64},
    "endless reason": {"reason": "x" * 10_000},
    "endless path": {"path": ["n/b"] * (MAX_PATH + 1)},
    "unknown quality": {"quality": 77},
    "no quality": {"quality": 0},
    "unknown link": {"link": 99},
    "too many faults": {"faults": ["x"] * 2000},
    "NaN limit of its own": {"own_charge_limit": pb.OwnLimit(limit_a=math.nan)},
    "negative limit of its own": {"own_discharge_limit": pb.OwnLimit(limit_a=-1.0)},
    "NaN unreached": {"unreached_charge": pb.Unreached(aside_w=math.nan)},
    "negative unreached": {"unreached_discharge": pb.Unreached(aside_a=-1.0)},
    "endlessly unreached": {"unreached_discharge": pb.Unreached(within_s=math.inf)},
}


@pytest.mark.parametrize("fields_", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_a_driver_error(fields_: dict[str, object]) -> None:
    """Values that no battery has never become a status."""
    good: dict[str, object] = {"name": "b", "kind": "jbd", "quality": 1, "link": 1, "max_staleness_s": 1.5}
    from_message(pb.BatteryStatus(**good), 0.0)  # type: ignore[arg-type]
    with pytest.raises(DriverError):
        from_message(pb.BatteryStatus(**{**good, **fields_}), 0.0)  # type: ignore[arg-type]


def test_a_long_unobserved_time_is_no_nonsense() -> None:
    """A run whose clock stood at 1970 leaves 56 years in the meter, 1.8e9 s: the battery can be read all the same."""
    message = pb.BatteryStatus(name="b", kind="jbd", quality=1, link=1, max_staleness_s=1.5, unobserved_s=1.796e9)  # type: ignore[arg-type]
    assert from_message(message, 0.0).unobserved_s == 1.796e9


@given(statuses())
def test_amended_is_replace(status: BatteryStatus) -> None:
    """A changed copy equals what dataclasses.replace makes, and is as frozen."""
    changed = amended(status, name="x", current_a=None)
    assert changed == replace(status, name="x", current_a=None)
    with pytest.raises(AttributeError):
        changed.name = "y"  # type: ignore[misc]
