"""Makes pack.csv: one synthetic day of a 4S LFP pack of 100 Ah, a row each five minutes, for `kind = "csv"`.

Sun from 7 to 17 h charges with up to 16 A (a half sine), the house draws 3 A all day and 5 A more from 18 to 23 h. Charge is the
integral of the current from 40 Ah at midnight; voltage is 4 x (3.20 V + 0.14 V x state of charge) less 4 mOhm x current; cells
lie 2 mV apart. Nothing in it was measured.

    python examples/make_pack_csv.py > examples/pack.csv
"""

import math
from collections.abc import Iterator

CAPACITY_AH = 100.0
STEP_S = 300
DAY_S = 86400


def current_a(hour: float) -> float:
    """Return the current at an hour of the day, positive on discharge."""
    sun_a = 16.0 * math.sin(math.pi * (hour - 7.0) / 10.0) if 7.0 < hour < 17.0 else 0.0
    return 3.0 + (5.0 if 18.0 <= hour < 23.0 else 0.0) - sun_a


def lines() -> Iterator[str]:
    """Yield the file's lines."""
    yield "seconds,voltage_v,current_a,charge_ah,capacity_ah,soc,cells_v,temperatures_c"
    charge_ah = 40.0
    for second in range(0, DAY_S, STEP_S):
        flow_a = current_a(second / 3600.0)
        soc = charge_ah / CAPACITY_AH
        voltage_v = 4.0 * (3.20 + 0.14 * soc) - 0.004 * flow_a
        cells = " ".join(f"{voltage_v / 4.0 + 0.002 * (place - 1.5):.4f}" for place in range(4))
        warmth_c = 20.0 + 3.0 * math.sin(math.pi * (second / 3600.0 - 9.0) / 12.0)
        yield f"{second},{voltage_v:.3f},{flow_a:.2f},{charge_ah:.3f},{CAPACITY_AH:g},{soc:.4f},{cells},{warmth_c:.1f}"
        charge_ah -= flow_a * STEP_S / 3600.0


if __name__ == "__main__":
    for line in lines():
        print(line)
