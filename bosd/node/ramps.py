"""Ramps: what comes back after a loss comes back slowly (control.md, "Limits over a distance"). Lowerings are never ramped.

While a device or stub cannot be reached a cap stands at what it counts at, lowered to what a stub's owner says that it runs;
when it is back the cap rises from there, and goes with the battery's limit. The same when alone limits end. Nothing is ramped
where nothing was asked: a new request is no return.
"""

import math
from collections.abc import Callable, Container, Iterable
from typing import NamedTuple

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import RAMP
from bosd.bal.caps import is_beyond_reach
from bosd.bal.directory import Directory
from bosd.bal.ramp import ramp_caps
from bosd.bal.status import HEARD
from bosd.clock import Clock

FULL_S = 10.0
"""From nothing to full, where `max_ramp_a_per_s` is not given."""


class _Line(NamedTuple):
    """What is back rises from `from_a` since `began_s`; `put_a` is what it was allowed at the last look."""

    began_s: float
    from_a: float
    put_a: float


class Ramps:
    """Looked after with the alone limits, four times a second; `changed` has what rests on a battery put in force again."""

    def __init__(self, directory: Directory, clock: Clock, changed: Callable[[Iterable[Battery]], None]) -> None:
        self._directory = directory
        self._clock = clock
        self._changed = changed
        self._reached: set[Battery] = set()
        self._away: dict[Battery, float] = {}
        self._rising: dict[Battery, _Line] = {}

    def attend(self) -> bool:
        """Hold down what is away, and let what is back rise; return whether there is any."""
        now_s = self._clock.now_s()
        present = {battery: None for battery in self._directory if isinstance(battery, DeviceLeaf)}
        self._away = {leaf: from_a for leaf, from_a in self._away.items() if leaf in present}
        self._inherit(present)
        for leaf in present:
            self._look(leaf, now_s)
        self._reached &= present.keys()
        for battery in [each for each in self._rising if self._directory.batteries.get(each.name) is not each]:
            del self._rising[battery]
        for battery in list(self._rising):
            self._rise(battery, now_s)
        return bool(self._away or self._rising)

    def _inherit(self, present: Container[Battery]) -> None:
        """Go on with what an edit replaced while it was held down, or rose: the ramp's caps stay with the name."""
        for battery in self._directory:
            if not battery.caps or battery in self._away or battery in self._rising or _allowed_a(battery) == math.inf:
                continue
            if battery in present:
                self._reached.add(battery)
                self._away[battery] = _allowed_a(battery)
            else:
                self.returned(battery, _allowed_a(battery))

    def _look(self, leaf: DeviceLeaf, now_s: float) -> None:
        if not _is_lost(leaf, now_s):
            self._reached.add(leaf)
            if (from_a := self._away.pop(leaf, None)) is not None:
                self.returned(leaf, min(from_a, _allowed_a(leaf), leaf.known_a))
        elif leaf in self._reached:
            if self._asked_above(leaf):
                self._away[leaf] = min(abs(leaf.counts_at_a), _allowed_a(leaf))
                leaf.put_caps(RAMP, ramp_caps(self._away[leaf]))
            elif self._away.pop(leaf, None) is not None:
                leaf.put_caps(RAMP, ())

    def returned(self, battery: Battery, from_a: float) -> None:
        """Let a battery rise from what it runs, if anything is asked of it."""
        if self._asked_above(battery):
            self._rising[battery] = _Line(self._clock.now_s(), from_a, from_a)
            self._rise(battery, self._clock.now_s())
        elif battery.put_caps(RAMP, ()):
            self._changed(self._directory.tops_with(battery))

    def _asked_above(self, battery: Battery) -> bool:
        return any(
            top.setpoint is not None or top.booked is not None or top.spec.safe_current_a != 0.0
            for top in self._directory.tops_with(battery)
        )

    def _rise(self, battery: Battery, now_s: float) -> None:
        line = self._rising[battery]
        if (allowed_a := _allowed_a(battery)) < line.put_a:  # its owner let go meanwhile: it rises from what runs there now
            line = _Line(now_s, allowed_a, allowed_a)
        status = battery.status(now_s)
        full_a = max(status.max_discharge_current_a, status.max_charge_current_a)
        given_a_per_s = getattr(battery.spec, "max_ramp_a_per_s", None)
        rate_a_per_s = full_a / FULL_S if given_a_per_s is None else given_a_per_s
        most_a = line.from_a + rate_a_per_s * (now_s - line.began_s)
        self._rising[battery] = line._replace(put_a=most_a)
        over = most_a >= full_a and now_s > line.began_s
        if over:
            del self._rising[battery]
        if battery.put_caps(RAMP, () if over else ramp_caps(most_a)):
            self._changed(self._directory.tops_with(battery))


def _allowed_a(battery: Battery) -> float:
    """Return what the ramp allows at most, which a stub lowers by itself when it hears what its owner runs; infinite without."""
    return min((cap.limit_a for cap in battery.caps if cap.source == RAMP and cap.limit_a is not None), default=math.inf)


def _is_lost(leaf: DeviceLeaf, now_s: float) -> bool:
    """Tell whether a leaf cannot be reached: a stub whose node is heard may be held by somebody else, or be held down there.

    What lies behind two nodes that are heard shows itself by what they could not confirm.
    """
    status = leaf.status(now_s)
    if not is_beyond_reach(leaf, status):
        return False
    unsure = leaf.unconfirmed_a is not None and not leaf.held_elsewhere
    return status.link not in HEARD or leaf.lost_behind or unsure
