"""When owners are told of stops that stand at their stubs alone: at contact, then ever more rarely while they refuse."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from bosd.bal.status import Link
from bosd.node.links import NetworkLeaf
from bosd.store.records import StopLatch

LOOK_S = 0.5
PAUSE_LEAST_S, PAUSE_MOST_S = 5.0, 60.0


class LateStops:
    """Who was asked when, on the loop's clock, and who has it. Who releases holds `lock`: no late stop may come behind that."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self._tries: dict[str, tuple[float, float]] = {}
        self._told: dict[str, StopLatch] = {}

    async def run(self, tell: Callable[[], Awaitable[None]]) -> None:
        """Have it looked at whom to tell, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await tell()

    def due(self, stubs: Iterable[NetworkLeaf], now_s: float) -> list[NetworkLeaf]:
        """Return those of the stubs stopped here whose owners are to be asked now; the end of a session forgets who was asked."""
        loop_s = asyncio.get_running_loop().time()
        found, tries = [], {}
        for stub in stubs:
            if stub.status(now_s).link is not Link.READY:
                continue
            if (tried := self._tries.get(stub.name)) is not None:
                tries[stub.name] = tried
            if tried is None or loop_s >= tried[0]:
                found.append(stub)
        self._tries = tries
        return found

    def asked(self, stubs: Iterable[NetworkLeaf]) -> None:
        """Note that the owners are being asked: not again at once."""
        loop_s = asyncio.get_running_loop().time()
        for stub in stubs:
            pause_s = min(PAUSE_MOST_S, max(PAUSE_LEAST_S, 2.0 * self._tries.get(stub.name, (0.0, 0.0))[1]))
            self._tries[stub.name] = (loop_s + pause_s, pause_s)

    def told(self, name: str, latch: StopLatch) -> None:
        """Note that the owner has this stop: however long it stands here, too, it is not told again."""
        self._told[name] = latch

    def is_told(self, name: str, latch: StopLatch) -> bool:
        """Return whether the owner had this very stop."""
        return self._told.get(name) is latch

    def forget(self, name: str) -> None:
        """Forget a stop that does not stand here any more."""
        self._told.pop(name, None)
        self._tries.pop(name, None)
