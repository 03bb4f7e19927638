"""One trial: simulated devices, the driver's device for each, and all faults behind one switch."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from bosd.bal.device import Device, Sample
from bosd.bal.spec import PhysicalSpec, RegulatorSpec
from bosd.bal.spec_rules import battery_faults
from bosd.clock import Clock, LoopClock
from bosd.drivers.kind import DriverContext, DriverKind, RegulatorKind
from bosd.drivers.kit.bench import Bench, Fault, Peer
from bosd.drivers.kit.judge import Judge
from bosd.drivers.kit.line_faults import LINE_FAULTS, LineFaults
from bosd.drivers.kit.result import CheckFailed, DoesNotApply, joined
from bosd.drivers.lines import Lines
from bosd.drivers.regulated import Regulated
from bosd.drivers.regulator import Regulator
from bosd.drivers.transport import ByteTransport
from bosd.errors import BosError

T = TypeVar("T")

READ_DEADLINE_S = 5.0
"""A node gives up waiting for a sample then (node/leaves.py)."""
COMMAND_DEADLINE_S = 8.0
"""The longest a node waits for a command (bal/physical.py)."""
STALL_S = 3.0


class Unwatched:
    """The battery beside a regulator that is tried alone: nothing is known of it."""

    hold_s: float | None = None

    def __init__(self, regulator: Regulator, clock: Clock) -> None:
        self._regulator = regulator
        self._clock = clock

    async def read(self) -> Sample:
        """Ask the regulator, so that it is read as a board would be; what it holds is no measurement."""
        await self._regulator.read()
        now_s, utc_s = self._clock.now_s(), self._clock.utc_s()
        return Sample(
            sampled_s=now_s, sampled_utc_s=utc_s, voltage_v=None, current_a=None, charge_ah=None, capacity_ah=None, soc=None
        )

    async def set_current(self, current_a: float) -> None:
        """Never asked: the regulator is."""
        raise NotImplementedError(current_a)

    async def held_current_a(self) -> float | None:
        """Never asked: the regulator is."""
        return None

    async def make_safe(self) -> str:
        """Never asked: the regulator is."""
        return ""

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: a kind on a bench, with a seed."""

    kind: DriverKind | RegulatorKind
    bench: Bench
    seed: int

    @property
    def is_regulator(self) -> bool:
        """Whether the kind is a regulator's."""
        return isinstance(self.kind, RegulatorKind)


class World:
    """The devices of one trial, from the first request to the last."""

    def __init__(self, trial: Trial, peer: Peer, clock: Clock) -> None:
        self.trial = trial
        self.peer = peer
        self.clock = clock
        self.faults = LineFaults(random.Random(f"{trial.seed}/line"))  # noqa: S311 (reproducible, no secret)
        self.lines = Lines(self._open)
        self.devices: list[Device] = []
        self.has_lines = trial.bench.medium == "line"

    def make(self, number: int = 0) -> Device:
        """Make the driver's device of one simulated device."""
        spec, kind, context = self.peer.spec(number), self.trial.kind, DriverContext(self.clock, self.lines)
        if isinstance(kind, RegulatorKind):
            regulator = kind.make(spec, context)
            device: Device = Regulated(Unwatched(regulator, self.clock), regulator, f"device {number}")
        else:
            device = kind.make(spec, context)
        self.devices.append(device)
        return device

    @property
    def control(self) -> str:
        """How the device takes set points: none, gate, external or direct."""
        spec = self.peer.spec()
        return "external" if isinstance(spec, RegulatorSpec) else spec.current_control

    @property
    def period_s(self) -> float:
        """Return how often a node would read it."""
        spec = self.peer.spec()
        return spec.refresh_period_s if isinstance(spec, PhysicalSpec) else 1.0

    def can(self, fault: Fault) -> bool:
        """Return whether a fault can be had here."""
        return fault in self.peer.faults or (self.has_lines and fault in LINE_FAULTS)

    def need(self, *faults: Fault) -> None:
        """Raise DoesNotApply unless all of these can be had."""
        if missing := [fault.value for fault in faults if not self.can(fault)]:
            raise DoesNotApply(f"the simulated device has no {', '.join(missing)}")

    def fault(self, fault: Fault, *, active: bool, number: int = 0) -> None:
        """Begin or end a fault."""
        if fault in self.peer.faults:
            self.peer.fault(fault, active=active, number=number)
            if fault is Fault.RESTART and active and self.has_lines:
                self.faults.hang_up()
        else:
            self.faults.set(fault, active=active)

    def judge(self, number: int = 0, memory_s: float = 0.0) -> Judge:
        """Return a judge of one device's samples."""
        loop = asyncio.get_running_loop()
        tolerance = self.trial.bench.tolerance
        truth = partial(self.peer.truth, number)
        return Judge(truth, tolerance, loop.time, memory_s + tolerance.lag_s, self.clock.utc_s)

    def _open(self, port: str, baud: int) -> ByteTransport:
        return self.faults.wrap(self.peer.transport(port, baud))


@asynccontextmanager
async def world(trial: Trial, count: int = 1) -> AsyncIterator[World]:
    """Run a trial's devices inside the block and let go of all of them at its end."""
    clock = LoopClock(asyncio.get_running_loop())
    async with trial.bench.open(clock, trial.seed, count) as peer:
        _check(peer.spec())
        here = World(trial, peer, clock)
        try:
            yield here
        finally:
            for fault in tuple(here.faults.active):
                here.faults.set(fault, active=False)
            for device in here.devices:
                await device.close()


def _check(spec: PhysicalSpec | RegulatorSpec) -> None:
    """Raise CheckFailed for a specification that no file may give."""
    for key, text in battery_faults(spec) if isinstance(spec, PhysicalSpec) else spec.faults():
        raise CheckFailed(f"the bench's specification would be refused in a file: {key}: {text}")


async def within(deadline_s: float, asked: Awaitable[T], what: str) -> T:
    """Return what `asked` returns; raises CheckFailed beyond the deadline and for errors that are none of the port's."""
    try:
        async with asyncio.timeout(deadline_s):
            return await asked
    except TimeoutError:
        raise CheckFailed(f"{what}: no end within {deadline_s:g} s") from None
    except BosError:
        raise
    except Exception as error:
        raise CheckFailed(f"{what}: raised {type(error).__name__}: {error}; only the port's errors may come") from error


async def refused(deadline_s: float, asked: Awaitable[object], what: str) -> BosError | None:
    """Return the port's error that `asked` ends with within the deadline, None where it ends well."""
    try:
        await within(deadline_s, asked, what)
    except BosError as error:
        return error
    return None


async def good_sample(device: Device, what: str, attempts: int = 3, judge: Judge | None = None) -> Sample:
    """Return a sample within so many attempts, a second apart, which the judge finds true. Raises CheckFailed."""
    for attempt in range(attempts):
        if judge is not None:
            judge.begin()
        try:
            sample = await within(READ_DEADLINE_S, device.read(), what)
        except BosError as error:
            if attempt == attempts - 1:
                raise CheckFailed(f"{what}: no sample in {attempts} attempts: {error}") from error
            await asyncio.sleep(1.0)
            continue
        if judge is not None and (wrong := judge.wrong(sample)):
            raise CheckFailed(f"{what}: {joined(wrong)}")
        return sample
    raise CheckFailed(f"{what}: never tried")
