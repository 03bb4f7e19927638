"""Protections: thresholds from the configuration registers, each with its delay and its release."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from bosd.drivers.jbd.simulator.configuration import SHORT_RELEASE, short_circuit_a, signed

SHORT_CIRCUIT_BIT, AFE_BIT, LOCK_BIT = 10, 11, 12
CHARGE_BLOCKING = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << AFE_BIT
DISCHARGE_BLOCKING = 1 << 1 | 1 << 3 | 1 << 6 | 1 << 7 | 1 << 9 | 1 << SHORT_CIRCUIT_BIT | 1 << AFE_BIT
COUNTER_OF_BIT = {10: 0, 8: 1, 9: 2, 0: 3, 1: 4, 4: 5, 5: 6, 6: 7, 7: 8, 2: 9, 3: 10}
"""Place of each protection in the counters of register 0xAA; place 11 counts restarts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the protections look at; currents are magnitudes in their direction."""

    lowest_cell_v: float
    highest_cell_v: float
    voltage_v: float
    temperature_c: float
    charge_current_a: float
    discharge_current_a: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """One protection that releases by value: `register` trips, `register + 1` releases, after a delay in seconds.

    `low_half` says which byte of `delay_register` holds the delay: low for over, high for under.
    """

    bit: int
    reading: str
    side: Literal["over", "under"]
    register: int
    delay_register: int
    scale: Callable[[int], float]

    def tripping(self, readings: Readings, words: dict[int, int]) -> bool:
        """Say whether the reading is at or past the trip point."""
        value, limit = getattr(readings, self.reading), self.scale(words[self.register])
        return bool(value >= limit if self.side == "over" else value <= limit)

    def releasing(self, readings: Readings, words: dict[int, int]) -> bool:
        """Say whether the reading has come back to the release point."""
        value, limit = getattr(readings, self.reading), self.scale(words[self.register + 1])
        return bool(value <= limit if self.side == "over" else value >= limit)

    def delay_s(self, words: dict[int, int]) -> int:
        """Return the trip delay."""
        return words[self.delay_register] & 0xFF if self.side == "over" else words[self.delay_register] >> 8


def _millivolts(word: int) -> float:
    return word / 1000.0


def _centivolts(word: int) -> float:
    return word / 100.0


def _celsius(word: int) -> float:
    return (word - 2731) / 10.0


THRESHOLDS = (
    Threshold(0, "highest_cell_v", "over", 0x24, 0x3D, _millivolts),
    Threshold(1, "lowest_cell_v", "under", 0x26, 0x3D, _millivolts),
    Threshold(2, "voltage_v", "over", 0x20, 0x3C, _centivolts),
    Threshold(3, "voltage_v", "under", 0x22, 0x3C, _centivolts),
    Threshold(4, "temperature_c", "over", 0x18, 0x3A, _celsius),
    Threshold(5, "temperature_c", "under", 0x1A, 0x3A, _celsius),
    Threshold(6, "temperature_c", "over", 0x1C, 0x3B, _celsius),
    Threshold(7, "temperature_c", "under", 0x1E, 0x3B, _celsius),
)
"""Protections that release by value (JBD configuration registers 18 to 27, delays 3A to 3D)."""


@dataclass(slots=True)
class Protections:
    """The protection word in the making: which bits are up, how long each condition has lasted, how often each tripped."""

    word: int = 0
    counters: list[int] = field(default_factory=lambda: [0] * 12)
    _pending_s: dict[int, float] = field(default_factory=dict)
    _held_s: dict[int, float] = field(default_factory=dict)

    def step(self, seconds: float, readings: Readings, words: dict[int, int]) -> None:
        """Judge the last `seconds`, during which `readings` held."""
        for row in THRESHOLDS:
            if self.word >> row.bit & 1:
                if row.releasing(readings, words):
                    self._release(row.bit)
            else:
                self._wait(row.bit, seconds, row.delay_s(words), tripping=row.tripping(readings, words))
        charge_limit_a, discharge_limit_a = abs(signed(words[0x28])) / 100.0, abs(signed(words[0x29])) / 100.0
        self._over_current(8, seconds, words[0x3E], tripping=readings.charge_current_a > charge_limit_a)
        self._over_current(9, seconds, words[0x3F], tripping=readings.discharge_current_a > discharge_limit_a)
        short = readings.discharge_current_a >= short_circuit_a(words)
        self._over_current(SHORT_CIRCUIT_BIT, seconds, words[SHORT_RELEASE] & 0xFF, tripping=short)

    def clear(self) -> None:
        """Drop every alarm; a condition that persists has to last its delay again."""
        self.word = 0
        self._pending_s.clear()
        self._held_s.clear()

    def _over_current(self, bit: int, seconds: float, delay_and_release: int, *, tripping: bool) -> None:
        """Trip after the seconds of the high byte, release after those of the low byte: the current itself is gone by then."""
        if not self.word >> bit & 1:
            self._wait(bit, seconds, delay_and_release >> 8, tripping=tripping)
            return
        self._held_s[bit] = self._held_s.get(bit, 0.0) + seconds
        if self._held_s[bit] >= (delay_and_release & 0xFF):
            self._release(bit)

    def _wait(self, bit: int, seconds: float, delay_s: float, *, tripping: bool) -> None:
        if not tripping:
            self._pending_s.pop(bit, None)
            return
        self._pending_s[bit] = self._pending_s.get(bit, 0.0) + seconds
        if self._pending_s[bit] >= delay_s:
            self.word |= 1 << bit
            self.counters[COUNTER_OF_BIT[bit]] += 1
            self._pending_s.pop(bit)

    def _release(self, bit: int) -> None:
        self.word &= ~(1 << bit)
        self._held_s.pop(bit, None)
