"""The JBD driver's bench: simulated boards on a line in memory or behind a TCP port, which gate their current."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bosd.bal.spec import JbdSpec
from bosd.clock import Clock
from bosd.drivers.far_end.tcp_line import TcpLine
from bosd.drivers.jbd.registers import FET_CONTROL
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.jbd.simulator.configuration import DESIGN_CAPACITY
from bosd.drivers.kit.bench import Bench, Fault, Tolerance, Truth
from bosd.drivers.transport import ByteTransport, open_transport

_OFF_S = 86400.0
_CELL_OVERVOLTAGE, _CELL_UNDERVOLTAGE = 1 << 0, 1 << 1
_FETS_ACKNOWLEDGED = bytes.fromhex("dd e1 00 00 00 00 77")


class JbdPeer:
    """Boards on one line; a single one has no address, several have theirs."""

    faults = frozenset(
        {Fault.POWER, Fault.SLEEP, Fault.RESTART, Fault.BLOCK_CHARGE, Fault.BLOCK_DISCHARGE, Fault.UNKNOWN, Fault.DEAF}
    )

    def __init__(self, simulator: JbdSimulator) -> None:
        self._simulator = simulator
        line = simulator.line
        self._port = f"tcp://127.0.0.1:{line.port}" if isinstance(line, TcpLine) else "/dev/memory"

    def spec(self, number: int = 0) -> JbdSpec:
        """Return a board that gates, opened by its safe action."""
        return JbdSpec(
            name=f"b{number}",
            port=self._port,
            address=self._simulator.units[number].options.address,
            current_control="gate",
            safe="open",
            max_discharge_current_a=40.0,
            max_charge_current_a=20.0,
        )

    def truth(self, number: int = 0) -> Truth:
        """Return the plant's state."""
        unit = self._simulator.units[number]
        unit.state()
        plant, pack = unit.plant, unit.plant.pack
        capacity_ah = plant.words[DESIGN_CAPACITY] / unit.options.per_ah
        known = capacity_ah > 0.0
        return Truth(
            voltage_v=plant.voltage_v,
            current_a=plant.current_a,
            charge_ah=pack.remaining_ah if known else None,
            capacity_ah=capacity_ah if known else None,
            soc=min(1.0, pack.remaining_ah / pack.capacity_ah),
            cells_v=tuple(plant.cell_voltages_v),
            temperatures_c=(pack.temperature_c,) * unit.options.ntc_count,
            charge_open=plant.charge_fet,
            discharge_open=plant.discharge_fet,
        )

    def load(self, current_a: float, number: int = 0) -> bool:
        """Draw or feed a current."""
        self._simulator.units[number].set({"load_current_a": current_a})
        return True

    def fault(self, fault: Fault, *, active: bool, number: int = 0) -> None:
        """Begin or end a fault of a board."""
        unit = self._simulator.units[number]
        match fault:
            case Fault.POWER:
                unit.inject({"fault": "stuck", "seconds": _OFF_S if active else 0.0})
                if not active:
                    unit.plant.restart()
            case Fault.SLEEP if active:
                unit.set({"asleep": True})
            case Fault.RESTART if active:
                unit.plant.restart()
            case Fault.BLOCK_CHARGE:
                unit.set({"protection_bits": _CELL_OVERVOLTAGE if active else 0})
            case Fault.BLOCK_DISCHARGE:
                unit.set({"protection_bits": _CELL_UNDERVOLTAGE if active else 0})
            case Fault.UNKNOWN:
                unit.plant.words[DESIGN_CAPACITY] = 0 if active else round(unit.plant.pack.capacity_ah * unit.options.per_ah)
            case Fault.DEAF:
                unit.raw(FET_CONTROL, _FETS_ACKNOWLEDGED if active else None)
            case _:
                pass

    def transport(self, port: str, baud: int) -> ByteTransport:
        """Return the line in memory, or a connection to the port."""
        return open_transport(port, baud) if port.startswith("tcp:") else self._simulator.memory.transport(port)


class JbdBench:
    """Boards of a 4S pack of 100 Ah, on a serial line or behind a TCP bridge."""

    medium = "line"
    tolerance = Tolerance(soc=0.00505)  # whole percent of a count of 10 mAh that is rounded itself
    undetectable: Mapping[Fault, str] = {
        Fault.FLIPS: "two flipped bits of one weight, one up and one down, leave the protocol's sum as it was (jbd.md, 1)"
    }

    def __init__(self, *, tcp: bool = False) -> None:
        self.most = 4
        self._tcp = tcp

    @asynccontextmanager
    async def open(self, clock: Clock, seed: int, count: int = 1) -> AsyncIterator[JbdPeer]:
        """Bring `count` boards to life."""
        del clock
        options = SimulatorOptions(seed=seed, boards=count, tcp="127.0.0.1:0" if self._tcp else None)
        async with JbdSimulator(options) as simulator:
            yield JbdPeer(simulator)


BENCH: Mapping[str, Bench | str] = {
    "serial": JbdBench(),
    "tcp": JbdBench(tcp=True),
    "ble": "no radio: tried on a simulated module behind bleak's backend interface only (tests/unit/drivers/test_ble.py)",
}
