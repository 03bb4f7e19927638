"""The Sonnen driver: reads a battery by its local API and, where configured, has it follow set points in manual mode."""

import asyncio

from bosd.bal.device import Sample
from bosd.clock import Clock
from bosd.drivers.sonnen.answers import MANUAL, Battery, Status, named_mode
from bosd.drivers.sonnen.api import SonnenApi
from bosd.drivers.sonnen.sample import Freshness, build_sample, voltage_of
from bosd.drivers.sonnen.spec import SonnenSpec
from bosd.errors import DriverError, NotFollowedError, TransientError, UnsupportedError

CONFIRM_S = 3.5
"""A set point that does not show in the measured power by then is not followed; a command has 5 s in all."""
SAFE_CONFIRM_S = 2.5
"""The same for the safe action, which has 3 s in all."""
TOLERANCE_W = 50.0
TOLERANCE_RATIO = 0.05
"""How far measured AC power may lie from the set point: idle batteries show up to some 10 W of their own consumption."""
DOUBT_S = 10.0
"""A deviation beyond the tolerance, or a time stamp that stands still, is said once it lasts so long."""
LARGEST_W = 1_000_000
_LOOK_AGAIN_S = 0.25
_NOT_FOUND = "404"
_RELEASED: dict[str, str] = {"self-consumption": "2", "time-of-use": "10"}


