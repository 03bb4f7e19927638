"""The JBD register map as data (JBD protocol V4 and V13): which may be sent, and how configuration words read."""

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

FACTORY_ENTER = 0x00
FACTORY_EXIT = 0x01
CHIP_TYPE = 0x00
"""Read, the register that enters configuration mode when written says which chip measures."""
BASIC = 0x03
CELLS = 0x04
HARDWARE_NAME = 0x05
PASSWORD = 0x06
PASSWORD_CHARACTERS = 6
MANUFACTURER = 0xA0
MODEL = 0xA1
BARCODE = 0xA2
COUNTERS = 0xAA
FET_CONTROL = 0xE1

CHARGE_FET = 0x01
DISCHARGE_FET = 0x02
BOTH_FETS = CHARGE_FET | DISCHARGE_FET
"""FET bits as register 0x03 reports them: set while conducting. Register 0xE1 takes them inverted."""

WRITABLE: MappingProxyType[int, int] = MappingProxyType(
    {
        FACTORY_ENTER: 2,
        FACTORY_EXIT: 2,
        PASSWORD: 1 + PASSWORD_CHARACTERS,  # presented
        0x0A: 2,  # reset state of charge, clear alarm, automatic balance
        0x0B: 2,  # clear history
        0xE0: 2,  # set remaining capacity
        FET_CONTROL: 2,
        0xE2: 2,  # balance test
    }
)
"""Registers that may be written, with the length of their payload.

Whatever is not here cannot be encoded. That covers the password change and reset (0x07, 0x09), the calibration of current,
cells and sensors (0xAD-0xAF, 0xB0-0xCF, 0xD0-0xD7), the configuration, and commands whose payload is not documented.
"""

COUNTER_NAMES = (
    "short_circuit",
    "charge_overcurrent",
    "discharge_overcurrent",
    "cell_overvoltage",
    "cell_undervoltage",
    "charge_overtemperature",
    "charge_undertemperature",
    "discharge_overtemperature",
    "discharge_undertemperature",
    "pack_overvoltage",
    "pack_undervoltage",
    "restart",
)
"""Words of register 0xAA in order; older boards leave the last one out."""

PROTECTIONS = (
    "cell_overvoltage",
    "cell_undervoltage",
    "pack_overvoltage",
    "pack_undervoltage",
    "charge_overtemperature",
    "charge_undertemperature",
    "discharge_overtemperature",
    "discharge_undertemperature",
    "charge_overcurrent",
    "discharge_overcurrent",
    "short_circuit",
    "afe_error",
)
"""Bits 0 to 11 of the protection word, lowest first."""

SOFTWARE_LOCK_BIT = 12
"""Set while register 0xE1 holds a FET off: a state that was commanded, not a fault of the cells."""
CHARGE_TIMEOUT_BIT = 13
"""Charge time-out, named by one firmware only."""


