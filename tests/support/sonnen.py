"""A simulated Sonnen battery and its driver on one loop: on the one that jumps, hours of HTTP take seconds."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bosd.clock import LoopClock
from bosd.drivers.sonnen.api import SonnenApi
from bosd.drivers.sonnen.driver import SonnenDriver
from bosd.drivers.sonnen.simulator.model import Options
from bosd.drivers.sonnen.simulator.server import SonnenSimulator
from bosd.drivers.sonnen.spec import SonnenSpec

TOKEN = "d0a3-token-of-a-test"  # noqa: S105 (of a simulated battery)


@dataclass(frozen=True, slots=True)
class World:
    """One battery, its driver, and the clock of both."""

    simulator: SonnenSimulator
    driver: SonnenDriver
    api: SonnenApi
    token_file: Path

    def fault(self, fault: str, **parameters: object) -> None:
        """Put a fault in force."""
        self.simulator.faults.inject({"op": "inject", "fault": fault, **parameters})


def token_file(directory: Path, token: str = TOKEN) -> Path:
    """Return a private file that holds a token."""
    path = directory / "token"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(token + "\n")
    return path


@asynccontextmanager
async def world(directory: Path, *, options: dict[str, Any] | None = None, **keys: Any) -> AsyncIterator[World]:
    """Run a simulated battery and give its driver, which takes set points of 20 A either way unless `keys` say otherwise."""
    clock = LoopClock(asyncio.get_running_loop())
    path = token_file(directory)
    async with SonnenSimulator(Options(**(options or {})), clock, token=TOKEN) as simulator:
        usual = {"current_control": "direct", "max_discharge_current_a": 20.0, "max_charge_current_a": 20.0}
        spec = SonnenSpec(**{"name": "s", "port": simulator.url, "token_file": str(path), **usual, **keys})
        api = SonnenApi(spec.port, path)
        driver = SonnenDriver(spec, api, clock)
        try:
            yield World(simulator, driver, api, path)
        finally:
            await driver.close()
