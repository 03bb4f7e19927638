"""What devices are to be told of a plan, and in which order: lowered first, settled then, raised last (control.md)."""

from collections.abc import Sequence
from dataclasses import dataclass

from bosd.bal.battery import DeviceLeaf
from bosd.bal.dispatch import Plan

SAME_END_S = 0.25
LOST_PAUSE_S = 5.0
"""Pause before a device that cannot be commanded now is told again."""


@dataclass(frozen=True, slots=True)
class Move:
    """One device's change: from what it counts at to what it is told; `back_a` is what it was told before.

    One that is not `certain` may run less than it counts at.
    """

    leaf: DeviceLeaf
    old_a: float
    new_a: float
    back_a: float
    ends_s: float | None
    certain: bool = True

    def undone(self) -> "Move":
        """Return the change that takes this one back."""
        return Move(self.leaf, self.new_a, self.back_a, self.back_a, self.ends_s)

    def to_zero(self) -> "Move":
        """Return the part of a change of direction that lowers."""
        return Move(self.leaf, self.old_a, 0.0, self.back_a, self.ends_s)

    def from_zero(self) -> "Move":
        """Return the part of a change of direction that raises."""
        return Move(self.leaf, 0.0, self.new_a, 0.0, self.ends_s)

    @property
    def turns(self) -> bool:
        """Whether the direction changes."""
        return self.new_a * self.old_a < 0.0

    @property
    def lowers(self) -> bool:
        """Whether the magnitude does not grow, nor the direction turn; the same again may be more than runs now."""
        if self.turns or (not self.certain and self.new_a and self.new_a == self.old_a):
            return False
        return abs(self.new_a) <= abs(self.old_a)

    @property
    def settles(self) -> bool:
        """Whether it may turn out either way: less than it counts at, and perhaps more than runs now."""
        return self.lowers and not self.certain and self.new_a != 0.0


def moves_of(plan: Plan, now_s: float, *, asked: bool = False) -> list[Move]:
    """Return the devices that must be told something: another current, one whose answer is missing, or a later end.

    One that cannot be commanded and did not follow a moment ago is left alone for now, but where it was stopped over a current
    that nobody asks for any more; at `now_s` infinite none is. Where somebody `asked`, what `strays` is told again, and 0 A also
    to what `rests_unseen`; a booking of 0 A tells what is `untold`. That 0 A that `holds_down` something has a later end is told
    afterwards: nobody waits for it who asked.
    """
    moves = []
    for leaf, new_a in plan.devices:
        ends_s = plan.ends_s.get(leaf)
        if leaf in plan.lost and now_s < leaf.failed_s + LOST_PAUSE_S and not _is_left_asking(leaf, new_a, now_s):
            continue
        unsure = leaf.unconfirmed_a is not None or (asked and bool(leaf.strays))
        unsure = unsure or (new_a == 0.0 and (leaf.rests_unseen if asked else leaf.untold) and plan.is_meant(leaf))
        moves_on = new_a != 0.0 or ends_s is None or (leaf.holds_down and not asked)
        if leaf.counts_at_a != new_a or unsure or (leaf.expires and moves_on and _end_moved(leaf, new_a, ends_s, now_s)):
            moves.append(Move(leaf, leaf.counts_at_a, new_a, leaf.applied_a, ends_s, leaf.unconfirmed_a is None))
    return moves


def phases_of(moves: Sequence[Move]) -> tuple[list[Move], list[Move], list[Move]]:
    """Return what is lowered first, what is settled then, and what is raised last.

    What is settled needs room that the first made, and may make room for the last. One of several that changes direction goes to
    0 A first: while its answer is missing it must not count on the wrong side.
    """
    by_way_of_zero = [move for move in moves if move.turns] if len(moves) > 1 else []
    settling = [move for move in moves if move.settles]
    lowering = [move for move in moves if move.lowers and not move.settles] + [move.to_zero() for move in by_way_of_zero]
    raising = [move.from_zero() if move in by_way_of_zero else move for move in moves if not move.lowers]
    return lowering, settling, raising


def _is_left_asking(leaf: DeviceLeaf, new_a: float, now_s: float) -> bool:
    """Return whether what was asked of it before is in force again once its owner, who stopped it, releases it."""
    return new_a == 0.0 and leaf.applied_a != 0.0 and leaf.status(now_s).stopped


def _end_moved(leaf: DeviceLeaf, new_a: float, ends_s: float | None, now_s: float) -> bool:
    if ends_s is None:  # nobody asks for it any more: at 0 A it is given back, and not kept there to the end
        return new_a == 0.0 and leaf.told_ends_s is not None and leaf.told_ends_s > now_s
    return leaf.told_ends_s is None or abs(ends_s - leaf.told_ends_s) > SAME_END_S
