"""The command `bosd driver capture`: a battery is read for a while, and its line recorded."""

import asyncio
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

from bosd.bal.spec import PhysicalSpec, Topology
from bosd.clock import Clock
from bosd.drivers.capture import CaptureTo
from bosd.drivers.capture_file import read_capture
from bosd.drivers.devices import make_device
from bosd.drivers.far_end.program import told_to_stop
from bosd.drivers.kind import DriverContext
from bosd.drivers.lines import CapturedLines, Lines
from bosd.drivers.replay import exchanges_of
from bosd.errors import BadNameError, BosError, ConfigError, InvalidArgumentError

LONGEST_S = 86400.0


def main(topology: Topology, name: str, out: Path, seconds: float, clock: Clock) -> int:
    """Record battery `name` to `out` for `seconds`; exit status 0 when it could be read at least once, else 1.

    Raises BadNameError, ConfigError and InvalidArgumentError for what cannot be done at all, UnavailableError where another
    program has the port.
    """
    if not 0.0 < seconds <= LONGEST_S:
        raise InvalidArgumentError(f"seconds must be above 0 and at most {LONGEST_S:g}, not {seconds:g}", key="seconds")
    spec = next((spec for spec in topology.batteries if spec.name == name), None)
    if not isinstance(spec, PhysicalSpec):
        known = ", ".join(spec.name for spec in topology.batteries if isinstance(spec, PhysicalSpec)) or "none"
        raise BadNameError(f"{name} is no battery with a device of this configuration; those are: {known}", name=name)
    is_new = not out.exists()
    _check_writable(out)
    spec = replace(spec, current_control="none", regulator=None)  # reading is all that is wanted
    try:
        reads, failures = asyncio.run(_record(spec, CaptureTo(out, clock), seconds))
    except BosError:
        if is_new:  # nothing was recorded that anybody could want
            out.unlink(missing_ok=True)
        raise
    requests = len(exchanges_of(read_capture(out)))
    sys.stdout.write(f"{out}: {reads} readings, {failures} failed, {requests} requests on record\n")
    return 0 if reads else 1


def _check_writable(out: Path) -> None:
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise InvalidArgumentError(f"{out}: {error.strerror or error}", key="out") from error
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
    if not regular:  # it is read back at the end, and a device or a FIFO has none
        raise InvalidArgumentError(f"{out}: is no regular file; name a file to record to", key="out")


async def _record(spec: PhysicalSpec, capture: CaptureTo, seconds: float) -> tuple[int, int]:
    """Read at the battery's own period and return how often that worked and failed; SIGTERM, SIGINT and SIGHUP end it sooner."""
    lines = CapturedLines(Lines(), capture)
    device = make_device(spec, DriverContext(capture.clock, lines))
    if not lines.used:
        raise ConfigError(f'{spec.name}: a battery of kind "{spec.kind}" has no line that could be recorded', battery=spec.name)
    reads = failures = 0
    loop = asyncio.get_running_loop()
    ends_s, said = loop.time() + seconds, ""
    try:
        with told_to_stop() as stop:
            while not stop.is_set() and (left_s := ends_s - loop.time()) > 0:
                try:
                    await device.read()
                    reads += 1
                except BosError as error:
                    if not reads and error.metadata.get("cause") == "EBUSY":
                        error.also(f'end that first; a node records by itself with capture = "NAME" in the table of {spec.name}')
                        raise
                    failures += 1
                    if error.message != said:
                        said = error.message
                        sys.stderr.write(f"bosd driver capture: {said}\n")
                await _wait(stop, min(spec.refresh_period_s, left_s))
    finally:
        await device.close()
    return reads, failures


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
