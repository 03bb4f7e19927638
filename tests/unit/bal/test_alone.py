"""Alone limits: watts to amperes, what they clamp, and who takes what one cannot (control.md, "Limits over a distance")."""

import math

import pytest

from bosd.bal.alone import has_alone_limit
from bosd.bal.battery import Battery
from bosd.bal.caps import LATE_PERIODS, clamp_to_caps, tightest
from bosd.bal.dispatch import plan
from bosd.bal.explain import explain
from bosd.bal.setpoint import Booked, SetPoint
from bosd.bal.spec import PartitionSpec
from bosd.node.execute import commit
from tests.support.bal_makers import aggregate, pseudo, sample, sampled, split

WHO = "node:main"


def limit_a(battery: Battery, now_s: float, *, discharging: bool) -> float:
    """Return the amperes of what is in force."""
    return tightest(battery, now_s, discharging=discharging).limit_a


def alone(battery: Battery) -> Battery:
    """Let nobody be heard who commands it."""
    battery.be_alone(WHO)
    return battery


def test_watts_by_the_measured_voltage() -> None:
    """480 W at 48 V are 10 A; a way without a limit, and a battery that is not alone, have none."""
    battery = pseudo("b", 40.0, 100.0, 50.0, alone_discharge_limit_w=480.0)
    assert has_alone_limit(battery)
    assert not has_alone_limit(pseudo("c", 40.0, 100.0))
    assert limit_a(battery, 0.0, discharging=True) == math.inf
    alone(battery)
    assert limit_a(battery, 0.0, discharging=True) == 10.0
    assert limit_a(battery, 0.0, discharging=False) == math.inf


def test_a_late_sample_counts_at_the_larger_voltage() -> None:
    """Period 1 s: after 1.5 s the larger of 48 V measured and 60 V configured; without that, what was measured last."""
    battery = sampled("b", alone_charge_limit_w=480.0, voltage_max_v=60.0)
    alone(battery)
    assert limit_a(battery, LATE_PERIODS, discharging=False) == 10.0
    assert limit_a(battery, LATE_PERIODS + 0.1, discharging=False) == 8.0
    battery.sampled(sample(2.0, voltage_v=64.0))
    assert limit_a(battery, 9.0, discharging=False) == 480.0 / 64.0
    other = sampled("c", alone_charge_limit_w=480.0)
    alone(other)
    assert limit_a(other, 9.0, discharging=False) == 10.0


def test_without_any_voltage_nothing_flows() -> None:
    """Never sampled and none configured: 0 A, in either way that is limited."""
    battery = sampled("b", alone_charge_limit_w=480.0)
    battery.sample = None
    alone(battery)
    assert clamp_to_caps(battery, -5.0, 0.0) == (0.0, "clamped to the alone charge limit 480 W")
    assert clamp_to_caps(battery, 5.0, 0.0) == (5.0, "")


def test_it_clamps_whatever_is_in_force_and_changes_no_present_limit() -> None:
    """Set point, booking and safe value alike; it is the sum of nothing that may be asked, so nothing is refused for it."""
    battery = pseudo("b", 40.0, 100.0, 50.0, alone_discharge_limit_w=480.0)
    alone(battery)
    for current_a, told_a in ((30.0, 10.0), (10.0, 10.0), (4.0, 4.0), (-30.0, -30.0), (0.0, 0.0)):
        assert plan({battery: current_a}, 0.0).clamped[battery].current_a == told_a
    status = battery.status(0.0)
    assert (status.max_discharge_current_a, status.commandable) == (40.0, True)


def test_status_and_explain_say_so() -> None:
    """Who is not heard and what may flow at most; where it binds, which limit."""
    battery = pseudo("b", 40.0, 100.0, 50.0, alone_discharge_limit_w=480.0, alone_charge_limit_w=96.0)
    alone(battery)
    assert battery.status(0.0).reason == "alone, node:main is not heard: at most 480 W out and 96 W in"
    battery.booked = Booked(number=1, current_a=30.0, ends_s=60.0)
    commit(plan({battery: 30.0}, 0.0), 0.0)
    battery.touch()
    assert battery.status(0.0).reason.startswith("clamped to the alone discharge limit 480 W; alone, node:main is not heard")
    assert explain(battery, 0.0).in_force.limited_by == "clamped to the alone discharge limit 480 W"
    battery.be_alone("")
    commit(plan({battery: 30.0}, 0.0), 0.0)
    assert (battery.status(0.0).reason, battery.applied_a) == ("", 30.0)


