"""A cap: what a battery may carry at most in one direction, whoever says so, and the grant of one to another node."""

from dataclasses import dataclass
from typing import NamedTuple

RAMP = "ramp"
"""The source of caps that hold down what comes back after a loss."""
FAR = "far"
"""The source of caps of a stub: what its owner's own limits let it carry."""
GRANTED = "granted"
"""Stands for caps that are `granted` where sources are left out."""


class Beside(NamedTuple):
    """What flows at a battery's meter beside what the battery accounts for, in watts, fed in positive, drawn negative.

    Where the meter is heard both are the same. Else each is what tightens its direction, as what is not seen allows nothing.
    """

    charge_w: float
    discharge_w: float


NOTHING_BESIDE = Beside(0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A cap in force. Exactly one of `limit_w` and `limit_a` is set, a magnitude; 0 lets nothing flow.

    `source` is who puts and takes it away (alone, book, ramp, gate, budget, far), `identity` tells its caps from each other,
    `text` names it after "clamped to". `at_grid`: the watts are counted at the grid's side of the converter. `granted` is a part
    of another node's limit.
    """

    source: str
    discharging: bool
    text: str
    limit_w: float | None = None
    limit_a: float | None = None
    at_grid: bool = False
    identity: str = ""
    granted: bool = False


class OwnLimit(NamedTuple):
    """What the limits of a battery's own node let it carry in one direction, a magnitude, and the tightest of them in words."""

    limit_a: float
    text: str


NO_OWN_LIMITS: tuple[OwnLimit | None, OwnLimit | None] = (None, None)
"""For charge, and for discharge."""


class Unreached(NamedTuple):
    """What is not reached below a battery by its own node, for limits on it in one direction.

    It draws, or may draw, `aside_w`, a magnitude at the grid's side of that node, and `aside_a`. `why` is why it may be more,
    empty where it is at most that `within_s` after a change.
    """

    aside_w: float = 0.0
    aside_a: float = 0.0
    why: str = ""
    within_s: float = 0.0


MOST_TOLD = 1e8
"""What nodes tell each other as more watts, amperes or seconds than that counts as so many: nothing has more, and sums of it are
told on; where no voltage is known there is no end of them."""


def at_most_told(amount: float | None) -> float | None:
    """Return an amount as it counts; None stays none."""
    return None if amount is None else min(amount, MOST_TOLD)


ALL_REACHED: tuple[Unreached | None, Unreached | None] = (None, None)
"""For limits on charge, and on discharge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A part of limits that another node's battery is granted in one direction; without watts and amperes it is withdrawn.

    It stays in force there until one with a larger `revision` comes; with both, both are.
    """

    discharging: bool
    revision: int
    limit_w: float | None = None
    limit_a: float | None = None
