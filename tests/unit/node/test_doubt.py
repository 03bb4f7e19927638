"""What an answer says of batteries that only switch."""

import pytest

from bosd.bal.dispatch import plan
from bosd.node.doubt import answer
from tests.support.bal_makers import aggregate, sampled


@pytest.mark.parametrize(
    ("asked_a", "said"),
    [
        (10.0, "g: discharging allowed, charging not; the load decides how much flows"),
        (-10.0, "g: charging allowed, discharging not; the source decides how much flows"),
        (0.0, "g: both switches open"),
    ],
)
def test_a_gate_follows_the_direction_alone(asked_a: float, said: str) -> None:
    """The amount asked of a JBD board's switches is ignored, and the answer says so (JBD protocol, current control)."""
    gate = sampled("g", current_control="gate")
    assert answer(gate, asked_a, 60.0, plan({gate: asked_a}, 0.0)).reason == said


def test_what_regulates_is_not_mentioned() -> None:
    """Of an aggregate the gates below it are named."""
    whole = aggregate(sampled("g", current_control="gate"), sampled("r", current_control="external"))
    assert answer(whole, 5.0, 60.0, plan({whole: 5.0}, 0.0)).reason.partition(": ")[0] == "g"
