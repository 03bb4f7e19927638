"""What is granted at one place, and what of a limit falls to one battery."""

import math
from dataclasses import dataclass

from bosd.bal.cap import Cap
from bosd.limits.parts import BUDGET

MOVE = 0.01
"""A part is moved when it should be another one by more than this part of the limit, as shares are (bal.md, "Aggregators")."""


def _converted(amount: float, at_v: float, *, from_watts: bool, to_watts: bool) -> float:
    """Return an amount in watts or amperes in the other unit."""
    if from_watts is to_watts:
        return amount
    if to_watts:
        return amount * at_v
    return amount / at_v if at_v > 0.0 else math.inf


@dataclass(slots=True)
class Granted:
    """What is granted at one place: `counted` is the most that may be in force there, None while nobody knows.

    `confirmed` is what is known to be in force. `watts` tells the unit; withdrawn and never granted are both None with `clean`.
    `sure` is false while nobody knows whether anything is in force there: a first grant, or a withdrawal, that has no answer yet.
    `wanted` is what is to be in force, in watts where `wants_watts`.
    """

    watts: bool = True
    counted: float | None = None
    confirmed: float | None = None
    wanted: float | None = None
    wants_watts: bool = True
    clean: bool = True
    sure: bool = True
    revision: int = 0
    sending: bool = False
    failed_s: float = -math.inf
    why: str = ""

    def counted_as(self, *, watts: bool, at_v: float) -> float | None:
        """Return what counts, in the unit of a limit."""
        return None if self.counted is None else _converted(self.counted, at_v, from_watts=self.watts, to_watts=watts)

    def want(self, amount: float, *, watts: bool, at_v: float) -> None:
        """Want no more than this as well; of two units the one in which it is tighter, by more than MOVE than what is granted."""
        if self.wanted is not None:
            other = _converted(amount, at_v, from_watts=watts, to_watts=self.wants_watts)
            if watts is not self.wants_watts:
                other *= 1.0 + MOVE if self.wants_watts is self.watts else 1.0 - MOVE
            if self.wanted <= other:
                return
        self.wanted, self.wants_watts = amount, watts

    @property
    def in_force(self) -> bool:
        """Tell whether what is wanted is known to be in force."""
        return self.clean if self.wanted is None else self.confirmed == self.wanted and self.watts is self.wants_watts

    def turn(self, *, at_v: float) -> None:
        """Count in the unit that is wanted."""
        if self.wanted is not None and self.watts is not self.wants_watts:
            counted = self.counted_as(watts=self.wants_watts, at_v=at_v)
            self.watts, self.counted, self.confirmed = self.wants_watts, counted, None


@dataclass(frozen=True, slots=True)
class Part:
    """What of a limit falls to a leaf: `amount` in W or A as the limit is, and the limit's words."""

    amount: float
    watts: bool
    text: str
    at_grid: bool

    def cap(self, *, discharging: bool) -> Cap:
        """Return the part as a cap."""
        unit = "W" if self.watts else "A"
        return Cap(
            source=BUDGET,
            discharging=discharging,
            limit_w=self.amount if self.watts else None,
            limit_a=None if self.watts else self.amount,
            at_grid=self.at_grid,
            text=f"{self.amount:.4g} {unit}, its part of {self.text}",
        )
