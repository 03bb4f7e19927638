"""All checks of a driver, each on devices of its own in virtual time, so that none lives on what another left."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from bosd.drivers.kit import blocking, commanding, failing, reading
from bosd.drivers.kit.result import CheckFailed, DoesNotApply, Result, Verdict
from bosd.drivers.kit.world import Trial, World, world
from bosd.errors import BosError
from bosd.jumping_loop import DeadlockError, run_jumping

MEMORY_READS = 2000


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `devices` is how many it wants on one line where the bench has so many."""

    name: str
    run: Callable[[World], Awaitable[str]]
    devices: int = 1


def checks(memory_reads: int) -> Sequence[Check]:
    """Return all checks in the order of a card."""

    async def memory(here: World) -> str:
        return await reading.memory(here, memory_reads)

    return (
        Check("units", reading.units),
        Check("signs", reading.signs),
        Check("limits", reading.limits),
        Check("unknown is None", reading.unknown),
        Check("timeouts", failing.timeouts),
        Check("cancellation", failing.cancellation),
        Check("garbage", failing.garbage),
        Check("late answers", failing.stall),
        Check("unplug and replug", failing.unplug),
        Check("restart", failing.restart),
        Check("sleep", failing.sleeping),
        Check("set points", commanding.following),
        Check("honest refusals", commanding.honesty),
        Check("hold", commanding.hold),
        Check("safe action", commanding.safety),
        Check("two on a line", failing.sharing, devices=2),
        Check("close", failing.closing),
        Check("time and bytes", reading.budget),
        Check("never blocks", blocking.never_blocks),
        Check("memory", memory),
    )


def run_checks(trial: Trial, memory_reads: int = MEMORY_READS, only: Collection[str] = ()) -> list[Result]:
    """Return what came of every check, or of those named; a defect of the driver is a failed check and ends no other."""
    return [_run(trial, check) for check in checks(memory_reads) if not only or check.name in only]


def _run(trial: Trial, check: Check) -> Result:
    async def main() -> str:
        async with world(trial, min(check.devices, trial.bench.most)) as here:
            return await check.run(here)

    try:
        return Result(check.name, Verdict.PASSED, run_jumping(main()))
    except DoesNotApply as reason:
        return Result(check.name, Verdict.NOT_APPLICABLE, str(reason))
    except CheckFailed as failure:
        return Result(check.name, Verdict.FAILED, str(failure))
    except DeadlockError as deadlock:
        return Result(check.name, Verdict.FAILED, f"waits for ever, without a deadline: {deadlock}")
    except BosError as error:
        return Result(check.name, Verdict.FAILED, f"{error.reason}: {error}")
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 (a driver may raise anything: that is the finding)
        return Result(check.name, Verdict.FAILED, f"{type(error).__name__}: {error}")
