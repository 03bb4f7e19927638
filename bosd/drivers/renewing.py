"""A device whose hardware lets go of a set point, with that set point written again in time."""

import asyncio

from bosd.bal.device import Device, DeviceFacts, Restrained, Sample, facts_of_device

RENEWALS_PER_HOLD = 3.0
"""So often within its hold a set point is written: two writes may fail before the hardware lets go."""


class Renewing:
    """A device that `expires(hold_s)`: all is `device`'s, and `renew` writes again what was asked for last.

    A command and a renewal never overtake each other, and once a command was begun nothing older is written, whatever became
    of it (control.md, "When something dies").
    """

    def __init__(self, device: Device, hold_s: float) -> None:
        self.hold_s: float | None = hold_s
        self.renew_every_s = hold_s / RENEWALS_PER_HOLD
        self._device = device
        self._wanted_a = 0.0
        self._turn = asyncio.Lock()

    @property
    def failsafe_time_s(self) -> float:
        """How long 0 A may take, 0 where the device does not tell; a renewal under way goes first."""
        return 2.0 * float(getattr(self._device, "failsafe_time_s", 0.0))

    async def read(self) -> Sample:
        """Return a fresh sample, as the device does."""
        return await self._device.read()

    async def set_current(self, current_a: float) -> None:
        """Make the device follow `current_a`, and go on with it from renewal to renewal. Raises what the device raises."""
        async with self._turn:
            self._wanted_a = current_a
            await self._device.set_current(current_a)

    async def renew(self) -> bool:
        """Write the set point again; return False where there is none. Raises what the device raises."""
        async with self._turn:
            if self._wanted_a == 0.0:
                return False
            await self._device.set_current(self._wanted_a)
            return True

    def facts(self) -> DeviceFacts:
        """Return what the device tells of itself."""
        return facts_of_device(self._device)

    async def held_current_a(self) -> float | None:
        """Return what the device goes on with until it lets go."""
        return await self._device.held_current_a()

    @property
    def restrained_by(self) -> str:
        """Why the device gave less than it was told."""
        return self._device.restrained_by if isinstance(self._device, Restrained) else ""

    async def make_safe(self) -> str:
        """Apply the safe action; nothing is renewed after it."""
        async with self._turn:
            self._wanted_a = 0.0
            return await self._device.make_safe()

    async def close(self) -> None:
        """Let go of the line."""
        await self._device.close()
