"""Policies by name; an unknown name is refused."""

from bosd.bal.allocation import SplitPolicy
from bosd.errors import BadNameError
from bosd.policy.prioritised import PrioritisedPolicy
from bosd.policy.proportional import ProportionalPolicy

_POLICIES: dict[str, SplitPolicy] = {
    policy.name: policy
    for policy in (
        ProportionalPolicy(),
        PrioritisedPolicy("tranched", surplus_to_top=True),
        PrioritisedPolicy("reserved", surplus_to_top=False),
    )
}

POLICY_NAMES = frozenset(_POLICIES)


def policy(name: str) -> SplitPolicy:
    """Return the policy of this name. Raises BadNameError with the known names."""
    try:
        return _POLICIES[name]
    except KeyError:
        known = ", ".join(sorted(_POLICIES))
        raise BadNameError(f"no splitter policy is called {name!r}; known are: {known}", name=name, known=known) from None
