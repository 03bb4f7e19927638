"""A JBD battery and its board on a pseudo-terminal, written from the protocol alone: it shares no code with the driver."""

from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.simulator import JbdSimulator

__all__ = ["JbdSimulator", "SimulatorOptions"]
