"""The prioritised policies, tranched and reserved (bal.md, "Splitters")."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.bal.allocation import SplitPolicy
from bosd.policy.registry import policy

INF = [math.inf] * 3
EXPECTED = [50.0, 30.0, 20.0]
CAPS = [62.5, 37.5, 25.0]
"""Half, three and two tenths of a source of 125 Ah."""
TRANCHED, RESERVED = policy("tranched"), policy("reserved")
both = st.sampled_from([TRANCHED, RESERVED])
amounts = st.floats(0.0, 1e4)
parts = st.lists(st.tuples(amounts, amounts), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("of", "holds", "shares"),
    [
        (TRANCHED, 90.0, (50, 30, 10)),
        (RESERVED, 90.0, (50, 30, 10)),
        (TRANCHED, 110.0, (60, 30, 20)),
        (RESERVED, 110.0, (50, 30, 30)),
        (TRANCHED, 100.0, (50, 30, 20)),
        (RESERVED, 100.0, (50, 30, 20)),
        (TRANCHED, 0.0, (0, 0, 0)),
        (RESERVED, 0.0, (0, 0, 0)),
    ],
)
def test_the_table(of: SplitPolicy, holds: float, shares: tuple[float, ...]) -> None:
    """100 expected as 50/30/20 %; 90 and 110 held: the table's tranched and reserved columns; 100 and 0 beside them."""
    shared = of.allot(EXPECTED, INF, holds)
    assert (shared.shares, shared.rest) == (shares, 0.0)


@pytest.mark.parametrize(
    ("of", "holds", "shares", "rest"),
    [
        (RESERVED, 110.0, (50, 35, 25), 0),
        (RESERVED, 120.0, (57.5, 37.5, 25), 0),
        (TRANCHED, 120.0, (62.5, 37.5, 20), 0),
        (TRANCHED, 130.0, (62.5, 37.5, 25), 5),
        (RESERVED, 130.0, (62.5, 37.5, 25), 5),
    ],
)
def test_a_surplus_cascades(of: SplitPolicy, holds: float, shares: tuple[float, ...], rest: float) -> None:
    """At most 62.5/37.5/25: 10 more fill the bottom with 5 and put 5 above it; beyond 125 nobody can take it."""
    shared = of.allot(EXPECTED, CAPS, holds)
    assert (shared.shares, shared.rest) == (shares, rest)


def test_a_deficit_cascades() -> None:
    """45 of 100: the bottom two are empty and the top lacks 5, whichever way a surplus goes."""
    assert TRANCHED.allot(EXPECTED, INF, 45.0).shares == RESERVED.allot(EXPECTED, INF, 45.0).shares == (45, 0, 0)


def test_what_no_longer_fits_cascades_as_a_surplus() -> None:
    """100 as expected, but the middle holds 20 at most: its 10 go to the top (tranched) or to the bottom (reserved)."""
    caps = [99.0, 20.0, 99.0]
    assert TRANCHED.allot(EXPECTED, caps, 100.0).shares == (60, 20, 20)
    assert RESERVED.allot(EXPECTED, caps, 100.0).shares == (50, 20, 30)


@pytest.mark.parametrize("of", [TRANCHED, RESERVED])
def test_a_derated_limit_goes_to_those_that_can_use_it(of: SplitPolicy) -> None:
    """50/30/20 of 100 A, derated to 50 A, the top one empty: 0/30/20."""
    assert of.allot([0.0, 30.0, 20.0], [0.0, 30.0, 20.0], 50.0).shares == (0, 30, 20)


@pytest.mark.parametrize(("of", "shares"), [(TRANCHED, (30, 10, 0)), (RESERVED, (0, 15, 25))])
def test_expectations_of_zero(of: SplitPolicy, shares: tuple[float, ...]) -> None:
    """Nothing expected and 40 found: all of it is surplus, filled in from the end that the policy says."""
    assert of.allot([0.0] * 3, [30.0, 30.0, 25.0], 40.0).shares == shares


@given(both, parts, amounts)
def test_nothing_is_lost_or_made(of: SplitPolicy, given_parts: list[tuple[float, float]], amount: float) -> None:
    """Shares lie between 0 and the maxima; with the rest they are the amount; a rest remains only when all are full."""
    shared = of.allot([part[0] for part in given_parts], [part[1] for part in given_parts], amount)
    assert sum(shared.shares) + shared.rest == pytest.approx(amount, rel=1e-9, abs=1e-9)
    assert all(0.0 <= share <= part[1] for share, part in zip(shared.shares, given_parts, strict=True))
    if shared.rest > 1e-9 * max(1.0, amount):
        assert shared.shares == pytest.approx([part[1] for part in given_parts])


@given(both, parts, amounts, amounts)
def test_more_is_never_less(of: SplitPolicy, given_parts: list[tuple[float, float]], amount: float, more: float) -> None:
    """When the source holds more, no partition holds less."""
    expected, maxima = [part[0] for part in given_parts], [part[1] for part in given_parts]
    before, after = of.allot(expected, maxima, amount).shares, of.allot(expected, maxima, amount + more).shares
    assert all(new >= old - 1e-9 * (amount + more + sum(expected)) for old, new in zip(before, after, strict=True))


@given(parts, amounts)
def test_the_two_differ_in_surplus_alone(given_parts: list[tuple[float, float]], amount: float) -> None:
    """What is below expectation is shared alike."""
    expected, maxima = [part[0] for part in given_parts], [part[1] for part in given_parts]
    if amount < sum(map(min, expected, maxima)):
        assert TRANCHED.allot(expected, maxima, amount) == RESERVED.allot(expected, maxima, amount)


@given(both, parts)
def test_of_nothing_nobody_has_any(of: SplitPolicy, given_parts: list[tuple[float, float]]) -> None:
    """Where a source gives 0, every share is 0 to the last bit: a stopped source lends no partition a rest of rounding."""
    assert not any(of.allot([part[0] for part in given_parts], [part[1] for part in given_parts], 0.0).shares)
