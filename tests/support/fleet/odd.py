"""Worlds in which disks hang, so that nobody knows what they took, clocks of the day are set, and ramps are slow.

Chances of their own: worlds without them keep their course.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING

from bosd.bal.spec import BatterySpec
from tests.support.fleet.fleet import Host

if TYPE_CHECKING:
    from tests.support.fleet.random_faults import RandomFaults

EVERY_S = 3.0
HANGS_S = (2.0, 9.0, 12.0, 15.0, 25.0)
"""Shorter and longer than the 10 s after which a write is in doubt."""
LATE_CHANCE = 0.5
"""Of a write in doubt: the disk has taken it just then."""
RAMP_CHANCE, RAMP_A_PER_S = 0.4, (0.5, 8.0)
STEPS_S = (-86400.0, -600.0, -5.0, 5.0, 600.0, 86400.0)


class OddFaults:
    """What goes wrong in such a world beside what does in each."""

    def __init__(self, world: "RandomFaults") -> None:
        self._fleet = world.fleet
        self._chance = random.Random(f"{world.seed} odd")
        for host in self._fleet.hosts.values():
            host.topology = replace(host.topology, batteries=tuple(map(self._ramped, host.topology.batteries)))
            host.store.taken_late = lambda: self._chance.random() < LATE_CHANCE

    def _ramped(self, spec: BatterySpec) -> BatterySpec:
        if self._chance.random() >= RAMP_CHANCE:
            return spec
        return replace(spec, max_ramp_a_per_s=self._chance.uniform(*RAMP_A_PER_S))

    async def run(self, until_s: float, group: asyncio.TaskGroup) -> None:
        """Let things go wrong for a while."""
        kinds: list[Callable[[Host], Coroutine[None, None, None]]] = [self._hang, self._step]
        while True:
            await asyncio.sleep(self._chance.expovariate(1.0 / EVERY_S))
            if self._fleet.loop.time() >= until_s:
                return
            group.create_task(self._chance.choice(kinds)(self._chance.choice(list(self._fleet.hosts.values()))))

    async def _hang(self, host: Host) -> None:
        if host.process is not None and host.process.serving:
            host.store.hangs_until_s = self._fleet.loop.time() + self._chance.choice(HANGS_S)

    async def _step(self, host: Host) -> None:
        """Set the clock of the day, and back after a while."""
        step_s = self._chance.choice(STEPS_S)
        host.clock.utc_wrong_s += step_s
        await asyncio.sleep(self._chance.uniform(1.0, 20.0))
        host.clock.utc_wrong_s -= step_s
