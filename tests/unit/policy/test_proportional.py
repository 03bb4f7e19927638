"""The proportional policy (bal.md, "Splitters")."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.policy.proportional import ProportionalPolicy

INF = [math.inf] * 3
amounts = st.floats(0.0, 1e4)


@pytest.mark.parametrize(
    ("holds_ah", "parts_ah"), [(90.0, (45, 27, 18)), (110.0, (55, 33, 22)), (100.0, (50, 30, 20)), (0.0, (0, 0, 0))]
)
def test_the_table(holds_ah: float, parts_ah: tuple[float, ...]) -> None:
    """100 Ah expected as 50/30/20 %; 90, 110, 100 and 0 held: the table's proportional column."""
    shared = ProportionalPolicy().allot([50.0, 30.0, 20.0], INF, holds_ah)
    assert shared.shares == pytest.approx(parts_ah)
    assert shared.rest == 0.0


def test_what_one_cannot_take_goes_to_the_others() -> None:
    """100 over 50/30/20 with 40 the most of the first: the 60 left go 3 : 2."""
    assert ProportionalPolicy().allot([50.0, 30.0, 20.0], [40.0, 99.0, 99.0], 100.0).shares == pytest.approx((40, 36, 24))


def test_caps_cascade() -> None:
    """100 over 50/30/20, at most 40, 30 and 99: the second fills up with what the first left over, the third takes 30."""
    assert ProportionalPolicy().allot([50.0, 30.0, 20.0], [40.0, 30.0, 99.0], 100.0).shares == pytest.approx((40, 30, 30))


def test_what_nobody_can_take_is_left() -> None:
    """100 into 20 + 30 + 10: 40 are left."""
    shared = ProportionalPolicy().allot([50.0, 30.0, 20.0], [20.0, 30.0, 10.0], 100.0)
    assert shared.shares == pytest.approx((20, 30, 10))
    assert shared.rest == pytest.approx(40.0)


def test_without_expectations_the_room_decides() -> None:
    """Expected values all 0: in proportion to the maxima, 10 : 30."""
    assert ProportionalPolicy().allot([0.0, 0.0], [10.0, 30.0], 20.0).shares == pytest.approx((5, 15))


def test_an_expectation_of_zero_takes_what_the_others_cannot() -> None:
    """Expected 50, 0 with at most 30, 100: the second takes the 20 that the first cannot."""
    assert ProportionalPolicy().allot([50.0, 0.0], [30.0, 100.0], 50.0).shares == pytest.approx((30, 20))


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=8), amounts)
def test_nothing_is_lost_or_made(parts: list[tuple[float, float]], amount: float) -> None:
    """Shares lie between 0 and the maxima; with the rest they are the amount; a rest remains only when all are full."""
    shared = ProportionalPolicy().allot([part[0] for part in parts], [part[1] for part in parts], amount)
    assert sum(shared.shares) + shared.rest == pytest.approx(amount, rel=1e-9, abs=1e-9)
    assert all(0.0 <= share <= part[1] * (1 + 1e-12) for share, part in zip(shared.shares, parts, strict=True))
    if shared.rest > 1e-9 * max(1.0, amount):
        assert shared.shares == pytest.approx([part[1] for part in parts])
