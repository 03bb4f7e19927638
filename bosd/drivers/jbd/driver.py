"""The JBD driver: reads a board on a line and, where configured, gates its current or has a regulator set it."""

import asyncio
from typing import Literal

from bosd.bal.device import Sample
from bosd.clock import Clock
from bosd.drivers.jbd.board import Board
from bosd.drivers.jbd.gate import Gate
from bosd.drivers.jbd.sample import build_sample
from bosd.drivers.line import Line
from bosd.drivers.regulator import Regulator
from bosd.errors import ConfigError, DriverError, NotFollowedError, UnavailableError, UnsupportedError

CurrentControl = Literal["none", "gate", "external"]
SafeAction = Literal["release", "open"]

_CONFIRM_S = 2.0
"""A regulator that does not hold a set point by then does not follow."""
_LOOK_AGAIN_S = 0.1
_TOLERANCE_A = 0.05
"""How far a held set point may lie from the one asked for: the resolution of bench supplies."""


class JbdDriver:
    """One JBD board as a device.

    `current_control` "none" refuses set points; "gate" lets their sign decide which FETs conduct, while the load decides the
    magnitude; "external" has `regulator` set them. `safe` is what `make_safe` does on a "gate" battery. Cells are read in
    every `cells_every`-th cycle.
    """

    def __init__(
        self,
        line: Line,
        clock: Clock,
        *,
        name: str,
        current_control: CurrentControl = "none",
        safe: SafeAction = "release",
        regulator: Regulator | None = None,
        cells_every: int = 1,
    ) -> None:
        if (current_control == "external") != (regulator is not None):
            raise ConfigError(f'{name}: a regulator goes with current_control = "external", and only with it', battery=name)
        self.name = name
        self._line = line
        self._clock = clock
        self._board = Board(line)
        self._gate = Gate(self._board, clock, name) if current_control == "gate" else None
        self._safe: SafeAction = safe
        self.hold_s: float | None = None if regulator is None else regulator.hold_s  # switches go on with what they were told
        self._regulator = regulator
        self._cells_every = max(1, cells_every)
        self._cycle = 0
        self._cells_v: tuple[float, ...] | None = None
        self._cells_s: float | None = None
        self._closed = False
        line.share()

    async def read(self) -> Sample:
        """Return a fresh sample; cells that cannot be read are the last ones with their time, or None, and are noted."""
        info = await self._board.read_basic()
        if self._gate is not None:
            self._gate.found(info)
        sampled_s, sampled_utc_s = self._clock.now_s(), self._clock.utc_s()
        notes: tuple[str, ...] = ()
        if self._cycle % self._cells_every == 0:
            try:
                self._cells_v = await self._board.read_cells()
                self._cells_s = self._clock.now_s()
            except (DriverError, UnavailableError) as error:
                notes = (f"cells_v: {error.message}",)
        self._cycle += 1
        return build_sample(
            info,
            self._cells_v,
            sampled_s=sampled_s,
            sampled_utc_s=sampled_utc_s,
            cells_s=self._cells_s,
            opened=self._gate.opened if self._gate is not None else 0,
            notes=notes,
        )

    async def set_current(self, current_a: float) -> None:
        """Make the battery follow `current_a` (positive discharges) and return once that is read back.

        Raises UnsupportedError without a gate or a regulator, NotFollowedError when the device does not show it within 2 s.
        """
        if self._gate is not None:
            await self._gate.apply(current_a)
        elif self._regulator is not None:
            await self._regulate(self._regulator, current_a)
        else:
            raise UnsupportedError(f"{self.name}: no current control", battery=self.name)

    async def held_current_a(self) -> float | None:
        """Return what the regulator holds; None without one, since switches hold no set point."""
        return None if self._regulator is None else await self._regulator.read()

    async def make_safe(self) -> str:
        """Apply and confirm the safe action: a regulator to 0 A, a gate's FETs open where `safe` says so, else nothing."""
        if self._regulator is not None:
            await self._regulate(self._regulator, 0.0)
            return "regulator at 0 A"
        if self._gate is None:
            return "no current control: left as it is"
        if self._safe == "release":
            self._gate.overtake()
            return "switches left as they are"
        await self._gate.apply(0.0)
        return "both switches open"

    async def close(self) -> None:
        """Let go of the line and the regulator; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._line.close()
        if self._regulator is not None:
            await self._regulator.close()

    async def _regulate(self, regulator: Regulator, current_a: float) -> None:
        await regulator.set_current(current_a)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _CONFIRM_S
        while abs((held_a := await regulator.read()) - current_a) > _TOLERANCE_A:
            if loop.time() >= until_s:
                message = f"{self.name}: the regulator holds {held_a:g} A, commanded {current_a:g} A"
                raise NotFollowedError(message, commanded_a=current_a, held_a=held_a, battery=self.name)
            await asyncio.sleep(_LOOK_AGAIN_S)