class SonnenDriver:
    """One Sonnen battery as a device; `current_control` "direct" lets it take set points.

    `hold_s` is None: no page of the API says that a set point of manual mode ends, people charge for hours with one, and assuming
    that it holds is the safe side.
    """

    hold_s: float | None = None

    def __init__(self, spec: SonnenSpec, api: SonnenApi, clock: Clock) -> None:
        self.name = spec.name
        self._spec = spec
        self._api = api
        self._clock = clock
        self._direct = spec.current_control == "direct"
        self._released_mode = _RELEASED[spec.released_mode]
        self._voltage_v: float | None = None
        self._freshness = Freshness()
        self._writing = asyncio.Lock()
        self._latest = 0
        self._commanded_w: int | None = None
        self._deviates_s: float | None = None
        self._other_mode = ""

    @property
    def strays(self) -> str:
        """What mode somebody has put it in since it was commanded; empty in manual mode."""
        return self._other_mode

    async def read(self) -> Sample:
        """Return a fresh sample; where the firmware has no `/battery`, what only it tells is None and noted.

        Values whose own time stamp stands still keep the instant at which they were first seen.
        """
        status = await self._api.status()
        battery: Battery | None = None
        notes: tuple[str, ...] = ()
        try:
            battery = await self._api.battery()
        except DriverError as error:
            if error.metadata.get("status") != _NOT_FOUND:
                raise
            notes = (f"charge and capacity: {error.message}",)
        voltage_v = self._voltage_v = voltage_of(status, battery, self._spec.voltage_v)
        now_s = self._clock.now_s()
        measured = self._freshness.measured(status.timestamp, now_s, self._clock.utc_s())
        if now_s - measured[0] >= DOUBT_S:
            notes = (*notes, f"its values stand still since {status.timestamp}")
        if self._direct and (doubt := self._doubt(status, now_s)):
            notes = (*notes, doubt)
        spec = self._spec
        return build_sample(
            status,
            battery,
            voltage_v=voltage_v,
            measured=measured,
            configured_a=(spec.max_discharge_current_a, spec.max_charge_current_a),
            notes=notes,
        )

    async def set_current(self, current_a: float) -> None:
        """Have the battery follow `current_a` (positive discharges) in manual mode; return once the measured power shows it.

        Raises UnsupportedError without current control, NotFollowedError when it does not show within 3.5 s, DriverError when a
        later command overtook this one.
        """
        if not self._direct:
            raise UnsupportedError(f"{self.name}: no current control", battery=self.name)
        command = self._overtake()
        async with self._writing:
            self._check_latest(command)
            before = await self._api.status()
            power_w = await self._power_w(current_a, before)
            self._commanded_w, self._deviates_s, self._other_mode = power_w, None, ""
            if before.mode != MANUAL:
                await self._api.set_mode(MANUAL)
            await self._give(power_w)
        await self._confirm(command, power_w, current_a, before.timestamp, CONFIRM_S)

    async def held_current_a(self) -> float | None:
        """Return what the battery goes on with in manual mode, as measured, since no answer tells its set point; else None."""
        if not self._direct:
            return None
        status = await self._api.status()
        if status.mode != MANUAL:
            return None
        return status.power_w / await self._volts(status)

    async def make_safe(self) -> str:
        """Give 0 W and, with `safe` "release", the battery back to its own mode, confirmed by its status. Overtakes commands."""
        if not self._direct:
            return "no current control: left as it is"
        command = self._overtake()
        async with self._writing:
            before = await self._api.status()
            self._commanded_w, self._other_mode = None, ""
            if self._spec.safe == "release":
                if before.mode != MANUAL:
                    return f"left in {named_mode(before.mode)}"
                await self._give(0)
                await self._api.set_mode(self._released_mode)
                await self._await_mode(self._released_mode)
                return f"0 W, then back to {named_mode(self._released_mode)}"
            if before.mode != MANUAL:
                await self._api.set_mode(MANUAL)
            await self._give(0)
            self._commanded_w, self._deviates_s = 0, None
        await self._confirm(command, 0, 0.0, before.timestamp, SAFE_CONFIRM_S)
        return "0 W in manual mode"

    async def close(self) -> None:
        """Let go of the connection; idempotent."""
        await self._api.close()

    async def _give(self, power_w: int) -> None:
        """Write the set point: first 0 in the direction that is not meant, so that two of them never act at once."""
        if power_w < 0:
            await self._api.set_point("discharge", 0)
            await self._api.set_point("charge", -power_w)
            return
        await self._api.set_point("charge", 0)
        await self._api.set_point("discharge", power_w)

    async def _power_w(self, current_a: float, status: Status) -> int:
        power_w = 0 if current_a == 0.0 else round(current_a * await self._volts(status))
        if abs(power_w) > LARGEST_W:
            raise DriverError(f"{self.name}: {current_a:g} A would be {power_w} W, more than {LARGEST_W} W", battery=self.name)
        return power_w

    async def _volts(self, status: Status) -> float:
        """Return the voltage; a battery that was not read yet is asked for it."""
        if self._voltage_v is None:
            self._voltage_v = voltage_of(status, await self._api.battery(), self._spec.voltage_v)
        if self._voltage_v is None:
            message = f"{self.name}: the battery tells no voltage to turn amperes into watts with; write voltage_v"
            raise DriverError(message, battery=self.name)
        return self._voltage_v

    async def _confirm(self, command: int, power_w: int, current_a: float, stamp: str | None, within_s: float) -> None:
        """Look until values measured after the command show it."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        while True:
            try:
                status = await self._api.status()
            except TransientError:
                if loop.time() >= until_s:
                    raise
            else:
                fresh = status.timestamp is None or status.timestamp != stamp
                if fresh and status.mode == MANUAL and _follows(status.power_w, power_w):
                    return
                if loop.time() >= until_s:
                    raise self._not_followed(status, power_w, current_a, fresh=fresh)
            self._check_latest(command)
            await asyncio.sleep(_LOOK_AGAIN_S)
            self._check_latest(command)

    async def _await_mode(self, mode: str) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SAFE_CONFIRM_S
        while (status := await self._api.status()).mode != mode:
            if loop.time() >= until_s:
                message = f"{self.name}: told to work in {named_mode(mode)}, is in {named_mode(status.mode)}"
                raise NotFollowedError(message, battery=self.name)
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _doubt(self, status: Status, now_s: float) -> str:
        """Return what to say of a battery that does not do any more what it confirmed; "" while it does, or not for long."""
        wanted_w = self._commanded_w
        astray = wanted_w is not None and status.mode != MANUAL and not self._writing.locked()
        self._other_mode = f"in {named_mode(status.mode)}, not in manual mode" if astray else ""
        if wanted_w is None or (status.mode == MANUAL and _follows(status.power_w, wanted_w)):
            self._deviates_s = None
            return ""
        if status.mode != MANUAL:
            return f"NOT_FOLLOWED: {self._three(status, wanted_w)}; somebody changed its mode, another set point takes it back"
        if self._deviates_s is None:
            self._deviates_s = now_s
        return f"NOT_FOLLOWED: {self._three(status, wanted_w)}" if now_s - self._deviates_s >= DOUBT_S else ""

    def _three(self, status: Status, wanted_w: int) -> str:
        return f"commanded {wanted_w} W, is in {named_mode(status.mode)}, measures {status.power_w:g} W"

    def _overtake(self) -> int:
        self._latest += 1
        return self._latest

    def _check_latest(self, command: int) -> None:
        if command != self._latest:
            raise DriverError(f"{self.name}: overtaken by a later command", battery=self.name)

    def _not_followed(self, status: Status, power_w: int, current_a: float, *, fresh: bool) -> NotFollowedError:
        message = f"{self.name}: {self._three(status, power_w)}"
        if not fresh:
            message += f", and its values stand still since {status.timestamp}"
        measured_a = "" if self._voltage_v is None else status.power_w / self._voltage_v
        return NotFollowedError(message, battery=self.name, commanded_a=current_a, measured_a=measured_a, mode=status.mode)


def _follows(measured_w: float, wanted_w: int) -> bool:
    return abs(measured_w - wanted_w) <= TOLERANCE_W + TOLERANCE_RATIO * abs(wanted_w)
