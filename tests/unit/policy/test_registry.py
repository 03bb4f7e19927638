"""The policies by name."""

import pytest

from bosd.bal.topology import POLICIES
from bosd.errors import BadNameError
from bosd.policy.registry import POLICY_NAMES, policy


def test_policies_by_name() -> None:
    """There are the three of bal.md, each under its own name; the rest is refused with what there is."""
    assert {"proportional", "tranched", "reserved"} == POLICY_NAMES
    assert [policy(name).name for name in sorted(POLICY_NAMES)] == sorted(POLICY_NAMES)
    with pytest.raises(BadNameError, match="known are: proportional, reserved, tranched"):
        policy("prioritised")


def test_the_core_checks_against_the_same_names() -> None:
    """A topology that the core calls valid never names a policy that is not there."""
    assert POLICIES == POLICY_NAMES
