"""`removed.json` in the state directory: devices of batteries that were taken out, and that may run on, over a power cut.

The guard has them as long as it lives, and `guard.json` from then on. Here they are for what ends daemon and guard at once: it is
written before an edit that takes them out is, and again when they confirmed.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import structlog

from bosd.bal.pseudo import InPlace
from bosd.bal.spec import PhysicalSpec
from bosd.errors import BosError, StoreError
from bosd.safeguard.in_place import in_place_of, write_in_place
from bosd.safeguard.report import REMOVED, odd_of, removed_of, write_removed

DEADLINE_S = 10.0
"""How long the disk is waited for; the store waits as long (bosd/store/store.py)."""
RETRY_S = 5.0
"""Pause after the disk did not take what was to be written soon."""

_log = structlog.get_logger("daemon")

_Kept = tuple[tuple[PhysicalSpec, ...], tuple[InPlace, ...]]


class RemovedBook:
    """What was taken out and may run on; `note` returns when it is on the disk, `note_soon` never waits, `run` writes.

    `left` are those of an earlier run, `in_place` what null batteries stood in place of then; a file that is not understood is
    named in the log and counts as empty. A run that has no devices, as on a simulated clock, `inherits` none, and leaves them to
    the next one that does.
    """

    def __init__(self, state_dir: Path, *, inherits: bool = True) -> None:
        self._state_dir = state_dir
        self.left = _left(state_dir) if inherits else ()
        self.in_place = in_place_of(state_dir) if inherits else ()
        self._kept = self._written = (self.left, self.in_place)
        self._changed = asyncio.Event()
        self._hand = ThreadPoolExecutor(max_workers=1, thread_name_prefix="removed")

    async def note(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...] = ()) -> None:
        """Keep these and no others. Raises StoreError where the disk does not take it."""
        self._kept = (specs, in_place)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._write(self._kept)
        except OSError as error:  # a TimeoutError, too
            why = error.strerror or f"the disk did not answer within {DEADLINE_S:g} s"
            message = f"{self._state_dir / REMOVED}: {why}: what may run on is taken out when that can be noted for a restart"
            raise StoreError(message, path=str(self._state_dir / REMOVED)) from error

    def note_soon(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...] = ()) -> None:
        """Keep these and no others, soon."""
        self._kept = (specs, in_place)
        if self._kept != self._written:
            self._changed.set()

    async def run(self) -> None:
        """Write what is to be written soon, again where the disk did not take it, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._write(self._kept)
            except OSError as error:
                _log.warning("removed_unwritten", detail=error.strerror or str(error))
                self._changed.set()
                await asyncio.sleep(RETRY_S)

    async def _write(self, kept: _Kept) -> None:
        """Write these after what is being written; whoever gives up waiting ends no write."""
        writing = asyncio.get_running_loop().run_in_executor(self._hand, _write_both, self._state_dir, kept)
        writing.add_done_callback(partial(self._wrote, kept))
        await asyncio.shield(writing)

    def _wrote(self, kept: _Kept, writing: "asyncio.Future[None]") -> None:
        if not writing.cancelled() and writing.exception() is None:
            self._written = kept
            if self._kept != kept:  # nobody waited for it, and what is to be kept is another thing by now
                self._changed.set()


def _write_both(state_dir: Path, kept: _Kept) -> None:
    """Write both files; `removed.json` last, whose writing has the directory on the disk. Raises OSError."""
    specs, in_place = kept
    write_in_place(state_dir, in_place)
    write_removed(state_dir, specs)


def _left(state_dir: Path) -> tuple[PhysicalSpec, ...]:
    left: tuple[PhysicalSpec, ...] = ()
    for read in (removed_of, odd_of):
        try:
            left += read(state_dir)
        except BosError as error:
            _log.error("removed_not_understood", detail=error.message)
    return left
