"""Values as they stand in a reply's payload: big-endian words that saturate, texts, basic information."""

import struct
from collections.abc import Iterable

from bosd.drivers.jbd.simulator import configuration
from bosd.drivers.jbd.simulator.configuration import kelvin_word
from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.plant import Plant

SOFTWARE_VERSION = 0x80
"""Two nibbles: 8.0, as captured boards report."""


def words_of(values: Iterable[float]) -> bytes:
    """Return unsigned words."""
    return b"".join(_unsigned(value).to_bytes(2, "big") for value in values)


def text_of(text: str) -> bytes:
    """Return a text behind its length."""
    return bytes((len(text),)) + text.encode()


def basic_information(plant: Plant, options: SimulatorOptions) -> bytes:
    """Return register 0x03; current positive while charging, capacities and percentage by the configuration.

    The standard tail is humidity, alarm, full-charge and remaining capacity and balance current (JBD protocol V13), the unit
    flag bit 7 of its first byte. The 8 bytes of clones are known by length alone, two words of them looking like temperatures
    and a byte like health; so are the last 7 of DH04 boards.
    """
    words, ntc_count, per_ah = plant.words, options.ntc_count, options.per_ah
    remaining = _unsigned(plant.pack.remaining_ah * per_ah)
    balance = plant.balance_word
    head = struct.pack(
        ">HhHHHHHHHBBBBB",
        _unsigned(plant.voltage_v * 100.0),
        _signed(-plant.current_a * per_ah),
        remaining,
        words[configuration.DESIGN_CAPACITY],
        min(plant.cycles, 0xFFFF),
        words[configuration.PRODUCTION_DATE],
        balance & 0xFFFF,
        balance >> 16,
        plant.protection_word,
        SOFTWARE_VERSION,
        min(round(100.0 * remaining / max(words[configuration.CYCLE_CAPACITY], 1)), 100),
        plant.charge_fet | plant.discharge_fet << 1,
        len(plant.pack.cells),
        ntc_count,
    )
    kelvin = kelvin_word(plant.pack.temperature_c)
    full, balance_ma = words[configuration.CYCLE_CAPACITY], 50 if balance else 0
    standard = struct.pack(">BHHHH", 0x80 if options.unit_flag else 0, 0, full, remaining, balance_ma)
    tails = {"none": b"", "standard": standard, "clone": struct.pack(">HHBBH", kelvin, kelvin, 100, 0, 0)}
    return head + words_of([kelvin] * ntc_count) + tails.get(options.tail, standard + bytes(7))


def _unsigned(value: float) -> int:
    return min(max(round(value), 0), 0xFFFF)


def _signed(value: float) -> int:
    return min(max(round(value), -0x8000), 0x7FFF)
