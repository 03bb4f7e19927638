"""What devices are told at a stop: less than they run, and 0 A where it is not sure that nothing flows."""

import math
from collections.abc import Iterable, Sequence

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.dispatch import Plan
from bosd.bal.physical import PhysicalBattery
from bosd.node.moves import Move, moves_of


def lower_computed(planned: Plan, now_s: float) -> None:
    """Lower at once what exists in software only; meters of partitions end their interval first."""
    for splitter in planned.splitters:
        splitter.step(now_s)
    for leaf, current_a in planned.computed:
        if current_a * leaf.applied_a < 0.0:
            leaf.apply(0.0, now_s)
        elif abs(current_a) <= abs(leaf.applied_a):
            leaf.apply(current_a, now_s)


def moves_to_stop(planned: Plan, batteries: Iterable[Battery]) -> list[Move]:
    """Return the lowering part of a plan, and 0 A for each stopped device nobody told anything, `rests_unseen` or `strays`."""
    moves = moves_of(planned, math.inf)
    lowering = [move.to_zero() if move.turns else move for move in moves if move.turns or move.lowers]
    told = {move.leaf for move in lowering}
    unsure = _unsure_below(battery for battery in batteries if battery.stopped)
    return lowering + [Move(leaf, 0.0, 0.0, 0.0, None) for leaf in unsure if leaf not in told]


def not_confirmed(moves: Sequence[Move]) -> list[str]:
    """Return the devices that may still run more than they were told."""
    return [move.leaf.name for move in moves if _is_missed(move)]


def _is_missed(move: Move) -> bool:
    leaf = move.leaf
    return abs(leaf.counts_at_a) > abs(move.new_a) or (isinstance(leaf, PhysicalBattery) and _is_unsure(leaf))


def _is_unsure(leaf: PhysicalBattery) -> bool:
    return not leaf.told or bool(leaf.strays) or (leaf.rests_unseen and leaf.unconfirmed_a is not None)


def _unsure_below(batteries: Iterable[Battery]) -> dict[PhysicalBattery, None]:
    """Return their own devices; one that is shared through a splitter belongs to none of the partitions."""
    found: dict[PhysicalBattery, None] = {}
    for battery in batteries:
        if isinstance(battery, PhysicalBattery) and battery.controllable:
            if not battery.told or battery.rests_unseen or battery.strays:
                found[battery] = None
        elif isinstance(battery, Aggregator):
            found |= _unsure_below(battery.sources)
    return found
