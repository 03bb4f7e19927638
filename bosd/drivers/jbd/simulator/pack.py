"""The pack: cells in series, their charge, resistance and temperature."""

import math
import random

from bosd.drivers.jbd.simulator.chemistry import CHEMISTRIES, Chemistry
from bosd.drivers.jbd.simulator.options import SimulatorOptions

THERMAL_TIME_CONSTANT_S = 7200.0
"""Time in which a pack left alone loses 63 % of its excess temperature: about two hours for a closed box, a typical value."""

BLEED_CURRENT_A = 0.05
"""Discharge of a cell by its balancing resistor, typical of passive balancers."""


class Cell:
    """One series element; charge in Ah, resistance in ohms, `override_v` replaces its terminal voltage."""

    __slots__ = ("capacity_ah", "charge_ah", "chemistry", "override_v", "resistance_ohm")

    def __init__(self, chemistry: Chemistry, capacity_ah: float, soc: float) -> None:
        self.chemistry = chemistry
        self.capacity_ah = capacity_ah
        self.charge_ah = soc * capacity_ah
        self.resistance_ohm = chemistry.resistance_ohm_ah / capacity_ah
        self.override_v: float | None = None

    def voltage_v(self, current_a: float) -> float:
        """Return the terminal voltage at `current_a` (positive = discharge): rest voltage less the drop in the resistance."""
        if self.override_v is not None:
            return self.override_v
        return max(self.chemistry.open_circuit_v(self.charge_ah / self.capacity_ah) - current_a * self.resistance_ohm, 0.0)

    def draw(self, charge_ah: float) -> None:
        """Take `charge_ah` out (negative puts in), held where the voltage table ends."""
        lowest, highest = self.chemistry.ocv[0][0], self.chemistry.ocv[-1][0]
        self.charge_ah = min(max(self.charge_ah - charge_ah, lowest * self.capacity_ah), highest * self.capacity_ah)


class Pack:
    """Cells in series with one thermal mass and the board's own coulomb counter.

    `remaining_ah` is what the counter believes; the cells hold what they hold. Currents positive = discharge.
    """

    def __init__(self, options: SimulatorOptions, rng: random.Random) -> None:
        self.chemistry = CHEMISTRIES[options.chemistry]
        self.capacity_ah = options.capacity_ah
        spread = options.capacity_spread
        self.cells = [
            Cell(self.chemistry, options.capacity_ah * max(rng.gauss(1.0, spread), 0.1), options.soc)
            for _ in range(options.series)
        ]
        self.remaining_ah = options.soc * options.capacity_ah
        self.ambient_c = options.ambient_c
        self.temperature_c = options.ambient_c
        self.heat_capacity_j_per_k = self.chemistry.heat_capacity_j_per_k_ah * options.capacity_ah * options.series
        self.discharged_ah = 0.0

    def cell_voltages_v(self, current_a: float) -> list[float]:
        """Return each cell's terminal voltage at `current_a`, lowest potential first."""
        return [cell.voltage_v(current_a) for cell in self.cells]

    def step(self, seconds: float, current_a: float, bleeding: int = 0) -> None:
        """Move the pack on by `seconds` at constant `current_a`; `bleeding` has bit 0 set where cell 1 is being balanced."""
        hours = seconds / 3600.0
        for index, cell in enumerate(self.cells):
            bleed_a = BLEED_CURRENT_A if bleeding >> index & 1 else 0.0
            cell.draw((current_a + bleed_a) * hours)
        self.remaining_ah = max(self.remaining_ah - current_a * hours, 0.0)
        self.discharged_ah += max(current_a, 0.0) * hours
        self._warm(seconds, current_a)

    def _warm(self, seconds: float, current_a: float) -> None:
        """Relax towards ambient plus I^2 R over the thermal conductance (heat capacity / time constant), exactly for any step."""
        loss_w = current_a * current_a * sum(cell.resistance_ohm for cell in self.cells)
        rise_k = loss_w * THERMAL_TIME_CONSTANT_S / self.heat_capacity_j_per_k
        final_c = self.ambient_c + rise_k
        self.temperature_c = final_c + (self.temperature_c - final_c) * math.exp(-seconds / THERMAL_TIME_CONSTANT_S)

    def set_soc(self, soc: float) -> None:
        """Fill every cell and the counter to `soc` (0..1)."""
        for cell in self.cells:
            cell.charge_ah = soc * cell.capacity_ah
        self.remaining_ah = soc * self.capacity_ah
