"""The register map of Riden RD60xx supplies, and what its words are worth on each model.

Facts from github.com/ShayBox/Riden (register.py, riden.py), github.com/Baldanos/rd6006 (registers.md),
github.com/morgendagen/riden-dongle (riden_modbus.cpp) and pypi.org/project/riden-modbus; the maker publishes no map.
All are holding registers. Registers that are not named here are not touched: 55 to 62 hold the calibration, 256 starts the
boot loader.
"""

from dataclasses import dataclass
from types import MappingProxyType

ID = 0
TEMPERATURE_SIGN = 4
TEMPERATURE = 5
SET_VOLTAGE = 8
SET_CURRENT = 9
OUTPUT_VOLTAGE = 10
OUTPUT_CURRENT = 11
INPUT_VOLTAGE = 14
PROTECTION = 16
MODE = 17
OUTPUT = 18
BOOT_OUTPUT = 68
OVP = 82
OCP = 83
"""M0 of the presets, 80 to 83, is what the front panel shows and the output follows."""

IDENTITY = range(ID, 4)
"""Model word, serial number (two words), firmware in hundredths."""
STATUS = range(TEMPERATURE_SIGN, OUTPUT + 1)
LONGEST_READ = 20
"""Reading everything at once fails silently; 20 words at a time work (riden_modbus.cpp, get_all_values)."""

CONSTANT_VOLTAGE, CONSTANT_CURRENT = 0, 1
TRIPS = MappingProxyType({1: "OVP", 2: "OCP"})
"""Register 16. Other protections have no number of their own that is known: an ORP is told as OCP (RD6018 manual, ORP)."""
INPUT_VOLTAGE_SCALE_V = 0.01
"""On every model."""
INPUT_RATIO = 1.1
"""A buck converter: the input has to lie a tenth above the output (the maker's manuals)."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model: what a count of its voltage and current words is worth, and what it can do at most."""

    name: str
    voltage_scale_v: float
    current_scale_a: float
    max_current_a: float
    max_voltage_v: float = 60.0

    @property
    def highest_ovp_v(self) -> float:
        """What OVP can be set to; shipped with it (github.com/Baldanos/rd6006, issue 8)."""
        return 62.0

    @property
    def highest_ocp_a(self) -> float:
        """What OCP can be set to: 0.2 A above its current, as the RD6012 is shipped (the same issue: 12.2 A)."""
        return self.max_current_a + 0.2


_MODELS = (
    (range(60060, 60065), Model("RD6006", 0.01, 0.001, 6.0)),
    (range(60065, 60066), Model("RD6006P", 0.001, 0.0001, 6.0)),
    (range(60120, 60125), Model("RD6012", 0.01, 0.01, 12.0)),
    (range(60180, 60190), Model("RD6018", 0.01, 0.01, 18.0)),
    (range(60241, 60250), Model("RD6024", 0.01, 0.01, 24.0)),
)


def model_of(word: int) -> Model | None:
    """Return the model of an identity word; None for one whose scales are not known.

    The RD6012P (60125 to 60129) is among these: its current's scale changes with its range (riden_modbus.cpp, begin).
    """
    return next((model for words, model in _MODELS if word in words), None)
