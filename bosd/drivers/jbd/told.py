"""What a JBD board's driver tells of itself: named bits and what is appended (no I/O)."""

from bosd.drivers.jbd.codec import BasicInfo
from bosd.drivers.jbd.registers import CHARGE_FET, CHARGE_TIMEOUT_BIT, DISCHARGE_FET, PROTECTIONS, SOFTWARE_LOCK_BIT


def tail_texts(info: BasicInfo) -> tuple[tuple[str, str], ...]:
    """Return what newer boards append to the basic information, by name; nothing for boards that append less."""
    tail = info.tail
    if tail is None:
        return ()
    return (
        ("full-charge capacity", f"{tail.full_charge_ah:g} Ah"),
        ("balance current", f"{tail.balance_current_ma} mA"),
        ("humidity", f"{tail.humidity_pct} %"),
        ("alarm word", f"{tail.alarm_bits:04X}"),
    )


def flags_of(info: BasicInfo) -> tuple[tuple[str, bool], ...]:
    """Return switches and protections by name; the lock by command is a fact beside them, no fault of the cells."""
    names = [*enumerate(PROTECTIONS), (SOFTWARE_LOCK_BIT, "locked_by_command"), (CHARGE_TIMEOUT_BIT, "charge_timeout")]
    return (
        ("charge_switch_closed", bool(info.fet_bits & CHARGE_FET)),
        ("discharge_switch_closed", bool(info.fet_bits & DISCHARGE_FET)),
        *((name, bool(info.protection_bits >> bit & 1)) for bit, name in names),
    )
