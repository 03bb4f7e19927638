"""Reading the top of a topology reads each leaf at most once, and none where nothing changed."""

import random

import pytest

from bench.topologies import Tree, counted_reads, random_topology

NOW_S = 1000.0
SEEDS = range(60)


def tree_of(seed: int) -> Tree:
    """Return a tree whose statuses have all been read once."""
    tree = Tree(random_topology(random.Random(seed)), NOW_S)
    tree.top.status(NOW_S)
    return tree


@pytest.mark.parametrize("seed", SEEDS)
def test_every_leaf_changed_one_read_each(seed: int) -> None:
    """After a change of all leaves, one read of the top reads each leaf below it once, whatever depth and width."""
    tree = tree_of(seed)
    for leaf in tree.leaves:
        leaf.modify({"voltage_v": 48.5}, NOW_S)
    with counted_reads() as reads:
        tree.top.status(NOW_S)
    assert set(reads.values()) == {1}


@pytest.mark.parametrize("seed", SEEDS)
def test_one_leaf_changed_one_read(seed: int) -> None:
    """After a change of one leaf, one read of the top reads that leaf at most, and no other."""
    tree = tree_of(seed)
    changed = random.Random(seed).choice(tree.leaves)
    changed.modify({"voltage_v": 48.5}, NOW_S)
    with counted_reads() as reads:
        tree.top.status(NOW_S)
    assert reads.total() <= 1
    assert set(reads) <= {changed.name}


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_changed_no_read(seed: int) -> None:
    """Where nothing changed, reading the top again, also later, reads no leaf."""
    tree = tree_of(seed)
    with counted_reads() as reads:
        tree.top.status(NOW_S)
        tree.top.status(NOW_S + 0.5)
    assert not reads


@pytest.mark.parametrize("seed", SEEDS)
def test_running_leaves_one_read_each(seed: int) -> None:
    """Leaves that run change with time alone: a read of the top at a later instant reads each of them once at most."""
    tree = tree_of(seed)
    for leaf in tree.leaves:
        leaf.apply(1.0, NOW_S)
    tree.top.status(NOW_S)
    with counted_reads() as reads:
        tree.top.status(NOW_S + 1.0)
    assert max(reads.values(), default=0) <= 1
