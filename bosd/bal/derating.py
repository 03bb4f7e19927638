"""Derating: how much of a configured limit cells and temperatures leave, by piecewise linear curves (pure).

A curve is points of value and factor, values rising; beyond its ends the first and the last factor hold. Factors are 0 to 1, so
that a curve only ever lowers. An empty curve limits nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import NamedTuple

Curve = tuple[tuple[float, ...], ...]
"""Points of value (V per cell, degC) and factor (0 to 1), an array of pairs in TOML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeratingSpec:
    """The curves of a battery: charging by its highest cell, discharging by its lowest, both by each temperature sensor.

    None takes the chemistry's own; `[]` does without.
    """

    cell_v_charge: Curve | None = None
    cell_v_discharge: Curve | None = None
    temperature_c_charge: Curve | None = None
    temperature_c_discharge: Curve | None = None

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the curves, as pairs of key and text."""
        for field in fields(self):
            curve: Curve | None = getattr(self, field.name)
            if curve is not None and (fault := _fault(curve, *_SENSE[field.name])):
                yield f"derating.{field.name}", fault


_FALLING, _RISING, _EITHER = "falling", "rising", ""
_SENSE: Mapping[str, tuple[str, float, float, str]] = {
    "cell_v_charge": (_FALLING, 0.0, 5.0, "V per cell"),
    "cell_v_discharge": (_RISING, 0.0, 5.0, "V per cell"),
    "temperature_c_charge": (_EITHER, -60.0, 200.0, "degC"),
    "temperature_c_discharge": (_EITHER, -60.0, 200.0, "degC"),
}
_EXAMPLE = "write [[3.45, 1.0], [3.60, 0.0]]"

LFP = DeratingSpec(
    cell_v_charge=((3.45, 1.0), (3.60, 0.0)),
    cell_v_discharge=((2.70, 0.0), (3.00, 1.0)),
    temperature_c_charge=((0.0, 0.0), (5.0, 0.1), (10.0, 0.2), (15.0, 1.0), (45.0, 1.0), (60.0, 0.0)),
    temperature_c_discharge=((-20.0, 0.0), (0.0, 0.5), (10.0, 1.0), (45.0, 1.0), (60.0, 0.0)),
)
"""Cells are charged to 3.65 V and discharged to 2.5 V, charging 0 to 60 degC and best at 15 to 35 (Lishen LP54173207 data sheet);
charging 0 up to 0 degC, 0.1 C up to 5, 0.2 C up to 10, then 1 C; discharging 0.5 C below 0 degC, 1 C up to 60 (Alpha
APL48-50LFP manual, tables 4.3 and 4.4). The voltage ramps end where dbus-serialbattery's published defaults do within 50 mV
(charging 0 at 3.55 V, discharging 0 at 2.70 V and all at 3.10 V)."""
NMC = DeratingSpec(
    cell_v_charge=((4.05, 1.0), (4.20, 0.0)),
    cell_v_discharge=((3.00, 0.0), (3.30, 1.0)),
    temperature_c_charge=((0.0, 0.0), (5.0, 0.2), (15.0, 0.4), (20.0, 1.0), (45.0, 1.0), (55.0, 0.0)),
    temperature_c_discharge=((-20.0, 0.0), (5.0, 0.17), (10.0, 1.0), (45.0, 1.0), (60.0, 0.0)),
)
"""A 2.6 Ah 18650 cell's data sheet: 4.20 V, end of discharge 2.75 V; of 0.5 C charging 0.1 C up to 5 degC, 0.2 C up to 15, all up
to 55; of 3 C discharging 0.5 C up to 5 degC, all up to 45. Discharging ends at 60 degC, as common data sheets have it."""
CHEMISTRIES: Mapping[str, DeratingSpec] = {"none": DeratingSpec(), "lfp": LFP, "nmc": NMC}


class Readings(NamedTuple):
    """What curves are read at, None where unknown; `mean_v` is pack voltage by cells, known while the cells may be old."""

    highest_v: float | None = None
    lowest_v: float | None = None
    mean_v: float | None = None
    temperatures_c: Sequence[float] | None = None
    cells_old: bool = False


class Share(NamedTuple):
    """What is left of a limit, 0 to 1, and what binds, empty where nothing does."""

    factor: float
    why: str


def with_defaults(spec: DeratingSpec | None, chemistry: str) -> DeratingSpec:
    """Return the curves in force: those given, else the chemistry's own."""
    base = CHEMISTRIES[chemistry]
    given = {} if spec is None else {field.name: getattr(spec, field.name) for field in fields(spec)}
    return replace(base, **{key: curve for key, curve in given.items() if curve is not None})


