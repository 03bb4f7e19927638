"""Read-back (design, decision 7): does a device do what it was told? Commanded, held, measured, and for how long they differ."""

from dataclasses import dataclass
from typing import Literal

Way = Literal["less", "more"]
"""Whether a device does less than it was told, or more: another direction counts as more."""

CLEAR_MORE_S = 60.0
"""How long a device that did more than it was told has to do as it is told before it is trusted again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is known at one look, positive on discharge; None is unknown.

    `held_a` is what the device says that it goes on with, at `held_s`; `measured_a` what the battery measured at `measured_s`.
    `restrained_by` says why the device gives less than it holds of its own accord: a charger at its top voltage. `wrong` is what
    it holds besides its current and was not told to: another voltage.
    """

    commanded_a: float
    held_a: float | None = None
    held_s: float = 0.0
    measured_a: float | None = None
    measured_s: float = 0.0
    restrained_by: str = ""
    wrong: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A device that does not follow: the numbers, and which way."""

    way: Way
    held: bool
    reading: Reading

    @property
    def runs_away(self) -> bool:
        """Whether the device itself says that it does more than it was told: it is to be told 0 A."""
        return self.held and self.way == "more"

    def __str__(self) -> str:
        """Return it in words, with all three numbers."""
        now = self.reading
        numbers = f"commanded {now.commanded_a:g} A, held {amperes(now.held_a)}, measured {amperes(now.measured_a)}"
        return "; ".join(filter(None, (numbers, now.wrong, now.restrained_by)))


def amperes(current_a: float | None) -> str:
    """Return a current for people."""
    return "unknown" if current_a is None else f"{current_a:.3g} A"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowRule:
    """What counts as following: within `tolerance_a`, and for no longer than `within_s` not.

    A `gate` switches directions and leaves the amount to the load: only the direction, and nothing at 0 A, is judged.
    """

    tolerance_a: float
    within_s: float
    gate: bool = False

    def held_way(self, now: Reading) -> Way | None:
        """Return which way the device's own set point differs; None where it does not, or is unknown."""
        if now.wrong:
            return "more"
        if now.held_a is None or self.gate:
            return None
        return self._way(now.commanded_a, now.held_a)

    def measured_way(self, now: Reading) -> Way | None:
        """Return which way the measured current differs; None where it does not, or says nothing about the device.

        At 0 A a device that holds 0 A follows, whatever else is wired to the battery.
        """
        if now.measured_a is None:
            return None
        if self.gate:
            return "more" if self._wrong_direction(now.commanded_a, now.measured_a) else None
        if now.commanded_a == 0.0 and now.held_a is not None:
            return None
        way = self._way(now.commanded_a, now.measured_a)
        return None if way == "less" and now.restrained_by and now.held_a is not None else way

    def _way(self, commanded_a: float, current_a: float) -> Way | None:
        if abs(current_a - commanded_a) <= self.tolerance_a:
            return None
        less = current_a * commanded_a >= 0.0 and abs(current_a) < abs(commanded_a)
        small = abs(current_a) <= self.tolerance_a
        return "less" if less or (small and commanded_a != 0.0) else "more"

    def _wrong_direction(self, commanded_a: float, current_a: float) -> bool:
        if abs(current_a) <= self.tolerance_a:
            return False
        return current_a * commanded_a <= 0.0


class Follower:
    """Judges one device's readings, one after the other; `deviation` is what stands against it, None while it follows.

    What is unknown changes nothing. A measurement counts from the instant of its sample on, and only if that is later than the
    command. `within_s` of readings that differ bring a deviation, `within_s` of readings that agree end it; for one that did
    more than it was told it takes a minute.
    """

    def __init__(self, rule: FollowRule) -> None:
        self.rule = rule
        self.deviation: Deviation | None = None
        self._commanded: tuple[float, float] | None = None
        self._differs_from_s: float | None = None
        self._agrees_from_s: float | None = None

    def look(self, now: Reading, commanded_s: float) -> Deviation | None:
        """Take a reading of a device that was commanded at `commanded_s`; return what stands against it."""
        if self._commanded != (now.commanded_a, commanded_s):
            self._commanded = (now.commanded_a, commanded_s)
            self._differs_from_s = self._agrees_from_s = None
        held = bool(now.wrong) or (now.held_a is not None and not self.rule.gate)
        measured = now.measured_a is not None and now.measured_s > commanded_s
        held_way = self.rule.held_way(now) if held else None
        measured_way = self.rule.measured_way(now) if measured else None
        if held_way is not None or measured_way is not None:
            at_s = now.held_s if held_way is not None else now.measured_s
            self._differs(now, at_s, held_way, measured_way)
        elif held or measured:
            self._agrees(max(now.held_s if held else now.measured_s, now.measured_s if measured else now.held_s))
        return self.deviation

    def _differs(self, now: Reading, at_s: float, held_way: Way | None, measured_way: Way | None) -> None:
        self._agrees_from_s = None
        if self._differs_from_s is None:
            self._differs_from_s = at_s
        if at_s - self._differs_from_s >= self.rule.within_s or self.deviation is not None:
            way: Way = "more" if "more" in (held_way, measured_way) else "less"
            self.deviation = Deviation(way=way, held=held_way is not None, reading=now)

    def _agrees(self, at_s: float) -> None:
        self._differs_from_s = None
        if self._agrees_from_s is None:
            self._agrees_from_s = at_s
        if self.deviation is None:
            return
        needed_s = CLEAR_MORE_S if self.deviation.way == "more" else self.rule.within_s
        if at_s - self._agrees_from_s >= needed_s:
            self.deviation = None
