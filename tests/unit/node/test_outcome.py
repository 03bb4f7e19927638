"""What is told when members do not follow."""

import pytest

from bosd.errors import BosError, ClaimedError, UnavailableError
from bosd.node.outcome import Outcome


@pytest.mark.parametrize(
    ("message", "of", "told"),
    [
        ("soft follows admin:me for another 60 s", "soft", "soft follows admin:me for another 60 s"),
        ("soft: no room", "soft", "soft: no room"),
        ("pack follows admin:me for another 60 s", "pack", "soft: pack follows admin:me for another 60 s"),
        ("soft words", "pack", "soft: soft words"),
    ],
)
def test_a_member_is_named_once(message: str, of: str, told: str) -> None:
    """Each node of a row names the member as it is there; where that is the same name, it is said once."""
    outcome = Outcome()
    outcome.states["soft"] = "old"
    outcome.errors["soft"] = ClaimedError(message, battery=of)
    with pytest.raises(ClaimedError) as refused:
        outcome.raise_any()
    assert refused.value.message == told


@pytest.mark.parametrize(("undone", "kind"), [("new", ClaimedError), ("old", UnavailableError), ("unknown", UnavailableError)])
def test_who_cannot_take_back_may_run_the_new_current(undone: str, kind: type[BosError]) -> None:
    """`a` was raised, `b` refused: told its old current, `a` follows, refuses, or does not answer."""
    outcome = Outcome()
    outcome.states.update(a="new", b="old")
    outcome.errors["b"] = ClaimedError("b follows another", battery="b")
    outcome.take_back({"a": undone})
    with pytest.raises(kind) as failed:
        outcome.raise_any()
    assert failed.value.metadata["a"] == ("old" if kind is ClaimedError else "unknown")
