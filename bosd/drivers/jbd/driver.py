"""The JBD driver: reads a board on a line and, where configured, gates its current."""

from dataclasses import dataclass, field
from typing import Literal

from bosd.bal.derating import DeratingSpec
from bosd.bal.device import DeviceFacts, Sample
from bosd.clock import Clock
from bosd.drivers.jbd.board import Board
from bosd.drivers.jbd.codec import BasicInfo, SettingValue
from bosd.drivers.jbd.configuration_mode import ConfigurationMode
from bosd.drivers.jbd.cycle import Cycle
from bosd.drivers.jbd.gate import Gate
from bosd.drivers.jbd.limits import TRIP_POINTS, Limiter, Rating, trip_texts
from bosd.drivers.jbd.readings import basic_readings, cell_readings
from bosd.drivers.jbd.sample import build_sample
from bosd.drivers.jbd.seldom import Seldom
from bosd.drivers.jbd.told import flags_of, tail_texts
from bosd.drivers.line import RequestLine
from bosd.drivers.traffic import traffic_of
from bosd.errors import DriverError, NotFollowedError, UnavailableError, UnsupportedError

CurrentControl = Literal["none", "gate", "external", "direct"]
SafeAction = Literal["release", "open"]

AWAY_S = 5.0
"""A board that was silent for longer may be another one: who it is and its trip points are read again."""
_CELLS_KEPT_S = 300.0
"""Cells that cannot be read again are told with their time, and no longer than this."""
_PROTECTION_AGAIN_S = 60.0
"""Pause before trip points that could not be read are tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JbdOptions:
    """How a board is read; cells in every `cells_every`-th cycle, less often where a cycle does not fit into `period_s`."""

    address: int | None = None
    cells_every: int = 1
    period_s: float | None = None
    max_staleness_s: float = 3.0
    read_protection: bool = False
    password_file: str | None = None
    rating: Rating = field(default_factory=Rating)
    derating: DeratingSpec = field(default_factory=DeratingSpec)


class JbdDriver:
    """One JBD board as a device.

    With `current_control` "gate" the sign of a set point decides which FETs conduct, while the load decides the magnitude; else
    set points are refused. `safe` is what `make_safe` does on a "gate" battery.
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
        options: JbdOptions = JbdOptions(),
    ) -> None:
        self.name = name
        self._clock = clock
        self._board = Board(line, options.address, options.password_file)
        self._mode = ConfigurationMode(self._board, name)
        self._gate = Gate(self._board, self._mode, clock, name) if current_control == "gate" else None
        self._safe: SafeAction = safe
        self._options = options
        self._basic = basic_readings(self._board, clock)
        self._cells = cell_readings(self._board, clock)
        self._seldom = Seldom(self._board, clock)
        self._limiter = Limiter(options.rating, options.derating, options.max_staleness_s)
        self._cycle = Cycle(name, options.cells_every, options.period_s)
        self._cells_v: tuple[float, ...] | None = None
        self._cells_s: float | None = None
        self._heard_s: float | None = None
        self._missed = False
        self._mode_known = self._mode_asked = False
        self._protection_due_s = 0.0
        self._protection_note = ""
        self._closed = False
        line.share()

    async def read(self) -> Sample:
        """Return a fresh sample; cells that cannot be read are the last ones with their time, or None, and are noted."""
        await self._mode.leave_again()
        async with self._board.turn:
            started_s = self._clock.now_s()
            info, anew = await self._meet(started_s)
            sampled_s, sampled_utc_s = self._clock.now_s(), self._clock.utc_s()
            self._heard_s = sampled_s
            notes = self._gate.found(info) if self._gate is not None else ()
            if self._cycle.wants_cells():
                notes += await self._read_cells()
                self._cycle.took(self._clock.now_s() - started_s)
        if self._options.read_protection and sampled_s >= self._protection_due_s:
            await self._read_protection()
        if not anew:  # the first sample comes as soon as it can
            await self._one_more()
        sample = build_sample(
            info,
            self._cells_v,
            sampled_s=sampled_s,
            sampled_utc_s=sampled_utc_s,
            cells_s=self._cells_s,
            opened=self._gate.opened if self._gate is not None else 0,
            notes=(*notes, *self._standing_notes()),
        )
        return self._limiter.lowered(sample, info.cell_count)

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
        """Return None: switches hold no set point. Raises NotFollowedError where another program has closed what was opened."""
        if self._gate is not None and self._gate.closed_against_it:
            raise NotFollowedError(self.strays, battery=self.name)
        return None

    @property
    def strays(self) -> str:
        """What another program, or the board by itself, has switched against the last command; empty where nothing."""
        return "; ".join(self._gate.strays) if self._gate is not None else ""

    async def make_safe(self) -> str:
        """Apply and confirm the safe action: a gate's FETs open where `safe` says so, else nothing."""
        if self._gate is None:
            return "no current control: left as it is"
        if self._safe == "release":
            self._gate.overtake()
            return "switches left as they are"
        await self._gate.apply(0.0)
        return "both switches open"

    def facts(self) -> DeviceFacts:
        """Return identity, counters, named bits, limits and traffic as they are known; nothing is asked."""
        info = self._basic.last
        line = self._board.line
        notes = [each for each in (*self._standing_notes(), self._cycle.note) if each]
        return DeviceFacts(
            identity=(
                *self._seldom.identity(info),
                *(tail_texts(info) if info is not None else ()),
                *trip_texts(self._limiter.trips),
            ),
            trips=tuple(self._seldom.trips.items()),
            flags=flags_of(info) if info is not None else (),
            balancing_cells=info.balancing_cells if info is not None else (),
            limits=self._limiter.facts,
            traffic=traffic_of(line.counters, line.latencies_s, self._basic.disbelieved + self._cells.disbelieved),
            notes=tuple(notes),
            read_utc_s=self._seldom.read_utc_s,
        )

    async def close(self) -> None:
        """Let go of the line, after a last try to leave configuration mode where that failed; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._mode.leave_again()
        finally:
            self._board.line.close()

    async def _meet(self, now_s: float) -> tuple[BasicInfo, bool]:
        """Read 0x03; say whether the board is met anew, and what another board would not share is to be read again.

        Its limits only loosen once they are read.
        """
        try:
            info = await self._basic.value()
        except UnavailableError:
            self._missed = True
            raise
        anew = self._heard_s is None or (self._missed and now_s - self._heard_s > AWAY_S)
        self._missed = False
        if anew:
            self._seldom.again()
            self._protection_due_s = 0.0
            self._mode_known, self._mode_asked = self._options.read_protection, False  # which takes it out first
        return info, anew

    async def _read_cells(self) -> tuple[str, ...]:
        try:
            self._cells_v = await self._cells.value()
        except (DriverError, UnavailableError) as error:
            if self._cells_s is not None and self._clock.now_s() - self._cells_s > _CELLS_KEPT_S:
                self._cells_v = self._cells_s = None
            return (f"cells_v: {error.message}",)
        self._cells_s = self._clock.now_s()
        return ()

    async def _one_more(self) -> None:
        """Make one request of those that are made seldom: whether a board that was met was left in configuration mode, first.

        Where that is not settled, as it confirms no exit, it is looked at again in every second reading.
        """
        self._mode_asked = not self._mode_known and not self._mode_asked
        if self._mode_asked:
            self._mode_known = await self._mode.leave_if_found()
            return
        async with self._board.turn:
            await self._seldom.step()

    async def _read_protection(self) -> None:
        """Read the trip points once; a failure keeps those that are known and is told in each sample until it works."""
        trips: dict[int, SettingValue] = {}
        try:
            async with self._mode.entered():
                for register in TRIP_POINTS:
                    trips[register] = await self._board.read_setting(register)
        except (DriverError, UnavailableError) as error:
            self._protection_due_s = self._clock.now_s() + _PROTECTION_AGAIN_S
            self._protection_note = f"trip points not read: {error.message}"
            return
        self._limiter.trips = trips
        self._protection_due_s, self._protection_note = float("inf"), ""

    def _standing_notes(self) -> tuple[str, ...]:
        stuck = "in configuration mode: leaving it was not confirmed" if self._mode.stuck else ""
        return tuple(each for each in (self._protection_note, stuck) if each)
