"""Figures: the numeric part of an ordinary status in the form in which many of them add up column by column.

The figures of a group are the sums, minima and maxima of its members' columns and have the same form, so groups add up the
same way.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bosd.bal.meter import SECONDS_PER_HOUR
from bosd.bal.status import BatteryStatus, Quality

FULL_LIMIT = 1.0 - 1e-9
"""A present limit of at least this part of the ideal one counts as full; below, the member is derated."""


class Figures(NamedTuple):
    """Sums: `number` to `charge_weight_ah`; largest: `unobserved_s` to `staleness_s`; least: the rest.

    A weight is what a set point is shared by: charge when discharging, headroom when charging, 0 where the member may do
    neither; a rate is limit / weight (infinite without weight), an ideal rate is ideal limit / capacity, both in 1/h.
    `meter_zero_ah` is the meter run back to instant 0 at `meter_rate_a`.
    """

    number: int
    voltage_v: float
    current_a: float
    charge_ah: float
    capacity_ah: float
    usable_ah: float
    balanced_ah: float
    meter_zero_ah: float
    meter_rate_a: float
    discharge_weight_ah: float
    charge_weight_ah: float
    unobserved_s: float
    to_s: float
    to_utc_s: float
    staleness_s: float
    from_s: float
    from_utc_s: float
    discharge_rate: float
    charge_rate: float
    ideal_discharge_rate: float
    ideal_charge_rate: float


NOTHING = Figures(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -math.inf, -math.inf, 0.0, *([math.inf] * 6))


def add_up(rows: Sequence[Figures]) -> Figures:
    """Return the figures of a group from its members'."""
    if not rows:
        return NOTHING
    (
        counts, voltages_v, currents_a, charges_ah, capacities_ah, usables_ah, balanced_ah, zeros_ah, rates_a,
        discharge_weights_ah, charge_weights_ah, unobserved_s, to_s, to_utc_s, staleness_s, from_s, from_utc_s,
        discharge_rates, charge_rates, ideal_discharges, ideal_charges,
    ) = zip(*rows, strict=True)  # fmt: skip
    return Figures(
        sum(counts), sum(voltages_v), sum(currents_a), sum(charges_ah), sum(capacities_ah), sum(usables_ah), sum(balanced_ah),
        sum(zeros_ah), sum(rates_a), sum(discharge_weights_ah), sum(charge_weights_ah), max(unobserved_s), max(to_s),
        max(to_utc_s), max(staleness_s), min(from_s), min(from_utc_s), min(discharge_rates), min(charge_rates),
        min(ideal_discharges), min(ideal_charges),
    )  # fmt: skip


def weighed(limit_a: float, weight_ah: float) -> tuple[float, float]:
    """Return the rate and the weight of a member that may be asked `limit_a`."""
    if limit_a > 0.0 and weight_ah > 0.0:
        return limit_a / weight_ah, weight_ah
    return math.inf, 0.0


def is_derated(limit_a: float, ideal_a: float | None) -> bool:
    """Return whether a member may be asked something, but less than its ideal limit."""
    return ideal_a is not None and 0.0 < limit_a < ideal_a * FULL_LIMIT


def figures_of(status: BatteryStatus) -> Figures | None:
    """Return the figures of an ordinary battery; None for one that needs a closer look.

    Ordinary is what is GOOD, fully known and controllable, not stopped or derated, has a capacity and rests on nothing at another
    node.
    """
    if status.quality is not Quality.GOOD or not status.controllable or status.stopped or status.hops or not status.capacity_ah:
        return None
    voltage_v, current_a, charge_ah, capacity_ah = status.voltage_v, status.current_a, status.charge_ah, status.capacity_ah
    ideal_discharge_a, ideal_charge_a = status.ideal_max_discharge_current_a, status.ideal_max_charge_current_a
    max_discharge_a, max_charge_a = status.max_discharge_current_a, status.max_charge_current_a
    metered_ah, from_s, to_s = status.expected_charge_ah, status.sampled_from_s, status.sampled_to_s
    from_utc_s, to_utc_s = status.sampled_from, status.sampled_to
    if voltage_v is None or current_a is None or charge_ah is None or ideal_discharge_a is None or ideal_charge_a is None:
        return None
    if metered_ah is None or from_s is None or to_s is None or from_utc_s is None or to_utc_s is None:
        return None
    if 0.0 < max_discharge_a < ideal_discharge_a * FULL_LIMIT or 0.0 < max_charge_a < ideal_charge_a * FULL_LIMIT:
        return None
    discharge_rate, discharge_weight_ah = weighed(max_discharge_a, charge_ah)
    charge_rate, charge_weight_ah = weighed(max_charge_a, capacity_ah - charge_ah)
    rate_a = status.expected_rate_a
    return Figures(
        1, voltage_v, current_a, charge_ah, capacity_ah, status.usable_charge_ah or 0.0, status.balanced_usable_charge_ah or 0.0,
        metered_ah + rate_a * status.expected_at_s / SECONDS_PER_HOUR, rate_a,
        discharge_weight_ah, charge_weight_ah, status.unobserved_s, to_s, to_utc_s, status.max_staleness_s, from_s, from_utc_s,
        discharge_rate, charge_rate, ideal_discharge_a / capacity_ah, ideal_charge_a / capacity_ah,
    )  # fmt: skip
