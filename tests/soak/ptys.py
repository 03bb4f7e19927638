"""Each way of a JBD line to go wrong for a minute, on a real pseudo-terminal at 9600 baud, read by the real driver each second.

Of each: how much of the time the battery was `GOOD`, and not `UNAVAILABLE`; how many samples there were and how many of them said
what was not true; how long a fresh sample took when the fault was gone.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bosd import log
from bosd.bal.device import Sample
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import JbdSpec
from bosd.bal.status import Quality
from bosd.clock import SystemClock
from bosd.drivers.devices import make_device
from bosd.drivers.far_end.program import precise_loop
from bosd.drivers.jbd.bench import JbdBench, JbdPeer
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.jbd.simulator.fault_kinds import FAULTS
from bosd.drivers.kind import DriverContext
from bosd.drivers.kit.judge import Judge
from bosd.drivers.lines import Lines
from bosd.node.refresh import Refresher
from tests.soak.outcome import Outcome, Progress, message_of

SETTLED_S = 10.0
"""The first samples have to come within this, before the fault begins."""
BACK_S = 15.0
"""A fresh sample has to come within this after the fault: the longest of them takes 5 s to end, a pause 2 s, an answer 1.2 s."""
LOOK_S = 0.1
LOAD_EVERY_S = 5.0
LOADS_A = (10.0, -5.0, 20.0, 0.0)
"""So much is drawn in turn, that an answer to an earlier request shows."""
BAUD = 9600
SUMMED_AWAY = frozenset({"flip_bits", "lose_bytes"})
"""Several changes in one reply can leave its sum as it was (jbd.md, "Framing"): what passes is told, and is no failure."""

RULES: Mapping[str, Mapping[str, float]] = {
    "lose_bytes": {"rate": 0.02},
    "flip_bits": {"rate": 0.02},
    "echo": {"probability": 1.0},
    "pieces": {"probability": 1.0},
    "drift": {"probability": 1.0},
    "chatter": {"every_s": 0.7},
    "sleep": {"every_s": 15.0},
    "stuck": {"every_s": 20.0, "seconds": 5.0},
    "unplug": {"every_s": 20.0, "seconds": 5.0},
    "reset": {"every_s": 10.0},
}
"""When each strikes; those that are not here strike three answers of ten."""
USUAL_RULE: Mapping[str, float] = {"probability": 0.3}


@dataclass(slots=True)
class Row:
    """What one kind of fault did in `seconds`; `recovery_s` is None where no fresh sample came."""

    fault: str
    seconds: float
    struck: int = 0
    samples: int = 0
    good: float = 0.0
    there: float = 0.0
    recovery_s: float | None = None
    wrong: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Return what must not be."""
        found = [] if self.struck else [f"{self.fault}: it never struck"]
        found += [f"{self.fault}: {each}" for each in self.wrong[:3] if self.fault not in SUMMED_AWAY]
        return found + ([] if self.recovery_s is not None else [f"{self.fault}: no sample within {BACK_S:g} s of its end"])

    def line(self) -> str:
        """Return the row in words."""
        back = "never back" if self.recovery_s is None else f"back in {self.recovery_s:.1f} s"
        times = f"{self.struck} times in {self.seconds:g} s"
        there = f"GOOD {self.good:.0%}, there {self.there:.0%}"
        return f"{self.fault:10} {times:20} {there}, {self.samples} samples, {len(self.wrong)} wrong, {back}"

    def as_json(self) -> dict[str, object]:
        """Return the entry of a document."""
        figures = {"struck": self.struck, "samples": self.samples, "good": round(self.good, 3), "there": round(self.there, 3)}
        return {"fault": self.fault, **figures, "wrong": len(self.wrong), "recovery_s": self.recovery_s}


class Judged:
    """A device whose samples are compared with what is true."""

    hold_s: float | None = None

    def __init__(self, battery: PhysicalBattery, judge: Judge, row: Row) -> None:
        self._device = battery.device
        self._judge, self._row = judge, row
        self.read_at_s = 0.0
        battery.device = self

    async def read(self) -> Sample:
        """Read the device, and judge what it says."""
        self._judge.begin()
        sample = await self._device.read()
        self._row.samples += 1
        self._row.wrong += self._judge.wrong(sample)
        self.read_at_s = sample.sampled_s
        return sample

    async def set_current(self, current_a: float) -> None:
        """Pass on."""
        await self._device.set_current(current_a)

    async def held_current_a(self) -> float | None:
        """Pass on."""
        return await self._device.held_current_a()

    async def make_safe(self) -> str:
        """Pass on."""
        return await self._device.make_safe()

    async def close(self) -> None:
        """Pass on."""
        await self._device.close()


