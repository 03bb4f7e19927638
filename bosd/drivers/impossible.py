"""What no sample may say, whatever is true (no I/O)."""

from collections.abc import Iterator
from math import isfinite
from typing import TypeGuard

from bosd.bal.device import Sample

VALUES = ("voltage_v", "current_a", "charge_ah", "capacity_ah", "soc")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def impossible(sample: Sample) -> Iterator[str]:
    """Yield what no sample may say, whatever is true: what no number may be, and what is missing beside something else."""
    yield from no_numbers(sample)
    if sample.cells_v is not None and sample.cells_s is None:
        yield "cells_s: None beside cells_v; it is the instant of their reading"
    if not (sample.charge_allowed and sample.discharge_allowed) and not sample.blocked_by:
        yield "blocked_by: empty, where a direction is not allowed; it names why"


def no_numbers(sample: Sample) -> Iterator[str]:
    """Yield values that are no finite number, ratios and magnitudes out of range."""
    for key in (*VALUES, "limit_discharge_a", "limit_charge_a"):
        value = getattr(sample, key)
        if value is not None and not is_number(value):
            yield f"{key}: {value!r} is no finite number"
    for key in ("limit_discharge_a", "limit_charge_a", "voltage_v", "charge_ah", "capacity_ah"):
        value = getattr(sample, key)
        if is_number(value) and value < 0.0:
            yield f"{key}: {value:g} is negative"
    if is_number(sample.soc) and not 0.0 <= sample.soc <= 1.0:
        yield f"soc: {sample.soc:g} is no ratio of capacity, 0 to 1"
