"""Devices that an edit takes away are brought to 0 A before it is applied."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from bosd.bal.battery import Battery, DeviceLeaf

DRAIN_DEADLINE_S = 3.0

WHILE_EDITED = "while an edit is stored that replaces it, or takes it out; ask again when that is done"

StopDevices = Callable[[Sequence[Battery], float], Awaitable[Sequence[str]]]


class Drained:
    """Devices held at 0 A until `let_go`; `unconfirmed` are the names of those that did not confirm it.

    `is_latched` tells which of them are stopped besides, by then.
    """

    def __init__(self, leaves: Sequence[DeviceLeaf], is_latched: Callable[[str], bool]) -> None:
        self._held = leaves
        self._is_latched = is_latched
        self.unconfirmed: Sequence[str] = ()
        for leaf in leaves:
            if not leaf.stopped:
                leaf.stop_note = WHILE_EDITED
            leaf.latch(stopped=True)

    def let_go(self) -> None:
        """Hold them no longer; done twice it is done."""
        for leaf in self._held:
            if leaf.stop_note == WHILE_EDITED:
                leaf.stop_note = ""
            leaf.latch(stopped=self._is_latched(leaf.name))
        self._held = ()

    def warnings(self) -> tuple[str, ...]:
        """Return what a person should look at."""
        return tuple(f"{name} did not confirm 0 A: look at its device, which is told until it does" for name in self.unconfirmed)


@asynccontextmanager
async def drained(leaves: Sequence[DeviceLeaf], stop: StopDevices, is_latched: Callable[[str], bool]) -> AsyncIterator[Drained]:
    """Hold devices at 0 A while the block runs; one that does not confirm within 3 s keeps nobody from going on.

    Those at 0 A stay there: what is asked of them meanwhile is refused, and says so.
    """
    held = Drained(leaves, is_latched)
    try:
        if carrying := [leaf for leaf in leaves if leaf.counts_at_a != 0.0]:
            held.unconfirmed = await stop(carrying, DRAIN_DEADLINE_S)
        yield held
    finally:
        held.let_go()
