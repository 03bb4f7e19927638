"""Current control by a JBD board's two FETs: the sign of a set point decides which conduct, the load decides how much."""

import asyncio

from bosd.clock import Clock
from bosd.drivers.jbd.board import LOCKED, Board
from bosd.drivers.jbd.codec import BasicInfo
from bosd.drivers.jbd.configuration_mode import ConfigurationMode
from bosd.drivers.jbd.registers import BOTH_FETS, CHARGE_FET, DISCHARGE_FET, SOFTWARE_LOCK_BIT
from bosd.drivers.jbd.sample import name_faults
from bosd.errors import DriverError, NotFollowedError, UnavailableError

CONFIRM_S = 2.0
"""A command has failed when the board does not show it by then."""
SPARED_ABOVE_A = 1.5
"""While about 2 A flow the other way, newer firmware closes a disabled FET again to spare its body diode: it has obeyed."""
_LOOK_AGAIN_S = 0.1
_DWELL_S = 5.0
"""Shortest time between a switching and the next switching on; switching off never waits."""


def conducting_for(current_a: float) -> int:
    """Return the FETs that a set point lets conduct: discharge for > 0, charge for < 0, none for 0."""
    if current_a > 0:
        return DISCHARGE_FET
    return CHARGE_FET if current_a < 0 else 0


def _shown(info: BasicInfo, conducting: int) -> int:
    """Return the FETs that conduct, without one that the board closes to spare its body diode under a current of `conducting`."""
    shown = info.fet_bits & BOTH_FETS
    if conducting == DISCHARGE_FET and info.inflow_a < -SPARED_ABOVE_A:
        return shown & ~CHARGE_FET
    if conducting == CHARGE_FET and info.inflow_a > SPARED_ABOVE_A:
        return shown & ~DISCHARGE_FET
    return shown


def _against(name: str, fet: int, commanded: int, info: BasicInfo) -> str:
    """Say who has switched a FET against the command; nothing where a protection has opened it."""
    if not commanded & fet:
        return f"{name} switch closed by another program, commanded open"
    if info.protection_bits >> SOFTWARE_LOCK_BIT & 1 and not name_faults(info.protection_bits):
        return f"{name} switch opened by another program, commanded closed"
    return "" if info.protection_bits else f"{name} switch open without a protection, commanded closed"


