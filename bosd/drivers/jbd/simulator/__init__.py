"""JBD batteries and their boards on a line, written from the protocol alone: they share no code with the driver."""

from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.simulator import JbdSimulator

__all__ = ["JbdSimulator", "SimulatorOptions"]
