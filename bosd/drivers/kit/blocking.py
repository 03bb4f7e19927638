"""The check that a driver leaves the loop to others: how long, in real time, the loop stands within one turn.

Real time alone would blame a driver for a machine that is busy, so two things count that do not depend on that: time in which the
thread slept of its own accord within a turn (a voluntary context switch, getrusage(2): `time.sleep`, a request that waits), and
time in which it computed. What most of the readings do is judged, since a page of a file that is not in memory is slept for too.
"""

import asyncio
import resource
import statistics
import time  # noqa: TID251 (this is about real time, whatever the loop's clock says)
from dataclasses import dataclass

from bosd.drivers.kit.result import CheckFailed, DoesNotApply
from bosd.drivers.kit.world import World, good_sample
from bosd.jumping_loop import JumpingLoop

READINGS = 11
SLEPT_S = 0.02
"""Four times as long as a thread waits for another one to give the interpreter away (sys.getswitchinterval)."""
COMPUTED_S = 0.1
"""The usual bound of slow callbacks (asyncio, `slow_callback_duration`); readings of the drivers here compute 1 ms."""


@dataclass(slots=True)
class _Worst:
    """The longest times of one reading's turns."""

    slept_s: float = 0.0
    computed_s: float = 0.0


class Turns:
    """Measures each turn of a jumping loop, from the end of its selecting to the next; `worst` is taken and begun anew."""

    def __init__(self) -> None:
        self.worst = _Worst()
        self._began: tuple[float, float, int] | None = None

    def begins(self) -> None:
        """Note that callbacks are about to run."""
        self._began = _now()

    def ends(self) -> None:
        """Note that they have run."""
        if self._began is None:
            return
        real_s, computed_s, sleeps = (now - before for now, before in zip(_now(), self._began, strict=True))
        self.worst.computed_s = max(self.worst.computed_s, computed_s)
        if sleeps:
            self.worst.slept_s = max(self.worst.slept_s, real_s - computed_s)


def _now() -> tuple[float, float, int]:
    return time.perf_counter(), time.thread_time(), resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


async def never_blocks(world: World) -> str:
    """A reading neither sleeps nor computes for long within a turn of the loop: the node stands still meanwhile."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, JumpingLoop):
        raise DoesNotApply("a loop whose time passes sleeps by itself")
    device = world.make()
    await good_sample(device, "reading")
    turns, seen = Turns(), []
    loop.turns = turns
    try:
        for _ in range(READINGS):
            turns.worst = _Worst()
            await good_sample(device, "reading")
            seen.append(turns.worst)
    finally:
        loop.turns = None
    slept_s = statistics.median(each.slept_s for each in seen)
    computed_s = statistics.median(each.computed_s for each in seen)
    if slept_s > SLEPT_S:
        raise CheckFailed(f"it blocks: a reading sleeps {slept_s * 1000:.0f} ms without awaiting; the whole node stands still")
    if computed_s > COMPUTED_S:
        raise CheckFailed(
            f"it blocks: a reading computes {computed_s * 1000:.0f} ms without awaiting; {COMPUTED_S * 1000:g} at most"
        )
    return "no reading sleeps or computes for long without awaiting"
