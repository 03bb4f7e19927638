"""The board's configuration registers 0x10 to 0x47: raw words, their defaults, and the few conversions the board itself needs."""

from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.pack import Pack

DESIGN_CAPACITY, CYCLE_CAPACITY = 0x10, 0x11
PRODUCTION_DATE, SERIAL_NUMBER, CYCLES = 0x15, 0x16, 0x17
BALANCE_START, BALANCE_WINDOW, SHUNT, FUNCTIONS, CELL_COUNT = 0x2A, 0x2B, 0x2C, 0x2D, 0x2F
SHORT_CIRCUIT, SHORT_RELEASE = 0x38, 0x39
FIRST, LAST = 0x10, 0x47
BALANCE_ENABLED, BALANCE_ONLY_CHARGING, UNIT_FLAG = 1 << 2, 1 << 3, 1 << 12

_SOC_REGISTERS = {
    0x12: 1.0,
    0x47: 1.0,
    0x42: 0.9,
    0x32: 0.8,
    0x43: 0.7,
    0x33: 0.6,
    0x44: 0.5,
    0x34: 0.4,
    0x45: 0.3,
    0x35: 0.2,
    0x46: 0.1,
    0x13: 0.0,
}
_SHORT_STEPS_MV = (22, 33, 44, 56, 67, 78, 89, 100)


def kelvin_word(temperature_c: float) -> int:
    """Return tenths of a kelvin with the protocol's offset: 25.0 degC is 2981."""
    return round(temperature_c * 10.0) + 2731


def date_word(year: int, month: int, day: int) -> int:
    """Return a production date: day in bits 0-4, month 5-8, years since 2000 above."""
    return (year - 2000) << 9 | month << 5 | day


def signed(word: int) -> int:
    """Return a U16 read as S16."""
    return word - 0x10000 if word & 0x8000 else word


def default_configuration(options: SimulatorOptions, pack: Pack) -> dict[int, int]:
    """Return every register's word for this pack.

    Limits that do not depend on the pack are those read from one 200 A board: 230 A both ways, -10.0 and 75.0 degC for
    charging, both cell voltage delays 2 s, short circuit word 8D5C. The function bits are that board's 0006 plus balance
    only while charging. The rest are typical values of LFP and NMC packs.
    """
    chemistry, series = pack.chemistry, options.series
    capacity_word = round(options.capacity_ah * options.per_ah)
    words = dict.fromkeys(range(FIRST, LAST + 1), 0)
    words |= {register: round(chemistry.open_circuit_v(soc) * 1000.0) for register, soc in _SOC_REGISTERS.items()}
    words |= {
        DESIGN_CAPACITY: capacity_word,
        CYCLE_CAPACITY: capacity_word,
        0x14: 2,
        PRODUCTION_DATE: 0 if options.undated else date_word(2022, 3, 28),
        SERIAL_NUMBER: options.seed & 0xFFFF,
        **_paired(0x18, kelvin_word(75.0), kelvin_word(65.0)),
        **_paired(0x1A, kelvin_word(-10.0), kelvin_word(0.0)),
        **_paired(0x1C, kelvin_word(75.0), kelvin_word(65.0)),
        **_paired(0x1E, kelvin_word(-20.0), kelvin_word(-10.0)),
        **_paired(0x20, *(mv * series // 10 for mv in chemistry.pack_overvoltage_mv)),
        **_paired(0x22, *(mv * series // 10 for mv in chemistry.pack_undervoltage_mv)),
        **_paired(0x24, *chemistry.overvoltage_mv),
        **_paired(0x26, *chemistry.undervoltage_mv),
        0x28: 0x59D8,
        0x29: 0xA628,
        BALANCE_START: chemistry.balance_start_mv,
        BALANCE_WINDOW: 15,
        SHUNT: 1,
        FUNCTIONS: 0x000E | (UNIT_FLAG if options.unit_flag else 0),
        0x2E: (1 << options.ntc_count) - 1,
        CELL_COUNT: series,
        0x30: 5,
        0x31: 5,
        0x36: chemistry.overvoltage_mv[0] + 100,
        0x37: chemistry.undervoltage_mv[0] - 100,
        SHORT_CIRCUIT: 0x8D5C,
        SHORT_RELEASE: 0x0020,
        **dict.fromkeys((0x3A, 0x3B, 0x3C, 0x3D), 0x0202),
        **dict.fromkeys((0x3E, 0x3F), 0x0A20),
    }
    return words


def short_circuit_a(words: dict[int, int]) -> float:
    """Return the short-circuit trip current: the millivolts of bits 8-10 (doubled by bit 15) over the shunt in 0.1 mOhm."""
    millivolts = _SHORT_STEPS_MV[words[SHORT_CIRCUIT] >> 8 & 7] * (2 if words[SHORT_CIRCUIT] & 0x8000 else 1)
    return millivolts / (0.1 * max(words[SHUNT], 1))


def _paired(register: int, trip: int, release: int) -> dict[int, int]:
    return {register: trip, register + 1: release}
