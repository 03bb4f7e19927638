"""What is told when members do not follow."""

import pytest

from bosd.errors import ClaimedError
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
