"""The supply's bench: a simulated RD6006 on a line in memory, wired to a battery of 13.2 V."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bosd.clock import Clock
from bosd.drivers.kit.bench import Fault, Tolerance, Truth
from bosd.drivers.rd6006.simulator import Rd6006Simulator, SimulatorOptions
from bosd.drivers.rd6006.spec import Rd6006Spec
from bosd.drivers.transport import ByteTransport


class SupplyPeer:
    """One supply; without power it says nothing and its output is off."""

    faults = frozenset({Fault.POWER, Fault.RESTART})

    def __init__(self, simulator: Rd6006Simulator) -> None:
        self._simulator = simulator

    def spec(self, number: int = 0) -> Rd6006Spec:
        """Return the supply as a charger of up to 5 A and 14.4 V."""
        del number
        return Rd6006Spec(port="/dev/memory", max_current_a=5.0, max_voltage_v=14.4)

    def truth(self, number: int = 0) -> Truth:
        """Return what it goes on with: its set point while its output is on."""
        del number
        plant = self._simulator.plant
        return Truth(held_a=0.0 - plant.set_current_a if plant.output_on else 0.0)

    def load(self, current_a: float, number: int = 0) -> bool:
        """Leave it alone: what flows is the supply's to set."""
        del current_a, number
        return False

    def fault(self, fault: Fault, *, active: bool, number: int = 0) -> None:
        """Take its power away or give it back; a restart is both at once."""
        del number
        plant, station = self._simulator.plant, self._simulator.station
        if active:
            plant.switch(on=False)
        if fault is Fault.POWER:
            station.silent = active
        if not active or fault is Fault.RESTART:
            plant.power_up()

    def transport(self, port: str, baud: int) -> ByteTransport:
        """Return its line."""
        del baud
        return self._simulator.memory.transport(port)


class SupplyBench:
    """A supply alone on its line."""

    medium = "line"
    tolerance = Tolerance(held_a=0.001)
    most = 1
    undetectable: Mapping[Fault, str] = {}

    @asynccontextmanager
    async def open(self, clock: Clock, seed: int, count: int = 1) -> AsyncIterator[SupplyPeer]:
        """Bring the supply to life."""
        del clock, count
        async with Rd6006Simulator(SimulatorOptions(seed=seed)) as simulator:
            yield SupplyPeer(simulator)


BENCH = SupplyBench()
