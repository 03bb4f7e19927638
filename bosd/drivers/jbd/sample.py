"""From decoded JBD replies to a sample: signs, what cannot be true, and which direction is shut (no I/O)."""

from bosd.bal.device import Sample
from bosd.drivers.jbd.codec import BasicInfo
from bosd.drivers.jbd.registers import (
    BOTH_FETS,
    CHARGE_FET,
    CHARGE_TIMEOUT_BIT,
    DISCHARGE_FET,
    PROTECTIONS,
    SOFTWARE_LOCK_BIT,
)

_CELL_MAX_V = 5.0
"""Above every chemistry in use: the highest charge voltage of a lithium cell is 4.5 V."""
_CELL_MIN_V = 0.5
"""A pack reading below this per cell is not measured, where its cells say otherwise."""
_SUM_TOLERANCE = 0.2
"""Pack and cells are read up to a second apart under a changing load, and measured by different parts of the board."""
_OVERFULL = 1.2
"""A board may count somewhat more charge than its nominal capacity, not this much."""
_COMPARABLE_S = 10.0
"""Cells older than this say nothing about the pack voltage."""
_SENSOR_RANGE_C = (-60.0, 200.0)
"""Beyond lies a sensor that is open or shorted."""


def build_sample(
    info: BasicInfo,
    cells_v: tuple[float, ...] | None,
    *,
    sampled_s: float,
    sampled_utc_s: float,
    cells_s: float | None,
    opened: int,
    notes: tuple[str, ...] = (),
) -> Sample:
    """Return the sample these replies amount to; discharge becomes positive here, and only here.

    `opened` holds the FETs that the driver itself switched off: they shut no direction. Values that cannot be true are None
    and named in the notes, after `notes`: a cell above 5 V takes all cells with it; a pack voltage that no such cells could
    have goes, and where either could be wrong both go; charge above 1.2 times capacity, a capacity of 0, a state of charge
    above 100 % and temperatures beyond a sensor's range go. A cell at 0 V is a reading (a broken sense wire shows like that)
    and counts as unknown in the sum.
    """
    doubts = list(notes)
    cells_v = _true_cells(cells_v, doubts)
    comparable = cells_s is not None and sampled_s - cells_s <= _COMPARABLE_S
    voltage_v, cells_v = _agreeing(info, cells_v, doubts, comparable=comparable)
    charge_ah, capacity_ah = _true_charge(info, doubts)
    faults: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()
    discharge_allowed = charge_allowed = True
    if info.protection_bits or (info.fet_bits | opened) & BOTH_FETS != BOTH_FETS:
        faults = name_faults(info.protection_bits)
        charging = _blocks(faults, "charge", CHARGE_FET & ~(info.fet_bits | opened))
        discharging = _blocks(faults, "discharge", DISCHARGE_FET & ~(info.fet_bits | opened))
        charge_allowed, discharge_allowed = not charging, not discharging
        blocked_by = tuple(dict.fromkeys(discharging + charging))
    if info.soc_pct > 100:
        doubts.append(f"soc: reads {info.soc_pct} %")
    return Sample(
        sampled_s=sampled_s,
        sampled_utc_s=sampled_utc_s,
        voltage_v=voltage_v,
        current_a=0.0 - info.inflow_a,  # not -inflow_a, which makes -0.0 of 0.0
        charge_ah=charge_ah,
        capacity_ah=capacity_ah,
        soc=info.soc_pct / 100 if info.soc_pct <= 100 else None,
        discharge_allowed=discharge_allowed,
        charge_allowed=charge_allowed,
        blocked_by=blocked_by,
        cells_v=cells_v,
        cells_s=cells_s if cells_v is not None else None,
        temperatures_c=_true_temperatures(info.temperatures_c, doubts),
        cycles=info.cycles,
        faults=faults,
        balancing_cells=info.balancing_cells,
        charge_switch_closed=bool(info.fet_bits & CHARGE_FET),
        discharge_switch_closed=bool(info.fet_bits & DISCHARGE_FET),
        notes=tuple(doubts),
    )


