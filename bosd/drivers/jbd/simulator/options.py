"""What a simulated pack is made of and how its board and line behave."""

import random
from dataclasses import dataclass
from pathlib import Path

from bosd.drivers.jbd.simulator.chemistry import CHEMISTRIES
from bosd.errors import InvalidArgumentError

WAKE_ARTEFACTS = ("none", "zeros", "ff", "split")
"""The first reply after sleep: clean, behind 00 00, behind FF, or cut after 7 bytes with the rest 200 ms later."""

_RANGES: dict[str, tuple[float, float]] = {
    "series": (1, 32),
    "capacity_ah": (0.1, 655.35),
    "soc": (0.0, 1.0),
    "baud": (300, 1_000_000),
    "load_current_a": (-5000.0, 5000.0),
    "ambient_c": (-40.0, 120.0),
    "ntc_count": (0, 8),
    "capacity_spread": (0.0, 0.2),
    "sleep_after_s": (0.1, 1e9),
    "factory_timeout_s": (0.1, 1e9),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Everything fixed at start; `load_current_a` positive = discharge, `soc` 0..1.

    `turnaround_ms` is the range a reply's delay is drawn from, counted from the end of the request's last byte to the start
    of the reply's first. `sleep_after_s` and `factory_timeout_s` None means never. `capacity_spread` is the relative standard
    deviation of the cells. `password` None stands for a board without the feature. Raises InvalidArgumentError.
    """

    link: Path | None = None
    control: Path | None = None
    log: Path | None = None
    series: int = 4
    capacity_ah: float = 100.0
    soc: float = 0.5
    chemistry: str = "lfp"
    seed: int = 1
    load_current_a: float = 0.0
    ambient_c: float = 25.0
    ntc_count: int = 2
    capacity_spread: float = 0.005
    baud: int = 9600
    turnaround_ms: tuple[float, float] = (10.0, 20.0)
    half_duplex: bool = True
    sleep_after_s: float | None = 30.0
    wake_artefact: str = "none"
    zero_checksum_refusals: bool = False
    answer_bad_checksum: bool = False
    block_parameters: bool = False
    tail: bool = False
    factory_timeout_s: float | None = 30.0
    password: str | None = None
    hardware_name: str = "BOSD-SIM-JBD"

    def __post_init__(self) -> None:
        for key, (lowest, highest) in _RANGES.items():
            value = getattr(self, key)
            if value is not None:
                check_number(key, value, lowest, highest)
        check_choice("chemistry", self.chemistry, tuple(CHEMISTRIES))
        check_choice("wake_artefact", self.wake_artefact, WAKE_ARTEFACTS)
        check_turnaround(self.turnaround_ms)
        if self.password is not None and not (len(self.password) == 6 and self.password.isascii()):
            raise InvalidArgumentError("password must be six ASCII characters", key="password")
        if not (1 <= len(self.hardware_name) <= 31 and self.hardware_name.isascii()):
            raise InvalidArgumentError("hardware_name must be 1 to 31 ASCII characters", key="hardware_name")

    def rng(self, stream: str) -> random.Random:
        """Return the generator of one named stream of chance; same seed and name, same numbers."""
        return random.Random(f"{self.seed}/{stream}")  # noqa: S311 - reproducible simulation, not secrets


def check_number(key: str, value: object, lowest: float, highest: float) -> float:
    """Return `value` as a float, or raise InvalidArgumentError naming `key` and the range."""
    if isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest:
        return float(value)
    raise InvalidArgumentError(f"{key} must be a number from {lowest:g} to {highest:g}, not {_shown(value)}", key=key)


def check_choice(key: str, value: object, choices: tuple[str, ...]) -> str:
    """Return `value`, or raise InvalidArgumentError naming `key` and the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidArgumentError(f"{key} must be one of {', '.join(choices)}, not {_shown(value)}", key=key)
    return value


def check_turnaround(value: object) -> tuple[float, float]:
    """Return (lowest, highest) in ms, or raise InvalidArgumentError."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        message = f"turnaround_ms must be two numbers, lowest and highest, not {_shown(value)}"
        raise InvalidArgumentError(message, key="turnaround_ms")
    lowest, highest = (check_number("turnaround_ms", item, 0.0, 10_000.0) for item in value)
    if lowest > highest:
        raise InvalidArgumentError(
            f"turnaround_ms: the lowest, {lowest:g}, is above the highest, {highest:g}", key="turnaround_ms"
        )
    return lowest, highest


def _shown(value: object) -> str:
    """Return `value` for a message, cut where it would flood it."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 1 << 64 else "a larger integer"
    return text if len(text) <= 80 else text[:77] + "..."
