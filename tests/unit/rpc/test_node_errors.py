"""Errors of nodes that are followed, by target."""

import pytest

from bosd.clock import SystemClock
from bosd.node.faults import Faults
from bosd.rpc.node_errors import SELF, NodeErrors


@pytest.fixture
def faults() -> Faults:
    """The registry of this node."""
    return Faults("home", SystemClock())


def active(faults: Faults) -> list[tuple[str, str]]:
    """Return what is active: module and message."""
    return [(each.module, each.message) for each in faults.own()]


def test_it_goes_with_its_cause_or_with_the_last_stub(faults: Faults) -> None:
    """This node's own goes with its cause alone."""
    errors = NodeErrors(faults, "NOT")
    for target, node in ((SELF, "home"), ("far:1", "hut"), ("far:2", "barn")):
        errors.raise_(target, node, "why")
    errors.clear("far:1")
    assert active(faults) == [("node:home", "why"), ("node:barn", "why")]
    errors.clear_gone({"far:1"})
    assert active(faults) == [("node:home", "why")]
    errors.clear(SELF)
    errors.clear("far:1")
    assert active(faults) == []


def test_a_node_of_another_name_and_one_with_two_ways(faults: Faults) -> None:
    """The old name's error goes when the new one's comes; what two ways say of one node stands until both are over."""
    errors = NodeErrors(faults, "NOT")
    errors.raise_("far:1", "far:1", "asked first")
    errors.raise_("far:1", "hut", "asked again")
    assert active(faults) == [("node:hut", "asked again")]
    errors.raise_("far:2", "hut", "by another way")
    errors.clear("far:1")
    assert active(faults) == [("node:hut", "by another way")]
    errors.clear("far:2")
    assert active(faults) == []
