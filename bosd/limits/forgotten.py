"""Grants of an earlier run of this node that it does not remember: its disk did not take them, or is another one.

They would stay in force at their owners for ever. Owners are asked once a run what this node has granted them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import Grant
from bosd.bal.directory import Directory
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import HEARD
from bosd.clock import Clock
from bosd.errors import BosError
from bosd.limits.grants import CALL_S
from bosd.limits.left_behind import At

LOOK_S = 1.0

AskOwner = Callable[[Battery], Awaitable[Sequence[Grant]]]
"""Returns what this node has granted a stub's owner for its battery, of revision 1. Raises as calls do."""


class Forgotten:
    """Has `remember` told of each grant that an owner names."""

    def __init__(
        self, directory: Directory, clock: Clock, granted: AskOwner, remember: Callable[[DeviceLeaf, Grant], None]
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._granted = granted
        self._remember = remember
        self._asked: set[At] = set()

    async def run(self) -> None:
        """Ask each owner that is heard, until it answers."""
        while True:
            for stub, at in self._due():
                try:
                    async with asyncio.timeout(CALL_S):
                        grants = await self._granted(stub)
                except (BosError, TimeoutError):
                    continue
                self._asked.add(at)
                for grant in grants:
                    self._remember(stub, grant)
            await asyncio.sleep(LOOK_S)

    def _due(self) -> list[tuple[DeviceLeaf, At]]:
        now_s = self._clock.now_s()
        stubs = [(each, each.spec) for each in self._directory if isinstance(each, DeviceLeaf)]
        there = {(spec.target, spec.remote_name): stub for stub, spec in stubs if isinstance(spec, NetworkSpec)}
        self._asked &= there.keys()
        return [(stub, at) for at, stub in there.items() if at not in self._asked and stub.status(now_s).link in HEARD]
