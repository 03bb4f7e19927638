"""What this node has other nodes' batteries run, over restarts: by when each is safe by itself.

A set point is never stored. That there may be one is, before it is sent: a node that starts anew counts what an earlier run of it
may have left running until its owner is heard (control.md, "When something dies").
"""

import asyncio
import json
from functools import partial
from pathlib import Path

import structlog

from bosd.errors import UnavailableError
from bosd.pki.files import write_file
from bosd.store.database import sync_directory

FILE = "running.json"

_log = structlog.get_logger(__name__)


class RunningBook:
    """Batteries that may run something for this node, each with the bound its owner announced, None where it holds on.

    `note` returns when it is on the disk; `note_soon` and `forget` never wait, `run` writes.
    """

    def __init__(self, state_dir: Path) -> None:
        """Read what is there; a file that cannot be read is named in the log and counts as empty."""
        self._path = state_dir / FILE
        self._bounds_s = _read(self._path)
        self._written = dict(self._bounds_s)
        self._changed = asyncio.Event()
        self._work = asyncio.Lock()
        self._writing: asyncio.Future[None] | None = None

    def __contains__(self, key: str) -> bool:
        return key in self._bounds_s

    def bound_s(self, key: str) -> float | None:
        """Return how long a battery may run on unheard; None: until contact. Raises KeyError for one that is not noted."""
        return self._bounds_s[key]

    async def note(self, key: str, safe_within_s: float | None) -> None:
        """Note that a battery is about to run something. Raises UnavailableError where that cannot be written."""
        self._bounds_s[key] = safe_within_s
        async with self._work:
            await self._finish()
            if self._written.get(key, -1.0) == safe_within_s:
                return
            try:
                await self._write()
            except OSError as error:
                message = f"{self._path}: {error.strerror}: what cannot be noted for a restart is not raised"
                raise UnavailableError(message, path=str(self._path)) from error

    def note_soon(self, key: str, safe_within_s: float | None) -> None:
        """Note a battery that runs something already, with the bound that is known now."""
        self._bounds_s[key] = safe_within_s
        if self._written.get(key, -1.0) != safe_within_s:
            self._changed.set()

    def forget(self, key: str) -> None:
        """Note, soon, that a battery runs nothing."""
        if key in self._bounds_s:
            del self._bounds_s[key]
            self._changed.set()

    async def run(self) -> None:
        """Write what was forgotten, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            async with self._work:
                await self._finish()
                try:
                    await self._write()
                except OSError as error:
                    _log.warning("running_unwritten", detail=error.strerror or str(error))

    async def _finish(self) -> None:
        """Wait for a write whose asker went."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))

    async def _write(self) -> None:
        bounds_s = dict(self._bounds_s)
        self._writing = asyncio.get_running_loop().run_in_executor(None, _replace, self._path, bounds_s)
        self._writing.add_done_callback(partial(self._wrote, bounds_s))
        await asyncio.shield(self._writing)

    def _wrote(self, bounds_s: dict[str, float | None], writing: asyncio.Future[None]) -> None:
        if not writing.cancelled() and writing.exception() is None:
            self._written = bounds_s


def _read(path: Path) -> dict[str, float | None]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _log.error("running_unreadable", path=str(path), detail=str(error))
        return {}
    if not isinstance(found, dict):
        _log.error("running_unreadable", path=str(path), detail="no JSON object")
        return {}
    return {key: _bound_s(value) for key, value in found.items()}


def _bound_s(value: object) -> float | None:
    """Return a bound as it was written; what is none counts as one that never ends."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0.0 else None


def _replace(path: Path, bounds_s: dict[str, float | None]) -> None:
    """Put a whole new file in place of the old one, on the disk when this returns."""
    write_file(path, (json.dumps(bounds_s, indent=1) + "\n").encode(), 0o600)
    sync_directory(path.parent)
