"""A made-up battery that regulates its own current, its driver, and a bench: what the conformance kit is tried on.

It speaks lines of text with a CRC-16 behind a star: `?` is answered by `V=13250 I=1500 S=2000 Q=49500 C=100000 B=`, `S=2000` by
`OK` (mV, mA and mAh; positive discharges). It lets go of a set point after 10 s. Drivers with one defect each derive from
`Pump`.
"""

from binascii import crc_hqx
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from bosd.bal.device import Sample
from bosd.bal.spec import PhysicalSpec
from bosd.clock import Clock
from bosd.drivers.kind import DriverContext, DriverKind
from bosd.drivers.kit.bench import Fault, Tolerance, Truth
from bosd.drivers.transport import ByteTransport, MemoryTransport
from bosd.errors import NotFollowedError

HOLD_S = 10.0


def framed(text: str) -> bytes:
    """Return a line of the protocol."""
    return text.encode() + b"*%04X\n" % crc_hqx(text.encode(), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpSpec(PhysicalSpec):
    kind: ClassVar[str] = "pump"
    controls: ClassVar[tuple[str, ...]] = ("none", "direct")


class LineReader:
    def __init__(self) -> None:
        self.rejects: Counter[str] = Counter()
        self._heard = b""

    def begin(self) -> None:
        self._heard = b""

    def feed(self, data: bytes) -> str | None:
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            text, _, check = line.rpartition(b"*")
            if check == b"%04X" % crc_hqx(text, 0):
                return text.decode()
            self.rejects["checksum"] += 1
        return None

    def expire(self) -> None:
        """Nothing stands behind an unfinished line."""


class Pump:
    """The driver, without a defect that its author knows of."""

    hold_s: float | None = HOLD_S

    def __init__(self, spec: PumpSpec, context: DriverContext) -> None:
        self.spec = spec
        self.clock = context.clock
        self.line = context.lines.line(spec.port)

    async def ask(self, text: str) -> str:
        return await self.line.transact(framed(text), LineReader(), 80)

    async def values(self) -> dict[str, str]:
        answer = await self.ask("?")
        return dict(word.split("=") for word in answer.split())

    def number(self, values: Mapping[str, str], key: str) -> float | None:
        return int(values[key]) / 1000 if values.get(key) else None

    async def read(self) -> Sample:
        return self.sample(await self.values())

    def sample(self, values: Mapping[str, str]) -> Sample:
        charge_ah, capacity_ah = self.number(values, "Q"), self.number(values, "C")
        blocks = values["B"]
        return Sample(
            sampled_s=self.clock.now_s(),
            sampled_utc_s=self.clock.utc_s(),
            voltage_v=self.number(values, "V"),
            current_a=self.number(values, "I"),
            charge_ah=charge_ah,
            capacity_ah=capacity_ah,
            soc=charge_ah / capacity_ah if charge_ah is not None and capacity_ah else None,
            charge_allowed="c" not in blocks,
            discharge_allowed="d" not in blocks,
            blocked_by=("pump_blocked",) if blocks else (),
        )

    async def set_current(self, current_a: float) -> None:
        await self.ask(f"S={current_a * 1000:.0f}")
        held_a = await self.held_current_a()
        if held_a != current_a:
            raise NotFollowedError("not followed", commanded_a=current_a, held_a=held_a)

    async def held_current_a(self) -> float | None:
        return self.number(await self.values(), "S")

    async def make_safe(self) -> str:
        await self.set_current(0.0)
        return "at 0 A"

    async def close(self) -> None:
        self.line.close()


class PumpPeer:
    faults = frozenset({Fault.POWER, Fault.UNKNOWN, Fault.DEAF, Fault.BLOCK_CHARGE, Fault.BLOCK_DISCHARGE})

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.active: set[Fault] = set()
        self.load_a = 0.0
        self._set_a, self._set_s = 0.0, 0.0

    @property
    def held_a(self) -> float:
        return self._set_a if self.clock.now_s() < self._set_s + HOLD_S else 0.0

    def spec(self, number: int = 0) -> PumpSpec:
        return PumpSpec(
            name=f"pump{number}",
            port=f"/dev/pump{number}",
            current_control="direct",
            max_discharge_current_a=20.0,
            max_charge_current_a=20.0,
        )

    def truth(self, number: int = 0) -> Truth:
        known = Fault.UNKNOWN not in self.active
        return Truth(
            voltage_v=13.25,
            current_a=self.held_a + self.load_a,
            charge_ah=49.5 if known else None,
            capacity_ah=100.0,
            soc=0.495 if known else None,
            held_a=self.held_a,
            temperatures_c=(25.0,),
            limit_discharge_a=20.0,
        )

    def load(self, current_a: float, number: int = 0) -> bool:
        self.load_a = current_a
        return True

    def fault(self, fault: Fault, *, active: bool, number: int = 0) -> None:
        (self.active.add if active else self.active.discard)(fault)
        if fault is Fault.POWER:
            self._set_a = 0.0

    def transport(self, port: str, baud: int) -> ByteTransport:
        return MemoryTransport(self.answer, port=port)

    def answer(self, request: bytes) -> bytes:
        text, _, check = request.rstrip(b"\n").rpartition(b"*")
        if Fault.POWER in self.active or check != b"%04X" % crc_hqx(text, 0):
            return b""
        if text.startswith(b"S="):
            if Fault.DEAF not in self.active:
                self._set_a, self._set_s = int(text[2:]) / 1000, self.clock.now_s()
            return framed("OK")
        charge = "" if Fault.UNKNOWN in self.active else "49500"
        blocks = ("c" if Fault.BLOCK_CHARGE in self.active else "") + ("d" if Fault.BLOCK_DISCHARGE in self.active else "")
        current_ma, held_ma = (self.held_a + self.load_a) * 1000, self.held_a * 1000
        return framed(f"V=13250 I={current_ma:.0f} S={held_ma:.0f} Q={charge} C=100000 B={blocks}")


class PumpBench:
    medium = "line"
    tolerance = Tolerance()
    most = 1
    undetectable: Mapping[Fault, str] = {}

    @asynccontextmanager
    async def open(self, clock: Clock, seed: int, count: int = 1) -> AsyncIterator[PumpPeer]:
        yield PumpPeer(clock)


def pump_kind(driver: type[Pump] = Pump) -> DriverKind:
    """Return the kind whose devices are of this class."""
    return DriverKind(spec=PumpSpec, make=driver, bench="tests.support.pump:BENCH")


BENCH = PumpBench()
DRIVER = pump_kind()
