"""Random fleets under random faults, one after the other on every core: which seed fails, and how to see it fail again."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from types import FrameType

from tests.soak.outcome import Outcome, Progress, message_of
from tests.support.fleet.random_faults import Report, run_seed

SEED_S = 120.0
"""A seed takes a few seconds of a core; one that has taken so many does not end, however busy the machine is."""
AGAIN_S = 5.0
PER_PROCESS = 100
"""Seeds until a process is replaced, so that no seed lives on what a hundred others left behind."""
LOOK_S = 1.0
MOST_FAILURES = 50
FAULTS_S = 120.0
"""How long things go wrong in one seed, unless told otherwise; what a seed finds depends on it."""


FAR = 1_000_000
"""Seeds from here on are worlds of several hops, of safe values and of alone limits."""
ODD = 2_000_000
"""Seeds from here on are worlds in which disks hang and clocks are set, with people at work, too; else as without `ODD`."""
HARD = 3_000_000
"""Seeds from here on are worlds in which devices refuse, are slow, run empty and full, and boards stand still; else as below."""


class StuckError(SystemExit):
    """A seed that does not end; no handler of the world under test catches it."""


def _stuck(_number: int, _frame: FrameType | None) -> None:
    raise StuckError(f"did not end within {SEED_S:g} s of a core")


def kind_of(seed: int) -> dict[str, bool]:
    """Return what there is in the world of a seed, as `run_seed` takes it.

    An odd one has limits; of four in a row two have people; of the other two, in every second four, trees of sums and partitions.
    A hard one has what the seed without `HARD` has.
    From `FAR` on three of four have several hops; the other and one of those have safe values and alone limits.
    """
    if seed >= HARD:
        return {**kind_of((seed - HARD) % FAR), "hard": True}
    if seed >= ODD:
        kind = kind_of(seed - ODD)
        return {**kind, "people": not kind["trees"], "odd": True}
    people = seed % 4 >= 2
    if seed < FAR:
        return {"limits": seed % 2 == 1, "people": people, "trees": not people and seed % 8 >= 4}
    deep = seed % 4 > 0
    return {
        "limits": seed % 2 == 1 or seed % 8 == 4,
        "people": people or seed % 8 == 4,
        "trees": deep and not people and seed % 8 >= 4,
        "deep": deep,
        "safe": seed % 4 in (0, 3),
    }


def numbers(first: int, count: int) -> Iterator[int]:
    """Yield the seeds of a run: of 20 in a row four are `FAR` further on, two are by `ODD`, and one is by `HARD`."""
    further = {4: FAR, 7: ODD, 9: FAR, 12: HARD, 14: FAR, 17: ODD, 19: FAR} if first < FAR else {}
    for number in range(first, first + count):
        yield number + further.get((number - first) % 20, 0)


def run_one(seed: int, faults_s: float) -> Report | str:
    """Run one seed in this process; return its report, or what went wrong."""
    signal.signal(signal.SIGPROF, _stuck)
    signal.setitimer(signal.ITIMER_PROF, SEED_S, AGAIN_S)
    try:
        return run_seed(seed, faults_s, **kind_of(seed))
    except (Exception, StuckError, BaseExceptionGroup) as error:  # noqa: BLE001 (whatever it is, it is what was looked for)
        return message_of(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)


@dataclass(slots=True)
class Tally:
    """What the seeds showed until now."""

    faults_s: float
    run: int = 0
    simulated_s: float = 0.0
    faults: int = 0
    fenced: int = 0
    worst_over_a: float = 0.0
    worst_recovery_s: float = 0.0
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, seed: int, found: Report | str) -> None:
        """Count one seed."""
        self.run += 1
        if isinstance(found, str):
            self.failures[seed] = found
            return
        self.simulated_s += found.simulated_s
        self.faults += found.faults
        self.fenced += found.fenced
        self.worst_over_a = max(self.worst_over_a, found.worst_over_a)
        self.worst_recovery_s = max(self.worst_recovery_s, found.recovery_s)

    def told(self, seed: int) -> str:
        """Return one failure, and how to repeat it."""
        faults = "" if self.faults_s == FAULTS_S else f" --faults-s {self.faults_s:g}"
        return f'seed {seed}: {self.failures[seed]}; again: make soak ARGS="seeds --seed {seed}{faults}"'

    def outcome(self, wanted: int, taken_s: float) -> Outcome:
        """Return it as the part's outcome."""
        passed = f"{self.run} of {wanted} seeds" if self.run < wanted else f"{self.run} seeds"
        return Outcome(
            part="seeds",
            summary=f"{passed} in {taken_s:.0f} s, {self.simulated_s / 3600.0:.2f} h simulated, {self.faults} faults, "
            f"{self.fenced} commands fenced; {len(self.failures)} failed; of those that passed: worst overshoot "
            f"{self.worst_over_a:.1e} A, worst recovery {self.worst_recovery_s:.1f} s",
            figures={
                "seeds": self.run,
                "wanted": wanted,
                "taken_s": taken_s,
                "simulated_h": self.simulated_s / 3600.0,
                "faults": self.faults,
                "fenced": self.fenced,
                "worst_over_a": self.worst_over_a,
                "worst_recovery_s": self.worst_recovery_s,
                "failed_seeds": sorted(self.failures),
            },
            failures=tuple(self.told(seed) for seed in sorted(self.failures)),
        )


def _result(future: Future[Report | str]) -> Report | str:
    """Return what a seed gave, or that a process died under it."""
    try:
        return future.result()
    except BrokenProcessPool:
        return "a process died while it ran: of this seed, or of one beside it"


def _run_all(seeds: Iterator[int], tally: Tally, progress: Progress, workers: int) -> None:
    """Keep every core busy until the seeds, the time or the patience with failures are at an end."""
    running: dict[Future[Report | str], int] = {}
    context = get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=PER_PROCESS) as pool:
        while True:
            while len(running) < workers and progress.left_s > 0.0 and len(tally.failures) < MOST_FAILURES:
                seed = next(seeds, None)
                if seed is None:
                    break
                try:
                    running[pool.submit(run_one, seed, tally.faults_s)] = seed
                except BrokenProcessPool:
                    break
            if not running:
                return
            done, _ = wait(running, timeout=LOOK_S, return_when=FIRST_COMPLETED)
            for future in done:
                seed = running.pop(future)
                tally.add(seed, _result(future))
                if seed in tally.failures:
                    progress.tell(tally.told(seed), now=True)
            progress.tell(f"{tally.run} seeds, {tally.simulated_s / 3600.0:.2f} h simulated, {len(tally.failures)} failed")


def run(first: int, count: int, faults_s: float, minutes: float) -> Outcome:
    """Run `count` seeds from `first` on, each with `faults_s` of faults, for so many minutes at most."""
    tally, progress = Tally(faults_s), Progress("seeds", minutes * 60.0)
    workers = min(len(os.sched_getaffinity(0)), count)
    signal.signal(signal.SIGTERM, lambda *_: progress.end())  # what runs is finished, no worker is left, and the summary told
    progress.tell(f"{first} to {first + count - 1} on {workers} cores, {minutes:g} minutes at most", now=True)
    _run_all(numbers(first, count), tally, progress, workers)
    return tally.outcome(count, progress.taken_s)
