"""A Riden supply on a pseudo-terminal, written from its register map alone: it shares no code with the driver."""

from bosd.drivers.rd6006.simulator.options import SimulatorOptions
from bosd.drivers.rd6006.simulator.simulator import Rd6006Simulator

__all__ = ["Rd6006Simulator", "SimulatorOptions"]
