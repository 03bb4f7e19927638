"""A driver on a simulated JBD pack in memory, on a clock that jumps: the real board, the real line, no wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bosd.clock import LoopClock
from bosd.drivers.jbd.driver import JbdDriver, JbdOptions
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.line import Line
from bosd.drivers.transport import SERIAL_GAP_S, SERIAL_REPLY_S, ByteReceiver, byte_time_s
from bosd.errors import UnavailableError


class SimulatorTransport:
    """The driver's end of a simulator's line in memory, with a serial port's times."""

    reply_s = SERIAL_REPLY_S
    gap_s = SERIAL_GAP_S
    byte_s = byte_time_s(9600)
    reopen_on_silence = False

    def __init__(self, simulator: JbdSimulator) -> None:
        self.port = "memory"
        self.written: list[bytes] = []
        self._memory = simulator.memory
        self._receiver: ByteReceiver | None = None

    async def open(self, receiver: ByteReceiver) -> None:
        """Take the line, unless it is unplugged."""
        if not self._memory.plugged:
            raise UnavailableError("memory: no such device", port="memory")
        self._receiver = receiver
        self._memory.on_bytes = receiver.data_received
        self._memory.on_hangup = self._lost

    def write(self, data: bytes) -> None:
        """Send, and keep what was sent."""
        if self._receiver is None:
            raise UnavailableError("memory: closed", port="memory")
        self.written.append(data)
        self._memory.write(data)

    def discard_input(self) -> None:
        """Nothing waits in between."""

    def close(self) -> None:
        """Let go."""
        self._receiver = None
        self._memory.on_bytes = lambda _data: None
        self._memory.on_hangup = lambda: None

    def _lost(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost(OSError(5, "Input/output error"))


class Bench:
    """A pack, its line and its driver."""

    def __init__(self, simulator: JbdSimulator, options: JbdOptions, **driver: Any) -> None:
        self.simulator = simulator
        self.transport = SimulatorTransport(simulator)
        self.line = Line(self.transport)
        self.driver = JbdDriver(self.line, LoopClock(asyncio.get_running_loop()), name="b1", options=options, **driver)

    def stat(self, key: str) -> int:
        """Return one of the simulator's counters."""
        value = self.simulator.stats()[key]
        assert isinstance(value, int)
        return value

    def asked(self, register: int, opcode: int = 0xA5) -> int:
        """Return how often a register was read, or written with another opcode."""
        return sum(request[1:3] == bytes((opcode, register)) for request in self.transport.written)


@asynccontextmanager
async def bench(options: JbdOptions | None = None, *, driver: dict[str, Any] | None = None, **pack: Any) -> AsyncIterator[Bench]:
    """Return a driver with `options` of a pack as `pack` says (SimulatorOptions)."""
    async with JbdSimulator(SimulatorOptions(**{"sleep_after_s": None} | pack)) as simulator:
        yield Bench(simulator, options or JbdOptions(), **driver or {})
