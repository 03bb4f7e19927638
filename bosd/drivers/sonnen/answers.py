"""What a Sonnen battery's API v2 answers, decoded and checked; no I/O.

Fields, units and examples are those of the API's own page (`http://BATTERY/api/doc.html`, "sonnenBatterie API 1.0.0"), of which
jlunz.github.io/homeassistant has a copy; `/battery` is on no page, its units come from answers that people published
(docs/sonnen.md has the reasoning). Unknown fields are ignored, known ones of a wrong type or out of range refuse the answer.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from bosd.errors import DriverError

MANUAL = "1"
MODES: Mapping[str, str] = {
    MANUAL: "manual",
    "2": "self-consumption",
    "6": "battery module extension",
    "7": "backup",
    "8": "self-consumption",
    "10": "time-of-use",
}
"""Values of EM_OperatingMode: 1, 2, 6 and 10 of the API's page; 7 and 8 are shown by batteries in the US."""

HIGHEST_V = 1500.0
"""Low voltage direct current ends there (IEC 60038)."""
_HIGHEST_W = 1e6
_HIGHEST_AH = 1e5
_HIGHEST_A = 1e5
_NO_SENSOR_C = -273.0
"""Sensors that are absent read absolute zero."""
_HOTTEST_C = 200.0
_OVERFULL = 1.1
"""How far the remaining capacity may lie above the full one, whose estimate is corrected now and then."""
_SHOWN = 60
_FIRST_BYTES = 8
"""So much of a body that is no JSON is shown: enough to tell what it is, too little to hold a secret it may repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`GET /api/v2/status`: power in W, positive on discharge; ratios 0..1. `timestamp` is the battery's own, local time."""

    power_w: float
    user_soc: float
    mode: str
    voltage_v: float | None
    reserve: float
    discharge_allowed: bool
    on_grid: bool
    timestamp: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """`GET /api/v2/battery`, with capacities as the charge of the whole battery at its own voltage (see `in_series`)."""

    voltage_v: float | None
    full_ah: float | None
    remaining_ah: float | None
    usable_ah: float | None
    cycles: int | None
    temperatures_c: tuple[float, ...] | None
    limit_discharge_a: float | None
    limit_charge_a: float | None
    faults: tuple[str, ...]


class Fields:
    """One JSON object; every value is taken out with its type and range, or DriverError names the field."""

    def __init__(self, answer: object, place: str) -> None:
        self._place = place
        if not isinstance(answer, dict):
            raise DriverError(f"{place}: expected a JSON object, got {shown(answer)}", place=place)
        if not answer:
            raise DriverError(f"{place}: an empty object; some firmware answers a wrong token so", place=place)
        self._fields: Mapping[str, object] = answer

    def number(self, key: str, lowest: float, highest: float) -> float:
        """Return a number that has to be there."""
        found = self.maybe(key, lowest, highest)
        if found is None:
            self._refuse(key, "is missing")
        return found

    def maybe(self, key: str, lowest: float, highest: float) -> float | None:
        """Return a number, None where the field is missing or null."""
        value = self._fields.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(key, f"is {shown(value)}, expected a number")
        if not lowest <= value <= highest:  # NaN lies nowhere
            self._refuse(key, f"is {shown(value)}, expected {lowest:g} to {highest:g}")
        return float(value)

    def flag(self, key: str) -> bool | None:
        """Return a boolean, None where the field is missing or null."""
        value = self._fields.get(key)
        if value is not None and not isinstance(value, bool):
            self._refuse(key, f"is {shown(value)}, expected true or false")
        return value

    def text(self, key: str) -> str | None:
        """Return a short text, None where the field is missing or null."""
        value = self._fields.get(key)
        if value is not None and (not isinstance(value, str) or len(value) > _SHOWN):
            self._refuse(key, f"is {shown(value)}, expected a short text")
        return value

    def word(self, key: str) -> str | None:
        """Return a whole number that firmware writes as a number or as text; None where it is missing or null."""
        value = self._fields.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 999:
            return str(value)
        if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 3:
            self._refuse(key, f"is {shown(value)}, expected a whole number up to 999")
        return value

    def _refuse(self, key: str, fault: str) -> NoReturn:
        raise DriverError(f"{self._place}: {key} {fault}", place=self._place, field=key)


