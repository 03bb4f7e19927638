"""What is granted at one place, in watts and in amperes, and what of a limit falls to one battery."""

import asyncio
import math
from dataclasses import dataclass, field

from bosd.bal.battery import Battery
from bosd.bal.cap import Cap
from bosd.limits.parts import BUDGET

MOVE = 0.01
"""A part is moved when it should be another one by more than this part of the limit, as shares are (bal.md, "Aggregators")."""
SAME = 1e-9
UNSURE = math.inf
"""What is stored while nobody knows whether a grant is in force."""


@dataclass(slots=True)
class Amount:
    """What is granted in one unit: `counted` is the most that may be in force there, None while nobody knows.

    `confirmed` is what is known to be in force. Withdrawn and never granted are both None with `clean`. `sure` is false while
    nobody knows whether anything is in force there: a first grant, or a withdrawal, that has no answer yet. `wanted` is what is
    to be in force, `sent` what the last message said. Watts are those at the owner's grid side: behind a stub's own converter.
    """

    counted: float | None = None
    confirmed: float | None = None
    wanted: float | None = None
    sent: float | None = None
    clean: bool = True
    sure: bool = True
    before: tuple[float | None, bool, bool] = (None, True, True)
    """What `counted`, `clean` and `sure` were before the last message."""

    @property
    def in_force(self) -> bool:
        """Whether what is wanted is known to be in force."""
        return self.clean if self.wanted is None else self.confirmed == self.wanted

    def loosened_by(self, amount: float | None) -> bool:
        """Tell whether this allows more than what is counted, which the store is to know before it is sent."""
        return self.counted is not None and (amount is None or amount > self.counted)

    @property
    def tightens(self) -> bool:
        """Whether what is wanted allows less than what may be in force."""
        return self.wanted is not None and (self.counted is None or self.wanted < self.counted)

    @property
    def bounds(self) -> bool:
        """Whether something is known to be in force, of at most `counted`."""
        return self.counted is not None and self.sure and not self.clean

    @property
    def holds_less(self) -> bool:
        """Whether what is known to be in force allows no more than what was sent last."""
        return self.confirmed is not None and self.sent is not None and self.confirmed <= self.sent

    @property
    def stored(self) -> float | None:
        """What the store is to have of it."""
        return None if self.clean else self.counted if self.sure else UNSURE

    @classmethod
    def of_stored(cls, value: float | None) -> "Amount":
        """Return what the store had."""
        sure = value != UNSURE
        return cls(counted=value if sure else None, clean=value is None, sure=sure)

    def want(self, amount: float) -> None:
        """Want no more than this as well; what differs from what is counted by rounding alone does not differ."""
        if self.counted is not None and math.isclose(amount, self.counted, rel_tol=SAME):
            amount = self.counted
        self.wanted = amount if self.wanted is None else min(amount, self.wanted)

    def send(self, amount: float | None) -> None:
        """Count what is about to be sent."""
        self.sent, self.before = amount, (self.counted, self.clean, self.sure)
        if amount is None:
            self.sure = self.sure and self.clean
            return
        if self.counted is None:
            self.sure = False
        self.counted, self.clean = max(amount, self.counted or 0.0), False

    def unsent(self) -> None:
        """Count as before: what was about to be sent was not."""
        self.counted, self.clean, self.sure = self.before

    def answered(self) -> None:
        """Know that what was sent is in force."""
        self.counted = self.confirmed = self.sent
        self.clean, self.sure = self.sent is None, True

    def inherited(self) -> "Amount":
        """Return the same at another place, where nothing is confirmed."""
        return Amount(counted=self.counted, clean=self.clean, sure=self.sure)

    def become(self, amount: float | None) -> None:
        """Know that at most this may be in force, and be told anew; None: nothing."""
        self.counted, self.confirmed, self.clean, self.sure = amount, None, amount is None, True