def name_faults(protection_bits: int) -> tuple[str, ...]:
    """Return the protections that are set, lowest bit first; the lock by command is none, undefined bits keep their number."""
    names = [name for bit, name in enumerate(PROTECTIONS) if protection_bits >> bit & 1]
    if protection_bits >> CHARGE_TIMEOUT_BIT & 1:
        names.append("charge_timeout")
    undefined = (bit for bit in range(len(PROTECTIONS), 16) if bit not in (SOFTWARE_LOCK_BIT, CHARGE_TIMEOUT_BIT))
    names += [f"unknown_protection_bit_{bit}" for bit in undefined if protection_bits >> bit & 1]
    return tuple(names)


def _blocks(faults: tuple[str, ...], direction: str, open_fet: int) -> list[str]:
    """Return what shuts `direction`: its open FET, its protections, and those that shut both."""
    shutting = "overvoltage" if direction == "charge" else "undervoltage"
    blocks = [f"{direction}_fet_open"] if open_fet else []
    both = ("short_circuit", "afe_error")
    return blocks + [f for f in faults if f.startswith(f"{direction}_") or f.endswith(shutting) or f in both]


def _true_cells(cells_v: tuple[float, ...] | None, doubts: list[str]) -> tuple[float, ...] | None:
    if cells_v is None or max(cells_v) <= _CELL_MAX_V:
        return cells_v
    number, voltage_v = max(enumerate(cells_v, start=1), key=lambda cell: cell[1])
    doubts.append(f"cells_v: cell {number} reads {voltage_v:.3f} V")
    return None


def _agreeing(
    info: BasicInfo, cells_v: tuple[float, ...] | None, doubts: list[str], *, comparable: bool
) -> tuple[float | None, tuple[float, ...] | None]:
    """Return pack voltage and cells, without what cannot be true beside the other."""
    voltage_v, cells = info.voltage_v, info.cell_count
    if cells and voltage_v > cells * _CELL_MAX_V:
        doubts.append(f"voltage_v: {voltage_v:.2f} V is too much for {cells} cells")
        return None, cells_v
    if cells_v is None or not comparable or len(cells_v) < cells:
        return voltage_v, cells_v
    total_v = sum(cells_v)
    dead = cells_v.count(0.0)
    highest_v = (total_v + (dead * max(cells_v) if dead else 0.0)) * (1 + _SUM_TOLERANCE)
    if total_v * (1 - _SUM_TOLERANCE) <= voltage_v <= highest_v:
        return voltage_v, cells_v
    if voltage_v < cells * _CELL_MIN_V:
        doubts.append(f"voltage_v: {voltage_v:.2f} V where the cells add up to {total_v:.2f} V")
        return None, cells_v
    doubts.append(f"voltage_v, cells_v: {voltage_v:.2f} V and a sum of {total_v:.2f} V cannot both be true")
    return None, None


def _true_charge(info: BasicInfo, doubts: list[str]) -> tuple[float | None, float | None]:
    if info.capacity_ah <= 0.0:
        doubts.append("capacity_ah, charge_ah: the board has no nominal capacity")
        return None, None
    if info.remaining_ah > _OVERFULL * info.capacity_ah:
        doubts.append(f"charge_ah: {info.remaining_ah:g} Ah in a capacity of {info.capacity_ah:g} Ah")
        return None, info.capacity_ah
    return info.remaining_ah, info.capacity_ah


def _true_temperatures(temperatures_c: tuple[float, ...], doubts: list[str]) -> tuple[float, ...] | None:
    if not temperatures_c:
        return None
    lowest_c, highest_c = _SENSOR_RANGE_C
    if lowest_c <= min(temperatures_c) and max(temperatures_c) <= highest_c:
        return temperatures_c
    doubts.append(f"temperatures_c: a sensor reads {min(temperatures_c):.1f} or {max(temperatures_c):.1f} degC")
    return None
