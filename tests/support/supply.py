"""A simulated bench supply in memory, at its pace on the running loop, and the regulator on its line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bosd.drivers.line import Line
from bosd.drivers.rd6006.regulator import Rd6006Regulator
from bosd.drivers.rd6006.simulator import Rd6006Simulator, SimulatorOptions
from bosd.drivers.transport import SERIAL_GAP_S, SERIAL_REPLY_S, ByteReceiver, byte_time_s
from bosd.errors import UnavailableError


class SupplyTransport:
    """The driver's end of a simulated supply's line in memory."""

    def __init__(self, simulator: Rd6006Simulator) -> None:
        self.port = "memory"
        self.reply_s, self.gap_s, self.byte_s = SERIAL_REPLY_S, SERIAL_GAP_S, byte_time_s(simulator.options.baud)
        self.reopen_on_silence = False
        self._line = simulator.memory

    async def open(self, receiver: ByteReceiver) -> None:
        if not self._line.plugged:
            raise UnavailableError("memory: no such device", port=self.port)
        self._line.on_bytes = receiver.data_received
        self._line.on_hangup = lambda: receiver.connection_lost(None)

    def write(self, data: bytes) -> None:
        if not self._line.plugged:
            raise UnavailableError("memory: closed", port=self.port)
        self._line.write(data)

    def discard_input(self) -> None:
        pass

    def close(self) -> None:
        self._line.on_bytes = lambda _data: None
        self._line.on_hangup = lambda: None


@dataclass
class Bench:
    """A supply and the regulator that has it."""

    simulator: Rd6006Simulator
    line: Line
    regulator: Rd6006Regulator

    @property
    def writes(self) -> list[tuple[int, int]]:
        """Registers and words written so far, in order."""
        return [(int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:6], "big")) for data in self.requests if data[1] == 6]

    @property
    def requests(self) -> list[bytes]:
        """All requests heard so far."""
        return [bytes.fromhex(str(entry["request_hex"])) for entry in self.notes if entry["event"] == "request"]

    @property
    def notes(self) -> list[dict[str, object]]:
        """What the simulator noted."""
        return NOTES[id(self.simulator)]


NOTES: dict[int, list[dict[str, object]]] = {}


@asynccontextmanager
async def bench(
    *, max_current_a: float = 5.0, max_voltage_v: float = 14.6, address: int = 1, **options: Any
) -> AsyncIterator[Bench]:
    """Run a supply in memory with a regulator on it: 24 V in, a battery of 13.2 V, unless told otherwise."""
    async with Rd6006Simulator(SimulatorOptions(**options)) as simulator:
        notes = NOTES[id(simulator)] = []
        simulator.station.note = notes.append
        line = Line(SupplyTransport(simulator))
        regulator = Rd6006Regulator(line, max_current_a=max_current_a, max_voltage_v=max_voltage_v, address=address)
        try:
            yield Bench(simulator, line, regulator)
        finally:
            await regulator.close()
            del NOTES[id(simulator)]
