"""The last addresses at which other nodes answered, over restarts: a hint, so a file that is no good is no fault."""

import asyncio
import json
import os
from pathlib import Path

import structlog

from bosd.bal.spec_rules import host_port, name_fault

FILE = "addresses.json"
MOST = 1024

_log = structlog.get_logger(__name__)


class AddressBook:
    """Serials and addresses; `note` never waits, `run` writes."""

    def __init__(self, state_dir: Path) -> None:
        """Read what is there."""
        self._path = state_dir / FILE
        self._addresses = _read(self._path)
        self._changed = asyncio.Event()

    def find(self, serial: str) -> str:
        """Return where a node answered last; empty where it never did."""
        return self._addresses.get(serial, "")

    def note(self, serial: str, address: str) -> None:
        """Keep where a node answers; the one that was noted longest ago goes where there is no room."""
        if self._addresses.get(serial) == address:
            return
        self._addresses.pop(serial, None)
        while len(self._addresses) >= MOST:
            del self._addresses[next(iter(self._addresses))]
        self._addresses[serial] = address
        self._changed.set()

    async def run(self) -> None:
        """Write what changes, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await asyncio.to_thread(_write, self._path, dict(self._addresses))
            except OSError as error:
                _log.warning("addresses_unwritten", detail=error.strerror or str(error))


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    good = [(serial, address) for serial, address in found.items() if name_fault(serial) is None and _is_address(address)]
    return dict(good[-MOST:])


def _is_address(value: object) -> bool:
    return isinstance(value, str) and (at := host_port(value)) is not None and at[1] > 0


def _write(path: Path, addresses: dict[str, str]) -> None:
    """Write the whole file beside the old one, then in its place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(addresses, indent=1) + "\n")
    os.replace(fresh, path)  # noqa: PTH105 (says that it replaces)
