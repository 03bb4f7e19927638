"""Limits that are judged at a meter (control.md, "Limits over a distance"): what flows there beside the battery is learnt.

A battery's `meter` names the battery that measures at the grid's side. What it measures less what the battery accounts for,
by its own samples and its efficiency, flows beside it: losses, a load, a roof. A limit has that much less or more left for it.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.cap import Beside
from bosd.bal.caps import efficiency
from bosd.bal.directory import Directory
from bosd.bal.spec import BatterySpec
from bosd.bal.status import HEARD, BatteryStatus, Link, Quality
from bosd.clock import Clock

STEADY_W = 10.0
"""Half of the fixed part of the tolerance (20 W): a change of less moves nothing."""
MOST_SAMPLES = 64

_log = structlog.get_logger("limits")


class _Seen(NamedTuple):
    """What a battery accounted for at the grid's side, in watts, and between which instants that was measured."""

    from_s: float
    to_s: float
    power_w: float


@dataclass(slots=True)
class _Trace:
    """What is known of one metered battery: its last samples, when it was last told another current, and what was learnt."""

    samples: deque[_Seen] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))
    applied_a: float = 0.0
    moved_s: float = -math.inf
    learnt_w: float = 0.0
    heard: bool = False

    def note(self, battery: Battery, now_s: float) -> None:
        """Take up what the battery does now."""
        if battery.applied_a != self.applied_a:
            self.applied_a, self.moved_s = battery.applied_a, now_s
        status = battery.status(now_s)
        if status.power_w is None:
            return
        part = efficiency(battery, discharging=status.power_w > 0.0)
        at_grid_w = status.power_w * part if status.power_w > 0.0 else status.power_w / part
        seen = _Seen(*_instants(status, now_s), at_grid_w)
        if not self.samples or seen.to_s > self.samples[-1].to_s:
            self.samples.append(seen)

    def learn(self, meter: BatteryStatus, now_s: float) -> None:
        """Learn from a sample of the meter, as soon as it is certain enough what the battery did meanwhile.

        Where that changed, what was learnt stays as far as it agrees with any of it.
        """
        if meter.power_w is None or not self.samples:
            return
        from_s, to_s = _instants(meter, now_s)
        before = max((each for each in self.samples if each.to_s <= from_s), key=lambda each: each.to_s, default=self.samples[0])
        after = next((each for each in self.samples if each.from_s >= to_s), None)
        if after is None:
            if self.moved_s >= before.from_s:
                return
            after = self.samples[-1]
        between = [each.power_w for each in self.samples if before.to_s <= each.to_s <= after.to_s]
        low_w, high_w = meter.power_w - max(between), meter.power_w - min(between)
        self.learnt_w = min(max(self.learnt_w, low_w), high_w)


def _instants(status: BatteryStatus, now_s: float) -> tuple[float, float]:
    """Return between which instants a status was measured; one of a battery in software is so now."""
    from_s, to_s = status.sampled_from_s, status.sampled_to_s
    if from_s is None or to_s is None:
        return now_s, now_s
    return min(from_s, now_s), min(to_s, now_s)


def is_heard(meter: Battery | None, now_s: float) -> bool:
    """Tell whether what a meter measures counts."""
    if meter is None:
        return False
    status = meter.status(now_s)
    return status.power_w is not None and status.quality is Quality.GOOD and status.link in (Link.LOCAL, *HEARD)


class Meters:
    """Looks with the book, four times a second, at every battery that has a meter."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._traces: dict[Battery, _Trace] = {}

    def attend(self) -> list[Battery]:
        """Learn what flows beside batteries; return those whose limits allow something else by it."""
        now_s = self._clock.now_s()
        metered = [(battery, meter) for battery in self._directory if (meter := meter_of(battery)) is not None]
        self._traces = {battery: self._traces.get(battery) or _begun(battery) for battery, _ in metered}
        return [battery for battery, name in metered if self._look(battery, self._directory.batteries.get(name), now_s)]

    @property
    def busy(self) -> bool:
        """Whether a battery has a meter."""
        return bool(self._traces)

    def _look(self, battery: Battery, meter: Battery | None, now_s: float) -> bool:
        trace = self._traces[battery]
        trace.note(battery, now_s)
        heard = is_heard(meter, now_s)
        if heard and meter is not None:
            trace.learn(meter.status(now_s), now_s)
        if heard is not trace.heard:
            trace.heard = heard
            (_log.info if heard else _log.warning)("meter_heard" if heard else "meter_lost", battery=battery.name)
        beside_w = trace.learnt_w
        now = Beside(beside_w, beside_w) if heard else Beside(min(0.0, beside_w), max(0.0, beside_w))
        small = all(abs(new - old) <= STEADY_W for new, old in zip(now, battery.beside_w, strict=True))
        if small:
            return False
        battery.beside_w = now
        return True


def _begun(battery: Battery) -> _Trace:
    """Return the trace of a battery that may have been there before under another specification."""
    tighter = battery.beside_w
    return _Trace(applied_a=battery.applied_a, learnt_w=tighter.charge_w or tighter.discharge_w)


def meters_of(battery: Battery) -> list[str]:
    """Return the names of the meters that count for a limit on a battery: its own, else those of an aggregate's members."""
    if (own := meter_of(battery)) is not None:
        return [own]
    return [name for member in battery.sources for name in meters_of(member)] if isinstance(battery, Aggregator) else []


def meter_of(battery: Battery) -> str | None:
    """Return the name of what measures a battery's power at the grid; None where its efficiency says."""
    return battery.spec.meter if isinstance(battery.spec, BatterySpec) else None
