"""What no sample may say, whatever is true (no I/O)."""

import sys
from collections.abc import Iterator
from typing import TypeGuard

from bosd.bal.device import Sample

_MOST = 2**31
"""Of what is counted; a status message has 32 bits for it."""
VALUES = ("voltage_v", "current_a", "charge_ah", "capacity_ah", "soc")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite number; a whole number that no float can hold is none."""
    most = sys.float_info.max
    return isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


def impossible(sample: Sample) -> Iterator[str]:
    """Yield what no sample may say, whatever is true: what no number may be, and what is missing beside something else."""
    yield from no_numbers(sample)
    if sample.cells_v is not None and sample.cells_s is None:
        yield "cells_s: None beside cells_v; it is the instant of their reading"
    if not (sample.charge_allowed and sample.discharge_allowed) and not sample.blocked_by:
        yield "blocked_by: empty, where a direction is not allowed; it names why"


def no_numbers(sample: Sample) -> Iterator[str]:
    """Yield what is no finite number, nor several or a count of them, and ratios and magnitudes out of range."""
    for key in (*VALUES, "limit_discharge_a", "limit_charge_a"):
        value = getattr(sample, key)
        if value is not None and not is_number(value):
            yield f"{key}: {value!r:.80} is no finite number"
    for key in ("limit_discharge_a", "limit_charge_a", "voltage_v", "charge_ah", "capacity_ah"):
        value = getattr(sample, key)
        if is_number(value) and value < 0.0:
            yield f"{key}: {value:g} is negative"
    if is_number(sample.soc) and not 0.0 <= sample.soc <= 1.0:
        yield f"soc: {sample.soc:g} is no ratio of capacity, 0 to 1"
    for key in ("cells_v", "temperatures_c"):
        several: object = getattr(sample, key)
        if several is not None and not (isinstance(several, tuple | list) and all(map(is_number, several))):
            yield f"{key}: {several!r:.80} is no tuple of finite numbers"
    if sample.cycles is not None and not _is_count(sample.cycles):
        yield f"cycles: {sample.cycles!r:.80} is no count"
    cells: object = sample.balancing_cells
    if cells is not None and not (isinstance(cells, tuple | list) and all(map(_is_count, cells))):
        yield f"balancing_cells: {cells!r:.80} is no tuple of numbers of cells"


def no_texts(sample: Sample) -> Iterator[str]:
    """Yield what should hold names and does not."""
    for key in ("blocked_by", "limited_by", "faults", "notes"):
        names: object = getattr(sample, key)
        if not (isinstance(names, tuple | list) and all(isinstance(name, str) for name in names)):
            yield f"{key}: {names!r:.80} is no tuple of texts"
