"""What a simulated pack is made of and how its board and line behave."""

import random
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bosd.drivers.far_end.checks import check_choice, check_number, check_turnaround
from bosd.drivers.jbd.simulator.chemistry import CHEMISTRIES
from bosd.errors import InvalidArgumentError

WAKE_ARTEFACTS = ("none", "zeros", "ff", "split")
"""The first reply after sleep: clean, behind 00 00, behind FF, or cut after 7 bytes with the rest 200 ms later."""

TAILS = ("none", "standard", "clone", "dh04")
"""What follows the temperatures in basic information: nothing, 9 bytes, 8 other bytes (39 in all with four sensors), or the
9 and 7 more (47 in all with four sensors)."""

_RANGES: dict[str, tuple[float, float]] = {
    "series": (1, 32),
    "capacity_ah": (0.1, 6553.5),
    "soc": (0.0, 1.0),
    "baud": (300, 1_000_000),
    "load_current_a": (-5000.0, 5000.0),
    "ambient_c": (-40.0, 120.0),
    "ntc_count": (0, 8),
    "capacity_spread": (0.0, 0.2),
    "sleep_after_s": (0.1, 1e9),
    "factory_timeout_s": (0.1, 1e9),
    "address": (1, 255),
    "boards": (1, 63),
}

_OPCODES = (0x5A, 0xA5)

_LARGEST_AH = 655.35
"""What a word of 10 mAh holds; more takes the unit flag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Everything fixed at start; `load_current_a` positive = discharge, `soc` 0..1.

    `turnaround_ms` is the range a reply's delay is drawn from, counted from the end of the request's last byte to the start
    of the reply's first. `sleep_after_s` and `factory_timeout_s` None means never. `capacity_spread` is the relative standard
    deviation of the cells. `password` None stands for a board without the feature, whose register 06 is refused;
    `any_password` for one that has it and no password set. `unit_flag` counts current and capacity in 100 mA and 100 mAh.
    `address` is the byte after DD that this board wants; None, an ordinary board, knows the plain form alone. Several
    `boards` share the line: seeds count up from `seed`, addresses from `address` or 1. Raises InvalidArgumentError.
    """

    link: Path | None = None
    tcp: str | None = None
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
    tail: str = "none"
    unit_flag: bool = False
    undated: bool = False
    nameless: bool = False
    short_counters: bool = False
    factory_timeout_s: float | None = 30.0
    password: str | None = None
    any_password: bool = False
    address: int | None = None
    boards: int = 1
    hardware_name: str = "BOSD-SIM-JBD"

    def __post_init__(self) -> None:
        for key, (lowest, highest) in _RANGES.items():
            value = getattr(self, key)
            if value is not None:
                check_number(key, value, lowest, highest)
        check_choice("chemistry", self.chemistry, tuple(CHEMISTRIES))
        check_choice("wake_artefact", self.wake_artefact, WAKE_ARTEFACTS)
        check_choice("tail", self.tail, TAILS)
        check_turnaround(self.turnaround_ms)
        self._check_variants()

    def _check_variants(self) -> None:
        """Check what goes with what."""
        if self.password is not None and not (len(self.password) == 6 and self.password.isascii()):
            raise InvalidArgumentError("password must be six ASCII characters", key="password")
        if not (1 <= len(self.hardware_name) <= 31 and self.hardware_name.isascii()):
            raise InvalidArgumentError("hardware_name must be 1 to 31 ASCII characters", key="hardware_name")
        if self.unit_flag and self.tail not in ("standard", "dh04"):
            raise InvalidArgumentError("unit_flag stands in a tail: it goes with tail standard or dh04", key="unit_flag")
        if self.capacity_ah > _LARGEST_AH and not self.unit_flag:
            message = f"capacity_ah: {self.capacity_ah:g} does not fit a word of 10 mAh; above {_LARGEST_AH} it takes unit_flag"
            raise InvalidArgumentError(message, key="capacity_ah")
        if self.link is not None and self.tcp is not None:
            raise InvalidArgumentError("link and tcp: one line, so one of them", key="tcp")
        first = self.address if self.boards == 1 else self.address or 1
        for address in [] if first is None else range(first, first + self.boards):
            if address > 255 or address in _OPCODES:
                message = f"address {address}: addresses are 1 to 255 without {0x5A} and {0xA5}, which start a plain request"
                raise InvalidArgumentError(message, key="address")

    @property
    def per_ah(self) -> int:
        """Words of the board per Ah, and per A."""
        return 10 if self.unit_flag else 100

    def shown(self) -> dict[str, object]:
        """Return what differs from the defaults, and the seed, as JSON takes it; the password is left out."""
        differing = {
            one.name: str(value) if isinstance(value := getattr(self, one.name), Path) else value
            for one in fields(self)
            if getattr(self, one.name) != one.default and one.name != "password"
        }
        return {"seed": self.seed, **differing}

    def each_board(self) -> list["SimulatorOptions"]:
        """Return the options of every board on the line: itself when it is alone."""
        if self.boards == 1:
            return [self]
        first = self.address or 1
        return [replace(self, boards=1, seed=self.seed + place, address=first + place) for place in range(self.boards)]

    def rng(self, stream: str) -> random.Random:
        """Return the generator of one named stream of chance; same seed and name, same numbers."""
        return random.Random(f"{self.seed}/{stream}")  # noqa: S311 - reproducible simulation, not secrets
