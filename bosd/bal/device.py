"""The device port: what the core needs of a driver, and the sample a driver hands up."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One consistent reading of a device; unknown values are None.

    Current is positive on discharge. `discharge_allowed` and `charge_allowed` say whether the device's switches and
    protections let current flow that way; `blocked_by` names why not. `faults` holds protection names (bal.md, Leaves).
    `notes` names values that were kept out because they could not be true. `sampled_s` is monotonic, `sampled_utc_s` wall time.
    `cells_s` is the monotonic instant of `cells_v`, which may be older than the rest. `limit_discharge_a` and `limit_charge_a`
    are what the device allows now, as magnitudes (None: it says nothing); they lower what is configured, `limited_by` says why.
    `balancing_cells` are counted from 1; the switches are closed while they conduct.
    """

    sampled_s: float
    sampled_utc_s: float
    voltage_v: float | None
    current_a: float | None
    charge_ah: float | None
    capacity_ah: float | None
    soc: float | None
    discharge_allowed: bool = True
    charge_allowed: bool = True
    blocked_by: tuple[str, ...] = ()
    cells_v: tuple[float, ...] | None = None
    cells_s: float | None = None
    temperatures_c: tuple[float, ...] | None = None
    cycles: int | None = None
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limit_discharge_a: float | None = None
    limit_charge_a: float | None = None
    limited_by: tuple[str, ...] = ()
    balancing_cells: tuple[int, ...] | None = None
    charge_switch_closed: bool | None = None
    discharge_switch_closed: bool | None = None


class Device(Protocol):
    """One physical battery's hardware, as a driver presents it.

    Every method may raise `DriverError` (nonsense or refusal) or `UnavailableError` (no answer); nothing else on purpose.
    Calls are safe to cancel at any await.
    """

    hold_s: float | None
    """How long the hardware goes on with a set point that is not written again; None: it holds, whatever died."""

    async def read(self) -> Sample:
        """Return a fresh sample, within the driver's own deadline."""
        ...

    async def set_current(self, current_a: float) -> None:
        """Make the device follow `current_a` (positive discharges) and return once that is confirmed.

        Raises `UnsupportedError` where nothing can regulate or gate.
        """
        ...

    async def held_current_a(self) -> float | None:
        """Return the current the device goes on with by itself, positive on discharge; None where it holds no set point."""
        ...

    async def make_safe(self) -> str:
        """Apply and confirm the battery's safe action; return what was done, in words."""
        ...

    async def close(self) -> None:
        """Let go of the line; idempotent."""
        ...


Counts = tuple[tuple[str, int], ...]
"""Numbers by name, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What went over a device's line since it is open here; latencies are those of the latest answers, in seconds, None without.

    A retry is an attempt beyond a request's first, a resync an answer found behind bytes that were rejected.
    """

    requests: int = 0
    retries: int = 0
    replies: int = 0
    resyncs: int = 0
    rejects: Counts = ()
    latency_min_s: float | None = None
    latency_median_s: float | None = None
    latency_p95_s: float | None = None
    latency_max_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFact:
    """One statement about what may flow: `discharge` or `charge`, a magnitude in A, and who says so."""

    direction: str
    limit_a: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What a device tells of itself beside its samples. `read_utc_s` is when identity and counters were read, None if never.

    `identity` are names and texts, `trips` how often each protection acted, `flags` named switch and protection bits.
    `regulator` is what the regulator that sets its current tells, None without one.
    """

    identity: tuple[tuple[str, str], ...] = ()
    trips: Counts = ()
    flags: tuple[tuple[str, bool], ...] = ()
    balancing_cells: tuple[int, ...] = ()
    limits: tuple[LimitFact, ...] = ()
    traffic: Traffic = Traffic()
    notes: tuple[str, ...] = ()
    read_utc_s: float | None = None
    regulator: "DeviceFacts | None" = None


@runtime_checkable
class Described(Protocol):
    """The part of the port that a driver may leave out: facts for people, from memory, without asking the device."""

    def facts(self) -> DeviceFacts:
        """Return what is known now."""
        ...


def facts_of_device(device: Device) -> DeviceFacts:
    """Return what a device tells of itself; nothing where its driver does not."""
    return device.facts() if isinstance(device, Described) else DeviceFacts()


@runtime_checkable
class Restrained(Protocol):
    """A device that may give less than it was told of its own accord: a charger at its top voltage."""

    @property
    def restrained_by(self) -> str:
        """Why it gave less when it was last looked at; empty when it did not."""
        ...


@runtime_checkable
class Straying(Protocol):
    """A device that others command, too: its own app, another program on its line."""

    @property
    def strays(self) -> str:
        """What it was last seen doing against its last command; empty while it does as told, and before it was told anything."""
        ...