class Gate:
    """Switches a board's FETs and reads them back; a later command overtakes an earlier one that still waits.

    `opened` holds the FETs that commands have switched off, this gate's or an earlier run's: they are not the battery's state.
    `strays` is what the last poll showed against the last command, `closed_against_it` that a FET conducts which it had opened.
    """

    def __init__(self, board: Board, mode: ConfigurationMode, clock: Clock, name: str) -> None:
        self.opened = 0
        self.strays: tuple[str, ...] = ()
        self.closed_against_it = False
        self._board = board
        self._mode = mode
        self._clock = clock
        self._name = name
        self._lock = asyncio.Lock()
        self._latest = 0
        self._commanded: int | None = None
        self._switched_s: float | None = None

    def found(self, info: BasicInfo) -> tuple[str, ...]:
        """Take what a poll shows; return what another program, or the board by itself, has switched against the command.

        Before this gate has switched, FETs locked by command are opened ones (jbd.md, 5, bit 12).
        """
        if self._switched_s is None:
            locked = info.protection_bits >> SOFTWARE_LOCK_BIT & 1
            self.opened = BOTH_FETS & ~info.fet_bits if locked else 0
            return ()
        commanded = self._commanded
        self._obeys()
        if commanded is None or self._lock.locked():
            return ()
        differs = _shown(info, commanded) ^ commanded
        names = (("charge", CHARGE_FET), ("discharge", DISCHARGE_FET))
        self.strays = tuple(text for name, fet in names if differs & fet and (text := _against(name, fet, commanded, info)))
        self.closed_against_it = bool(differs & ~commanded)
        return self.strays

    def _obeys(self) -> None:
        self.strays, self.closed_against_it = (), False

    def overtake(self) -> int:
        """Make every command that still waits or confirms fail; return the new command's number."""
        self._latest += 1
        return self._latest

    async def apply(self, current_a: float) -> None:
        """Let the FETs of `current_a` conduct and open the others, confirmed by reading back within two seconds.

        FETs open at once; closing one waits until the last switching is five seconds old. Raises NotFollowedError when the
        board does not show the command, DriverError when a later command overtook this one.
        """
        await self._conduct(conducting_for(current_a), current_a)

    async def hold_open(self, *, discharge: bool, charge: bool) -> None:
        """Open these directions and let the others conduct, whatever the load asks; raises as `apply` does."""
        off = (DISCHARGE_FET if discharge else 0) | (CHARGE_FET if charge else 0)
        await self._conduct(BOTH_FETS & ~off, 0.0)

    async def _conduct(self, wanted: int, current_a: float) -> None:
        command = self.overtake()
        self._obeys()
        async with self._lock:
            self._check_latest(command)
            present = await self._present(wanted)
            if present == wanted == self._commanded:
                return
            closing = wanted & ~present
            if present & ~wanted or not closing:
                await self._switch(command, present & wanted, current_a)
        if closing:
            await self._dwell()
            async with self._lock:
                self._check_latest(command)
                await self._switch(command, wanted, current_a)

    async def _present(self, wanted: int) -> int:
        """Return the FETs that conduct; opening both for the first time is not delayed by looking."""
        if not wanted and self._commanded != 0:
            return BOTH_FETS
        return _shown(await self._board.read_basic(), wanted if wanted == self._commanded else 0)

    async def _dwell(self) -> None:
        if self._switched_s is not None:
            await asyncio.sleep(max(0.0, self._switched_s + _DWELL_S - self._clock.now_s()))

    async def _switch(self, command: int, conducting: int, current_a: float) -> None:
        """Write, then look until the board shows it."""
        off = BOTH_FETS & ~conducting
        self.opened |= off
        self._switched_s = self._clock.now_s()
        self._commanded = None
        await self._write(conducting)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + CONFIRM_S
        info: BasicInfo | None = None
        while True:
            info = await self._look(until_s) or info  # of a board that did not follow, the last that it showed is told
            if info is not None and _shown(info, conducting) == conducting:
                self.opened, self._commanded = off, conducting
                return
            if loop.time() >= until_s:
                raise self._not_followed(conducting, current_a, info)
            await asyncio.sleep(_LOOK_AGAIN_S)
            self._check_latest(command)

    async def _write(self, conducting: int) -> None:
        """Write; a board that refuses with 81 is tried with its password, where there is one, then in configuration mode."""
        try:
            await self._board.write_fets(conducting)
        except DriverError as error:
            if error.metadata.get("status") != LOCKED:
                raise
            await self._write_locked(conducting)

    async def _write_locked(self, conducting: int) -> None:
        tried = "directly"
        if self._board.password_file is not None:
            tried += ", with the password"
            await self._board.present_password()
            try:
                await self._board.write_fets(conducting)
            except DriverError as error:
                if error.metadata.get("status") != LOCKED:
                    raise
            else:
                return
        try:
            async with self._mode.entered():
                await self._board.write_fets(conducting)
        except DriverError as error:
            hint = "" if self._board.password_file is not None else "; a PIN may be set: see password_file"
            error.also(f"the switches of {self._name} were tried {tried} and in configuration mode{hint}")
            raise

    async def _look(self, until_s: float) -> BasicInfo | None:
        """Read the board; None for a failed read that leaves time for another."""
        try:
            async with asyncio.timeout_at(until_s + _LOOK_AGAIN_S):
                return await self._board.read_basic()
        except (DriverError, UnavailableError, TimeoutError):
            return None

    def _check_latest(self, command: int) -> None:
        if command != self._latest:
            raise DriverError(f"{self._name}: overtaken by a later command", battery=self._name)

    def _not_followed(self, conducting: int, current_a: float, info: BasicInfo | None) -> NotFollowedError:
        if info is None:
            return NotFollowedError(
                f"{self._name}: FETs commanded, but not read back within {CONFIRM_S:g} s", commanded_a=current_a
            )
        faults = ", ".join(name_faults(info.protection_bits)) or "none"
        shown = info.fet_bits & BOTH_FETS
        message = f"{self._name}: FETs show {shown:02b} (discharge, charge), commanded {conducting:02b}; protections: {faults}"
        return NotFollowedError(message, commanded_a=current_a, measured_a=0.0 - info.inflow_a, battery=self._name)
