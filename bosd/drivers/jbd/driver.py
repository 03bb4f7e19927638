"""The JBD driver: reads a board on a line and, where configured, gates its current."""

from typing import Literal

from bosd.bal.device import Sample
from bosd.clock import Clock
from bosd.drivers.jbd.board import Board
from bosd.drivers.jbd.gate import Gate
from bosd.drivers.jbd.sample import build_sample
from bosd.drivers.line import RequestLine
from bosd.errors import DriverError, UnavailableError, UnsupportedError

CurrentControl = Literal["none", "gate", "external", "direct"]
SafeAction = Literal["release", "open"]


class JbdDriver:
    """One JBD board as a device.

    With `current_control` "gate" the sign of a set point decides which FETs conduct, while the load decides the magnitude; else
    set points are refused. `safe` is what `make_safe` does on a "gate" battery. Cells are read in every `cells_every`-th cycle.
    """

    hold_s: float | None = None  # switches go on with what they were told

    def __init__(
        self,
        line: RequestLine,
        clock: Clock,
        *,
        name: str,
        current_control: CurrentControl = "none",
        safe: SafeAction = "release",
        cells_every: int = 1,
    ) -> None:
        self.name = name
        self._line = line
        self._clock = clock
        self._board = Board(line)
        self._gate = Gate(self._board, clock, name) if current_control == "gate" else None
        self._safe: SafeAction = safe
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

        Raises UnsupportedError without a gate, NotFollowedError when the board does not show it within 2 s.
        """
        if self._gate is None:
            raise UnsupportedError(f"{self.name}: no current control", battery=self.name)
        await self._gate.apply(current_a)

    async def hold_open(self, *, discharge: bool, charge: bool) -> None:
        """Keep directions open that no set point decides about; raises as `set_current` does."""
        if self._gate is None:
            raise UnsupportedError(f"{self.name}: no current control", battery=self.name)
        await self._gate.hold_open(discharge=discharge, charge=charge)

    async def held_current_a(self) -> float | None:
        """Return None: switches hold no set point."""
        return None

    async def make_safe(self) -> str:
        """Apply and confirm the safe action: a gate's FETs open where `safe` says so, else nothing."""
        if self._gate is None:
            return "no current control: left as it is"
        if self._safe == "release":
            self._gate.overtake()
            return "switches left as they are"
        await self._gate.apply(0.0)
        return "both switches open"

    async def close(self) -> None:
        """Let go of the line; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._line.close()
