"""JBD payloads without I/O: what the words of each reply mean (JBD protocol V4, extended by V13)."""

import datetime as dt
from dataclasses import dataclass
from struct import Struct

from bosd.drivers.jbd.framing import Frame, FrameParser, FrameReader, encode_read, encode_write
from bosd.drivers.jbd.registers import (
    COUNTER_NAMES,
    OVERCURRENT2_DELAYS_MS,
    OVERCURRENT2_LIMITS_MV,
    SETTINGS,
    SHORT_CIRCUIT_DELAYS_US,
    SHORT_CIRCUIT_LIMITS_MV,
    Kind,
    Setting,
)
from bosd.errors import DriverError

__all__ = [
    "BasicInfo",
    "Frame",
    "FrameParser",
    "FrameReader",
    "SettingValue",
    "Tail",
    "decode_basic",
    "decode_cells",
    "decode_counters",
    "decode_date",
    "decode_setting",
    "decode_short_text",
    "decode_text",
    "encode_read",
    "encode_write",
]

_BASIC = Struct(">HhHHHHHHHBBBBB")
_TAIL = Struct(">BHHHH")
_WORDS = tuple(Struct(f">{count}H") for count in range(128))
_ZERO_C = 2731
"""Temperatures are tenths of a kelvin: 273.1 K is read as 0 degC."""
_BY_TEN = 0x80
"""Unit flag in the first byte of a tail: current and capacities count in tenths. Experimental: no capture has it."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What newer boards append to the basic information; `full_charge_ah` and `remaining_ah` follow the unit flag."""

    humidity_pct: int
    alarm_bits: int
    full_charge_ah: float
    remaining_ah: float
    balance_current_ma: int


@dataclass(frozen=True, slots=True)
class BasicInfo:
    """Register 0x03 in the board's own terms: `inflow_a` is positive while charging. Protections and FETs are raw bits.

    `production` is raw (`decode_date`); `extra` is all that follows the temperatures, which `tail` reads.
    """

    voltage_v: float
    inflow_a: float
    remaining_ah: float
    capacity_ah: float
    cycles: int
    production: int
    balance_bits: int
    protection_bits: int
    software: int
    soc_pct: int
    fet_bits: int
    cell_count: int
    temperatures_c: tuple[float, ...]
    extra: bytes

    @property
    def tail(self) -> Tail | None:
        """The tail, None on boards without one; longer tails of clones are read as far as they agree."""
        if len(self.extra) < _TAIL.size:
            return None
        humidity, alarm, full, remaining, balance = _TAIL.unpack_from(self.extra)
        per_ah = 10 if humidity & _BY_TEN else 100
        return Tail(humidity & ~_BY_TEN, alarm, full / per_ah, remaining / per_ah, balance)

    @property
    def software_version(self) -> str:
        """The version in two nibbles: 0x80 is 8.0."""
        return f"{self.software >> 4}.{self.software & 0x0F}"

    @property
    def balancing_cells(self) -> tuple[int, ...]:
        """The cells being balanced, counted from 1; bit 0 is cell 1."""
        return tuple(bit + 1 for bit in range(32) if self.balance_bits >> bit & 1)


def decode_basic(payload: bytes) -> BasicInfo:
    """Read register 0x03 of any length; raises DriverError when it is shorter than its own counts say."""
    if len(payload) < _BASIC.size:
        raise _bad_payload("basic information", payload)
    (volts, amps, remaining, capacity, cycles, production, low, high, protection, software, soc, fets, cells, ntcs) = (
        _BASIC.unpack_from(payload)
    )
    end = _BASIC.size + 2 * ntcs
    if len(payload) < end:
        raise _bad_payload("basic information", payload)
    extra = payload[end:]
    per_unit = 10 if len(extra) >= _TAIL.size and extra[0] & _BY_TEN else 100
    return BasicInfo(
        volts / 100,
        amps / per_unit,
        remaining / per_unit,
        capacity / per_unit,
        cycles,
        production,
        high << 16 | low,
        protection,
        software,
        soc,
        fets,
        cells,
        tuple([(word - _ZERO_C) / 10 for word in _WORDS[ntcs].unpack_from(payload, _BASIC.size)]),
        extra,
    )


