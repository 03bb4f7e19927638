"""Shares of a set point over sources, whatever the members and the policy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.bal.sharing import Bounded, Candidate, SharePolicy, reach, share, share_within
from bosd.policy.sharing import ByAllowed, ByCharge, ByCRate, ByRatio

TOLERANCE = 1e-9
CURRENTS = st.floats(0.0, 200.0)
BOUNDED = st.builds(
    lambda weight, limit_a, least: Bounded(weight, least * limit_a, limit_a),
    st.floats(0.01, 100.0),
    st.floats(0.01, 100.0),
    st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0]),
)
CANDIDATES = st.builds(
    lambda limit_a, least, derated, soc, capacity_ah: Candidate(
        "", limit_a * derated, least * limit_a, limit_a, soc * capacity_ah, capacity_ah, soc
    ),
    st.floats(0.0, 100.0),
    st.sampled_from([0.0, 0.0, 0.1, 0.5]),
    st.sampled_from([1.0, 1.0, 0.3, 0.01]),
    st.floats(0.0, 1.0),
    st.floats(1.0, 500.0),
)


@st.composite
def members(draw: st.DrawFn) -> tuple[SharePolicy, list[Candidate]]:
    """Return a policy and up to 14 named members."""
    found = [each._replace(name=f"m{slot}") for slot, each in enumerate(draw(st.lists(CANDIDATES, min_size=1, max_size=14)))]
    ratios = {each.name: draw(st.floats(0.0, 1.0)) for each in found}
    policies: list[SharePolicy] = [ByCRate(), ByAllowed(), ByRatio(ratios), ByCharge(draw(st.floats(0.0, 3.0)))]
    return draw(st.sampled_from(policies)), found


@given(CURRENTS, st.lists(BOUNDED, max_size=16))
def test_inside_every_bound_and_all_accounted_for(amount_a: float, bounds: list[Bounded]) -> None:
    """Each share is 0 or between least and limit; shares and what is left over add up to what was asked."""
    shared = share_within(amount_a, bounds)
    assert sum(shared.shares_a) + shared.left_over_a == pytest.approx(amount_a, abs=TOLERANCE)
    assert shared.left_over_a >= 0.0
    for share_a, each in zip(shared.shares_a, bounds, strict=True):
        assert share_a == 0.0 or each.least_a - TOLERANCE <= share_a <= each.limit_a + TOLERANCE


@given(CURRENTS, st.lists(BOUNDED, min_size=1, max_size=6))
def test_nothing_is_left_over_that_could_be_carried(amount_a: float, bounds: list[Bounded]) -> None:
    """Up to ten members: if any set of them has the amount between its sums of bounds, it is carried."""
    feasible = any(
        sum(each.least_a for slot, each in enumerate(bounds) if group >> slot & 1)
        <= amount_a
        <= sum(each.limit_a for slot, each in enumerate(bounds) if group >> slot & 1)
        for group in range(1 << len(bounds))
    )
    assert share_within(amount_a, bounds).left_over_a <= (TOLERANCE if feasible else amount_a)


@given(CURRENTS, st.lists(BOUNDED.map(lambda each: each._replace(least_a=0.0)), min_size=1, max_size=16))
def test_in_proportion_where_no_bound_binds(amount_a: float, bounds: list[Bounded]) -> None:
    """Members below their limits share in proportion to their weights, and no member at its limit would have got less."""
    shared = share_within(amount_a, bounds)
    levels = [a / each.weight for a, each in zip(shared.shares_a, bounds, strict=True) if a < each.limit_a * (1.0 - 1e-9)]
    if levels:
        assert max(levels) == pytest.approx(min(levels), abs=1e-6)
        full = [each.limit_a / each.weight for a, each in zip(shared.shares_a, bounds, strict=True) if a >= each.limit_a]
        assert all(level <= max(levels) * (1.0 + 1e-6) for level in full)


@given(members())
def test_a_limit_can_always_be_carried(case: tuple[SharePolicy, list[Candidate]]) -> None:
    """What a policy says can be shared is shared without rest, inside every bound."""
    policy, candidates = case
    limit_a = reach(policy, candidates).limit_a
    shared = share(policy, candidates, limit_a)
    assert shared.left_over_a == pytest.approx(0.0, abs=1e-6)
    for share_a, each in zip(shared.shares_a, candidates, strict=True):
        assert share_a == 0.0 or each.least_a - TOLERANCE <= share_a <= each.limit_a + TOLERANCE
