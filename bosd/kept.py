"""The small files of the state directory by which a run of the daemon tells the next one what to look for."""

import asyncio
from pathlib import Path

import structlog

from bosd.safeguard.removed import RemovedBook
from bosd.store.address_book import AddressBook
from bosd.store.running_book import RunningBook
from bosd.store.told_book import ToldBook

_log = structlog.get_logger("daemon")


class Kept:
    """Where other nodes were last, what their batteries and this node's devices may run, and what was taken out.

    A run that is not `real` has no devices: what an earlier run left on some stays for the next one that has.
    """

    def __init__(self, state_dir: Path, *, real: bool) -> None:
        self.addresses = AddressBook(state_dir)
        self.running = RunningBook(state_dir)
        self.told = ToldBook(state_dir) if real else None
        self.removed = RemovedBook(state_dir, inherits=real)

    def recall(self) -> None:
        """Read anew what the last run's guard, which was waited for, may have changed."""
        if self.told is not None:
            self.told.recall()

    async def run(self) -> None:
        """Write what changes, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for each in (self.addresses, self.running, self.told, self.removed):
                if each is not None:
                    group.create_task(each.run(), name=f"write {type(each).__name__}")

    async def close(self, within_s: float) -> None:
        """Write what had no turn of what runs no more: the next run would count it. A disk that hangs is named in the log."""
        try:
            async with asyncio.timeout(within_s):
                for each in (self.running, self.told):
                    if each is not None:
                        await each.close()
        except TimeoutError:
            _log.warning("kept_unwritten", detail=f"the disk did not answer within {within_s:g} s")
