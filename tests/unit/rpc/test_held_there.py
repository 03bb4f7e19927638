"""What a refusal says of what may still flow (control.md, "Owners, sessions, claims")."""

import math

import pytest

from bosd.errors import ClaimedError
from bosd.rpc.held_there import left_a


@pytest.mark.parametrize(("told", "asked_a", "most_a"), [("4.5", 10.0, 4.5), ("-4.5", 10.0, 0.0), ("4.5", 0.0, 0.0)])
def test_what_flows_the_way_that_was_asked_is_left(told: str, asked_a: float, most_a: float) -> None:
    """What flows the other way, or where nothing was asked, is somebody else's."""
    assert left_a(ClaimedError("taken", may_run_a=told), asked_a) == most_a


@pytest.mark.parametrize("told", ["inf", "-inf", "nan", "much"])
def test_what_is_no_current_is_no_number(told: str) -> None:
    """An infinite current would count in every sum above."""
    assert math.isnan(left_a(ClaimedError("taken", may_run_a=told), 10.0))
