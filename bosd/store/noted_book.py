"""Numbers by key in a file of the state directory, durable before what they tell of may happen."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic, TypeGuard, TypeVar

import structlog

from bosd.errors import UnavailableError
from bosd.pki.files import write_file
from bosd.store.database import sync_directory

Value = TypeVar("Value", bound=float | None)

DEADLINE_S = 4.0
"""How long the disk is waited for, less than a device is (`command_deadline_s`): it is known which of the two is silent."""
LATE_S = 60.0
"""What is noted and taken back each second, as a device refuses it, is not written each time."""

_log = structlog.get_logger(__name__)


class NotedBook(Generic[Value]):
    """What may be running when this node starts anew, by key. `note` returns when it is on the disk.

    `note_soon` and `forget` never wait: `run` writes, and `close` what it had no turn for.
    `read` makes a value of what is found in the file; `says` tells whether a value that is written says another one, too.
    """

    def __init__(self, path: Path, read: Callable[[object], Value], says: Callable[[Value, Value], bool]) -> None:
        """Read what is there; a file that cannot be read is named in the log and counts as empty."""
        self._path, self._read, self._says = path, read, says
        self.recall()
        self._changed = asyncio.Event()
        self._work = asyncio.Lock()
        self._writing: asyncio.Future[None] | None = None

    def recall(self) -> None:
        """Read anew what is there, as long as nothing was noted: who was at work in this node's place may have changed it."""
        self._noted = {key: self._read(value) for key, value in _read(self._path).items()}
        self._written = dict(self._noted)

    def __contains__(self, key: str) -> bool:
        return key in self._noted

    def value(self, key: str) -> Value:
        """Return what is noted. Raises KeyError where nothing is."""
        return self._noted[key]

    async def note(self, key: str, value: Value) -> bool:
        """Note what is about to be; return whether the disk was waited for. Raises UnavailableError where it does not take it."""
        self.take(key, value)
        waited = self._work.locked() or (self._writing is not None and not self._writing.done())
        try:
            async with asyncio.timeout(DEADLINE_S), self._work:
                await self._finish()
                if key in self._written and self._says(self._written[key], value):
                    return waited
                await self._write()
        except OSError as error:  # a TimeoutError, too
            why = error.strerror or f"the disk did not answer within {DEADLINE_S:g} s"
            message = f"{self._path}: {why}: what cannot be noted for a restart is not raised"
            raise UnavailableError(message, path=str(self._path)) from error
        return True

    def take(self, key: str, value: Value) -> None:
        """Note what is about to be, here alone, unless what is noted says it."""
        if key not in self._noted or not self._says(self._noted[key], value):
            self._noted[key] = value

    def note_soon(self, key: str, value: Value) -> None:
        """Note what is already."""
        self._noted[key] = value
        if key not in self._written or self._written[key] != value:
            self._changed.set()

    def forget(self, key: str) -> None:
        """Note, soon, that nothing of it is any more."""
        if key in self._noted:
            del self._noted[key]
            self._changed.set()

    def note_late(self, key: str, value: Value | None) -> None:
        """Note what is already, None where nothing is: written with what changes next, within `LATE_S`, or at the end."""
        self._noted.pop(key, None)
        if value is not None:
            self._noted[key] = value

    async def run(self) -> None:
        """Write what is to be written soon, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LATE_S):
                    await self._changed.wait()
            await self.close()

    async def close(self) -> None:
        """Write what is not written yet; a disk that does not take it is named in the log."""
        self._changed.clear()
        async with self._work:
            await self._finish()
            if self._noted == self._written:
                return
            try:
                await self._write()
            except OSError as error:
                _log.warning("unwritten", path=str(self._path), detail=error.strerror or str(error))

    async def _finish(self) -> None:
        """Wait for a write whose asker went."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))

    async def _write(self) -> None:
        values = dict(self._noted)
        self._writing = asyncio.get_running_loop().run_in_executor(None, _replace, self._path, values)
        self._writing.add_done_callback(partial(self._wrote, values))
        await asyncio.shield(self._writing)

    def _wrote(self, values: dict[str, Value], writing: "asyncio.Future[None]") -> None:
        if not writing.cancelled() and writing.exception() is None:
            self._written = values


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether what was found is a finite number that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _log.error("unreadable", path=str(path), detail=str(error))
        return {}
    if not isinstance(found, dict):
        _log.error("unreadable", path=str(path), detail="no JSON object")
        return {}
    return found


def _replace(path: Path, values: dict[str, Value]) -> None:
    """Put a whole new file in place of the old one, on the disk when this returns."""
    write_file(path, (json.dumps(values, indent=1) + "\n").encode(), 0o600)
    sync_directory(path.parent)
