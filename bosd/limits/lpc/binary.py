"""The service's own program, run by this daemon: started, watched, started again, heard, and never left behind."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from bosd.clock import Clock
from bosd.config.eebus import EebusConfig

GRACE_S = 2.0
"""How long it may take to end after SIGTERM."""
LONGEST_DELAYS = 12
"""The pause before a start doubles with each failure in a row, up to so many times the first: a minute at 5 s."""
STEADY_DELAYS = 6
"""One that lived so many times the first pause ends a row of failures."""
PLAUSIBLE_UTC_S = 1_704_067_200.0
"""2024-01-01: with an earlier clock certificates are made that no peer takes, and none is started."""
MOST_CHARACTERS = 4000
_LEASH = Path(__file__).with_name("leash.py")
_LINE = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?\s+([A-Z]+)\s+(.*)", re.DOTALL)
_LEVELS = {
    "TRACE": "debug",
    "DEBUG": "debug",
    "INFO": "info",
    "WARN": "warning",
    "WARNING": "warning",
    "ERROR": "error",
    "FATAL": "error",
}

_log = structlog.get_logger("eebus")


def command_of(config: EebusConfig) -> tuple[str, ...]:
    """Return the program and its arguments (eebus.md 2.9)."""
    return (
        str(config.binary),
        "-port",
        str(config.keys.grpc_port),
        "-certificate-path",
        str(config.certificate),
        "-private-key-path",
        str(config.private_key),
    )


def level_and_text(line: str) -> tuple[str, str]:
    """Return our level for a line of its log, and what it says; a line of another form is information, whole."""
    found = _LINE.fullmatch(line)
    level = None if found is None else _LEVELS.get(found[1])
    return ("info", line) if found is None or level is None else (level, found[2])


def failures_after(failures: int, lived_s: float, delay_s: float) -> int:
    """Return how many failures in a row there were, with the one of a process that lived for `lived_s`."""
    return 1 if lived_s > STEADY_DELAYS * delay_s else min(failures + 1, LONGEST_DELAYS)


def pause_after_s(failures: int, delay_s: float) -> float:
    """Return the pause before the next start."""
    return float(delay_s * min(2 ** (failures - 1), LONGEST_DELAYS))


class Binary:
    """Runs one program for ever; `tell` hears how it stands, `started` is called at each start."""

    def __init__(
        self,
        command: Sequence[str],
        clock: Clock,
        restart_delay_s: float,
        *,
        tell: Callable[[str], None],
        started: Callable[[], None],
    ) -> None:
        self._command = tuple(command)
        self._clock = clock
        self._delay_s = restart_delay_s
        self._tell = tell
        self._started = started
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = False
        self.last_line = ""

    async def run(self) -> None:
        """Keep it running; when this is cancelled, it is ended."""
        failures = 0
        while True:
            await self._plausible_clock()
            began_s = self._clock.now_s()
            status = await self._live()
            if self._wanted:
                self._wanted, failures = False, 0
                continue
            failures = failures_after(failures, self._clock.now_s() - began_s, self._delay_s)
            pause_s = pause_after_s(failures, self._delay_s)
            self._tell(f"ended with {status}, starts again in {pause_s:g} s; it said last: {self.last_line or 'nothing'}")
            _log.error("eebus_binary_ended", status=status, again_in_s=pause_s, last=self.last_line)
            await asyncio.sleep(pause_s)

    async def restart(self) -> None:
        """End the one that runs; another one starts at once."""
        if (process := self._process) is not None:
            self._wanted = True
            await end(process)

    async def _plausible_clock(self) -> None:
        """Wait for a wall clock with which a certificate makes sense."""
        while self._clock.utc_s() < PLAUSIBLE_UTC_S:
            self._tell("waits for the wall clock to be set: certificates made now would begin in the past")
            await asyncio.sleep(1.0)

    async def _live(self) -> str:
        """Run it once, to its end; return how it ended."""
        command = (sys.executable, "-I", str(_LEASH), str(os.getpid()), *self._command)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return f"{self._command[0]}: {error.strerror}"
        self._process = process
        self._started()
        self._tell(f"runs as process {process.pid}")
        _log.info("eebus_binary_started", pid=process.pid, command=list(self._command))
        try:
            assert process.stdout is not None  # noqa: S101 (it was asked for)
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen(process.stdout), name="eebus binary log")
                status = await process.wait()
                await asyncio.wait([listening], timeout=GRACE_S)
                listening.cancel()
        finally:
            self._process = None
            await end(process)
        return f"status {status}" if status >= 0 else f"signal {-status}"

    async def _listen(self, words: asyncio.StreamReader) -> None:
        """Take its lines into our log until it says no more; an endless line is cut."""
        rest = ""
        while chunk := await words.read(MOST_CHARACTERS):
            *lines, rest = (rest + chunk.decode("utf-8", "replace")).split("\n")
            if len(rest) > MOST_CHARACTERS:
                lines, rest = [*lines, rest], ""
            for line in lines:
                self._heard(line)
        self._heard(rest)

    def _heard(self, line: str) -> None:
        if not (said := line.strip()):
            return
        level, self.last_line = level_and_text(said)
        getattr(_log, level)("eebus_binary", detail=self.last_line)


async def end(process: asyncio.subprocess.Process) -> None:
    """End a process and await it: SIGTERM, after `GRACE_S` SIGKILL; also while this task is being cancelled."""
    if process.returncode is not None:
        return
    ended = asyncio.create_task(process.wait(), name=f"end eebus binary {process.pid}")  # noqa: TID251 (awaited below)
    try:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait([ended], timeout=GRACE_S)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.wait([ended], timeout=GRACE_S)