def test_a_limit_that_follows_each_sample_moves_nothing() -> None:
    """48.0 V to 47.9 V would allow 10.02 A: 10 A stay; at 49 V no more than 9.796 A may."""
    battery = sampled("b", alone_discharge_limit_w=480.0)
    alone(battery)
    battery.applied_a = 10.0
    for voltage_v, most_a in ((47.9, 10.0), (47.6, 10.0), (49.0, 480.0 / 49.0), (47.0, 480.0 / 47.0)):
        battery.sampled(sample(0.0, voltage_v=voltage_v))
        assert limit_a(battery, 0.0, discharging=True) == pytest.approx(most_a)


def test_what_a_member_cannot_take_goes_to_the_others() -> None:
    """30 A over three equal ones, one of them at 4 A at most: 13 A for each of the others; the whole carries what was asked."""
    members = [pseudo(name, 40.0, 100.0, 50.0, alone_discharge_limit_w=192.0 if name == "a" else None) for name in "abc"]
    whole = aggregate(*members)
    alone(members[0])
    planned = plan({whole: 30.0}, 0.0)
    assert [planned.clamped[member].current_a for member in members] == pytest.approx([4.0, 13.0, 13.0])
    assert planned.clamped[whole].current_a == pytest.approx(30.0)
    assert "clamped to the alone limits of a" in planned.clamped[whole].reason
    assert not planned.left_over_a  # which would be refused
    commit(planned, 0.0)
    assert not plan({whole: 30.0}, 0.0).computed  # and that stays


def test_what_nobody_can_take_flows_nowhere() -> None:
    """100 A over three of 40 A, one at 4 A: 40, 40 and 4 A, and the whole says 84 A. Two at 4 A: 4, 4 and 40."""
    for limited, told in (("a", [4.0, 40.0, 40.0]), ("ab", [4.0, 4.0, 40.0]), ("abc", [4.0, 4.0, 4.0])):
        members = [pseudo(name, 40.0, 100.0, 50.0, alone_discharge_limit_w=192.0) for name in "abc"]
        whole = aggregate(*members)
        for member in members:
            if member.name in limited:
                alone(member)
        planned = plan({whole: 100.0}, 0.0)
        assert [planned.clamped[member].current_a for member in members] == pytest.approx(told)
        assert planned.clamped[whole].current_a == pytest.approx(sum(told))


def test_devices_under_a_whole() -> None:
    """Each is told its share within its limit."""
    members = [sampled("a", alone_charge_limit_w=192.0), sampled("b")]
    whole = aggregate(*members)
    alone(members[0])
    told = {leaf.name: current_a for leaf, current_a in plan({whole: -20.0}, 0.0).devices}
    assert told == pytest.approx({"a": -4.0, "b": -16.0})


def test_the_partitions_of_a_limited_source_do_with_less() -> None:
    """40 and 20 A of a source at 30 A at most: 20 and 10 A; one that charges meanwhile keeps its current."""
    source = pseudo("s", 100.0, 200.0, 100.0, alone_discharge_limit_w=1440.0)
    one, other = split(source, 0.5, 0.5).partitions
    alone(source)
    planned = plan({one: 40.0, other: 20.0}, 0.0)
    assert [planned.clamped[each].current_a for each in (one, other, source)] == pytest.approx([20.0, 10.0, 30.0])
    assert planned.clamped[one].reason == "s: clamped to the alone discharge limit 1440 W"
    planned = plan({one: 45.0, other: -5.0}, 0.0)
    assert [planned.clamped[each].current_a for each in (one, other, source)] == pytest.approx([35.0, -5.0, 30.0])


def test_a_partition_has_limits_of_its_own() -> None:
    """480 W of 48 V: 10 A, and the source is told that."""
    source = pseudo("s", 100.0, 200.0, 100.0)
    parts = (PartitionSpec(name="p", fraction=0.5, alone_discharge_limit_w=480.0), PartitionSpec(name="q", fraction=0.5))
    one, other = split(source, parts=parts).partitions
    alone(one)
    one.setpoint = SetPoint(current_a=40.0, ends_s=60.0, holder="h")
    planned = plan({one: 40.0, other: 20.0}, 0.0)
    assert [planned.clamped[each].current_a for each in (one, other, source)] == pytest.approx([10.0, 20.0, 30.0])
