"""The use cases the machine can serve: what differs between limits on consumption and on production (eebus.md 1.7, 1.8, 4)."""

import math
from dataclasses import dataclass
from typing import Literal

Direction = Literal["charge", "discharge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """One use case; `sign` makes a limit as it is written a magnitude: written limits on production are never positive."""

    word: str
    name: str
    number: int
    """Of `UseCase.NameType.Enum`."""
    direction: Direction
    sign: float
    schedule: str
    """Where its limits stand among external limits."""
    failsafe_event: str

    @property
    def rule(self) -> str:
        """The rule of the specification that a limit of the wrong sign breaks."""
        return f"{self.word}-001"

    @property
    def source(self) -> str:
        """How external limits name it."""
        return f"EEBUS {self.word}"

    def magnitude_w(self, written_w: float) -> float:
        """Return a limit as written as a magnitude in watts: not below 0 where its sign is right, never -0.0."""
        return written_w * self.sign + 0.0

    def wrong(self, written_w: float) -> str:
        """Return why a limit as written is none, empty where it is one; 0 is a limit."""
        magnitude_w = self.magnitude_w(written_w)
        if magnitude_w >= 0.0:
            return ""
        bound = ">=" if self.sign > 0.0 else "<="
        shown = "NaN" if math.isnan(written_w) else f"{written_w:g} W"
        return f"{self.rule}: the limit must be {bound} 0 W, got {shown}"


LPC = UseCase(
    word="LPC",
    name="limitationOfPowerConsumption",
    number=15,
    direction="charge",
    sign=1.0,
    schedule="schedule_import",
    failsafe_event="DataUpdateFailsafeConsumptionActivePowerLimit",
)
LPP = UseCase(
    word="LPP",
    name="limitationOfPowerProduction",
    number=16,
    direction="discharge",
    sign=-1.0,
    schedule="schedule_export",
    failsafe_event="DataUpdateFailsafeProductionActivePowerLimit",
)
