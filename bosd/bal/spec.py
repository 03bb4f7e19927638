"""Topology specifications: what a person writes, as immutable values.

A `Topology` is the `[[battery]]` and `[[splitter]]` tables of a configuration file. Names of fields are the file's keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from bosd.bal.derating import DeratingSpec

Amounts = tuple[tuple[str, float], ...]
"""Numbers by battery name, a table in TOML; sorted by name, so that equal tables are equal values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatterySpec:
    """What every battery has; `min_soc` and `max_soc` are ratios of capacity, ages are in seconds.

    The alone limits are magnitudes in watts; `voltage_max_v` turns watts into amperes where the voltage is not known any more.
    `efficiency` is the part of the power that arrives on the other side of its converter, either way, of a stub of one beside
    those that its owner counts; `meter` names the battery whose measured power counts for its limits in watts instead.
    `max_ramp_a_per_s` bounds how fast it comes back after a loss, without it a tenth of its limit each second.
    """

    kind: ClassVar[str] = ""
    name: str
    max_staleness_s: float | None = None
    unavailable_after_s: float | None = None
    min_soc: float = 0.0
    max_soc: float = 1.0
    safe_current_a: float = 0.0
    bookings: Literal["any", "local", "none"] = "any"
    max_booking_h: float = 24.0
    alone_charge_limit_w: float | None = None
    alone_discharge_limit_w: float | None = None
    voltage_max_v: float | None = None
    efficiency: float = 1.0
    meter: str | None = None
    max_ramp_a_per_s: float | None = None

    @property
    def source_names(self) -> tuple[str, ...]:
        """Names of the batteries it rests on in this node."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegulatorSpec:
    """The device that makes a pack's current follow a set point; each regulator's driver derives its own."""

    kind: ClassVar[str] = ""
    port: str

    @property
    def place(self) -> str:
        """What only one regulator can be: two batteries with the same would command one device."""
        return f"the regulator on {self.port}"

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield the faults of the driver's own keys, as pairs of key and text."""
        return iter(())

    def faults_with(self, battery: "PhysicalSpec") -> Iterator[tuple[str, str]]:
        """Yield what `battery` asks of it that it cannot do, as pairs of the battery's key and text."""
        del battery
        return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRegulatorSpec(RegulatorSpec):
    """The load of a simulated pack, at the control socket `port`."""

    kind: ClassVar[str] = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalSpec(BatterySpec):
    """What every battery with a device has; each driver derives its own. Limits are magnitudes in amperes.

    `controls` are the values of `current_control` that the driver takes: "gate" switches directions on and off, "external" has
    a regulator set the current, "direct" is a device that regulates itself. What it does may differ from what it was told by
    `follow_tolerance_a`, and by more for `follow_within_s`; where these are not given the driver's usual ones count. `capture`
    names a file in the node's directory `captures` to which the traffic of the line is written.
    """

    controls: ClassVar[tuple[str, ...]] = ("none",)
    usual_tolerance_a: ClassVar[float] = 0.5
    usual_within_s: ClassVar[float] = 5.0
    port: str
    refresh: Literal["active", "lazy"] = "active"
    refresh_period_s: float = 1.0
    max_discharge_current_a: float | None = None
    max_charge_current_a: float | None = None
    current_control: Literal["none", "gate", "external", "direct"] = "none"
    safe: Literal["release", "open"] = "release"
    regulator: RegulatorSpec | None = None
    capture: str | None = None
    follow_tolerance_a: float | None = None
    follow_within_s: float | None = None

    @property
    def place(self) -> str:
        """What only one battery can be: two with the same are one device read twice."""
        return f"port {self.port}"

    @property
    def commanded_place(self) -> str:
        """The place of what a set point commands; empty for a battery that takes none."""
        if self.current_control == "none":
            return ""
        return self.place if self.regulator is None else self.regulator.place

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield the faults of the driver's own keys, as pairs of key and text."""
        return iter(())


