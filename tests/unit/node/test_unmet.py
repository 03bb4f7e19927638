"""What is asked and refused below is said once to the log, and to people once it lasts."""

import pytest

from bosd.errors import BosError, DriverError, InvalidArgumentError, StoppedError, UnavailableError
from bosd.node.outcome import Outcome
from bosd.node.unmet import SAID_AFTER_S, UNANSWERED_AFTER_S, Unmet

MORE = SAID_AFTER_S + 1.0


class Time:
    """A clock that is set."""

    now = 100.0

    def now_s(self) -> float:
        return self.now


def test_news_is_another_failure_and_not_another_number() -> None:
    """A time to live that is told with the refusal was news every 2 s: 43,200 lines a day."""
    unmet = Unmet(Time().now_s)
    said = [
        unmet.note(1, "all", error)
        for error in (
            InvalidArgumentError("ttl_s 34.4225 is outside 0 to 20 s"),
            InvalidArgumentError("ttl_s 32.4 is outside 0 to 20 s"),
            InvalidArgumentError("current_a is none"),
            StoppedError("current_a is none"),
        )
    ]
    assert said == [True, False, True, True]
    assert unmet.note(2, "other", StoppedError("current_a is none"))
    unmet.met(1)
    assert unmet.note(1, "all", StoppedError("current_a is none"))


@pytest.mark.parametrize(("error", "shown"), [(InvalidArgumentError("no 8 A"), True), (UnavailableError("no answer"), False)])
def test_what_is_refused_for_long_is_shown(error: BosError, *, shown: bool) -> None:
    """Until it is met; who does not answer has an error of its own."""
    time = Time()
    unmet = Unmet(time.now_s)
    unmet.note(1, "all", error)
    time.now += 0.9 * SAID_AFTER_S
    unmet.note(1, "all", error)
    assert not list(unmet.noticed())
    time.now += MORE
    told = [(each.kind, each.message, each.battery) for each in unmet.noticed()]
    assert told == ([("NOT_IN_FORCE", "INVALID_ARGUMENT: no 8 A", "all")] if shown else [])
    unmet.met(1)
    assert not list(unmet.noticed())
    unmet.note(1, "all", error)
    time.now += MORE
    unmet.clear()
    assert not list(unmet.noticed())


def test_who_goes_on_to_say_that_it_cannot_now_is_shown_later() -> None:
    """An owner whose disk was full answered so each second: 12 A ran of 24 A for as long, and no error said why."""
    time = Time()
    unmet = Unmet(time.now_s)
    full = UnavailableError("garage: told.json: No space left on device: what cannot be noted for a restart is not raised")
    for _ in range(int(UNANSWERED_AFTER_S)):
        unmet.note(1, "all", full)
        assert not list(unmet.noticed())
        time.now += 1.0
    unmet.note(1, "all", full)
    told = [(each.kind, each.message, each.battery) for each in unmet.noticed()]
    assert told == [("NOT_IN_FORCE", f"UNAVAILABLE: {full.message}", "all")]


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_two_members_that_refuse_are_one_failure_whoever_answers_first(order: str) -> None:
    """Each time that b answered before a it was another one: a line in the log each 2 s, and NOT_IN_FORCE never said."""
    outcome = Outcome()
    for name in order:
        outcome.states[name], outcome.errors[name] = "old", InvalidArgumentError("ttl_s 30 is outside 0 to 20 s")
    with pytest.raises(InvalidArgumentError, match=r"^not every member followed: a: ttl_s .*; b: ttl_s .* s$"):
        outcome.raise_any()


def test_members_that_refuse_for_different_reasons_are_shown() -> None:
    """One takes no time to live of 30 s, the other is stopped: all of it is refused, and nobody was told."""
    outcome, time = Outcome(), Time()
    outcome.states = {"a": "old", "b": "old"}
    outcome.errors = {"a": InvalidArgumentError("ttl_s 30 is outside 0 to 20 s"), "b": StoppedError("b is stopped")}
    with pytest.raises(DriverError) as refused:
        outcome.raise_any()
    unmet = Unmet(time.now_s)
    unmet.note(1, "all", refused.value)
    time.now += MORE
    (shown,) = unmet.noticed()
    assert (shown.kind, shown.battery) == ("NOT_IN_FORCE", "all")
