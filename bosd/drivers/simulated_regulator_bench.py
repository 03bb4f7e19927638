"""The simulated regulator's bench: a simulated pack whose control socket it uses."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bosd.bal.spec import SimulatedRegulatorSpec
from bosd.clock import Clock
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.kit.bench import Fault, Tolerance, Truth
from bosd.drivers.transport import ByteTransport
from bosd.errors import UnsupportedError


class SocketPeer:
    """A pack in memory with a control socket, which is hidden while it is unplugged."""

    faults = frozenset({Fault.UNPLUG})

    def __init__(self, simulator: JbdSimulator, socket: Path) -> None:
        self._simulator = simulator
        self._socket = socket
        self._hidden = socket.with_suffix(".hidden")

    def spec(self, number: int = 0) -> SimulatedRegulatorSpec:
        """Return the regulator at the socket."""
        del number
        return SimulatedRegulatorSpec(port=str(self._socket))

    def truth(self, number: int = 0) -> Truth:
        """Return the load that is asked of the pack."""
        return Truth(held_a=self._simulator.units[number].plant.load_current_a)

    def load(self, current_a: float, number: int = 0) -> bool:
        """Leave the load alone: it is the regulator's."""
        del current_a, number
        return False

    def fault(self, fault: Fault, *, active: bool, number: int = 0) -> None:
        """Hide the socket and end its connections, or bring it back."""
        del fault, number
        if active and self._socket.exists():
            self._socket.rename(self._hidden)
            self._simulator.hang_up_control()
        elif not active and self._hidden.exists():
            self._hidden.rename(self._socket)

    def transport(self, port: str, baud: int) -> ByteTransport:
        """Refuse: it has no line."""
        raise UnsupportedError(f"{port}: no line at {baud} baud", port=port)


class SocketBench:
    """One pack with its socket in a directory of its own."""

    medium = "socket"
    tolerance = Tolerance()
    most = 1
    undetectable: Mapping[Fault, str] = {}

    @asynccontextmanager
    async def open(self, clock: Clock, seed: int, count: int = 1) -> AsyncIterator[SocketPeer]:
        """Bring the pack to life."""
        del clock, count
        with tempfile.TemporaryDirectory(prefix="bosd-bench-") as directory:
            socket = Path(directory) / "control"
            async with JbdSimulator(SimulatorOptions(seed=seed, control=socket)) as simulator:
                peer = SocketPeer(simulator, socket)
                try:
                    yield peer
                finally:
                    peer.fault(Fault.UNPLUG, active=False)


BENCH = SocketBench()
