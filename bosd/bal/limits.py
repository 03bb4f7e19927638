"""Present limits of a single battery: what it may be asked now, and why not more."""

import math
from typing import NamedTuple

from bosd.bal.meter import SECONDS_PER_HOUR
from bosd.bal.spec import BatterySpec, PartitionSpec
from bosd.bal.status import BatteryStatus

DUST_AH = 1e-10
"""Less charge than this is none: sums of charges are known to 1e-9 Ah (bal.md, "Invariants"), and what rounding leaves or finds
must not be discharged, end, and be found again for ever."""


def reserve_ah(spec: BatterySpec | PartitionSpec, capacity_ah: float) -> tuple[float, float]:
    """Return the charges at which the battery counts as empty and as full."""
    return spec.min_soc * capacity_ah, spec.max_soc * capacity_ah


def allowed_directions(
    spec: BatterySpec | PartitionSpec, charge_ah: float | None, capacity_ah: float | None, soc: float | None
) -> tuple[bool, bool, str]:
    """Return whether it may discharge and charge by its charge alone, and `empty`, `full` or nothing.

    Where charge or capacity is unknown the ratio decides; where that is unknown too, nothing is held back.
    """
    if charge_ah is not None and capacity_ah is not None:
        empty_ah, full_ah = reserve_ah(spec, capacity_ah)
        empty, full = charge_ah <= empty_ah + DUST_AH, charge_ah >= full_ah - DUST_AH
    elif soc is not None:
        empty, full = soc <= spec.min_soc, soc >= spec.max_soc
    else:
        return True, True, ""
    return not empty, not full, "empty" if empty else "full" if full else ""


def usable_ah(spec: BatterySpec | PartitionSpec, charge_ah: float, capacity_ah: float) -> float:
    """Return the charge above the reserve."""
    return max(0.0, charge_ah - spec.min_soc * capacity_ah)


class Reserve(NamedTuple):
    """What a virtual battery's own `min_soc` and `max_soc` leave of what it rests on; None is unknown."""

    discharges: bool
    charges: bool
    usable_ah: float | None
    balanced_ah: float | None
    reason: str


def reserved(
    spec: BatterySpec | PartitionSpec,
    charge_ah: float | None,
    capacity_ah: float | None,
    usable_now_ah: float | None,
    balanced_ah: float | None,
) -> Reserve:
    """Return directions and usable charges under a virtual battery's own reserve, given what its sources could do without it."""
    if (spec.min_soc <= 0.0 and spec.max_soc >= 1.0) or charge_ah is None or not capacity_ah:
        return Reserve(discharges=True, charges=True, usable_ah=usable_now_ah, balanced_ah=balanced_ah, reason="")
    discharges, charges, reason = allowed_directions(spec, charge_ah, capacity_ah, None)
    above_ah = usable_ah(spec, charge_ah, capacity_ah)
    now_ah, best_ah = (None if each_ah is None else min(each_ah, above_ah) for each_ah in (usable_now_ah, balanced_ah))
    return Reserve(discharges, charges, now_ah, best_ah, reason)


def reaches_reserve_s(spec: BatterySpec | PartitionSpec, status: BatteryStatus, now_s: float) -> float:
    """Return the instant at which its charge reaches the reserve or full if all goes on as it does; infinite at rest."""
    charge_ah, capacity_ah, current_a = status.charge_ah, status.capacity_ah, status.current_a
    if charge_ah is None or capacity_ah is None or not current_a or status.sampled_to_s is None:
        return math.inf
    bound_ah = capacity_ah * (spec.min_soc if current_a > 0.0 else spec.max_soc)
    return min(now_s, status.sampled_to_s) + max(0.0, (charge_ah - bound_ah) / current_a) * SECONDS_PER_HOUR
