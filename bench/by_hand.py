"""The aggregate as one loop written by hand: what `Aggregator` is measured against."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bosd.bal.status import Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The fields of an aggregate's status."""

    voltage_v: float
    current_a: float
    charge_ah: float
    capacity_ah: float
    soc: float
    max_discharge_current_a: float
    max_charge_current_a: float
    ideal_max_discharge_current_a: float
    ideal_max_charge_current_a: float
    usable_charge_ah: float
    balanced_usable_charge_ah: float
    expected_charge_ah: float
    expected_rate_a: float
    unobserved_s: float
    sampled_from_s: float
    sampled_to_s: float
    sampled_from: float
    sampled_to: float
    valid_until_s: float
    quality: Quality
    controllable: bool


def by_hand(statuses: Sequence[Any], now_s: float) -> Totals:  # noqa: C901, PLR0912, PLR0915 (one loop, on purpose)
    """Compute every field in one pass over members that are good and known: no checks that these would not need."""
    count = 0
    voltage_v = current_a = charge_ah = capacity_ah = usable_ah = balanced_ah = expected_ah = rate_a = unobserved_s = 0.0
    discharge_rate = charge_rate = ideal_discharge_rate = ideal_charge_rate = float("inf")
    discharge_weight_ah = charge_weight_ah = 0.0
    from_s = from_utc_s = valid_until_s = float("inf")
    to_s = to_utc_s = float("-inf")
    quality = Quality.GOOD
    controllable = True
    for status in statuses:
        count += 1
        voltage_v += status.voltage_v
        current_a += status.current_a
        member_ah, member_capacity_ah = status.charge_ah, status.capacity_ah
        charge_ah += member_ah
        capacity_ah += member_capacity_ah
        usable_ah += status.usable_charge_ah
        balanced_ah += status.balanced_usable_charge_ah
        member_rate_a = status.expected_rate_a
        rate_a += member_rate_a
        expected_ah += status.expected_charge_ah - member_rate_a * (now_s - status.expected_at_s) / 3600.0
        value = status.unobserved_s
        if value > unobserved_s:
            unobserved_s = value
        limit_a = status.max_discharge_current_a
        if limit_a > 0.0 and member_ah > 0.0:
            discharge_weight_ah += member_ah
            value = limit_a / member_ah
            if value < discharge_rate:
                discharge_rate = value
        limit_a, headroom_ah = status.max_charge_current_a, member_capacity_ah - member_ah
        if limit_a > 0.0 and headroom_ah > 0.0:
            charge_weight_ah += headroom_ah
            value = limit_a / headroom_ah
            if value < charge_rate:
                charge_rate = value
        value = status.ideal_max_discharge_current_a / member_capacity_ah
        if value < ideal_discharge_rate:
            ideal_discharge_rate = value
        value = status.ideal_max_charge_current_a / member_capacity_ah
        if value < ideal_charge_rate:
            ideal_charge_rate = value
        value = status.sampled_from_s
        if value < from_s:
            from_s = value
        value = status.sampled_to_s
        if value > to_s:
            to_s = value
        value = status.sampled_from
        if value < from_utc_s:
            from_utc_s = value
        value = status.sampled_to
        if value > to_utc_s:
            to_utc_s = value
        value = status.valid_until_s
        if value < valid_until_s:
            valid_until_s = value
        if status.quality is not quality and status.quality > quality:
            quality = status.quality
        if not status.controllable:
            controllable = False
    return Totals(
        voltage_v=voltage_v / count,
        current_a=current_a,
        charge_ah=charge_ah,
        capacity_ah=capacity_ah,
        soc=charge_ah / capacity_ah,
        max_discharge_current_a=discharge_rate * discharge_weight_ah,
        max_charge_current_a=charge_rate * charge_weight_ah,
        ideal_max_discharge_current_a=ideal_discharge_rate * capacity_ah,
        ideal_max_charge_current_a=ideal_charge_rate * capacity_ah,
        usable_charge_ah=usable_ah,
        balanced_usable_charge_ah=balanced_ah,
        expected_charge_ah=expected_ah,
        expected_rate_a=rate_a,
        unobserved_s=unobserved_s,
        sampled_from_s=from_s,
        sampled_to_s=to_s,
        sampled_from=from_utc_s,
        sampled_to=to_utc_s,
        valid_until_s=valid_until_s,
        quality=quality,
        controllable=controllable,
    )