@dataclass(slots=True)
class Granted:
    """What is granted at one place, in either unit; one message says both."""

    watts: Amount = field(default_factory=Amount)
    amperes: Amount = field(default_factory=Amount)
    revision: int = 0
    sending: bool = False
    saving: asyncio.Task[None] | None = None
    """What waits for the disk, to send something looser then."""
    failed_s: float = -math.inf
    why: str = ""
    failing_s: float = math.inf
    """Since when it is refused, or not answered."""

    def failed(self, why: str, now_s: float) -> bool:
        """Note that it was refused, or not answered; return whether why is new."""
        new, self.why, self.failed_s = why != self.why, why, now_s
        self.failing_s = min(self.failing_s, now_s)
        return new

    def succeeded(self) -> None:
        """Note that it is in force."""
        self.why, self.failing_s = "", math.inf

    def of(self, *, watts: bool) -> Amount:
        """Return what is granted in one unit."""
        return self.watts if watts else self.amperes

    @property
    def both(self) -> tuple[Amount, Amount]:
        """What is granted, in watts and in amperes."""
        return self.watts, self.amperes

    @property
    def clean(self) -> bool:
        """Whether nothing can be in force."""
        return self.watts.clean and self.amperes.clean

    @property
    def in_force(self) -> bool:
        """Whether what is wanted is known to be in force."""
        return self.watts.in_force and self.amperes.in_force

    @property
    def holds_less(self) -> bool:
        """Whether what is refused, or not recorded, is more than what is known to be in force."""
        return all(each.clean or each.holds_less for each in self.both)

    def hurry(self) -> None:
        """Have nothing wait for the disk that is looser, where something is wanted that is tighter than what is in force."""
        before = [each.before[0] for each in self.both]
        tighter = [
            each.wanted is not None and (was is None or each.wanted < was) for each, was in zip(self.both, before, strict=True)
        ]
        if self.saving is not None and any(tighter):
            self.saving.cancel()

    @property
    def words(self) -> str:
        """What may be in force, for a person."""
        parts = [
            "an unknown part" if each.counted is None else f"{each.counted:.4g} {unit}"
            for each, unit in zip(self.both, "WA", strict=True)
            if not each.clean
        ]
        return " and ".join(dict.fromkeys(parts))

    def most(self, *, watts: bool, at_v: float) -> tuple[float | None, bool]:
        """Return the most that may be in force, in one unit, and whether something is for sure; None while nobody knows.

        `at_v` is what an ampere of the battery is worth at its owner's grid side.
        """
        other = self.of(watts=not watts)
        own = self.of(watts=watts).counted
        converted = None if other.counted is None else _converted(other.counted, at_v, to_watts=watts)
        pairs = ((own, self.of(watts=watts)), (converted, other))
        sure = [each for each, amount in pairs if each is not None and amount.bounds]
        return (min(sure), True) if sure else (converted if own is None else own, False)

    def next(self) -> tuple[float | None, float | None]:
        """Return what is to be sent in watts and in amperes: what is tighter first, by itself, as it waits for no disk."""
        tightens = any(each.tightens for each in self.both)
        watts, amperes = (each.counted if tightens and each.loosened_by(each.wanted) else each.wanted for each in self.both)
        return watts, amperes


def _converted(amount: float, at_v: float, *, to_watts: bool) -> float:
    """Return an amount in watts or amperes in the other unit."""
    if to_watts:
        return amount * at_v
    return amount / at_v if at_v > 0.0 else math.inf


def stepped(wanted: dict[Battery, float], known: dict[Battery, float | None], whole: float, left: float) -> dict[Battery, float]:
    """Return what each leaf is to have next: lowered at once, raised by what the others do not count at any more.

    One that has no part yet, None in `known`, is raised from nothing.
    """
    least = MOVE * whole
    counted = {leaf: amount or 0.0 for leaf, amount in known.items()}
    steady = math.fsum(counted.values()) <= left * (1.0 + 1e-9)
    now = {}
    for leaf, amount in wanted.items():
        small = abs(amount - counted[leaf]) <= least
        now[leaf] = counted[leaf] if small and steady else min(amount, counted[leaf])
    room = max(0.0, left - math.fsum(counted.values()))
    more = {leaf: amount - counted[leaf] for leaf, amount in wanted.items()}
    more = {leaf: amount for leaf, amount in more.items() if amount > (0.0 if known[leaf] is None else least)}
    asked = math.fsum(more.values())
    for leaf, amount in more.items():
        now[leaf] = counted[leaf] + amount * min(1.0, room / asked)
    return now


@dataclass(frozen=True, slots=True)
class Part:
    """What of a limit falls to a leaf: `amount` in W or A as the limit is, and the limit's words."""

    amount: float
    watts: bool
    discharging: bool
    text: str
    at_grid: bool

    @property
    def cap(self) -> Cap:
        """Return the part as a cap."""
        unit = "W" if self.watts else "A"
        return Cap(
            source=BUDGET,
            discharging=self.discharging,
            limit_w=self.amount if self.watts else None,
            limit_a=None if self.watts else self.amount,
            at_grid=self.at_grid,
            text=f"{self.amount:.4g} {unit}, its part of {self.text}",
        )
