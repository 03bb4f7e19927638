"""The Sonnen driver's bench: a simulated battery behind real HTTP on loopback."""

import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bosd.clock import Clock
from bosd.drivers.kit.bench import Fault, Tolerance, Truth
from bosd.drivers.sonnen.simulator.model import MODULE_V, UNUSED, Options
from bosd.drivers.sonnen.simulator.server import SonnenSimulator
from bosd.drivers.sonnen.spec import SonnenSpec
from bosd.drivers.transport import ByteTransport
from bosd.errors import UnsupportedError

_TOKEN = "bench"  # noqa: S105 (of a simulated battery)
_MANUAL = "1"
_FAULTS: Mapping[Fault, dict[str, object]] = {
    Fault.POWER: {"fault": "slow", "seconds": 3600.0},
    Fault.UNPLUG: {"fault": "reset"},
    Fault.STALL: {"fault": "slow", "seconds": 3.0},
    Fault.GARBAGE: {"fault": "garbage"},
    Fault.DEAF: {"fault": "text", "path": "/setpoint", "body": "true"},
    Fault.UNKNOWN: {"fault": "field", "path": "/battery", "field": "usableremainingcapacity"},
    Fault.BLOCK_DISCHARGE: {"fault": "field", "path": "/status", "field": "dischargeNotAllowed", "value": True},
}


class HttpPeer:
    """One battery; without power it takes connections and says nothing, as one behind a switch that lost it does for a while."""

    faults = frozenset(_FAULTS)

    def __init__(self, simulator: SonnenSimulator, token_file: Path) -> None:
        self._simulator = simulator
        self._token_file = token_file
        self._active: dict[Fault, None] = {}

    def spec(self, number: int = 0) -> SonnenSpec:
        """Return a battery that takes set points of 20 A either way."""
        return SonnenSpec(
            name=f"sonnen{number}",
            port=self._simulator.url,
            token_file=str(self._token_file),
            current_control="direct",
            max_discharge_current_a=20.0,
            max_charge_current_a=20.0,
        )

    def truth(self, number: int = 0) -> Truth:
        """Return the model's state, in amperes and ampere-hours at the modules in series."""
        del number
        self._simulator.move_on()
        model = self._simulator.model
        capacity_ah = model.options.capacity_wh / MODULE_V * (1.0 - UNUSED) / model.options.series
        known = Fault.UNKNOWN not in self._active
        current_a = model.power_w / model.voltage_v
        return Truth(
            voltage_v=model.voltage_v,
            current_a=current_a,
            charge_ah=model.soc * capacity_ah if known else None,
            capacity_ah=capacity_ah if known else None,
            soc=model.soc,
            held_a=current_a if model.mode == _MANUAL else None,
        )

    def load(self, current_a: float, number: int = 0) -> bool:
        """Let the house draw, or the sun feed, so much of the battery; in manual mode nothing comes of it."""
        del number
        self._simulator.move_on()
        model = self._simulator.model
        power_w = current_a * model.voltage_v
        model.consumption_w, model.production_w = 5000.0 + max(0.0, power_w), 5000.0 + max(0.0, -power_w)
        return True

    def fault(self, fault: Fault, *, active: bool, number: int = 0) -> None:
        """Begin or end a fault of its answers."""
        del number
        if active:
            self._active[fault] = None
        else:
            self._active.pop(fault, None)
        self._simulator.faults.clear()
        for each in self._active:
            self._simulator.faults.inject(dict(_FAULTS[each]))

    def transport(self, port: str, baud: int) -> ByteTransport:
        """Refuse: it has no line."""
        raise UnsupportedError(f"{port}: no line at {baud} baud", port=port)


class HttpBench:
    """A battery of 10 kWh; it measures once a second, in whole watts and percent, and its own consumption is a few watts."""

    medium = "http"
    tolerance = Tolerance(voltage_v=0.06, current_a=0.06, charge_ah=0.005, capacity_ah=0.001, soc=0.0051, held_a=0.06, lag_s=1.0)
    most = 1
    undetectable: Mapping[Fault, str] = {}

    @asynccontextmanager
    async def open(self, clock: Clock, seed: int, count: int = 1) -> AsyncIterator[HttpPeer]:
        """Bring the battery to life."""
        del count
        with tempfile.TemporaryDirectory(prefix="bosd-bench-") as directory:
            token_file = Path(directory) / "token"
            with os.fdopen(os.open(token_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(_TOKEN + "\n")
            async with SonnenSimulator(Options(seed=seed), clock, token=_TOKEN) as simulator:
                yield HttpPeer(simulator, token_file)


BENCH = HttpBench()
