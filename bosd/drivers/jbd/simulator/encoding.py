"""Values as they stand in a reply's payload: big-endian words that saturate, texts, basic information."""

import struct
from collections.abc import Iterable

from bosd.drivers.jbd.simulator import configuration
from bosd.drivers.jbd.simulator.configuration import kelvin_word
from bosd.drivers.jbd.simulator.plant import Plant

SOFTWARE_VERSION = 0x80
"""Two nibbles: 8.0, as captured boards report."""


def words_of(values: Iterable[float]) -> bytes:
    """Return unsigned words."""
    return b"".join(_unsigned(value).to_bytes(2, "big") for value in values)


def text_of(text: str) -> bytes:
    """Return a text behind its length."""
    return bytes((len(text),)) + text.encode()


def basic_information(plant: Plant, ntc_count: int, *, tail: bool) -> bytes:
    """Return register 0x03; current positive while charging, capacities and percentage by the configuration.

    `tail` appends humidity, alarm, full-charge and remaining capacity and balance current (JBD protocol V13).
    """
    words = plant.words
    remaining = _unsigned(plant.pack.remaining_ah * 100.0)
    balance = plant.balance_word
    head = struct.pack(
        ">HhHHHHHHHBBBBB",
        _unsigned(plant.voltage_v * 100.0),
        _signed(-plant.current_a * 100.0),
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
    basic = head + words_of([kelvin_word(plant.pack.temperature_c)] * ntc_count)
    if tail:
        basic += struct.pack(">BHHHH", 0, 0, words[configuration.CYCLE_CAPACITY], remaining, 50 if balance else 0)
    return basic


def _unsigned(value: float) -> int:
    return min(max(round(value), 0), 0xFFFF)


def _signed(value: float) -> int:
    return min(max(round(value), -0x8000), 0x7FFF)
