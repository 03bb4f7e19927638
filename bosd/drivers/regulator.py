"""The regulator port: what makes a battery follow a set point when its own board cannot (a bench supply, a charger)."""

from typing import Literal, Protocol

Direction = Literal["charge", "discharge"]
BOTH_DIRECTIONS: frozenset[Direction] = frozenset({"charge", "discharge"})


class Regulator(Protocol):
    """A device wired to the battery that sets its current; positive discharges the battery.

    Methods raise UnavailableError when it does not answer and DriverError when it refuses. They are safe to cancel at any await.
    """

    hold_s: float | None
    """How long it goes on with a set point that is not written again; None: it holds, whatever died."""
    directions: frozenset[Direction]
    """What it can do: charging needs a source, discharging a load."""

    @property
    def failsafe_time_s(self) -> float:
        """Longest time from deciding on 0 A until it is read back, from its deadlines (control.md, "When something dies")."""
        ...

    @property
    def restrained_by(self) -> str:
        """Why it gave less than its set point of its own accord when it was last read; empty when it did not."""
        ...

    async def set_current(self, current_a: float) -> None:
        """Ask for `current_a` through the battery; raises UnsupportedError in a direction it cannot go."""
        ...

    async def read(self) -> float:
        """Return the current in A that the regulator holds: its own set point as read back, not a measurement."""
        ...

    async def measured_a(self) -> float | None:
        """Return the current in A as the regulator itself measures it; None where it does not."""
        ...

    async def close(self) -> None:
        """Let go of the connection; idempotent."""
        ...
