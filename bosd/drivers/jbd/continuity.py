"""What cannot have happened since the last reading: the checksum is a sum, so two errors that cancel out pass it (no I/O)."""

from bosd.drivers.jbd.codec import BasicInfo

_HOUR_S = 3600.0
LONG_AGO_S = 60.0
"""After such a pause a pack may be anywhere: any reading is worth a second look."""
_VOLTAGE_SHARE = 0.1
_CURRENT_C = 0.25
_CURRENT_A = 5.0
_CHARGE_SHARE = 0.02
_SOC_PCT = 2
_TEMPERATURE_K = 5.0
_TEMPERATURE_K_PER_S = 0.2
_CELL_V = 0.3


def changed_kind(before: BasicInfo, now: BasicInfo) -> str:
    """Return what differs although it never changes on one board, empty for nothing."""
    pairs = (
        ("cells in series", before.cell_count, now.cell_count),
        ("sensors", len(before.temperatures_c), len(now.temperatures_c)),
        ("nominal capacity", before.capacity_ah, now.capacity_ah),
        ("production date", before.production, now.production),
        ("software version", before.software, now.software),
        ("length of the tail", len(before.extra), len(now.extra)),
    )
    return ", ".join(f"{name} {old} to {new}" for name, old, new in pairs if old != new)


def jumped(before: BasicInfo, now: BasicInfo, elapsed_s: float) -> str:
    """Return what changed faster than a pack does, empty for nothing; state of charge, charge and voltage each by itself."""
    flowed_ah = max(abs(before.inflow_a), abs(now.inflow_a)) * elapsed_s / _HOUR_S
    soc_pct = _SOC_PCT + (100.0 * flowed_ah / now.capacity_ah if now.capacity_ah else 0.0)
    charge_ah = _CHARGE_SHARE * now.capacity_ah + 2.0 * flowed_ah
    warmed_k = _TEMPERATURE_K + _TEMPERATURE_K_PER_S * elapsed_s
    doubts = (
        ("state of charge", abs(now.soc_pct - before.soc_pct) > soc_pct),
        ("remaining charge", abs(now.remaining_ah - before.remaining_ah) > charge_ah),
        ("cycles", not 0 <= now.cycles - before.cycles <= 1),
        (
            "temperatures",
            any(abs(new - old) > warmed_k for old, new in zip(before.temperatures_c, now.temperatures_c, strict=False)),
        ),
    )
    return ", ".join(name for name, doubted in doubts if doubted)


def swung(before: BasicInfo, now: BasicInfo) -> str:
    """Return what changed as only a step of the load lets it, empty for nothing: worth a second look, no more."""
    step_a = max(_CURRENT_A, _CURRENT_C * now.capacity_ah)
    doubts = (
        ("voltage", abs(now.voltage_v - before.voltage_v) > _VOLTAGE_SHARE * max(before.voltage_v, 0.1)),
        ("current", abs(now.inflow_a - before.inflow_a) > step_a),
        ("protections", now.protection_bits != before.protection_bits),
        ("switches", now.fet_bits != before.fet_bits),
    )
    return ", ".join(name for name, doubted in doubts if doubted)


def cells_jumped(before: tuple[float, ...], now: tuple[float, ...]) -> str:
    """Return what is odd about cells beside those before them, empty for nothing."""
    if len(before) != len(now):
        return f"{len(before)} cells, then {len(now)}"
    number, step_v = max(
        enumerate((abs(new - old) for old, new in zip(before, now, strict=True)), start=1), key=lambda each: each[1]
    )
    return f"cell {number} moved by {step_v:.3f} V" if step_v > _CELL_V else ""
