"""What a simulated supply is, what it is wired to, and how fast it answers."""

import random
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from bosd.drivers.far_end.checks import check_choice, check_number, check_turnaround
from bosd.errors import InvalidArgumentError


class Build(NamedTuple):
    """A model's identity word, counts per V and A, and its highest current."""

    word: int
    per_v: int
    per_a: int
    max_current_a: float


MODELS = MappingProxyType(
    {
        "rd6006": Build(60062, 100, 1000, 6.0),
        "rd6006p": Build(60065, 1000, 10000, 6.0),
        "rd6012": Build(60121, 100, 100, 12.0),
        "rd6012p": Build(60125, 1000, 1000, 12.0),
        "rd6018": Build(60181, 100, 100, 18.0),
    }
)

_RANGES = {
    "address": (1, 247),
    "baud": (300, 4_000_000),
    "input_voltage_v": (0.0, 80.0),
    "battery_voltage_v": (0.0, 100.0),
    "battery_resistance_ohm": (0.001, 1000.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Everything fixed at start.

    The output is wired to a source of `battery_voltage_v` behind `battery_resistance_ohm`, or to the simulated pack whose control
    socket is `pack_control`: its voltage counts then, and it gets the current. `turnaround_ms` is the pause before an answer;
    stock firmware takes about 100 ms a query (riden-dongle, README). Raises InvalidArgumentError.
    """

    link: Path | None = None
    control: Path | None = None
    pack_control: Path | None = None
    log: Path | None = None
    model: str = "rd6006"
    serial: int = 12345
    firmware: int = 141
    address: int = 1
    baud: int = 115200
    seed: int = 1
    input_voltage_v: float = 24.0
    battery_voltage_v: float = 13.2
    battery_resistance_ohm: float = 0.05
    turnaround_ms: tuple[float, float] = (80.0, 110.0)
    boot_output: bool = False

    def __post_init__(self) -> None:
        check_choice("model", self.model, tuple(MODELS))
        for key, (lowest, highest) in _RANGES.items():
            check_number(key, getattr(self, key), lowest, highest)
        check_turnaround(self.turnaround_ms)
        for key, top in (("serial", 1 << 32), ("firmware", 1 << 16)):
            if not 0 <= getattr(self, key) < top:
                raise InvalidArgumentError(f"{key} must lie between 0 and {top - 1}", key=key)

    def rng(self, stream: str) -> random.Random:
        """Return the generator of one named stream of chance; same seed and name, same numbers."""
        return random.Random(f"{self.seed}/{stream}")  # noqa: S311 - reproducible simulation, not secrets
