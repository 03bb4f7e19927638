"""Figures: the numeric part of an ordinary status in the form in which many of them add up column by column.

The figures of a group are the sums, minima and maxima of its members' columns and have the same form, so groups add up the
same way.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bosd.bal.meter import SECONDS_PER_HOUR

FULL_LIMIT = 1.0 - 1e-9
"""A present limit of at least this part of the ideal one counts as full; below, the member is derated."""


class Figures(NamedTuple):
    """Sums: `number` to `charge_weight_ah`; largest: `unobserved_s` to `to_utc_s`; least: the rest.

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
    from_s: float
    from_utc_s: float
    discharge_rate: float
    charge_rate: float
    ideal_discharge_rate: float
    ideal_charge_rate: float

    @property
    def sampled(self) -> tuple[float, float, float, float]:
        """Oldest and newest sample: monotonic from and to, wall from and to."""
        return self.from_s, self.to_s, self.from_utc_s, self.to_utc_s


NOTHING = Figures(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -math.inf, -math.inf, *([math.inf] * 6))


def add_up(rows: Sequence[Figures]) -> Figures:
    """Return the figures of a group from its members'."""
    if not rows:
        return NOTHING
    (
        counts, voltages_v, currents_a, charges_ah, capacities_ah, usables_ah, balanced_ah, zeros_ah, rates_a, discharge_weights_ah,
        charge_weights_ah, unobserved_s, to_s, to_utc_s, from_s, from_utc_s, discharge_rates, charge_rates, ideal_discharges, ideal_charges,
    ) = zip(*rows, strict=True)  # fmt: skip
    return Figures(
        sum(counts), sum(voltages_v), sum(currents_a), sum(charges_ah), sum(capacities_ah), sum(usables_ah), sum(balanced_ah),
        sum(zeros_ah), sum(rates_a), sum(discharge_weights_ah), sum(charge_weights_ah), max(unobserved_s), max(to_s), max(to_utc_s),
        min(from_s), min(from_utc_s), min(discharge_rates), min(charge_rates), min(ideal_discharges), min(ideal_charges),
    )  # fmt: skip


def weighed(limit_a: float, weight_ah: float) -> tuple[float, float]:
    """Return the rate and the weight of a member that may be asked `limit_a`."""
    if limit_a > 0.0 and weight_ah > 0.0:
        return limit_a / weight_ah, weight_ah
    return math.inf, 0.0


def is_derated(limit_a: float, ideal_a: float | None) -> bool:
    """Return whether a member may be asked something, but less than its ideal limit."""
    return ideal_a is not None and 0.0 < limit_a < ideal_a * FULL_LIMIT


def ordinary(  # noqa: PLR0913 (all of a status that adds up)
    *,
    voltage_v: float,
    current_a: float,
    charge_ah: float,
    capacity_ah: float,
    limits_a: tuple[float, float],
    ideals_a: tuple[float, float],
    usable_ah: float,
    balanced_ah: float,
    meter: tuple[float, float, float],
    unobserved_s: float,
    sampled: tuple[float, float, float, float],
) -> Figures | None:
    """Return the figures of one battery, or None if it needs a closer look: no capacity, or derated.

    `limits_a` and `ideals_a` are (discharge, charge), `meter` is (charge, instant, rate), `sampled` (from_s, to_s, from, to).
    """
    if capacity_ah <= 0.0 or is_derated(limits_a[0], ideals_a[0]) or is_derated(limits_a[1], ideals_a[1]):
        return None
    discharge_rate, discharge_weight_ah = weighed(limits_a[0], charge_ah)
    charge_rate, charge_weight_ah = weighed(limits_a[1], capacity_ah - charge_ah)
    metered_ah, metered_s, rate_a = meter
    from_s, to_s, from_utc_s, to_utc_s = sampled
    return Figures(
        1, voltage_v, current_a, charge_ah, capacity_ah, usable_ah, balanced_ah, metered_ah + rate_a * metered_s / SECONDS_PER_HOUR, rate_a,
        discharge_weight_ah, charge_weight_ah, unobserved_s, to_s, to_utc_s, from_s, from_utc_s, discharge_rate, charge_rate,
        ideals_a[0] / capacity_ah, ideals_a[1] / capacity_ah,
    )  # fmt: skip
