"""A home battery: cells behind an inverter that follows a set point or serves its house, in simulated time."""

import math
import random
from dataclasses import dataclass

from bosd.errors import InvalidArgumentError

MODULE_V = 102.4
"""Nominal voltage of one module, 32 cells of 3.2 V (`nominalmoduledcvoltage` of published answers)."""
CELLS_PER_MODULE = 32
UNUSED = 0.07
"""Part of the capacity below 0 % of the user's state of charge: published answers have RSOC 32 with USOC 26, 8 with 0."""
EFFICIENCY = 0.95
"""Of the inverter, one way."""
SLEW_W_PER_S = 2000.0
IDLE_W = 3.0
"""What an idle battery takes for itself; published answers show 2 to 5 W."""
_STEP_S = 1.0
_MOST_STEPS = 200_000
_REST_V = (3.0, 3.2, 3.27, 3.30, 3.32, 3.38)
"""Voltage of a resting LFP cell at 0, 20 .. 100 %, which is flat in between."""
_RESISTANCE_OHM = 0.0008
"""Of one cell, whose capacity is 50 Ah."""


@dataclass(slots=True, kw_only=True)
class Options:
    """What stands fixed at start: capacity in Wh with the unused part, the inverter's power in W, modules in series."""

    capacity_wh: float = 10_000.0
    inverter_w: float = 4600.0
    soc: float = 0.5
    seed: int = 1
    series: int = 2
    rate: float = 1.0
    reserve: int = 0

    def __post_init__(self) -> None:
        check("capacity_wh", self.capacity_wh, 100.0, 1e6)
        check("inverter_w", self.inverter_w, 100.0, 1e5)
        check("soc", self.soc, 0.0, 1.0)
        check("series", self.series, 1, 10)
        check("rate", self.rate, 0.01, 10_000.0)
        check("reserve", self.reserve, 0, 100)


class Model:
    """State at `at_s`, moved on by `step_to`; powers in W, positive on discharge, at the AC side; `soc` is the user's, 0..1."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.at_s = 0.0
        self.usable_wh = options.capacity_wh * (1.0 - UNUSED)
        self.stored_wh = options.soc * self.usable_wh
        self.power_w = 0.0
        self.set_point_w = 0.0
        self.mode = "2"
        self.on_grid = True
        self.consumption_w = 350.0
        self.production_w = 0.0
        self.discharged_wh = 0.0
        self.temperature_c = 21.0
        self._chance = random.Random(f"{options.seed}/house")  # noqa: S311 (reproducible, no secret)

    @property
    def soc(self) -> float:
        """The user's state of charge."""
        return self.stored_wh / self.usable_wh

    @soc.setter
    def soc(self, soc: float) -> None:
        self.stored_wh = soc * self.usable_wh

    @property
    def nominal_v(self) -> float:
        """Nominal voltage of the modules in series."""
        return MODULE_V * self.options.series

    @property
    def voltage_v(self) -> float:
        """Voltage of the cells' side: at rest by charge, less the drop in the cells."""
        return CELLS_PER_MODULE * self.options.series * self.cell_v

    @property
    def cell_v(self) -> float:
        """Voltage of one cell, all of which are alike."""
        full = UNUSED + self.soc * (1.0 - UNUSED)
        place = min(max(full, 0.0), 1.0) * (len(_REST_V) - 1)
        low = min(int(place), len(_REST_V) - 2)
        rest_v = _REST_V[low] + (place - low) * (_REST_V[low + 1] - _REST_V[low])
        parallel = max(1.0, self.options.capacity_wh / (self.nominal_v * 50.0))
        return rest_v - _RESISTANCE_OHM * self.power_w / self.nominal_v / parallel

    @property
    def wanted_w(self) -> float:
        """What is asked of the inverter: the set point in manual mode, else what the house lacks or has too much."""
        if not self.on_grid:
            return self.consumption_w - self.production_w
        asked_w = self.set_point_w if self.mode == "1" else self.consumption_w - self.production_w
        if asked_w > 0.0 and self.soc <= self.options.reserve / 100.0:
            return 0.0
        return 0.0 if asked_w < 0.0 and self.soc >= 1.0 else asked_w

    def step_to(self, at_s: float) -> None:
        """Move on to `at_s`; an instant in the past changes nothing."""
        left_s = at_s - self.at_s
        if left_s <= 0.0:
            return
        step_s = max(_STEP_S, left_s / _MOST_STEPS)
        while left_s > 0.0:
            self._step(min(step_s, left_s))
            left_s -= step_s
        self.at_s = at_s

    def _step(self, seconds: float) -> None:
        limit_w = self.options.inverter_w
        wanted_w = min(max(self.wanted_w, -limit_w), limit_w)
        change_w = SLEW_W_PER_S * seconds
        before_w = self.power_w
        self.power_w += min(max(wanted_w - before_w, -change_w), change_w)
        mean_w = 0.5 * (before_w + self.power_w)
        drawn_w = mean_w / EFFICIENCY if mean_w > 0.0 else mean_w * EFFICIENCY
        before_wh = self.stored_wh
        self.stored_wh = min(max(before_wh - drawn_w * seconds / 3600.0, 0.0), self.usable_wh)
        self.discharged_wh += max(0.0, before_wh - self.stored_wh)
        if self.stored_wh in (0.0, self.usable_wh) and drawn_w * (0.5 - self.soc) > 0.0:
            self.power_w = 0.0
        self.consumption_w = max(0.0, self.consumption_w + self._chance.gauss(0.0, 1.0) * math.sqrt(seconds))


def check(key: str, value: object, lowest: float, highest: float) -> float:
    """Return a number within its range. Raises InvalidArgumentError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise InvalidArgumentError(f"{key} must be a number from {lowest:g} to {highest:g}, not {value!r:.80}", key=key)
    return float(value)
