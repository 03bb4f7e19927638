"""A dry run tells what each leaf would carry, its limit, and the chain that bounds the battery."""

import pytest

from bosd.bal.dispatch import plan
from bosd.node.dry_run import binding, leaf_commands
from bosd.node.execute import commit
from tests.support.bal_makers import aggregate, pseudo, sampled


def test_every_leaf_is_listed_moved_or_not() -> None:
    """30 A over 60 and 40 Ah are 18 and 12; an empty third stays at 0 and is listed with its limit of 0."""
    members = (pseudo("a", 60.0, 60.0), pseudo("b", 40.0, 40.0), pseudo("c", 10.0, 50.0, 0.0))
    whole = aggregate(*members)
    told = leaf_commands(whole, plan({whole: 30.0}, 0.0), 0.0)
    assert {each.name: each.new_current_a for each in told} == pytest.approx({"a": 18.0, "b": 12.0, "c": 0.0})
    assert {each.name: each.limit_a for each in told} == {"a": 60.0, "b": 40.0, "c": 0.0}


def test_what_stays_as_it_is_shows_what_it_runs() -> None:
    """Asking for the same again moves nothing: old and new are what runs."""
    whole = aggregate(pseudo("a", 60.0, 60.0), pseudo("b", 40.0, 40.0))
    commit(plan({whole: 30.0}, 0.0), 0.0)
    told = leaf_commands(whole, plan({whole: 30.0}, 0.0), 0.0)
    assert {each.name: each.old_current_a for each in told} == pytest.approx({"a": 18.0, "b": 12.0})
    assert {each.name: each.new_current_a for each in told} == pytest.approx({"a": 18.0, "b": 12.0})


def test_a_device_counts_at_what_it_may_run() -> None:
    """A device whose last command was lost counts at the larger magnitude; charging shows the charge limit."""
    leaf = sampled("d", 40.0)
    leaf.settled(-5.0, 0.0)
    leaf.lost_answer(-8.0)
    (told,) = leaf_commands(leaf, plan({leaf: -3.0}, 0.0), 0.0)
    assert (told.old_current_a, told.new_current_a, told.limit_a) == (-8.0, -3.0, 40.0)


def test_the_chain_that_bounds_it() -> None:
    """On discharge the member that would be empty first, on charge the one that would be full first."""
    whole = aggregate(pseudo("A", 60.0, 110.0, 100.0), pseudo("B", 40.0, 40.0, 10.0))
    assert binding(whole, 5.0, 0.0).endswith("so agg 66 A (A would be empty first)")
    assert binding(whole, -5.0, 0.0).endswith("so agg 53.3333 A (B would be full first)")
