"""A device of a driver from another package: its defects are its battery's, not the node's."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TypeVar

import structlog

from bosd.bal.device import Device, DeviceFacts, Sample, facts_of_device
from bosd.clock import Clock
from bosd.drivers.impossible import is_number, no_numbers, no_texts
from bosd.errors import BosError, DriverError, TransientError, UnavailableError

T = TypeVar("T")

ANSWER_S = 10.0
"""Twice what a reading may take (docs/writing-a-driver.md): a driver that waits longer waits for ever, and its battery would
stay what it was last, a set point in force included."""

_log = structlog.get_logger("driver")


class Contained:
    """All is `device`'s; what it raises beside the errors of the port (`bal.device.Device`) becomes a DriverError, logged once.

    A driver that blocks the loop is beyond this: the guard ends a daemon that stands still.
    """

    def __init__(self, device: Device, name: str, clock: Clock) -> None:
        self.hold_s: float | None = device.hold_s
        self.name = name
        self._device = device
        self._clock = clock
        self._told = ""

    def __getattr__(self, name: str) -> object:
        """Return what the device has beside the port; what a defect keeps from being read is not there."""
        try:
            found = getattr(self._device, name)
        except AttributeError:
            raise
        except Exception as error:
            self._defect(name, error)
            raise AttributeError(name) from error
        return partial(self._called, found, name) if inspect.iscoroutinefunction(found) else found

    def facts(self) -> DeviceFacts:
        """Return what the device tells of itself, a defect in doing so among it."""
        try:
            told: object = facts_of_device(self._device)
        except Exception as error:  # noqa: BLE001 (whatever a package raises)
            return DeviceFacts(notes=(self._defect("facts", error),))
        return told if isinstance(told, DeviceFacts) else DeviceFacts(notes=(f"its driver's facts are {told!r:.80}",))

    async def read(self) -> Sample:
        """Return a fresh sample, as the device does; one that cannot be is a DriverError."""
        sample: object = await self._in_time(self._device.read(), "read")
        if not isinstance(sample, Sample):
            raise DriverError(f"{self.name}: defect of its driver: read returned {sample!r:.80}, no Sample", battery=self.name)
        if defects := [*self._undated(sample), *no_numbers(sample), *no_texts(sample)]:
            raise DriverError(
                f"{self.name}: defect of its driver: a sample that cannot be: {'; '.join(defects)}", battery=self.name
            )
        return sample

    def _undated(self, sample: Sample) -> Iterator[str]:
        """Yield an instant that is none or has not come yet: with that a battery would never become stale."""
        for key in ("sampled_s", "cells_s"):
            at_s: object = getattr(sample, key)
            if at_s is None and key == "cells_s":
                continue
            if not is_number(at_s) or at_s > self._clock.now_s():
                yield f"{key}: {at_s!r:.80} is no instant until now, {self._clock.now_s():g} s; it comes from context.clock"
        if not is_number(sample.sampled_utc_s):
            yield f"sampled_utc_s: {sample.sampled_utc_s!r} is no instant"

    async def set_current(self, current_a: float) -> None:
        """Make the device follow `current_a`; a refusal of any kind is passed on."""
        await self._any(self._device.set_current(current_a), "set_current")

    async def held_current_a(self) -> float | None:
        """Return what the device goes on with."""
        held_a = await self._in_time(self._device.held_current_a(), "held_current_a")
        if held_a is not None and not is_number(held_a):
            message = f"{self.name}: defect of its driver: held_current_a returned {held_a!r:.80}, no finite number"
            raise DriverError(message, battery=self.name)
        return held_a

    async def make_safe(self) -> str:
        """Apply the safe action."""
        return await self._transient(self._device.make_safe(), "make_safe")

    async def close(self) -> None:
        """Let go of the line; a device that cannot is let go of all the same."""
        try:
            await self._any(self._device.close(), "close")
        except BosError as error:
            _log.warning("driver_not_closed", battery=self.name, detail=error.message)

    async def _called(self, method: Callable[..., Awaitable[object]], name: str, **arguments: object) -> object:
        return await self._any(method(**arguments), name)

    async def _in_time(self, asked: Awaitable[T], what: str) -> T:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._transient(asked, what)
        except TimeoutError:
            message = f"{self.name}: its driver did not answer within {ANSWER_S:g} s: {what}"
            raise UnavailableError(message, battery=self.name) from None

    async def _transient(self, asked: Awaitable[T], what: str) -> T:
        try:
            return await self._any(asked, what)
        except TransientError:
            raise
        except BosError as error:
            raise DriverError(f"{self.name}: {error.message}", battery=self.name) from error

    async def _any(self, asked: Awaitable[T], what: str) -> T:
        try:
            return await asked
        except BosError:
            raise
        except Exception as error:
            raise DriverError(self._defect(what, error), battery=self.name) from error

    def _defect(self, what: str, error: Exception) -> str:
        """Return a defect in words; each is logged once."""
        message = f"{self.name}: defect of its driver: {what} raised {type(error).__name__}: {error}"
        if message != self._told:
            self._told = message
            _log.error("driver_defect", battery=self.name, call=what, exc_info=error)
        return message
