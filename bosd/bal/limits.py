"""Present limits of a single battery: what it may be asked now, and why not more."""

from bosd.bal.spec import BatterySpec, PartitionSpec


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
        empty, full = charge_ah <= empty_ah, charge_ah >= full_ah
    elif soc is not None:
        empty, full = soc <= spec.min_soc, soc >= spec.max_soc
    else:
        return True, True, ""
    return not empty, not full, "empty" if empty else "full" if full else ""


def usable_ah(spec: BatterySpec | PartitionSpec, charge_ah: float, capacity_ah: float) -> float:
    """Return the charge above the reserve."""
    return max(0.0, charge_ah - spec.min_soc * capacity_ah)
