"""Leaf reads per read of the top: counted, not timed."""

import random

from bench.harness import Rounds, Row
from bench.topologies import Tree, counted_reads, random_topology

CHANGED = Row(
    name="leaf reads per read of the top, every leaf changed",
    goal=1.0,
    unit="reads of one leaf",
    reference="none: counted over random topologies of 1 to 40 leaves, the most of any leaf",
)
UNCHANGED = Row(
    name="leaf reads per read of the top, nothing changed",
    goal=0.0,
    unit="reads",
    reference="none: counted over the same topologies, all leaves together",
)
ROWS = (CHANGED, UNCHANGED)
TOPOLOGIES = 50
NOW_S = 1000.0


def count(seed: int) -> tuple[int, int]:
    """Return the most reads of any leaf after every leaf changed, and all reads when nothing changed."""
    tree = Tree(random_topology(random.Random(seed)), NOW_S)  # noqa: S311 (reproducible)
    tree.top.status(NOW_S)
    for leaf in tree.leaves:
        leaf.modify({"voltage_v": 48.5}, NOW_S)
    with counted_reads() as reads:
        tree.top.status(NOW_S)
    most = max(reads.values())
    with counted_reads() as reads:
        tree.top.status(NOW_S)
    return most, reads.total()


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Count; each round has its own topologies."""
    del quick
    changed, unchanged = Rounds(), Rounds()
    for number in range(rounds):
        counts = [count(number * TOPOLOGIES + each) for each in range(TOPOLOGIES)]
        changed.add(max(most for most, _ in counts))
        unchanged.add(max(none for _, none in counts))
    return {name: each for name, each in ((CHANGED.name, changed), (UNCHANGED.name, unchanged)) if name in wanted}
