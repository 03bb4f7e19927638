"""The device of a battery whose driver cannot be had: it says so, and its battery is not usable."""

from typing import NoReturn

from bosd.bal.device import Sample
from bosd.errors import UnavailableError


class AbsentDevice:
    """Answers everything with why there is no driver; what the hardware does meanwhile nobody knows, so nothing is safe."""

    hold_s: float | None = None

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self._why = why

    async def read(self) -> Sample:
        """Raise UnavailableError."""
        self._refuse()

    async def set_current(self, current_a: float) -> None:
        """Raise UnavailableError."""
        del current_a
        self._refuse()

    async def held_current_a(self) -> float | None:
        """Raise UnavailableError."""
        self._refuse()

    async def make_safe(self) -> str:
        """Raise UnavailableError."""
        self._refuse()

    async def close(self) -> None:
        """Nothing is open."""

    def _refuse(self) -> NoReturn:
        raise UnavailableError(f"{self.name}: not usable: {self._why}", battery=self.name)
