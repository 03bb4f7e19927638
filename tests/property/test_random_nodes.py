"""Whole nodes on a simulated clock: whatever is asked of them, ticks end, and what bal.md promises holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.node_world import run

STEPS = 40


@pytest.mark.parametrize("seed", range(30))
def test_known_nodes(seed: int) -> None:
    """The first nodes hold."""
    run(seed, STEPS)


@settings(max_examples=examples(20))
@given(st.integers(0, 2**32))
def test_random_nodes(seed: int) -> None:
    """Commands, bookings, edits, changed batteries and restarts break none of the invariants."""
    run(seed, STEPS)
