"""Hours of virtual time under faults: how often there is a value, whether it is true, and how soon it is back.

The device is read as a node does it: at its period, and after failures 1, 2, 2, ... s later (node/refresh.py). The load changes
each 20 s. A fault that strikes and ends does so about every `every_s`, at a moment that the seed decides.
"""

import asyncio
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from bosd.bal.device import Device
from bosd.drivers.kit.bench import Fault
from bosd.drivers.kit.judge import Judge
from bosd.drivers.kit.result import Row
from bosd.drivers.kit.world import COMMAND_DEADLINE_S, READ_DEADLINE_S, STALL_S, Trial, World, world
from bosd.errors import BosError, TransientError
from bosd.jumping_loop import run_jumping

FRESH_PERIODS = 3.0
"""A sample is GOOD for so many refresh periods, at least 1.5 s (control.md, "Quality, link and commandability")."""
_BACK_OFF_S = (1.0, 2.0)
_LOAD_EVERY_S = 20.0
_LOADS_A = (-15.0, -4.0, 0.0, 0.0, 3.0, 8.0, 20.0)
_SET_A = (-3.0, -1.5, 0.0, 1.0, 2.5)
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of fault, or none: for `lasts_s` about every `every_s`; None is all the time."""

    name: str
    fault: Fault | None
    lasts_s: float = 0.0
    every_s: float | None = None
    remembers_s: float = 0.0


SCENARIOS = (
    Scenario("nothing goes wrong", None),
    Scenario("power off for 5 s", Fault.POWER, 5.0, 60.0),
    Scenario("unplugged for 1 s", Fault.UNPLUG, 1.0, 30.0),
    Scenario("unplugged for 60 s", Fault.UNPLUG, 60.0, 180.0),
    Scenario("3 s stalls", Fault.STALL, STALL_S, 30.0, remembers_s=STALL_S),
    Scenario("sleep", Fault.SLEEP, 0.0, 45.0),
    Scenario("5 % of bytes lost", Fault.LOSS),
    Scenario("a bit flipped in 5 % of messages", Fault.MESSAGES),
    Scenario("a bit flipped in 5 % of bytes", Fault.FLIPS),
)


@dataclass(slots=True)
class _Tally:
    """What one scenario's hours brought."""

    row: Row
    begun_s: float
    good_for_s: float
    fresh_s: float = 0.0
    last_sample_s: float | None = None
    ended_s: list[float] = field(default_factory=list)
    recoveries_s: list[float] = field(default_factory=list)

    def sampled(self, now_s: float) -> None:
        """Count a sample at `now_s`."""
        self.row.samples += 1
        if self.last_sample_s is not None:
            self.fresh_s += min(self.good_for_s, now_s - self.last_sample_s)
            self.row.longest_gap_s = max(self.row.longest_gap_s, now_s - self.last_sample_s)
        self.last_sample_s = now_s
        self.recoveries_s += [now_s - ended_s for ended_s in self.ended_s]
        self.ended_s.clear()

    def wrong(self, now_s: float, what: str) -> None:
        """Count a wrong value, or a reading or command that ended in a defect."""
        self.row.wrong += 1
        if len(self.row.examples) < _EXAMPLES:
            self.row.examples.append(f"{now_s:.3f} s: {what}")

    def finish(self, now_s: float) -> Row:
        """Return the row."""
        row = self.row
        if self.last_sample_s is not None:
            self.fresh_s += min(self.good_for_s, now_s - self.last_sample_s)
            row.longest_gap_s = max(row.longest_gap_s, now_s - self.last_sample_s)
        else:
            row.longest_gap_s = now_s - self.begun_s
        row.availability = self.fresh_s / (now_s - self.begun_s)
        if self.recoveries_s:
            row.recovery_median_s, row.recovery_max_s = statistics.median(self.recoveries_s), max(self.recoveries_s)
        return row


def run_hours(trial: Trial, hours: float, told: Callable[[str], None] = lambda _name: None) -> list[Row]:
    """Return a row for each kind of fault; `hours` are shared by those that this device can have."""
    rows: dict[str, Row] = {}
    possible = [each for each in SCENARIOS if run_jumping(_has(trial, each.fault))]
    for scenario in SCENARIOS:
        if scenario in possible:
            told(scenario.name)
            rows[scenario.name] = run_jumping(_suffer(trial, scenario, hours / len(possible)))
        else:
            rows[scenario.name] = Row(fault=scenario.name, not_applicable=_why_not(scenario))
    return list(rows.values())


