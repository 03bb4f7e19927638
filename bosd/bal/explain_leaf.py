"""Why a leaf may be asked no more than it may: its device, its charge, its configuration, or the link to it."""

from bosd.bal.battery import Battery
from bosd.bal.figures import FULL_LIMIT
from bosd.bal.limits import allowed_directions
from bosd.bal.physical import PhysicalBattery
from bosd.bal.status import BatteryStatus, Quality

FET_OPEN = "_fet_open"


def leaf_cause(battery: Battery, status: BatteryStatus, *, discharging: bool) -> tuple[str, str]:
    """Return why a leaf's limit is what it is: a word for programs and words for people."""
    if status.hops:
        own = battery.spec.min_soc > 0.0 or battery.spec.max_soc < 1.0
        by_charge = _by_charge(battery, status, discharging=discharging) if own and status.commandable else None
        return by_charge or _remote_cause(status)
    if status.quality is Quality.UNAVAILABLE:
        return "unavailable", f"silence: {status.reason}" if status.reason else "silence"
    if isinstance(battery, PhysicalBattery):
        if not battery.controllable:
            return "no_current_control", "no current control"
        if battery.deviation is not None:
            return "not_followed", f"its device, which does not follow: {battery.deviation}"
        if shut := _shut_by(battery, status, discharging=discharging):
            return shut
    return _by_charge(battery, status, discharging=discharging) or _by_limit(status, discharging=discharging)


def _by_charge(battery: Battery, status: BatteryStatus, *, discharging: bool) -> tuple[str, str] | None:
    discharges, charges, word = allowed_directions(battery.spec, status.charge_ah, status.capacity_ah, status.soc)
    if status.capacity_ah == 0.0 or (discharges if discharging else charges):
        return None
    bound = battery.spec.min_soc if discharging else battery.spec.max_soc
    key = "min_soc" if discharging else "max_soc"
    return word, f"being {word}" if bound in (0.0, 1.0) else f"being {word}, {key} {bound:g}"


def _by_limit(status: BatteryStatus, *, discharging: bool) -> tuple[str, str]:
    limit_a = status.max_discharge_current_a if discharging else status.max_charge_current_a
    ideal_a = status.ideal_max_discharge_current_a if discharging else status.ideal_max_charge_current_a
    if status.capacity_ah == 0.0:
        return "absent", "being absent on purpose"
    if ideal_a is not None and limit_a < ideal_a * FULL_LIMIT:
        return "reported", f"what it reports, at best {ideal_a:g} A"
    return "configured", "its configuration"


def _remote_cause(status: BatteryStatus) -> tuple[str, str]:
    if not status.commandable:
        return "unavailable", f"not being commandable: {status.reason or f'link {status.link.name.lower()}'}"
    return "remote", f"its node ({status.path[1]})" if len(status.path) > 1 else "its node"


def _shut_by(battery: PhysicalBattery, status: BatteryStatus, *, discharging: bool) -> tuple[str, str] | None:
    """Return the protections or the open switch that shut a direction, with the cell that set them off where it is known."""
    sample = battery.sample
    if sample is None or (sample.discharge_allowed if discharging else sample.charge_allowed):
        return None
    direction = "discharge" if discharging else "charge"
    other = "charge" if discharging else "discharge"
    opposite = "overvoltage" if discharging else "undervoltage"
    shut = [each for each in sample.blocked_by if not each.startswith(f"{other}_") and not each.endswith(opposite)]
    faults = [each for each in shut if not each.endswith(FET_OPEN)]
    if not faults:
        return "open_fet", f"its open {direction} FET"
    cell = ""
    if status.cells_v and any(fault.startswith("cell_") for fault in faults):
        pick = min if discharging else max
        number, volts = pick(enumerate(status.cells_v, start=1), key=lambda each: each[1])
        cell = f", cell {number} at {volts:.3f} V"
    return "protection", f"protection {', '.join(faults)}{cell}"
