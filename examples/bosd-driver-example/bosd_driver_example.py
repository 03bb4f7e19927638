"""A battery shunt that answers `?` with a line of text: `V=13250 I=-1500 Q=49500 C=100000*1D0F`.

Voltage in mV, current in mA (positive charges), charge and capacity in mAh; what it does not know is left out. Behind the star
stands the CRC-16/XMODEM of what is before it.
"""

from binascii import crc_hqx
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from bosd.bal.device import Sample
from bosd.bal.spec import PhysicalSpec
from bosd.bal.spec_rules import port_fault
from bosd.clock import Clock
from bosd.drivers.kind import DriverContext, DriverKind
from bosd.drivers.kit.bench import Fault, Tolerance, Truth
from bosd.drivers.transport import ByteTransport, MemoryTransport
from bosd.errors import UnsupportedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSpec(PhysicalSpec):
    """The keys of a `[[battery]]` of this kind: those of every battery with a device, and its own."""

    kind: ClassVar[str] = "example"
    baud: int = 19200

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the keys, by key."""
        if fault := port_fault(self.port):
            yield "port", fault


class AnswerReader:
    """Finds the answer in a stream of bytes."""

    def __init__(self) -> None:
        self.rejects: Counter[str] = Counter()

    def begin(self) -> None:
        """Forget what was heard."""
        self._heard = b""

    def feed(self, data: bytes) -> dict[str, float] | None:
        """Return the values in V, A and Ah of a whole line whose checksum is right."""
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            text, _, check = line.rpartition(b"*")
            if check == b"%04X" % crc_hqx(text, 0):
                return {key: int(value) / 1000 for key, _, value in (word.partition("=") for word in text.decode().split())}
            self.rejects["checksum"] += 1
        return None

    def expire(self) -> None:
        """Give up; a line that has no end is none."""


class Shunt:
    """The device: it measures, and commands nothing."""

    hold_s: float | None = None

    def __init__(self, spec: ExampleSpec, context: DriverContext) -> None:
        self._name, self._clock = spec.name, context.clock
        self._line = context.lines.line(spec.port, spec.baud)

    async def read(self) -> Sample:
        """Return a fresh sample; the line sees to deadlines, repeats and reopening."""
        said = await self._line.transact(b"?\n", AnswerReader(), reply_bytes=64)
        charge_ah, capacity_ah = said.get("Q"), said.get("C")
        return Sample(
            sampled_s=self._clock.now_s(),
            sampled_utc_s=self._clock.utc_s(),
            voltage_v=said.get("V"),
            current_a=0.0 - said["I"] if "I" in said else None,  # discharge is positive
            charge_ah=charge_ah,
            capacity_ah=capacity_ah,
            soc=charge_ah / capacity_ah if charge_ah is not None and capacity_ah else None,
        )

    async def set_current(self, current_a: float) -> None:
        """Refuse: a shunt measures."""
        raise UnsupportedError(f"{self._name}: {current_a:g} A refused: a shunt only measures", battery=self._name)

    async def held_current_a(self) -> float | None:
        """Return None: it holds nothing."""
        return None

    async def make_safe(self) -> str:
        """Do nothing."""
        return "a shunt: nothing to do"

    async def close(self) -> None:
        """Leave the line."""
        self._line.close()


class Bench:
    """A simulated shunt for `bosd driver test example`, and the only device of its trial."""

    medium, tolerance, most = "line", Tolerance(), 1
    undetectable: Mapping[Fault, str] = {}
    faults = frozenset({Fault.POWER, Fault.UNKNOWN})

    @asynccontextmanager
    async def open(self, clock: Clock, seed: int, count: int = 1) -> AsyncIterator["Bench"]:
        self.current_a, self.active = 0.0, set[Fault]()
        yield self

    def spec(self, number: int = 0) -> ExampleSpec:
        return ExampleSpec(name="example", port="/dev/memory")

    def truth(self, number: int = 0) -> Truth:
        if Fault.UNKNOWN in self.active:
            return Truth(voltage_v=13.25, current_a=self.current_a)
        return Truth(voltage_v=13.25, current_a=self.current_a, charge_ah=49.5, capacity_ah=100.0, soc=0.495)

    def load(self, current_a: float, number: int = 0) -> bool:
        self.current_a = current_a
        return True

    def fault(self, fault: Fault, *, active: bool, number: int = 0) -> None:
        (self.active.add if active else self.active.discard)(fault)

    def transport(self, port: str, baud: int) -> ByteTransport:
        return MemoryTransport(self.answer, port=port)

    def answer(self, request: bytes) -> bytes:
        counted = "" if Fault.UNKNOWN in self.active else " Q=49500 C=100000"
        text = f"V=13250 I={-1000 * self.current_a:.0f}{counted}".encode()
        return b"" if Fault.POWER in self.active or request != b"?\n" else text + b"*%04X\n" % crc_hqx(text, 0)


DRIVER = DriverKind(spec=ExampleSpec, make=Shunt, bench="bosd_driver_example:BENCH")
BENCH = Bench()
