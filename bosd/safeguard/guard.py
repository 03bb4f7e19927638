"""`bosd guard`: waits beside the daemon, and makes its devices safe when it is gone or hangs.

The pipe on standard input brings the devices, then a tick each 0.25 s. The end of the pipe at once, or four quarters of a second
without a byte, mean that the daemon cannot do it. It is killed first, by a descriptor that can mean no other process, and its end
awaited: then its lines are free, and no two command a device. Everything that this needs is loaded with the first list: a disk
that fails later hinders nothing, and the report and the log come after the devices.
"""

import asyncio
import concurrent.futures.thread  # noqa: F401 (ports are opened in a thread: loaded now, not when the disk may be gone)
import contextlib
import os
import select
import signal
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

import structlog

from bosd.bal.spec import PhysicalSpec
from bosd.clock import Clock
from bosd.drivers.devices import make_device
from bosd.drivers.kind import DriverContext
from bosd.drivers.lines import Lines
from bosd.errors import BosError, ConfigError
from bosd.safeguard.device_list import MAX_LINE_BYTES, End, decode
from bosd.safeguard.post import DAEMONS_SIGNALS
from bosd.safeguard.report import Report, forget_told, write_report
from bosd.safeguard.safe_action import JOB_DEADLINE_S, make_all_safe

SLICE_S = 0.25
SILENT_SLICES = 4
"""So many slices of waiting in vain are 1 s. A slice in which the guard itself stood still (a frozen machine) counts once."""
LEAVE_S = 3.0
"""How long a daemon that said its end may take to be gone."""
KILL_S = 1.0
"""How long a killed process may take to be gone; one that the kernel holds longer runs no more of its code."""
LIFE_S = 2 + int(LEAVE_S + KILL_S + JOB_DEADLINE_S)
"""The guard ends by then, whatever blocks it."""
_CHUNK_BYTES = 65536

_log = structlog.get_logger("guard")


class Why(Enum):
    """Why the guard stopped waiting."""

    ORDERLY = "the daemon ended in order"
    LEFT = "the daemon ended in order, but could not make these safe"
    ENDED = "the daemon ended without a word"
    SILENT = "the daemon gave no sign for 1 s and was killed"


class Listener:
    """The guard's end of the pipe; `echo` is where each read is answered, so that the daemon knows that it is heard."""

    def __init__(self, pipe: int, echo: int, clock: Clock) -> None:
        self.specs: tuple[PhysicalSpec, ...] = ()
        self._clock = clock
        self._pipe = pipe
        self._echo = echo
        self._unfinished = bytearray()
        self._skipping = False

    def listen(self) -> Why:
        """Wait until the daemon ends, hangs or says its end; `specs` are then the devices to be made safe."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        silent = 0
        while silent < SILENT_SLICES:
            if not poll.poll(SLICE_S * 1000.0):
                silent += 1
                continue
            silent = 0
            data = os.read(self._pipe, _CHUNK_BYTES)
            if not data:
                return Why.ENDED
            with contextlib.suppress(OSError):
                os.write(self._echo, b".")
            if (end := self._heard(data)) is not None:
                self.specs = tuple(spec for spec in self.specs if spec.name in end.unconfirmed)
                return Why.LEFT if self.specs else Why.ORDERLY
        return Why.SILENT

    def _heard(self, data: bytes) -> End | None:
        """Take bytes; return the daemon's end once it was said."""
        self._unfinished += data
        *lines, rest = self._unfinished.split(b"\n")
        self._unfinished = rest
        for number, line in enumerate(lines):
            if self._skipping and number == 0:
                self._skipping = False
            elif line and (end := self._told(bytes(line))) is not None:
                return end
        if len(rest) > MAX_LINE_BYTES:
            _log.error("guard_list_refused", detail=f"device list: a line of more than {MAX_LINE_BYTES} bytes")
            self._unfinished.clear()
            self._skipping = True
        return None

    def _told(self, line: bytes) -> End | None:
        try:
            message = decode(line)
        except BosError as error:
            _log.error("guard_list_refused", detail=error.message, kept=[spec.name for spec in self.specs])
            return None
        if isinstance(message, End):
            return message
        self.specs = message.specs
        for spec in message.specs:
            try:
                make_device(spec, DriverContext(self._clock, Lines()))  # loads what it needs, opens nothing
            except BosError as error:
                _log.error("guard_device_refused", battery=spec.name, detail=error.message)
        return None


def await_end(daemon: int, within_s: float) -> bool:
    """Wait for the end of the process that a pidfd means, its descriptors closed by then; return whether it came."""
    poll = select.poll()
    poll.register(daemon, select.POLLIN)
    return bool(poll.poll(within_s * 1000.0))


def end_daemon(daemon: int) -> None:
    """Kill the process that a pidfd means and wait for its end; one that has ended is done."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(daemon, signal.SIGKILL)
    await_end(daemon, KILL_S)


def stand_guard(state_dir: Path, daemon: int, clock: Clock, *, pipe: int = 0, echo: int = 1) -> int:
    """Guard the process behind the pidfd `daemon`; return 0 when nothing is left to do, 1 when a device was not made safe.

    Raises ConfigError for a descriptor that is no pidfd.
    """
    try:
        signal.pidfd_send_signal(daemon, 0)
    except ProcessLookupError:
        pass  # dead already: the end of the pipe says so, too
    except OSError as error:
        raise ConfigError(f"--daemon {daemon}: no pidfd ({error.strerror}); `bosd run` starts its guard itself") from error
    for number in DAEMONS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # they are meant for the daemon, whose end is what the guard waits for
    signal.pthread_sigmask(signal.SIG_UNBLOCK, DAEMONS_SIGNALS)
    os.set_blocking(echo, False)
    listener = Listener(pipe, echo, clock)
    why = listener.listen()
    signal.alarm(LIFE_S)
    if why is Why.ORDERLY:
        return 0
    if why is not Why.LEFT or not await_end(daemon, LEAVE_S):
        end_daemon(daemon)
    if not listener.specs:
        _log.error("guard_without_devices", why=why.value, detail="the daemon had not told which devices to make safe")
        return 1
    return asyncio.run(_act(state_dir, why, listener.specs, clock))


async def _act(state_dir: Path, why: Why, specs: Sequence[PhysicalSpec], clock: Clock) -> int:
    outcomes = await make_all_safe(specs, clock)
    report = Report(by="guard", why=why.value, at_utc_s=clock.utc_s(), outcomes=outcomes, specs=specs)
    unwritten = write_report(state_dir, report) or forget_told(state_dir, report)
    for outcome in report.outcomes:
        event = "guard_made_safe" if outcome.confirmed else "guard_not_made_safe"
        say = _log.warning if outcome.confirmed else _log.error
        say(event, battery=outcome.name, port=outcome.port, action=outcome.action, result=outcome.result, took_s=outcome.took_s)
    if unwritten:
        _log.error("guard_report_unwritten", detail=unwritten)
    _log.warning("guard_done", why=why.value, devices=len(specs), confirmed=report.confirmed)
    return 0 if report.confirmed else 1
