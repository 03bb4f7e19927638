"""The set of members with the greatest limit (bal.md, "Aggregators")."""

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.bal.crate import best_set

amounts = st.floats(0.01, 1000.0)


def test_without_anything_the_limit_is_zero() -> None:
    """No member at its full limit and none derated: 0 A."""
    assert best_set(math.inf, 0.0, []).limit_a == 0.0


def test_all_at_their_full_limit() -> None:
    """60 A of 110 Ah and 40 A of 40 Ah: the least rate, 60/110 per hour, times 150 Ah."""
    best = best_set(min(60 / 110, 40 / 40), 150.0, [])
    assert best.limit_a == best.all_limit_a == pytest.approx(60 / 110 * 150)


def test_the_derated_member_that_costs_more_than_it_gives_is_left_out() -> None:
    """40 A of 40 Ah with a derated 6 A of 110 Ah: 40 A without it, 6/110 * 150 = 8.2 A with it."""
    best = best_set(1.0, 40.0, [(6 / 110, 110.0)])
    assert best.limit_a == pytest.approx(40.0)
    assert best.all_limit_a == pytest.approx(6 / 110 * 150)
    assert best.cutoff_per_h > 6 / 110


@given(st.lists(st.tuples(amounts, amounts), max_size=6), st.lists(st.tuples(amounts, amounts), max_size=4))
def test_no_other_lowest_k_gives_more(derated: list[tuple[float, float]], full: list[tuple[float, float]]) -> None:
    """The limit is the best over leaving out any lowest k, computed here by hand from c = min(rate), c * sum of weights."""
    rate = min((rate for rate, _ in full), default=math.inf)
    weight = sum(weight for _, weight in full)
    found = best_set(rate, weight, derated).limit_a
    ordered = sorted(derated)
    by_hand = []
    for k in range(len(ordered) + 1):
        kept = ordered[k:] + full
        by_hand.append(min(each[0] for each in kept) * sum(each[1] for each in kept) if kept else 0.0)
    assert found == pytest.approx(max(by_hand))


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5))
def test_leaving_out_the_lowest_is_as_good_as_any_choice(derated: list[tuple[float, float]]) -> None:
    """No subset of derated members whatever carries more than the best one found."""
    found = best_set(math.inf, 0.0, derated).limit_a
    for size in range(1, len(derated) + 1):
        for kept in combinations(derated, size):
            assert min(each[0] for each in kept) * sum(each[1] for each in kept) <= found * (1 + 1e-9)
