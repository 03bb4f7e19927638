"""Grants of this node that it does not remember: its disk did not take them, or is another one, or a person let go of them.

They would stay in force at their owners for ever. Owners are asked once a run what this node has granted them, and once more
after a person said that nothing runs there.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import Grant
from bosd.bal.directory import Directory
from bosd.bal.status import HEARD
from bosd.clock import Clock
from bosd.errors import BosError
from bosd.limits.grants import CALL_S
from bosd.limits.left_behind import At, OwnerRun, stubs_at

LOOK_S = 1.0
AGAIN_S = 30.0
"""Pause while nobody can tell whether a battery with a grant is one that another stub is of."""

AskOwner = Callable[[Battery], Awaitable[Mapping[str, Sequence[Grant]]]]
"""Returns by battery what this node has granted a stub's owner, of revision 1. Raises as calls do."""
Remember = Callable[[At, Iterable[At], Grant], None]
"""Counts a grant at a place, unless one is known there, or at one of those that may be the same."""


class Forgotten:
    """Has `remember` told of each grant that an owner names, also of batteries that no stub is of: those are left behind.

    The first of `ways` asks an owner, the second says who answers a stub.
    """

    def __init__(self, directory: Directory, clock: Clock, ways: tuple[AskOwner, OwnerRun], remember: Remember) -> None:
        self._directory = directory
        self._clock = clock
        self._granted, self._owner_run = ways
        self._remember = remember
        self._next_s: dict[str, float] = {}
        """By target when its owner is asked again, infinite where it has told all."""

    def ask_again(self, targets: Collection[str]) -> None:
        """Ask these targets' owners anew."""
        self._next_s = {target: next_s for target, next_s in self._next_s.items() if target not in targets}

    async def run(self) -> None:
        """Ask each owner that is heard, until it answers."""
        while True:
            for target, stub in self._due().items():
                try:
                    async with asyncio.timeout(CALL_S):
                        grants = await self._granted(stub)
                except (BosError, TimeoutError):
                    continue
                told = [self._told((target, name), stub, each) for name, found in grants.items() for each in found]
                self._next_s[target] = math.inf if all(told) else self._clock.now_s() + AGAIN_S
            await asyncio.sleep(LOOK_S)

    def _told(self, at: At, heard: DeviceLeaf, grant: Grant) -> bool:
        """Have a grant remembered, unless it is another stub's; return whether that is known.

        An owner knows a grant by who granted it, not by the way there: what is withdrawn by one way is withdrawn from all.
        """
        if not (run := self._owner_run(heard)):  # it was lost under the answer
            return False
        runs = {place: self._owner_run(stub) for place, stub in stubs_at(self._directory).items() if place[1] == at[1]}
        same = [place for place, each in runs.items() if each in {run, ""}]
        if at in runs or not same:
            self._remember(at, same, grant)
            return True
        return run in runs.values()  # that stub's own target tells of it

    def _due(self) -> dict[str, DeviceLeaf]:
        """Return by target a stub by which its owner is to be asked."""
        now_s = self._clock.now_s()
        stubs = stubs_at(self._directory)
        targets = {target for target, _ in stubs}
        self._next_s = {target: next_s for target, next_s in self._next_s.items() if target in targets}
        return {
            target: stub
            for (target, _), stub in stubs.items()
            if now_s >= self._next_s.get(target, -math.inf) and stub.status(now_s).link in HEARD
        }
