"""The configuration ("factory") mode of a JBD board: entered for a few reads, left again on every path."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from bosd.drivers.jbd.board import LOCKED, Board
from bosd.errors import BosError, DriverError, UnavailableError

STAY_S = 4.0
"""Longest time in the mode. All settings of a board take 2 s at 9600 baud (55 requests of 16 bytes, 15 ms turnaround)."""
LEAVE_S = 2.0
"""Longest time spent on leaving; then it is tried again at each contact."""
_AGAIN_S = 0.1
_LOOK_S = 0.5
"""Longest time for a look whether a board was left in the mode, and for taking it out."""
_PROBE = 0x24
"""Cell over-voltage, on every board: refused with 81 outside the mode, answered inside (captured)."""

_log = structlog.get_logger("jbd")


class ConfigurationMode:
    """Takes a board into the mode and out of it. While it is inside, polls of the board wait: STAY_S + LEAVE_S at most.

    `stuck` says that leaving has not been confirmed: `leave_again` tries once more.
    """

    def __init__(self, board: Board, name: str) -> None:
        self.stuck = False
        self._board = board
        self._name = name
        self._inside = False

    @asynccontextmanager
    async def entered(self, stay_s: float = STAY_S) -> AsyncIterator[None]:
        """Have the board in the mode inside the block, for `stay_s` at most.

        A board that answers settings without it is not taken there. However the block ends, the mode is left, retried for
        LEAVE_S and verified by a setting that is refused again; a cancellation is passed on after that. Raises DriverError
        where the board refuses (81: a password, see `password_file`), UnavailableError where time is up.
        """
        async with self._board.turn:
            self.stuck = False
            limit = asyncio.timeout(stay_s)
            try:
                async with limit:
                    await self._enter()
                    yield
            except TimeoutError:
                if not limit.expired():
                    raise
                raise UnavailableError(f"{self._name}: not done within {stay_s:g} s of configuration mode") from None
            finally:
                if self._inside:
                    await self._left_whatever_comes()

    async def leave_again(self) -> None:
        """Try once to leave a mode that earlier could not be left; does nothing otherwise."""
        if not self.stuck:
            return
        async with self._board.turn:
            try:
                if await self._try_to_leave():
                    _log.info("configuration_mode_left", battery=self._name)
            except BosError as error:
                _log.debug("configuration_mode_not_left", battery=self._name, detail=error.message)

    async def leave_if_found(self) -> bool:
        """Take a board out of a mode that an earlier run, or another program, left it in; return whether that is settled.

        One that says nothing, and one that answers settings always, is left alone.
        """
        found = False
        async with self._board.turn:
            try:
                async with asyncio.timeout(_LOOK_S):
                    if found := await self._is_readable():
                        await self._board.leave_configuration()
                        if not await self._is_readable():
                            _log.warning("configuration_mode_found", battery=self._name, detail="it was left in it; taken out")
            except (BosError, TimeoutError):
                return not found
        return True

    async def _enter(self) -> None:
        if await self._is_readable():
            self._inside = True  # an earlier run, or another program, left it in the mode: or it needs none
            await self._board.leave_configuration()
            if await self._is_readable():
                self._inside = False
                return
        self._inside = True
        try:
            try:
                await self._board.enter_configuration()
            except DriverError as error:
                if error.metadata.get("status") != LOCKED or self._board.password_file is None:
                    raise
                await self._board.present_password()
                await self._board.enter_configuration()
        except DriverError as error:
            self._inside = "status" not in error.metadata
            error.also(f"{self._name} does not enter configuration mode")
            raise

    async def _is_readable(self) -> bool:
        try:
            await self._board.read_setting(_PROBE)
        except DriverError as error:
            if "status" in error.metadata:
                return False
            raise
        return True

    async def _left_whatever_comes(self) -> None:
        """Leave, also where this task is cancelled meanwhile: that is passed on afterwards."""
        until_s = asyncio.get_running_loop().time() + LEAVE_S
        cancelled: asyncio.CancelledError | None = None
        while self._inside and not self.stuck:
            try:
                await self._leave(until_s)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _leave(self, until_s: float) -> None:
        """Try until it is left, or `stuck` at `until_s`."""
        loop = asyncio.get_running_loop()
        why = "still answers settings"
        while loop.time() < until_s:
            try:
                async with asyncio.timeout_at(until_s):
                    if await self._try_to_leave():
                        return
            except BosError as error:
                why = error.message
            except TimeoutError:
                why = f"nothing confirmed within {LEAVE_S:g} s"
            await asyncio.sleep(_AGAIN_S)
        self.stuck = True
        _log.error("configuration_mode_not_left", battery=self._name, detail=why, then="tried again at each contact")

    async def _try_to_leave(self) -> bool:
        await self._board.leave_configuration()
        if await self._is_readable():
            return False
        self._inside = self.stuck = False
        return True
