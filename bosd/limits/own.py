"""What limits of this node let its batteries carry, told to other nodes that plan with them.

Parts of limits of other nodes are left out: what those grant follows from what they plan, and would follow itself.
"""

import math

from bosd.bal.alone import ALONE
from bosd.bal.battery import Battery
from bosd.bal.cap import FAR, GRANTED, RAMP, OwnLimit
from bosd.bal.caps import can_take_a, tightest
from bosd.bal.directory import Directory
from bosd.clock import Clock
from bosd.limits import gates
from bosd.limits.entry import SOURCE
from bosd.limits.parts import BUDGET

PASSING = (ALONE, BUDGET, GRANTED, RAMP, gates.SOURCE)
"""What passes by itself, or follows from a limit that is looked at anyway."""


class OwnLimits:
    """Looks with the book, four times a second."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def attend(self) -> None:
        """Note at each battery what limits here let it carry, for its status."""
        now_s = self._clock.now_s()
        charge, discharge = (self._found(now_s, discharging=way) for way in (False, True))
        for battery in self._directory:
            if (told := (charge.get(battery), discharge.get(battery))) != battery.own_limits:
                battery.own_limits = told
                battery.touch()

    def _found(self, now_s: float, *, discharging: bool) -> dict[Battery, OwnLimit]:
        limited = {each for each in self._directory if each.caps and _is_limited(each, discharging=discharging)}
        if not limited:
            return {}
        found: dict[Battery, OwnLimit] = {}
        known: dict[Battery, float] = {}
        for battery in self._directory.by_rank:
            if battery not in limited and limited.isdisjoint(battery.sources):
                continue
            limited.add(battery)
            most_a = can_take_a(battery, now_s, discharging=discharging, ignoring=PASSING, known=known)
            if most_a < math.inf:
                bound = tightest(battery, now_s, discharging=discharging, ignoring=PASSING)
                text = bound.cap.text if bound.cap is not None and bound.limit_a <= most_a else "limits below"
                found[battery] = OwnLimit(most_a, text)
        return found


def _is_limited(battery: Battery, *, discharging: bool) -> bool:
    caps = (cap for cap in battery.caps if cap.discharging is discharging)
    return any(cap.source == FAR or (cap.source == SOURCE and not cap.granted) for cap in caps)
