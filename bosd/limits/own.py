"""What limits of this node let its batteries carry, told to other nodes that plan with them.

Parts of limits of other nodes are left out: what those grant follows from what they plan, and would follow itself.
"""

import math

from bosd.bal.alone import ALONE
from bosd.bal.battery import Battery
from bosd.bal.cap import FAR, GRANTED, NO_OWN_LIMITS, RAMP, OwnLimit
from bosd.bal.caps import can_take_a, tightest
from bosd.bal.directory import Directory
from bosd.bal.partition import Partition
from bosd.clock import Clock
from bosd.limits import gates
from bosd.limits.entry import SOURCE
from bosd.limits.parts import BUDGET, above

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
        limited = {each for battery in self._directory if _is_limited(battery) for each, _ in above(battery)}
        for battery in self._directory:
            told = NO_OWN_LIMITS
            if battery in limited:
                told = (_own_limit(battery, now_s, discharging=False), _own_limit(battery, now_s, discharging=True))
            if told != battery.own_limits:
                battery.own_limits = told
                battery.touch()


def _is_limited(battery: Battery, *ways: bool) -> bool:
    caps = (cap for cap in battery.caps if not ways or cap.discharging in ways)
    return any(cap.source == FAR or (cap.source == SOURCE and not cap.granted) for cap in caps)


def _below(battery: Battery, *, discharging: bool) -> bool:
    sources = (battery.splitter.source,) if isinstance(battery, Partition) else battery.sources
    return _is_limited(battery, discharging) or any(_below(each, discharging=discharging) for each in sources)


def _own_limit(battery: Battery, now_s: float, *, discharging: bool) -> OwnLimit | None:
    if not _below(battery, discharging=discharging):
        return None
    most_a = can_take_a(battery, now_s, discharging=discharging, ignoring=PASSING)
    if most_a == math.inf:
        return None
    bound = tightest(battery, now_s, discharging=discharging, ignoring=PASSING)
    return OwnLimit(most_a, bound.cap.text if bound.cap is not None and bound.limit_a <= most_a else "limits below")
