"""What is granted at one place, and what of a limit falls to one battery."""

import math
from dataclasses import dataclass

from bosd.bal.cap import Cap
from bosd.limits.parts import BUDGET


@dataclass(slots=True)
class Granted:
    """What is granted at one place: `counted` is the most that may be in force there, None while nobody knows.

    `confirmed` is what is known to be in force. `watts` tells the unit; withdrawn and never granted are both None with `clean`.
    """

    watts: bool = True
    counted: float | None = None
    confirmed: float | None = None
    wanted: float | None = None
    clean: bool = True
    revision: int = 0
    sending: bool = False
    failed_s: float = -math.inf
    why: str = ""

    def counted_as(self, *, watts: bool, at_v: float) -> float | None:
        """Return what counts, in the unit of a limit."""
        if self.counted is None or self.watts is watts:
            return self.counted
        return self.counted / at_v if self.watts and at_v > 0.0 else self.counted * at_v if not self.watts else math.inf


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
