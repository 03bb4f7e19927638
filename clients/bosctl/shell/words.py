"""The kinds of words a command takes: each reads one word, or says what it expected instead."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9_'][A-Za-z0-9_.'-]{0,62}")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

PAIR_KEYS: Mapping[str, str] = {
    "voltage": "voltage_v",
    "v": "voltage_v",
    "current": "current_a",
    "c": "current_a",
    "state_of_charge": "charge_ah",
    "soc": "charge_ah",
    "s": "charge_ah",
    "max_capacity": "capacity_ah",
    "mc": "capacity_ah",
    "cap": "capacity_ah",
    "max_discharging_current": "max_discharge_current_a",
    "mdc": "max_discharge_current_a",
    "discharge": "max_discharge_current_a",
    "max_charging_current": "max_charge_current_a",
    "mcc": "max_charge_current_a",
    "charge": "max_charge_current_a",
}
"""Keys of `k=v` words; charges are in Ah, `state_of_charge` as well."""


class WrongWord(Exception):  # noqa: N818 (it ends a line, it is no programming error)
    """A word that is not what its place takes; `word` is None at the end of a line."""

    def __init__(self, word: str | None, expected: str) -> None:
        super().__init__(f"{'the line ends' if word is None else repr(word)}: expected {expected}")
        self.word = word
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of word: how it is read, and what it is called where something else stands."""

    read: Callable[[str], Any]
    expected: str


def _name(word: str) -> str:
    if not _NAME.fullmatch(word):
        raise WrongWord(word, NAME.expected)
    return word


def _names(word: str) -> tuple[str, ...]:
    names = tuple(word.split(","))
    for each in names:
        if not _NAME.fullmatch(each):
            raise WrongWord(each or word, NAMES.expected)
    return names


def number(word: str, expected: str) -> float:
    """Read a finite number. Raises WrongWord."""
    value = float(word) if _NUMBER.fullmatch(word) else math.nan
    if not math.isfinite(value):
        raise WrongWord(word, expected)
    return value


def amount(what: str, *, least: float = -math.inf) -> Kind:
    """Return the kind of a number of at least `least`."""

    def read(word: str) -> float:
        value = number(word, what)
        if value < least:
            raise WrongWord(word, what)
        return value

    return Kind(read, what)


def choice(*words: str) -> Kind:
    """Return the kind of a word out of a few."""
    expected = " or ".join(words)

    def read(word: str) -> str:
        if word not in words:
            raise WrongWord(word, expected)
        return word

    return Kind(read, expected)


def _port(word: str) -> int:
    if not re.fullmatch(r"\d{1,5}", word) or int(word) > 65535:
        raise WrongWord(word, PORT.expected)
    return int(word)


def _pairs(word: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for pair in word.split(","):
        key, equals, text = pair.partition("=")
        if not equals:
            raise WrongWord(pair or word, PAIRS.expected)
        if key not in PAIR_KEYS:
            raise WrongWord(pair, f"one of the keys {_KEYS_SHOWN}")
        field = PAIR_KEYS[key]
        if field in values:
            raise WrongWord(pair, f"each value once; {key} is given twice")
        values[field] = _number_of(pair, key, text)
    return values


def _number_of(pair: str, key: str, text: str) -> float:
    try:
        return number(text, f"a number after {key}=")
    except WrongWord as wrong:
        raise WrongWord(pair, wrong.expected) from None


_KEYS_SHOWN = (
    "voltage|v, current|c, state_of_charge|soc|s, max_capacity|mc|cap, max_discharging_current|mdc|discharge, "
    "max_charging_current|mcc|charge"
)

NAME = Kind(_name, "a name (letters, digits, _ - . ', at most 63, not beginning with - or .)")
NAMES = Kind(_names, "names, comma-separated without blanks")
WORD = Kind(str, "a word")
FILE = Kind(str, "a file")
HOST = Kind(str, "a host")
ADDRESS = Kind(str, "an address, such as /dev/ttyUSB0")
PORT = Kind(_port, "a port number, 0 to 65535")
AMPS = amount("a number of amperes (positive discharges)")
VOLTS = amount("a number of volts of at least 0", least=0.0)
HOURS = amount("a number of hours of at least 0", least=0.0)
SECONDS = amount("a number of seconds of at least 0", least=0.0)
TIME = amount("a time in seconds since 1970-01-01 UTC")
PAIRS = Kind(_pairs, "key=value[,key=value]... without blanks")