def read_json(body: bytes, place: str) -> object:
    """Return what a body says. Raises DriverError for anything but JSON; NaN and infinities are left to `Fields`."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        begins = body[:_FIRST_BYTES].lstrip()
        kind = "HTML" if begins.startswith(b"<") else f"{len(body)} bytes that begin with {begins!r}"
        raise DriverError(f"{place}: expected JSON, got {kind}", place=place) from None


def read_status(answer: object, place: str) -> Status:
    """Return the status. Raises DriverError that names the field at fault."""
    fields = Fields(answer, place)
    mode = fields.word("OperatingMode")
    if mode is None:
        raise DriverError(f"{place}: OperatingMode is missing", place=place, field="OperatingMode")
    reserve = fields.word("BackupBuffer")
    return Status(
        power_w=fields.number("Pac_total_W", -_HIGHEST_W, _HIGHEST_W),
        user_soc=fields.number("USOC", 0.0, 100.0) / 100.0,
        mode=mode,
        voltage_v=fields.maybe("Ubat", 0.0, HIGHEST_V) or None,
        reserve=min(int(reserve or 0), 100) / 100.0,
        discharge_allowed=not fields.flag("dischargeNotAllowed"),
        on_grid=fields.text("SystemStatus") in (None, "OnGrid"),
        timestamp=fields.text("Timestamp"),
    )


def read_battery(answer: object, place: str) -> Battery:
    """Return what is known of the cells. Raises DriverError that names the field at fault."""
    fields = Fields(answer, place)
    voltage_v = fields.maybe("systemdcvoltage", 0.0, HIGHEST_V) or None
    series = in_series(voltage_v, fields.maybe("nominalmoduledcvoltage", 0.0, HIGHEST_V) or None)
    full_ah, remaining_ah, usable_ah = (
        fields.maybe(key, 0.0, _HIGHEST_AH) for key in ("fullchargecapacity", "remainingcapacity", "usableremainingcapacity")
    )
    for key, charge_ah in (("remainingcapacity", remaining_ah), ("usableremainingcapacity", usable_ah)):
        if full_ah is not None and charge_ah is not None and charge_ah > full_ah * _OVERFULL:
            message = f"{place}: {key} is {charge_ah:g}, more than fullchargecapacity, {full_ah:g}"
            raise DriverError(message, place=place, field=key)
    cycles = fields.maybe("cyclecount", 0.0, 1e6)
    sensors_c = [fields.maybe(key, -300.0, _HOTTEST_C) for key in ("minimumcelltemperature", "maximumcelltemperature")]
    temperatures_c = tuple(each for each in sensors_c if each is not None and each > _NO_SENSOR_C)
    alarms = ((word, fields.maybe(f"system{word}", 0.0, math.inf)) for word in ("alarm", "warning"))
    return Battery(
        voltage_v=voltage_v,
        full_ah=None if full_ah is None else full_ah / series,
        remaining_ah=None if remaining_ah is None else remaining_ah / series,
        usable_ah=None if usable_ah is None else usable_ah / series,
        cycles=None if cycles is None else int(cycles),
        temperatures_c=temperatures_c or None,
        limit_discharge_a=fields.maybe("dischargecurrentlimit", 0.0, _HIGHEST_A),
        limit_charge_a=fields.maybe("chargecurrentlimit", 0.0, _HIGHEST_A),
        faults=tuple(f"{word} {code:g}" for word, code in alarms if code),
    )


def in_series(voltage_v: float | None, module_v: float | None) -> int:
    """Return how many modules stand in series: their Ah are told at one module's voltage, with all modules as if in parallel."""
    if voltage_v is None or module_v is None:
        return 1
    return max(1, round(voltage_v / module_v))


def named_mode(mode: str) -> str:
    """Return a mode with its name, for people."""
    return f"mode {mode} ({MODES[mode]})" if mode in MODES else f"mode {mode}"


def shown(value: object) -> str:
    """Return a value for a message, cut where it would flood it."""
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a larger integer"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