class Bench:
    """A pack on a pseudo-terminal below `folder` and its battery."""

    def __init__(self, simulator: JbdSimulator, link: Path, row: Row) -> None:
        clock = SystemClock()
        spec = JbdSpec(name=row.fault, port=str(link))
        self.row = row
        self.clock = clock
        self.simulator = simulator
        self.battery = PhysicalBattery(spec, make_device(spec, DriverContext(clock, Lines())))
        self.judge = Judge(JbdPeer(simulator).truth, JbdBench.tolerance, clock.now_s)
        self.device = Judged(self.battery, self.judge, row)

    async def run(self) -> None:
        """Read while nothing is wrong, while the fault is there, and until it is over."""
        refreshing = asyncio.create_task(Refresher(self.battery, self.clock).run(), name=f"refresh {self.row.fault}")
        loading = asyncio.create_task(self._load(), name=f"load {self.row.fault}")
        try:
            if await self._fresh_within(SETTLED_S) is None:
                raise AssertionError(f"{self.row.fault}: no sample within {SETTLED_S:g} s before it began: {self.battery.fault}")
            self.simulator.units[0].inject({"fault": self.row.fault, **RULES.get(self.row.fault, USUAL_RULE)})
            await self._watch()
            self.row.struck = self.simulator.units[0].injector.struck_by_kind[self.row.fault]
            self.simulator.units[0].clear_faults()
            self.row.recovery_s = await self._fresh_within(BACK_S)
        finally:
            for task in (refreshing, loading):
                task.cancel()
            for done in await asyncio.gather(refreshing, loading, return_exceptions=True):
                if isinstance(done, Exception):
                    raise done
            await self.device.close()

    async def _load(self) -> None:
        while True:
            for load_a in LOADS_A:
                self.judge.look()
                self.simulator.units[0].set({"load_current_a": load_a})
                self.judge.look()
                await asyncio.sleep(LOAD_EVERY_S)

    async def _watch(self) -> None:
        row, begun_s = self.row, self.clock.now_s()
        looks: list[Quality] = []
        while self.clock.now_s() < begun_s + row.seconds:
            await asyncio.sleep(LOOK_S)
            self.judge.look()
            looks.append(self.battery.status(self.clock.now_s()).quality)
        row.good = looks.count(Quality.GOOD) / len(looks)
        row.there = 1.0 - looks.count(Quality.UNAVAILABLE) / len(looks)

    async def _fresh_within(self, within_s: float) -> float | None:
        """Wait for a sample that was taken from now on; return when it came, None where none did."""
        begun_s = self.clock.now_s()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.device.read_at_s < begun_s:  # noqa: ASYNC110 (looks again, as people do)
                    await asyncio.sleep(LOOK_S / 5)
                return self.clock.now_s() - begun_s
        return None


async def _row(fault: str, seconds: float, seed: int, folder: Path) -> Row:
    row, link = Row(fault, seconds), folder / fault
    options = SimulatorOptions(link=link, baud=BAUD, seed=seed, sleep_after_s=None)
    async with JbdSimulator(options) as simulator:
        await Bench(simulator, link, row).run()
    return row


async def _rows(seconds: float, seed: int, at_once: int, progress: Progress) -> list[Row | BaseException]:
    rows: list[Row | BaseException] = []
    with tempfile.TemporaryDirectory(prefix="bosd-ptys-") as folder:
        kinds = list(FAULTS)
        for first in range(0, len(kinds), at_once):
            some = kinds[first : first + at_once]
            progress.tell(f"{', '.join(some)}, {seconds:g} s each", now=True)
            tries = (_row(fault, seconds, seed, Path(folder)) for fault in some)
            rows += await asyncio.gather(*tries, return_exceptions=True)
            for row in rows[first:]:
                if isinstance(row, Row):
                    progress.tell(row.line(), now=True)
    return rows


def run(seconds: float, seed: int, at_once: int = 4) -> Outcome:
    """Let each kind strike for so many seconds, `at_once` of them on terminals beside each other."""
    log.configure(json=False, level="error")
    progress = Progress("ptys", seconds * len(FAULTS) / at_once)
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        found = runner.run(_rows(seconds, seed, at_once, progress))
    rows = [each for each in found if isinstance(each, Row)]
    broken = [message_of(each) for each in found if isinstance(each, BaseException)]
    wrong = sum(len(row.wrong) for row in rows)
    return Outcome(
        part="ptys",
        summary=f"{len(rows)} kinds of fault for {seconds:g} s each at {BAUD} baud, {wrong} wrong values",
        figures={"seconds": seconds, "seed": seed, "rows": [row.as_json() for row in rows]},
        details=tuple(row.line() for row in rows),
        failures=(*broken, *(failure for row in rows for failure in row.failures)),
    )
