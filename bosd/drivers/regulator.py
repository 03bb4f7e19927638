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

    async def set_current(self, current_a: float) -> None:
        """Ask for `current_a` through the battery."""
        ...

    async def read(self) -> float:
        """Return the current in A that the regulator holds: its own set point as read back, not a measurement."""
        ...

    async def close(self) -> None:
        """Let go of the connection; idempotent."""
        ...
