"""Numbers, ages and times as people read them; what is unknown is a dash."""

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.format_json import number, quality_word, rfc3339
from clients.bosctl.printable import printable

UNKNOWN = "-"


def optional(status: pb.BatteryStatus, field: str) -> float | None:
    """Return a status field as a number, None where it is absent or not finite."""
    return number(getattr(status, field)) if status.HasField(field) else None


def fixed(value: float | None, digits: int = 2) -> str:
    """Return `13.20`."""
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 2) -> str:
    """Return `+4.00` on discharge, `-4.00` on charge, `0.00` in between."""
    if value is None:
        return UNKNOWN
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0.0 else text


def percent(ratio: float | None) -> str:
    """Return a ratio 0..1 as `52.0`."""
    return UNKNOWN if ratio is None else f"{100.0 * ratio:.1f}"


def duration(seconds: float | None) -> str:
    """Return `0.3 s`, `12 s`, `3 min`, `5 h` or `4 d`."""
    if seconds is None:
        return UNKNOWN
    for limit, unit, digits in ((9.95, 1.0, 1), (120.0, 1.0, 0), (7200.0, 60.0, 0), (172800.0, 3600.0, 0)):
        if seconds < limit:
            return f"{seconds / unit:.{digits}f} {_UNIT_NAMES[unit]}"
    return f"{seconds / 86400.0:.0f} d"


def moment(utc_s: float) -> str:
    """Return seconds since 1970-01-01 UTC as `2026-01-31 12:00:00Z`."""
    text = rfc3339(utc_s)
    return UNKNOWN if text is None else text[:19].replace("T", " ") + "Z"


def line(status: pb.BatteryStatus, *, at_utc_s: float) -> str:
    """Return a status as one line of plain text, for logs and pipes."""
    parts = [
        moment(at_utc_s),
        status.name,
        quality_word(status.quality),
        f"age {duration(optional(status, 'age_s'))}",
        f"{fixed(optional(status, 'voltage_v'))} V",
        f"{signed(optional(status, 'current_a'))} A",
        f"{fixed(optional(status, 'charge_ah'))} of {fixed(optional(status, 'capacity_ah'))} Ah",
        f"{percent(optional(status, 'soc'))} %",
    ]
    if status.reason:
        parts.append(f"({status.reason})")
    return printable("  ".join(parts))


def setpoint(status: pb.BatteryStatus) -> str:
    """Return the current in force, and what was asked where that differs: `+50.00 of +60.00`."""
    requested, applied = optional(status, "requested_current_a"), optional(status, "applied_current_a")
    if requested is None or requested == applied:
        return signed(applied)
    return f"{signed(applied)} of {signed(requested)}"


def limits(status: pb.BatteryStatus) -> str:
    """Return the range of currents that may be asked now, `-30.0/+50.0`, and `0` where nothing may."""
    charge_a, discharge_a = status.max_charge_current_a, status.max_discharge_current_a
    if not charge_a and not discharge_a:
        return "0"
    return f"{f'-{charge_a:.1f}' if charge_a else '0'}/{f'+{discharge_a:.1f}' if discharge_a else '0'}"


def with_unit(value: str, unit: str) -> str:
    """Return `13.20 V`, or `unknown`."""
    return "unknown" if value == UNKNOWN else f"{value} {unit}"


_UNIT_NAMES = {1.0: "s", 60.0: "min", 3600.0: "h"}
