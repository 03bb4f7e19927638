"""What a person writes about a Riden supply that charges a battery."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bosd.bal.spec import PhysicalSpec, RegulatorSpec
from bosd.bal.spec_rules import port_fault

HIGHEST_CURRENT_A = 24.0
HIGHEST_VOLTAGE_V = 60.0
"""Of the largest model known (registers.py); what the one at hand can do is checked when it has said what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rd6006Spec(RegulatorSpec):
    """A supply on a serial device path or `tcp://host:port`, as Modbus device `address`.

    `max_current_a` and `max_voltage_v` are never exceeded: the voltage is the pack's highest, at which charging ends.
    """

    kind: ClassVar[str] = "rd6006"
    max_current_a: float
    max_voltage_v: float
    baud: int = 115200
    address: int = 1

    @property
    def place(self) -> str:
        """The port with the address: several can stand on one line."""
        return f"the regulator with address {self.address} on {self.port}"

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield the faults of its keys."""
        if self.port.strip() and (fault := port_fault(self.port)):
            yield "port", fault
        if not 300 <= self.baud <= 4_000_000:
            yield "baud", f"{self.baud!r} is no rate of a serial line; these supplies use 115200"
        if not 1 <= self.address <= 247:
            yield "address", f"{self.address!r} is no address of a Modbus device: 1 to 247"
        if not 0.0 < self.max_current_a <= HIGHEST_CURRENT_A:
            yield (
                "max_current_a",
                f"{self.max_current_a!r} is no current of such a supply: above 0, at most {HIGHEST_CURRENT_A:g} A",
            )
        if not 0.0 < self.max_voltage_v <= HIGHEST_VOLTAGE_V:
            yield (
                "max_voltage_v",
                f"{self.max_voltage_v!r} is no voltage of such a supply: above 0, at most {HIGHEST_VOLTAGE_V:g} V",
            )

    def faults_with(self, battery: PhysicalSpec) -> Iterator[tuple[str, str]]:
        """Yield what the battery asks of it that it cannot do."""
        if (battery.max_charge_current_a or 0.0) > self.max_current_a:
            text = f"{battery.max_charge_current_a!r} A is above the regulator's max_current_a, {self.max_current_a!r} A"
            yield "max_charge_current_a", text
        if battery.safe_current_a > 0.0:
            yield "safe_current_a", f"{battery.safe_current_a!r} A would discharge; a supply only charges"
