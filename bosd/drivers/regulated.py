"""A battery's device whose current a regulator sets."""

import asyncio
from dataclasses import replace

from bosd.bal.device import Described, Device, DeviceFacts, Sample, facts_of_device
from bosd.drivers.regulator import Direction, Regulator
from bosd.errors import NotFollowedError, UnsupportedError

CONFIRM_S = 2.0
"""A regulator that does not hold a set point by then does not follow."""
_LOOK_AGAIN_S = 0.1
_TOLERANCE_A = 0.05
"""How far a held set point may lie from the one asked for: the resolution of bench supplies."""


class Regulated:
    """All that is read is `device`'s; what is commanded is `regulator`'s, in the directions that it can do."""

    def __init__(self, device: Device, regulator: Regulator, name: str) -> None:
        self.hold_s: float | None = regulator.hold_s
        self.failsafe_time_s: float = getattr(regulator, "failsafe_time_s", 0.0)  # a package may have left it out
        self.name = name
        self._device = device
        self._regulator = regulator

    async def read(self) -> Sample:
        """Return a fresh sample; a direction that the regulator cannot do has the limit 0."""
        sample = await self._device.read()
        if "discharge" not in self._regulator.directions:
            why = "the regulator is a source: it cannot discharge"
            sample = replace(sample, limit_discharge_a=0.0, limited_by=(*sample.limited_by, why))
        if "charge" not in self._regulator.directions:
            why = "the regulator is a load: it cannot charge"
            sample = replace(sample, limit_charge_a=0.0, limited_by=(*sample.limited_by, why))
        return sample

    async def set_current(self, current_a: float) -> None:
        """Make the battery follow `current_a` and return once the regulator holds it.

        Raises UnsupportedError for a direction that it cannot do, NotFollowedError when it does not hold it within 2 s.
        """
        direction: Direction = "discharge" if current_a > 0.0 else "charge"
        if current_a and direction not in self._regulator.directions:
            other = "source" if direction == "discharge" else "load"
            message = f"{self.name}: {current_a:g} A refused: the regulator is a {other} and cannot {direction} the battery"
            raise UnsupportedError(message, battery=self.name)
        await self._regulator.set_current(current_a)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + CONFIRM_S
        while abs((held_a := await self._regulator.read()) - current_a) > _TOLERANCE_A:
            if loop.time() >= until_s:
                message = f"{self.name}: the regulator holds {held_a:g} A, commanded {current_a:g} A"
                raise NotFollowedError(message, commanded_a=current_a, held_a=held_a, battery=self.name)
            await asyncio.sleep(_LOOK_AGAIN_S)

    def facts(self) -> DeviceFacts:
        """Return what the device tells of itself, and what its regulator does."""
        told = self._regulator.facts() if isinstance(self._regulator, Described) else DeviceFacts()
        return replace(facts_of_device(self._device), regulator=told)

    async def held_current_a(self) -> float | None:
        """Return what the regulator holds."""
        return await self._regulator.read()

    @property
    def restrained_by(self) -> str:
        """Why the regulator gave less than its set point when it was last read."""
        return self._regulator.restrained_by

    async def make_safe(self) -> str:
        """Bring the regulator to 0 A, read back."""
        await self.set_current(0.0)
        return "regulator at 0 A"

    async def close(self) -> None:
        """Let go of the line and of the regulator, of the second also when the first fails."""
        try:
            await self._device.close()
        finally:
            await self._regulator.close()