def _why_not(scenario: Scenario) -> str:
    none = f"the simulated device has no {scenario.fault}"
    return "its medium loses and changes no bytes" if scenario.every_s is None else none


async def _has(trial: Trial, fault: Fault | None) -> bool:
    async with world(trial) as here:
        return fault is None or here.can(fault)


async def _suffer(trial: Trial, scenario: Scenario, hours: float) -> Row:
    chance = random.Random(f"{trial.seed}/{scenario.name}")  # noqa: S311 (reproducible, no secret)
    loop = asyncio.get_running_loop()
    async with world(trial) as here:
        weak = "" if scenario.fault is None else trial.bench.undetectable.get(scenario.fault, "")
        row = Row(fault=scenario.name, hours=hours, lasting=scenario.every_s is not None, undetectable=weak)
        tally = _Tally(row, loop.time(), good_for_s=max(1.5, FRESH_PERIODS * here.period_s))
        ends_s = loop.time() + hours * 3600.0
        async with asyncio.TaskGroup() as group:
            striking = group.create_task(_strike(here, scenario, tally, chance), name="faults")
            await _read(here, scenario, tally, chance, ends_s)
            striking.cancel()
        return tally.finish(loop.time())


async def _strike(here: World, scenario: Scenario, tally: _Tally, chance: random.Random) -> None:
    """Let the fault strike until cancelled."""
    if scenario.fault is None:
        return
    loop = asyncio.get_running_loop()
    if scenario.every_s is None:
        here.fault(scenario.fault, active=True)
        tally.row.strikes = 1
        return
    while True:
        await asyncio.sleep(scenario.every_s * (0.5 + chance.random()))
        here.fault(scenario.fault, active=True)
        tally.row.strikes += 1
        await asyncio.sleep(scenario.lasts_s)
        here.fault(scenario.fault, active=False)
        tally.ended_s.append(loop.time())


async def _read(here: World, scenario: Scenario, tally: _Tally, chance: random.Random, ends_s: float) -> None:
    """Read as a node does, and judge each sample; a regulator gets another set point where a battery gets another load."""
    loop, device, judge = asyncio.get_running_loop(), here.make(), here.judge(memory_s=scenario.remembers_s)
    judge.lets_cells_age = scenario.fault in (Fault.LOSS, Fault.FLIPS)
    failures, change_s = 0, loop.time()
    while loop.time() < ends_s:
        begun_s = loop.time()
        if begun_s >= change_s:
            change_s = begun_s + _LOAD_EVERY_S
            judge.look()
            here.peer.load(chance.choice(_LOADS_A))
            if here.trial.is_regulator and (defect := await _command(device, chance.choice(_SET_A))):
                tally.wrong(loop.time(), defect)
        judge.begin()
        tally.row.reads += 1
        wrong: list[str] = []
        try:
            async with asyncio.timeout(READ_DEADLINE_S):
                wrong = await _reading(here, device, judge)
        except (TransientError, TimeoutError):
            failures += 1
        except Exception as error:  # noqa: BLE001 (a defect of what is tried)
            failures, wrong = failures + 1, [_no_error_of_the_port(error)]
        else:
            failures = 0
            tally.sampled(loop.time())
        if wrong:
            tally.wrong(loop.time(), wrong[0])
        pause_s = _BACK_OFF_S[min(failures, len(_BACK_OFF_S)) - 1] if failures else begun_s + here.period_s - loop.time()
        await asyncio.sleep(max(0.0, pause_s))


async def _reading(here: World, device: Device, judge: Judge) -> list[str]:
    """Read once; return what is wrong with it."""
    if here.trial.is_regulator:
        return judge.wrong_held(await device.held_current_a())
    return judge.wrong(await device.read())


async def _command(device: Device, current_a: float) -> str:
    """Try to command, and return a defect; what becomes of the command is told by the next readings."""
    try:
        async with asyncio.timeout(COMMAND_DEADLINE_S):
            await device.set_current(current_a)
    except (BosError, TimeoutError):
        pass
    except Exception as error:  # noqa: BLE001 (a defect of what is tried)
        return _no_error_of_the_port(error)
    return ""


def _no_error_of_the_port(error: Exception) -> str:
    return f"raised {type(error).__name__}: {error}, where it may raise UnavailableError and DriverError"
