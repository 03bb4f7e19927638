import pytest

from bosd import errors
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.hints import hint_for


def refused(error: errors.BosError) -> str | None:
    """Return the hint for a refusal with this error."""
    return hint_for(Failure(ExitStatus.REFUSED, error.reason, error.message, error.metadata))


@pytest.mark.parametrize(
    ("error", "say"),
    [
        (errors.BatteryInUseError("in use", users="agg,other"), "bosctl set agg AMPS"),
        (errors.BatteryInUseError("in use", users=("agg",)), "bosctl set agg AMPS"),
        (errors.BatteryInUseError("in use"), "bosctl ls"),
        (
            errors.CurrentOutOfRangeError("too much", asked_a=80, lower_a=-30, upper_a=50),
            "between -30 A (charging) and +50 A (discharging)",
        ),
        (errors.CurrentOutOfRangeError("too much"), "bosctl status"),
        (errors.StaleRevisionError("moved on", expected=3, actual=5), "--revision 5"),
        (errors.StoppedError("stopped"), "bosctl release"),
        (errors.BadNameError("no such"), "bosctl ls"),
        (errors.NameTakenError("taken"), "bosctl replace"),
        (errors.BadNameError("no booking 7", booking="7"), "bosctl schedule ls"),
        (errors.BatteryInUseError("is booked", name="b", bookings="1,2"), "bosctl schedule cancel"),
        (errors.ClaimedError("claimed", holder="ann@desk", remaining_s=41.6), "ann@desk: wait until that set point ends in 42 s"),
        (errors.CurrentOutOfRangeError("full", name="p", lower_a=-0.0, upper_a=40.9091), "between 0 A (charging) and +40.9 A"),
        (errors.CurrentOutOfRangeError("stopped", name="p", lower_a=0.0, upper_a=0.0), "Nothing can be asked of it now"),
        (errors.UnavailableError("no answer"), "bosctl doctor"),
        (errors.UnsupportedError("cannot", detail="no current control"), '"gate" and both limits'),
    ],
)
def test_a_refusal_says_what_to_do_next(error: errors.BosError, say: str) -> None:
    """The data of the error becomes the next command."""
    assert say in (refused(error) or "")


def test_what_is_in_use_is_not_commanded_but_removed() -> None:
    """The advice fits the command: an edit wants the users out of the way."""
    failure = Failure(ExitStatus.REFUSED, "BATTERY_IN_USE", "in use", {"users": "agg"})
    assert "bosctl replace" in (hint_for(failure, "rm") or "")
    assert "bosctl set agg" in (hint_for(failure, "set") or "")


def test_an_unreachable_node_is_a_question_about_the_daemon() -> None:
    """How to start one, and how to name another."""
    hint = hint_for(Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", "cannot reach h:1")) or ""
    assert "bosd run --config" in hint
    assert "--target" in hint


def test_a_reason_of_a_newer_daemon_needs_no_hint() -> None:
    """Nothing is better than a wrong advice."""
    assert hint_for(Failure(ExitStatus.REFUSED, "SOMETHING_NEW", "what")) is None


def test_a_release_at_the_owner_is_the_owners_admins() -> None:
    """Where, and of what; a node that is found by its name has no address to write."""
    refusal = errors.NotAllowedError("no", owner="10.0.0.2:4004", remote_name="pack")
    assert refused(refusal) == "Release it there, as an admin of that node: `bosctl --target 10.0.0.2:4004 release pack`."
    refusal = errors.NotAllowedError("no", owner="serial:hut", remote_name="pack")
    there = "`bosctl --target ADDRESS release pack` (`bosctl --json fleet ls` has that of serial:hut)"
    assert refused(refusal) == f"Release it there, as an admin of that node: {there}."


def test_an_authority_is_no_battery() -> None:
    """What is taken there is exchanged by no `bosctl replace`, and named by no `bosctl ls`."""
    failure = Failure(ExitStatus.REFUSED, "NAME_TAKEN", "/ca holds a CA already")
    assert hint_for(failure, "ca") is None


def test_a_full_disk_is_no_device_that_is_silent() -> None:
    """What a node must note before it raises another one's battery, and cannot, is its disk's fault."""
    full = errors.UnavailableError("/state/running.json: No space left on device", path="/state/running.json")
    assert "is the disk full" in (refused(full) or "")
    assert "`bosctl doctor`" in (refused(errors.UnavailableError("silent", battery="b")) or "")


def test_a_stop_that_did_not_arrive_says_how_to_stop() -> None:
    """Nobody is told to start a daemon while something has to stop: who hears the owner, and what works without a daemon."""
    failure = Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", "10.0.0.2:4004 did not answer within 5 s")
    assert "`bosd safe --config FILE`" in (hint_for(failure, "stop") or "")
    assert "`bosd run" in (hint_for(failure, "ls") or "")


def test_a_stop_with_a_certificate_that_is_over_says_how_to_stop() -> None:
    """That the cause is known stops nothing: at the node itself no certificate is asked for."""
    failure = Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", "cannot reach hut:4004: …", {"cause": "your certificate expired"})
    assert "without a certificate over its unix socket" in (hint_for(failure, "stop") or "")
    assert hint_for(failure, "set") is None


def test_what_is_not_granted_is_no_matter_of_the_role() -> None:
    """An operator who lacks a grant asks for that, and for no other role."""
    metadata = {"who": "operator:max", "names": "pack"}
    advice = hint_for(Failure(ExitStatus.REFUSED, "NOT_ALLOWED", "operator:max may not set pack", metadata), "set")
    assert advice == 'An admin of that node adds "pack" to "operator:max" in its [security.grants], and starts it anew.'