def factor_at(curve: Curve, value: float) -> float:
    """Return the factor of `curve` at `value`; 1 for an empty curve."""
    if not curve:
        return 1.0
    if value <= curve[0][0]:
        return curve[0][1]
    for (left, low), (right, high) in pairwise(curve):
        if value <= right:
            return low + (high - low) * (value - left) / (right - left)
    return curve[-1][1]


class Derating:
    """The curves of one battery, with the memory that keeps old cells from loosening a limit.

    Where a curve stands and its value was never known, nothing may flow: unknown is not fine. Cells that have become old keep
    the factor that they last gave, lowered further by the pack's mean cell.
    """

    def __init__(self, spec: DeratingSpec) -> None:
        self._spec = spec
        self._held: dict[str, float] = {}

    @property
    def is_off(self) -> bool:
        """Whether no curve stands."""
        return not any(getattr(self._spec, field.name) for field in fields(self._spec))

    def discharge(self, readings: Readings) -> Share:
        """Return what is left of the limit of discharging."""
        cell = self._by_cell("lowest", self._spec.cell_v_discharge or (), readings.lowest_v, readings)
        return _least(cell, _by_temperature(self._spec.temperature_c_discharge or (), readings.temperatures_c))

    def charge(self, readings: Readings) -> Share:
        """Return what is left of the limit of charging."""
        cell = self._by_cell("highest", self._spec.cell_v_charge or (), readings.highest_v, readings)
        return _least(cell, _by_temperature(self._spec.temperature_c_charge or (), readings.temperatures_c))

    def _by_cell(self, which: str, curve: Curve, cell_v: float | None, readings: Readings) -> Share:
        if not curve:
            return Share(1.0, "")
        if cell_v is not None and not readings.cells_old:
            factor = self._held[which] = factor_at(curve, cell_v)
            return Share(factor, f"{which} cell at {cell_v:.3f} V")
        held = self._held.get(which)
        if held is None:
            return Share(0.0, "cell voltages are not known")
        if readings.mean_v is not None:
            held = self._held[which] = min(held, factor_at(curve, readings.mean_v))
        return Share(held, "cell voltages are old")


def _by_temperature(curve: Curve, temperatures_c: Sequence[float] | None) -> Share:
    if not curve:
        return Share(1.0, "")
    if not temperatures_c:
        return Share(0.0, "no temperature is known")
    factor, at_c = min((factor_at(curve, each), each) for each in temperatures_c)
    return Share(factor, f"a sensor at {at_c:.1f} degC")


def _least(one: Share, other: Share) -> Share:
    least = min(one, other, key=lambda share: share.factor)
    return least if least.factor < 1.0 else Share(1.0, "")


def _fault(curve: Curve, sense: str, lowest: float, highest: float, unit: str) -> str:
    """Say what is wrong with a curve, nothing for a good one."""
    if any(len(point) != 2 for point in curve):
        return f"each point is a value ({unit}) and a factor; {_EXAMPLE}"
    values, factors = [point[0] for point in curve], [point[1] for point in curve]
    rises, falls = (any(sign * (right - left) > 0.0 for left, right in pairwise(factors)) for sign in (1.0, -1.0))
    doubts = (
        (any(not lowest <= value <= highest for value in values), f"values are in {unit}, {lowest:g} to {highest:g}"),
        (any(not 0.0 <= factor <= 1.0 for factor in factors), "factors are 0 to 1: a curve only lowers a limit"),
        (any(right <= left for left, right in pairwise(values)), "values must rise from point to point"),
        (sense == _FALLING and rises, "factors must not rise with the voltage: a fuller cell may not be charged faster"),
        (sense == _RISING and falls, "factors must not fall with the voltage: a fuller cell may not be discharged slower"),
    )
    return next((text for doubted, text in doubts if doubted), "")
