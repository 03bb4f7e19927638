"""Devices that an edit takes away are brought to 0 A before it is applied."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.physical import PhysicalBattery
from bosd.clock import Clock
from bosd.node.ends import just_after_s
from bosd.node.links import NetworkLeaf

DRAIN_DEADLINE_S = 3.0
OUTLAST_S = 10.0
"""How long an edit waits at most for what does not confirm to be safe by itself; a node's own bound is 7 s with default times."""
LOOK_S, LEAST_LOOK_S = 0.25, 0.01

WHILE_EDITED = "while an edit is stored that replaces it, or takes it out; ask again when that is done"

StopDevices = Callable[[Sequence[Battery], float], Awaitable[Sequence[str]]]


class Drained:
    """Batteries held at 0 A until `let_go`; `unconfirmed` are the names of those that did not confirm it.

    `is_latched` tells which of them are stopped besides, by then.
    """

    def __init__(self, held: Sequence[Battery], is_latched: Callable[[str], bool]) -> None:
        self._held = held
        self._is_latched = is_latched
        self.unconfirmed: Sequence[str] = ()
        self._unheard_a: dict[str, float] = {}
        for battery in held:
            if not battery.stopped:
                battery.stop_note = WHILE_EDITED
            battery.drained = True
            battery.latch(stopped=True)

    async def bring_to_zero(self, stop: StopDevices, clock: Clock) -> None:
        """Have those that carry something brought to 0 A; who does not confirm is given the time to be safe by itself.

        So is what nobody has looked at, and may run what an earlier run of this node asked for.
        """
        await _outlast_unread(self._held, clock)
        carrying = [battery for battery in self._held if battery.counts_at_a != 0.0]
        if not carrying:
            return
        unconfirmed = await stop(carrying, DRAIN_DEADLINE_S)
        await _outlast([leaf for leaf in carrying if leaf.name in unconfirmed and isinstance(leaf, DeviceLeaf)], clock)
        unheard = [leaf for leaf in carrying if leaf.name in unconfirmed and isinstance(leaf, NetworkLeaf)]
        self._unheard_a = {leaf.name: leaf.counts_at_a for leaf in unheard if leaf.counts_at_a != 0.0}
        safe = {leaf.name for leaf in unheard} - self._unheard_a.keys()
        self.unconfirmed = [name for name in unconfirmed if name not in safe]

    def let_go(self) -> None:
        """Hold them no longer; done twice it is done."""
        for battery in self._held:
            battery.drained = False
            if battery.stop_note == WHILE_EDITED:
                battery.stop_note = ""
            battery.latch(stopped=self._is_latched(battery.name))
        self._held = ()

    def warnings(self) -> tuple[str, ...]:
        """Return what a person should look at."""
        return tuple(map(self._warning, self.unconfirmed))

    def _warning(self, name: str) -> str:
        if name in self._unheard_a:
            return (
                f"{name} is not heard and may still run {self._unheard_a[name]:g} A, which counts no more where it is taken out"
            )
        return f"{name} did not confirm 0 A: look at its device, which is told until it does"


def unlatch(battery: Battery) -> None:
    """End the stop of a battery; one that an edit holds stays at 0 A until that is stored."""
    battery.stop_note = WHILE_EDITED if battery.drained else ""
    battery.latch(stopped=battery.drained)


@asynccontextmanager
async def drained(
    batteries: Sequence[Battery], stop: StopDevices, is_latched: Callable[[str], bool], clock: Clock
) -> AsyncIterator[Drained]:
    """Hold batteries at 0 A while the block runs; one that does not confirm within 3 s keeps nobody from going on.

    Those at 0 A stay there: what is asked of them meanwhile is refused, and says so. What does not confirm and will be safe by
    itself within 10 s is waited for: only then may others take its share (control.md, "When something dies").
    """
    held = Drained(batteries, is_latched)
    try:
        await held.bring_to_zero(stop, clock)
        yield held
    finally:
        held.let_go()


async def _outlast_unread(held: Sequence[Battery], clock: Clock) -> None:
    """Wait until each of these was looked at, or has let go of what an earlier run asked for, where that is near enough."""
    ends_s = clock.now_s() + OUTLAST_S
    for leaf in (each for each in held if isinstance(each, PhysicalBattery | NetworkLeaf)):
        while (now_s := clock.now_s()) < ends_s:
            left_s = leaf.left_for_s(now_s)
            if not 0.0 < left_s <= ends_s - now_s:
                break
            await asyncio.sleep(min(LOOK_S, max(LEAST_LOOK_S, left_s)))


async def _outlast(leaves: Sequence[DeviceLeaf], clock: Clock) -> None:
    """Wait until each of these has stood until its own bound, or confirmed after all, where either may be near enough.

    That of one whose owner is not known to be lost yet has not begun; one that holds has none. That of a device here begins now:
    nothing but 0 A is told it any more.
    """
    told_s = clock.now_s()
    ends_s = told_s + OUTLAST_S
    for leaf in leaves:
        while leaf.counts_at_a != 0.0 and leaf.let_go_s is not None and (now_s := clock.now_s()) < ends_s:
            far = isinstance(leaf, NetworkLeaf)
            over_s = just_after_s(leaf.counts_until_s if far else told_s + leaf.let_go_s)
            if ends_s < over_s < math.inf or (now_s >= over_s and not far):
                break
            await asyncio.sleep(min(LOOK_S, max(LEAST_LOOK_S, over_s - now_s)))
            leaf.status(clock.now_s())  # what is over counts no more, once it was looked at
