"""What a driver's package gives the conformance kit: a simulated device that knows what is true, and can go wrong.

`DriverKind.bench` and `RegulatorKind.bench` name a `Bench` as `module:NAME`, or a mapping of them by medium. A bench without
a device to simulate is a text that says why.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from bosd.bal.spec import PhysicalSpec, RegulatorSpec
from bosd.clock import Clock
from bosd.drivers.transport import ByteTransport


class Fault(StrEnum):
    """What can be done to a device. All but RESTART and SLEEP last until they are ended.

    On a line the kit itself does UNPLUG, STALL (bytes wait, then all come at once), GARBAGE, LOSS, FLIPS and MESSAGES; a bench
    does the others, and all of them on a medium that has no line.
    """

    POWER = "power"
    """The device is without power, and forgets what it forgets then; when it ends it starts anew."""
    UNPLUG = "unplug"
    """The connection does not exist."""
    STALL = "stall"
    """The connection stands still; nothing is lost."""
    GARBAGE = "garbage"
    """What arrives is noise."""
    LOSS = "loss"
    """5 % of all bytes are lost."""
    FLIPS = "flips"
    """5 % of all bytes have one bit flipped."""
    MESSAGES = "messages"
    """5 % of all messages have one bit flipped."""
    SLEEP = "sleep"
    """The device goes to sleep now, as it does by itself when nobody asks it."""
    RESTART = "restart"
    """The device starts anew now, and its connections break."""
    DEAF = "deaf"
    """The device acknowledges commands and does not follow them."""
    BLOCK_CHARGE = "block_charge"
    """The device lets no charging current flow, and says so."""
    BLOCK_DISCHARGE = "block_discharge"
    """The device lets no discharging current flow, and says so."""
    UNKNOWN = "unknown"
    """The device has no value for something it usually tells; the truth has None there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a simulated device does now, in the units and signs of `Sample`; None is what it cannot tell anybody.

    `held_a` is the set point it goes on with by itself; None where it has none. The switches are those of a gate: whether a
    current may flow that way, whatever commanded it. Temperatures, and the limits that the device tells of itself (magnitudes),
    are judged where they are given.
    """

    voltage_v: float | None = None
    current_a: float | None = None
    charge_ah: float | None = None
    capacity_ah: float | None = None
    soc: float | None = None
    cells_v: tuple[float, ...] | None = None
    held_a: float | None = None
    charge_open: bool | None = None
    discharge_open: bool | None = None
    temperatures_c: tuple[float, ...] | None = None
    limit_discharge_a: float | None = None
    limit_charge_a: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a right value may lie from the truth: half of the protocol's last digit, and what the device rounds.

    `lag_s` is how old what the device tells may be by its own doing, where it measures less often than it is asked.
    """

    voltage_v: float = 0.005
    current_a: float = 0.005
    charge_ah: float = 0.005
    capacity_ah: float = 0.005
    soc: float = 0.005
    cells_v: float = 0.0005
    held_a: float = 0.005
    temperatures_c: float = 0.05
    limit_a: float = 0.05
    lag_s: float = 0.0


class Peer(Protocol):
    """The simulated devices of one trial, numbered from 0, alive on the running loop."""

    faults: frozenset[Fault]
    """What it can do by itself."""

    def spec(self, number: int = 0) -> PhysicalSpec | RegulatorSpec:
        """Return the specification of a device, as a file would give it, with its best `current_control`."""
        ...

    def truth(self, number: int = 0) -> Truth:
        """Return what is true now."""
        ...

    def load(self, current_a: float, number: int = 0) -> bool:
        """Let the surroundings draw (positive) or feed (negative) a current; return False where nothing can be set."""
        ...

    def fault(self, fault: Fault, *, active: bool, number: int = 0) -> None:
        """Begin or end one of `faults`."""
        ...

    def transport(self, port: str, baud: int) -> ByteTransport:
        """Return the (still closed) way to a port of a specification; never called for a device without a line."""
        ...


class Bench(Protocol):
    """How a driver's kind is tried. `medium` is "line" for drivers that ask `context.lines`, else any other word."""

    medium: str
    tolerance: Tolerance
    most: int
    """How many devices can stand on one line; 1 where they cannot share."""
    undetectable: Mapping[Fault, str]
    """Faults whose marks the protocol's own checks cannot always find, with the reason; mostly empty."""

    def open(self, clock: Clock, seed: int, count: int = 1) -> AbstractAsyncContextManager[Peer]:
        """Bring `count` devices to life on the running loop, until the end of the block; the seed decides all chance."""
        ...


Benches: TypeAlias = Bench | Mapping[str, Bench | str]
"""What `bench` may name: one bench, or several by medium, where a text says why there is none."""