MOST_CYCLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentSpec(PhysicalSpec):
    """A battery whose driver cannot be had any more, and `why`; `written` is its table in JSON, as it will be read again.

    Only what was stored before may be one: its battery is not usable, and keeps its place among the others.
    """

    controls: ClassVar[tuple[str, ...]] = ("none", "gate", "external", "direct")
    kind: str  # type: ignore[misc]  # that of the missing driver
    written: str
    why: str

    @property
    def place(self) -> str:
        """Nothing that is known to be shared."""
        return f"the place of {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JbdSpec(PhysicalSpec):
    """A JBD pack on the port of a line (drivers.transport); boards on one line have an `address` each (1 to 255).

    Cells are read in every `cells_every`-th cycle. `read_protection` reads the board's own trip points when it is found, in
    configuration mode, and lets them lower the limits. `password_file` holds the six characters that some boards ask for.
    `chemistry` brings curves that derate the limits, `derating` replaces them one by one.
    `ble_password_file` holds the password of a Bluetooth module that wants one.
    """

    kind: ClassVar[str] = "jbd"
    controls: ClassVar[tuple[str, ...]] = ("none", "gate", "external")
    baud: int = 9600
    address: int | None = None
    ble_password_file: str | None = None
    cells_every: int = 1
    read_protection: bool = False
    password_file: str | None = None
    chemistry: Literal["none", "lfp", "nmc"] = "none"
    derating: DeratingSpec | None = None

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield the faults of its own keys."""
        if not 1 <= self.cells_every <= MOST_CYCLES:
            yield "cells_every", f"{self.cells_every!r}: cells are read in every 1st to {MOST_CYCLES}th cycle"
        if self.password_file is not None and "/" not in self.password_file:
            yield "password_file", f"{self.password_file!r}: write the file's whole path"
        if self.derating is not None:
            yield from self.derating.faults()

    @property
    def place(self) -> str:
        """The port, with the address where there is one."""
        return f"port {self.port}" if self.address is None else f"address {self.address} on {self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoSpec(BatterySpec):
    """A battery that exists in software only; its configured limits are its ideal ones."""

    kind: ClassVar[str] = "pseudo"
    voltage_v: float
    charge_ah: float
    capacity_ah: float
    max_discharge_current_a: float
    max_charge_current_a: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NullSpec(BatterySpec):
    """A battery that is absent on purpose: a voltage and nothing else."""

    kind: ClassVar[str] = "null"
    voltage_v: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatorSpec(BatterySpec):
    """Several batteries as one; members lie within `voltage_v` +- `voltage_tolerance_v`.

    `share` is how a set point is shared over them, `least_current_a` the least each can use: it gets that much or nothing.
    """

    kind: ClassVar[str] = "aggregator"
    sources: tuple[str, ...]
    voltage_v: float
    voltage_tolerance_v: float
    voltage_drift_s: float = 10.0
    voltage_return_s: float = 30.0
    share: Literal["c_rate", "charge", "allowed", "ratio"] = "c_rate"
    share_exponent: float = 1.0
    share_ratios: Amounts = ()
    least_current_a: Amounts = ()

    @property
    def source_names(self) -> tuple[str, ...]:
        """Names of the members."""
        return self.sources


SERIAL = "serial:"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec(BatterySpec):
    """A stub of battery `remote_name` at the node on `target`: `host:port`, `unix:PATH`, or `serial:NAME`, wherever it is."""

    kind: ClassVar[str] = "network"
    target: str
    remote_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSpec:
    """One part of a split source; a kind's own fraction wins over `fraction`, for charging also over `current_fraction`."""

    name: str
    fraction: float | None = None
    charge_fraction: float | None = None
    capacity_fraction: float | None = None
    current_fraction: float | None = None
    charge_current_fraction: float | None = None
    min_soc: float = 0.0
    max_soc: float = 1.0
    safe_current_a: float = 0.0
    bookings: Literal["any", "local", "none"] = "any"
    max_booking_h: float = 24.0
    alone_charge_limit_w: float | None = None
    alone_discharge_limit_w: float | None = None
    voltage_max_v: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitterSpec:
    """One source as several partitions, top first."""

    name: str
    policy: str
    source: str
    partitions: tuple[PartitionSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All batteries and splitters of a node, in the order they were written."""

    batteries: tuple[BatterySpec, ...] = ()
    splitters: tuple[SplitterSpec, ...] = ()