class Kind(Enum):
    """How a configuration word is to be read."""

    UNSIGNED = "unsigned"
    SIGNED = "signed"
    DATE = "date"
    TEMPERATURE = "temperature"
    BYTES = "bytes"
    SHORT_CIRCUIT = "short circuit"


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration register: its name, the unit of its value, how its word reads, and words per unit."""

    name: str
    unit: str
    kind: Kind = Kind.UNSIGNED
    per_unit: int = 1


def _cell_curve() -> dict[int, Setting]:
    """Return the registers of the cell voltage at 100, 90, ... 0 % state of charge."""
    numbers = {0x12: 100, 0x47: 100, 0x13: 0}
    numbers |= dict(zip((0x42, 0x32, 0x43, 0x33, 0x44, 0x34, 0x45, 0x35, 0x46), range(90, 0, -10), strict=True))
    return {number: Setting(f"cell_mV_at_{percent}pct", "mV") for number, percent in numbers.items()}


def _temperatures() -> dict[int, Setting]:
    """Return the registers of the temperature trip points and their releases."""
    names = ("charge_overtemp", "charge_undertemp", "discharge_overtemp", "discharge_undertemp")
    pairs = (f"{name}{suffix}" for name in names for suffix in ("", "_release"))
    return {number: Setting(name, "C", Kind.TEMPERATURE) for number, name in enumerate(pairs, start=0x18)}


SETTINGS: MappingProxyType[int, Setting] = MappingProxyType(
    {
        **_cell_curve(),
        **_temperatures(),
        0x10: Setting("design_capacity", "Ah", per_unit=100),
        0x11: Setting("cycle_capacity", "Ah", per_unit=100),
        0x14: Setting("self_discharge", "%", per_unit=10),
        0x15: Setting("production_date", "date", Kind.DATE),
        0x16: Setting("serial_number", ""),
        0x17: Setting("cycles", ""),
        0x20: Setting("pack_overvoltage", "V", per_unit=100),
        0x21: Setting("pack_overvoltage_release", "V", per_unit=100),
        0x22: Setting("pack_undervoltage", "V", per_unit=100),
        0x23: Setting("pack_undervoltage_release", "V", per_unit=100),
        0x24: Setting("cell_overvoltage", "mV"),
        0x25: Setting("cell_overvoltage_release", "mV"),
        0x26: Setting("cell_undervoltage", "mV"),
        0x27: Setting("cell_undervoltage_release", "mV"),
        0x28: Setting("charge_overcurrent", "A", Kind.SIGNED, 100),
        0x29: Setting("discharge_overcurrent", "A", Kind.SIGNED, 100),
        0x2A: Setting("balance_start", "mV"),
        0x2B: Setting("balance_window", "mV"),
        0x2C: Setting("shunt", "mOhm", per_unit=10),
        0x2D: Setting("function_bits", "bits"),
        0x2E: Setting("ntc_mask", "bits"),
        0x2F: Setting("cell_count", ""),
        0x30: Setting("fet_control_time", "s"),
        0x31: Setting("led_time", "s"),
        0x36: Setting("hard_cell_overvoltage", "mV"),
        0x37: Setting("hard_cell_undervoltage", "mV"),
        0x38: Setting("sc_dsgoc2", "packed", Kind.SHORT_CIRCUIT),
        0x39: Setting("hard_voltage_delays", "bytes", Kind.BYTES),
        0x3A: Setting("charge_temperature_delays", "bytes", Kind.BYTES),
        0x3B: Setting("discharge_temperature_delays", "bytes", Kind.BYTES),
        0x3C: Setting("pack_voltage_delays", "bytes", Kind.BYTES),
        0x3D: Setting("cell_voltage_delays", "bytes", Kind.BYTES),
        0x3E: Setting("charge_overcurrent_delays", "bytes", Kind.BYTES),
        0x3F: Setting("discharge_overcurrent_delays", "bytes", Kind.BYTES),
        0x40: Setting("gps_cut_off_voltage", ""),
        0x41: Setting("gps_cut_off_delay", ""),
    }
)
"""Configuration registers; boards answer them in factory mode only. Scales: JBD protocol V13, parameters."""

FUNCTION_BITS = 0x2D
FUNCTIONS = {
    0: "switch",
    1: "load_lock",
    2: "balance",
    3: "balance_only_charging",
    4: "led",
    5: "led_count",
    6: "rtc",
    7: "edv",
    8: "gps",
    9: "buzzer",
    12: "tenfold_units",
}
"""Bits of register 0x2D."""
CYCLES = 0x17

SHORT_CIRCUIT_DELAYS_US = (70, 100, 200, 400)
SHORT_CIRCUIT_LIMITS_MV = (22, 33, 44, 56, 67, 78, 89, 100)
OVERCURRENT2_DELAYS_MS = (8, 20, 40, 80, 160, 320, 640, 1280)
OVERCURRENT2_LIMITS_MV = (8, 11, 14, 17, 19, 22, 25, 28, 31, 33, 36, 39, 42, 44, 47, 50)
