"""How many examples a property is tried with."""

from hypothesis import settings

LONG = 5000


def examples(usual: int) -> int:
    """Return `usual`, or under the long profile (`make test-long`) as many as that says."""
    return max(usual, settings().max_examples) if settings().max_examples >= LONG else usual
