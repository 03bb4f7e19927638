"""Totals: what an aggregate's members add up to, first by figures, then member by member for those with a peculiarity."""

import math

from bosd.bal.crate import BestSet, best_set
from bosd.bal.figures import Figures, is_derated
from bosd.bal.meter import SECONDS_PER_HOUR
from bosd.bal.status import BatteryStatus


class Direction:
    """What the members can carry in one direction.

    `rate_per_h` and `weight_ah` are the least rate and the sum of weights of those at their full limit; derated ones are kept
    apart by rate, weight and name. `ideal_per_h` is the least ideal rate, None when a member's is unknown.
    """

    __slots__ = ("derated", "ideal_per_h", "names", "rate_per_h", "weight_ah")

    def __init__(self, rate_per_h: float, weight_ah: float, ideal_per_h: float) -> None:
        self.rate_per_h = rate_per_h
        self.weight_ah = weight_ah
        self.ideal_per_h: float | None = ideal_per_h
        self.derated: list[tuple[float, float]] = []
        self.names: list[str] = []

    def add(self, limit_a: float, weight_ah: float, ideal_a: float | None, name: str) -> None:
        """Count a member that may be asked `limit_a` and weighs `weight_ah`."""
        if limit_a <= 0.0 or weight_ah <= 0.0:
            return
        if is_derated(limit_a, ideal_a):
            self.derated.append((limit_a / weight_ah, weight_ah))
            self.names.append(name)
        else:
            self.rate_per_h = min(self.rate_per_h, limit_a / weight_ah)
            self.weight_ah += weight_ah

    def add_ideal(self, ideal_a: float | None, capacity_ah: float | None) -> None:
        """Count a member's ideal limit."""
        if ideal_a is None or not capacity_ah:
            self.ideal_per_h = None
        elif self.ideal_per_h is not None:
            self.ideal_per_h = min(self.ideal_per_h, ideal_a / capacity_ah)

    def ideal_a(self, totals: "Totals") -> float | None:
        """Return the aggregate's ideal limit: the least ideal rate times all capacities."""
        if self.ideal_per_h is None:
            return None
        return self.ideal_per_h * totals.known_capacity_ah if self.ideal_per_h < math.inf else 0.0

    def best(self) -> BestSet:
        """Return the set of members that gives the greatest limit."""
        return best_set(self.rate_per_h, self.weight_ah, self.derated)

    def left_out(self, best: BestSet) -> list[str]:
        """Return the names of the derated members that the best set does without."""
        if best.limit_a <= best.all_limit_a:
            return []
        return [name for (rate, _), name in zip(self.derated, self.names, strict=True) if rate < best.cutoff_per_h]


class Totals:
    """Sums and extremes over members; the expected charge holds at the instant of adding up.

    `known_capacity_ah` includes members that are away, whose capacity is remembered; `sampled` says that a member in use was
    ever sampled. Meters include every member's: what is away or left out still holds what it was metered to hold.
    """

    def __init__(self, figures: Figures, now_s: float) -> None:
        self.count = figures.number
        self.sampled = figures.number > 0
        self.voltage_sum_v = figures.voltage_v
        self.current_a = figures.current_a
        self.charge_ah = figures.charge_ah
        self.capacity_ah = self.known_capacity_ah = figures.capacity_ah
        self.usable_ah = figures.usable_ah
        self.balanced_ah = figures.balanced_ah
        self.rate_a = figures.meter_rate_a
        self.expected_ah = figures.meter_zero_ah - figures.meter_rate_a * now_s / SECONDS_PER_HOUR
        self.unobserved_s = figures.unobserved_s
        self.staleness_s = figures.staleness_s
        self.from_s, self.to_s = figures.from_s, figures.to_s
        self.from_utc_s, self.to_utc_s = figures.from_utc_s, figures.to_utc_s
        self.discharge = Direction(figures.discharge_rate, figures.discharge_weight_ah, figures.ideal_discharge_rate)
        self.charge = Direction(figures.charge_rate, figures.charge_weight_ah, figures.ideal_charge_rate)

    def add(self, status: BatteryStatus) -> bool:
        """Count one member's values and instants; return False, counting no value, when its voltage or charge is unknown."""
        voltage_v, charge_ah, capacity_ah = status.voltage_v, status.charge_ah, status.capacity_ah
        self._add_instants(status)
        if voltage_v is None or charge_ah is None or capacity_ah is None:
            return False
        self.count += 1
        self.voltage_sum_v += voltage_v
        self.current_a += status.current_a or 0.0
        self.charge_ah += charge_ah
        self.capacity_ah += capacity_ah
        self.usable_ah += status.usable_charge_ah or 0.0
        self.balanced_ah += status.balanced_usable_charge_ah or 0.0
        return True

    def add_meter(self, status: BatteryStatus, now_s: float) -> bool:
        """Count one member's meter, whether its other values count or not; return False when it is unknown."""
        expected_ah = status.expected_ah(now_s)
        if expected_ah is None:
            return False
        self.expected_ah += expected_ah
        self.rate_a += status.expected_rate_a
        self.unobserved_s = max(self.unobserved_s, status.unobserved_s)
        return True

    def _add_instants(self, status: BatteryStatus) -> None:
        self.sampled = True
        if status.sampled_from_s is not None and status.sampled_to_s is not None:
            self.from_s = min(self.from_s, status.sampled_from_s)
            self.to_s = max(self.to_s, status.sampled_to_s)
        if status.sampled_from is not None and status.sampled_to is not None:
            self.from_utc_s = min(self.from_utc_s, status.sampled_from)
            self.to_utc_s = max(self.to_utc_s, status.sampled_to)

    def add_ideal(self, status: BatteryStatus) -> None:
        """Count one member's capacity and ideal limits, present or remembered."""
        self.known_capacity_ah += status.capacity_ah or 0.0
        self.discharge.add_ideal(status.ideal_max_discharge_current_a, status.capacity_ah)
        self.charge.add_ideal(status.ideal_max_charge_current_a, status.capacity_ah)

    def add_limits(self, status: BatteryStatus) -> None:
        """Count what one member may be asked now."""
        charge_ah, capacity_ah = status.charge_ah, status.capacity_ah
        if charge_ah is None or capacity_ah is None:
            return
        self.discharge.add(status.max_discharge_current_a, charge_ah, status.ideal_max_discharge_current_a, status.name)
        self.charge.add(status.max_charge_current_a, capacity_ah - charge_ah, status.ideal_max_charge_current_a, status.name)
