"""How many examples a property is tried with."""

from hypothesis import settings

LONG = 5000


def examples(usual: int) -> int:
    """Return `usual`, or under the long profile (`make test-long`) as many as that says."""
    of_profile = settings().max_examples
    return of_profile if of_profile >= LONG else usual
