"""Conditions that stand, turned into errors."""

from bosd.bal.alone import ANY_NODE
from bosd.clock import SystemClock
from bosd.node.faults import Faults, Severity
from bosd.node.noticed import Noticed, Notices, failsafe
from tests.support.bal_makers import pseudo


def test_what_grows_worse_is_raised_again_and_goes_as_one() -> None:
    """One error of a cause: its severity follows, it is not raised anew while it stands, and it is cleared once."""
    faults = Faults("home", SystemClock())
    notices = Notices(faults)
    standing: list[Noticed] = []
    notices.sources.append(lambda: standing)
    for severity, repeats in ((Severity.MEDIUM, 0), (Severity.MEDIUM, 0), (Severity.HIGH, 1), (Severity.HIGH, 1)):
        standing[:] = [Noticed("CERTIFICATE_EXPIRES", severity, "it ends", "security")]
        notices.look()
        (fault,) = faults.own()
        assert (fault.severity, fault.repeats) == (severity, repeats)
    standing.clear()
    notices.look()
    assert not faults.own()
    assert len(faults.recent()) == 1


def test_other_words_take_the_place_of_old_ones() -> None:
    """What stands is told as it is now: the same error, and no repeat of it."""
    faults = Faults("home", SystemClock())
    notices = Notices(faults)
    standing: list[Noticed] = []
    notices.sources.append(lambda: standing)
    told = []
    for count in (1, 3):
        standing[:] = [Noticed("STORE_FAILED", Severity.HIGH, f"{count} stops are in force and not recorded", "stops")]
        notices.look()
        (fault,) = faults.own()
        told.append((fault.id, fault.repeats, fault.message[:7]))
    assert told == [(told[0][0], 0, "1 stops"), (told[0][0], 0, "3 stops")]


def test_batteries_that_are_alone_are_one_line_for_each_node_that_is_not_heard() -> None:
    """One cause, one line; none of them is a battery's own."""
    batteries = [pseudo(name, 50.0, 100.0) for name in ("a", "b", "c", "d")]
    for battery, who in zip(batteries, ("node:main", "node:main", ANY_NODE, ""), strict=True):
        battery.be_alone(who)
    assert [(each.kind, each.severity, each.module, each.battery, each.message) for each in failsafe(batteries)] == [
        ("FAILSAFE_ACTIVE", Severity.MEDIUM, "node:main", "", "node:main is not heard: alone limits are in force on a, b"),
        ("FAILSAFE_ACTIVE", Severity.MEDIUM, "alone", "", "any node is not heard: alone limits are in force on c"),
    ]
