"""What may flow although it was not asked, and how soon it is over (control.md, "When something dies")."""

import math

import pytest

from bosd.bal.facts import facts_of, unread_below
from bosd.bal.may_run import may_run_a, unseen_a
from bosd.bal.physical import PhysicalBattery
from bosd.bal.setpoint import Booked, SetPoint
from bosd.bal.spec import SimulatedRegulatorSpec
from bosd.drivers.rd6006.regulator import Rd6006Regulator
from bosd.drivers.regulated import Regulated
from bosd.drivers.simulated_regulator import SimulatedRegulator
from tests.support.bal_makers import aggregate, physical, sample, split


def settled(name: str, current_a: float) -> PhysicalBattery:
    """Return a pack that follows a current."""
    battery = physical(name)
    battery.sampled(sample(0.0))
    battery.settled(current_a, 0.0)
    return battery


def regulated(name: str, failsafe_time_s: float) -> PhysicalBattery:
    """Return a pack whose regulator takes so long to be at 0 A."""
    battery = physical(name, current_control="external", regulator=SimulatedRegulatorSpec(port="/run/load"))
    battery.device = Regulated(battery.device, HeldFor(failsafe_time_s), name)
    return battery


class HeldFor(SimulatedRegulator):
    """A regulator with another time."""

    def __init__(self, failsafe_time_s: float) -> None:
        super().__init__("/run/load")
        self.failsafe_time_s = failsafe_time_s


@pytest.mark.parametrize(
    ("lost_a", "most_a"),
    [
        (None, 20.0),  # a and b at 10 A each, all certain
        (16.0, 26.0),  # b was told 16 A and did not answer: 10 + 16
        (-30.0, -30.0),  # b may charge at 30 A: that is not set off against a's 10 A
        (-5.0, 20.0),  # or at 5 A: what is applied is more
    ],
)
def test_of_an_aggregate(lost_a: float | None, most_a: float) -> None:
    """The larger of both directions, each summed for itself."""
    a, b = settled("a", 10.0), settled("b", 10.0)
    both = aggregate(a, b)
    both.applied_a = 20.0
    b.unconfirmed_a = lost_a
    assert may_run_a(both) == most_a


def test_of_a_partition() -> None:
    """What the source may run beyond what is applied counts to every part: 6 A applied of 20 A, the source may run 26 A.

    A set point that ended while the source is not reached leaves its 6 A running there.
    """
    source = settled("s", 20.0)
    parts = split(source, 0.5, 0.5).partitions
    parts[0].applied_a, parts[1].applied_a = 6.0, 14.0
    assert may_run_a(parts[0]) == 6.0
    source.unconfirmed_a = 26.0
    assert may_run_a(parts[0]) == 12.0
    source.unconfirmed_a, parts[0].applied_a = 20.0, 0.0
    assert may_run_a(parts[0]) == 6.0


def test_facts_of_devices_that_hold_and_that_expire() -> None:
    """4.03 s unheard; 2 s of hold lie within the 8 s a gate is told in (control.md: the larger); what holds is never safe."""
    holds, expires = physical("h"), physical("e")
    expires.device.hold_s = 2.0
    assert facts_of(holds, 4.03, 0.0).safe_within_s is None
    assert facts_of(expires, 4.03, 0.0).safe_within_s == pytest.approx(4.03 + 8.0)
    expires.device.hold_s = 20.0
    assert facts_of(expires, 4.03, 0.0).safe_within_s == pytest.approx(4.03 + 20.0)
    assert facts_of(expires, 4.03, 0.0).failsafe_time_s == 8.0
    both = aggregate(holds, expires)
    assert facts_of(both, 4.03, 0.0).safe_within_s is None


def test_a_device_that_takes_longer_is_given_longer() -> None:
    """6.25 s of a bench supply (five exchanges of three attempts) count, 3 s of another regulator do not: 5 s are usual."""
    slow, quick = (regulated("b", each.failsafe_time_s) for each in (Rd6006Regulator, SimulatedRegulator))
    assert facts_of(slow, 4.03, 0.0).failsafe_time_s == slow.command_deadline_s == pytest.approx(5 * (3 * 0.3 + 0.2 + 0.15))
    assert facts_of(quick, 4.03, 0.0).failsafe_time_s == 5.0
    assert facts_of(slow, 4.03, 0.0).safe_within_s is None, "it holds what it was told"
    slow.device.hold_s = 2.0
    assert facts_of(slow, 4.03, 0.0).safe_within_s == pytest.approx(4.03 + slow.command_deadline_s)


def test_facts_name_what_is_not_known() -> None:
    """A device that was not looked at, and one that did not confirm."""
    battery = settled("a", 10.0)
    battery.setpoint = SetPoint(current_a=10.0, ends_s=9.0, holder="ann")
    assert facts_of(battery, 4.03, 0.0)[1:3] == (None, False)
    battery.unconfirmed_a = 16.0
    battery.unread_until_s = 5.0
    assert facts_of(battery, 4.03, 4.9)[1:3] == (16.0, True)
    assert unread_below(aggregate(battery), 4.9) == (battery,)
    assert unread_below(battery, 5.0) == ()


def test_facts_name_what_is_left_of_a_set_point_that_has_ended() -> None:
    """10 A flow on: as long as the set point lives, as a booking asks or a clamped one may, all is as it should be; else not."""
    battery = settled("a", 10.0)
    battery.setpoint = SetPoint(current_a=10.0, ends_s=9.0, holder="ann")
    assert facts_of(battery, 4.03, 8.9)[1::6] == (None, 0.0)
    assert facts_of(battery, 4.03, 9.0)[1::6] == (10.0, 10.0)
    battery.setpoint = None
    assert facts_of(battery, 4.03, 0.0)[1::6] == (10.0, 10.0)
    battery.booked = Booked(number=1, current_a=12.0, ends_s=math.inf)
    assert facts_of(battery, 4.03, 0.0)[1::6] == (None, 0.0)
    battery.telling_a = 0.0
    assert facts_of(battery, 4.03, 0.0)[1::6] == (10.0, 10.0), "of what was asked before: it is told 0 A"
    battery.telling_a, battery.booked = None, Booked(number=2, current_a=-10.0, ends_s=math.inf)
    assert facts_of(battery, 4.03, 0.0)[1::6] == (10.0, 10.0)


@pytest.mark.parametrize(
    ("commanded_a", "measured_a", "counts_a"),
    [(10.0, 12.0, 12.0), (10.0, 8.0, 10.0), (-10.0, -12.0, -12.0), (0.0, -12.0, -12.0), (0.0, 0.04, 0.0), (10.0, -16.0, 10.0)],
)
def test_what_one_counts_at_that_is_not_seen(commanded_a: float, measured_a: float, counts_a: float) -> None:
    """The larger of both (control.md, "When something dies"); not what was measured before it turned round, and no noise."""
    assert unseen_a(commanded_a, measured_a) == counts_a