def decode_cells(payload: bytes) -> tuple[float, ...]:
    """Read register 0x04: each cell in volts, 0 included; raises DriverError for an odd length or no cell."""
    if len(payload) % 2 or not payload:
        raise _bad_payload("cell voltages", payload)
    return tuple([word / 1000 for word in _WORDS[len(payload) // 2].unpack(payload)])


def decode_counters(payload: bytes) -> dict[str, int]:
    """Read register 0xAA: how often each protection has tripped; raises DriverError for another length than 11 or 12 words."""
    if len(payload) not in (22, 24):
        raise _bad_payload("counters", payload)
    return dict(zip(COUNTER_NAMES, _WORDS[len(payload) // 2].unpack(payload), strict=False))


def decode_text(payload: bytes) -> str:
    """Read register 0x05: the hardware name, without a length byte."""
    return payload.decode("ascii", "replace").rstrip("\0 ")


def decode_short_text(payload: bytes) -> str:
    """Read registers 0xA0 to 0xA2: text behind its length; raises DriverError when it is cut."""
    if not payload or len(payload) <= payload[0]:
        raise _bad_payload("text", payload)
    return decode_text(payload[1 : 1 + payload[0]])


def decode_date(word: int) -> dt.date | None:
    """Read a date word (day in bits 0-4, month in 5-8, years since 2000 above); None for one that does not exist."""
    try:
        return dt.date(2000 + (word >> 9), word >> 5 & 0x0F, word & 0x1F)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class SettingValue:
    """One configuration register as read: its word and what it means in the setting's unit."""

    setting: Setting
    raw: int
    value: float | dt.date | tuple[int, int] | dict[str, int] | None


def decode_setting(register: int, payload: bytes) -> SettingValue:
    """Read configuration register `register`; raises DriverError for an unknown one or another length than a word."""
    setting = SETTINGS.get(register)
    if setting is None or len(payload) != 2:
        raise _bad_payload(f"register 0x{register:02X}", payload)
    raw = int.from_bytes(payload, "big")
    return SettingValue(setting, raw, _setting_value(setting, raw))


def _setting_value(setting: Setting, raw: int) -> float | dt.date | tuple[int, int] | dict[str, int] | None:
    match setting.kind:
        case Kind.DATE:
            return decode_date(raw)
        case Kind.TEMPERATURE:
            return (raw - _ZERO_C) / 10
        case Kind.BYTES:
            return raw >> 8, raw & 0xFF
        case Kind.SHORT_CIRCUIT:
            return _short_circuit(raw)
        case Kind.SIGNED:
            return ((raw ^ 0x8000) - 0x8000) / setting.per_unit
        case Kind.UNSIGNED:
            return raw if setting.per_unit == 1 else raw / setting.per_unit


def _short_circuit(raw: int) -> dict[str, int]:
    """Read register 0x38: short circuit in the high byte, second discharge over-current in the low one."""
    return {
        "doubled": raw >> 15,
        "sc_delay_us": SHORT_CIRCUIT_DELAYS_US[raw >> 11 & 0x03],
        "sc_limit_mV": SHORT_CIRCUIT_LIMITS_MV[raw >> 8 & 0x07],
        "dsgoc2_delay_ms": OVERCURRENT2_DELAYS_MS[raw >> 4 & 0x07],
        "dsgoc2_limit_mV": OVERCURRENT2_LIMITS_MV[raw & 0x0F],
    }


def _bad_payload(what: str, payload: bytes) -> DriverError:
    return DriverError(f"{what}: {len(payload)} bytes cannot be read", reject="payload", payload=payload.hex())
