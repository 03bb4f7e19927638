"""Cell chemistries: the shape of the open-circuit voltage and the figures that go with it.

Typical textbook values, not those of one product: the flat LFP plateau around 3.3 V with steep ends, the sloping NMC curve
from 3.0 to about 4.2 V. Both tables run a little past empty and full, where the voltage moves steeply, so that
protections trip as they do on real cells.
"""

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Chemistry:
    """One cell type; `ocv` holds (state of charge 0..1, open-circuit volts), rising in both.

    `resistance_ohm_ah` is internal resistance times capacity: 0.05 gives 0.5 mOhm for a 100 Ah cell.
    `heat_capacity_j_per_k_ah` is thermal mass per Ah of one cell (about 20 g/Ah LFP, 15 g/Ah NMC, at 1 J/gK).
    The remaining fields are protection and balance settings in mV: trip, release.
    """

    ocv: tuple[tuple[float, float], ...]
    resistance_ohm_ah: float
    heat_capacity_j_per_k_ah: float
    overvoltage_mv: tuple[int, int]
    undervoltage_mv: tuple[int, int]
    pack_overvoltage_mv: tuple[int, int]
    pack_undervoltage_mv: tuple[int, int]
    balance_start_mv: int

    def open_circuit_v(self, soc: float) -> float:
        """Return the rest voltage of one cell at `soc` (1.0 = full), held at the table's ends."""
        index = min(max(bisect_right(self.ocv, (soc, float("inf"))), 1), len(self.ocv) - 1)
        (soc_0, volts_0), (soc_1, volts_1) = self.ocv[index - 1], self.ocv[index]
        fraction = min(max((soc - soc_0) / (soc_1 - soc_0), 0.0), 1.0)
        return volts_0 + fraction * (volts_1 - volts_0)


LFP = Chemistry(
    ocv=(
        (-0.02, 2.00),
        (0.00, 2.80),
        (0.02, 2.98),
        (0.05, 3.10),
        (0.10, 3.20),
        (0.20, 3.25),
        (0.30, 3.28),
        (0.40, 3.29),
        (0.50, 3.30),
        (0.60, 3.31),
        (0.70, 3.32),
        (0.80, 3.33),
        (0.90, 3.34),
        (0.98, 3.37),
        (1.00, 3.45),
        (1.02, 3.65),
        (1.05, 4.00),
    ),
    resistance_ohm_ah=0.05,
    heat_capacity_j_per_k_ah=20.0,
    overvoltage_mv=(3650, 3450),
    undervoltage_mv=(2500, 2800),
    pack_overvoltage_mv=(3650, 3450),
    pack_undervoltage_mv=(2500, 2800),
    balance_start_mv=3200,
)

NMC = Chemistry(
    ocv=(
        (-0.02, 2.50),
        (0.00, 3.00),
        (0.05, 3.35),
        (0.10, 3.45),
        (0.20, 3.55),
        (0.30, 3.61),
        (0.40, 3.66),
        (0.50, 3.72),
        (0.60, 3.81),
        (0.70, 3.91),
        (0.80, 4.01),
        (0.90, 4.09),
        (1.00, 4.18),
        (1.02, 4.25),
        (1.05, 4.40),
    ),
    resistance_ohm_ah=0.08,
    heat_capacity_j_per_k_ah=15.0,
    overvoltage_mv=(4250, 4150),
    undervoltage_mv=(2700, 3000),
    pack_overvoltage_mv=(4250, 4150),
    pack_undervoltage_mv=(2700, 3000),
    balance_start_mv=3900,
)

CHEMISTRIES = {"lfp": LFP, "nmc": NMC}
