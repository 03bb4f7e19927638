"""`bosd detect` as a program."""

import asyncio
import json
import math
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bosd.detect import show, writing
from bosd.detect.hunt import Hunt, Outcome, Target
from bosd.drivers.ble_modules import Advert
from bosd.drivers.probe import load_probes
from bosd.drivers.transport import ByteTransport, open_transport
from bosd.drivers.usb_ports import SerialPort, list_serial_ports, stable_address
from bosd.errors import UnavailableError

_LONGEST_SCAN_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for: named ports (None: all serial ones), whether to scan for how many seconds, and what to do then."""

    ports: Sequence[str] | None = None
    bluetooth: bool = False
    seconds: float = 8.0
    as_json: bool = False
    write: Path | None = None


async def _scan(seconds: float, heard: Callable[[Advert], None]) -> None:
    from bosd.drivers.ble import scan  # noqa: PLC0415 (only who asks for it needs Bluetooth)

    await scan(seconds, heard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How the outside world is reached."""

    list_ports: Callable[[], Sequence[SerialPort]] = list_serial_ports
    open_transport: Callable[[str, int], ByteTransport] = open_transport
    scan: Callable[[float, Callable[[Advert], None]], Awaitable[None]] = _scan


def run(request: Request, means: Means | None = None) -> int:
    """Find devices and show them; return the exit status: 0 found, 1 none, 2 usage, 130 interrupted."""
    if not (math.isfinite(request.seconds) and 0.0 < request.seconds <= _LONGEST_SCAN_S):
        sys.stderr.write(f"bosd detect: --seconds must be above 0 and at most {_LONGEST_SCAN_S:g}, not {request.seconds:g}\n")
        return 2
    if request.write is not None:
        writing.check_free(request.write)
    console = Console(stderr=True)
    progress = show.Bars(console) if console.is_terminal else show.Lines(console)
    means = means or Means()
    hunt = Hunt(load_probes(), progress, means.open_transport)
    try:
        with progress.shown():
            asyncio.run(_hunt(request, hunt, progress, means))
    except KeyboardInterrupt:
        _answer(request, hunt.outcomes)
        sys.stderr.write("bosd detect: interrupted; nothing was written\n")
        return 130
    _answer(request, hunt.outcomes)
    if not any(outcome.state == "found" for outcome in hunt.outcomes):
        return 1
    if request.write is not None:
        writing.write(hunt.outcomes, request.write)
        sys.stderr.write(f"{request.write}: written; look it over, then `bosd run --config {request.write}`\n")
    return 0


async def _hunt(request: Request, hunt: Hunt, progress: show.Bars | show.Lines, means: Means) -> None:
    targets = await asyncio.to_thread(_targets, request.ports, means.list_ports)
    if not targets and request.ports is None:
        progress.note(show.NOTHING_HERE)
    async with asyncio.TaskGroup() as group:
        group.create_task(hunt.ask_all(targets), name="detect on ports")
        if request.bluetooth:
            group.create_task(_listen(request.seconds, hunt, progress, means), name="detect by radio")


def _targets(ports: Sequence[str] | None, list_ports: Callable[[], Sequence[SerialPort]]) -> list[Target]:
    """Return the ports to ask on, each once, with the address that stays."""
    there = list_ports()
    labels = {port.device: port.product for port in there}
    named = [port.device for port in there] if ports is None else list(dict.fromkeys(ports))
    return [
        Target(
            port=port,
            address=stable_address(port, there) if "://" not in port and not port.startswith("usb:") else port,
            label=labels.get(port, ""),
        )
        for port in named
    ]


async def _listen(seconds: float, hunt: Hunt, progress: show.Bars | show.Lines, means: Means) -> None:
    """Listen, say who is there, and ask those who announce a board's service; strangers are not connected to."""
    heard: dict[str, Advert] = {}

    def hear(advert: Advert) -> None:
        heard[advert.address] = advert

    progress.note(f"listening for Bluetooth modules for {seconds:g} s")
    try:
        await means.scan(seconds, hear)
    except UnavailableError as error:
        progress.note(error.message)
        return
    boards = [advert for advert in heard.values() if advert.speaks_jbd]
    progress.note(f"{len(heard)} Bluetooth devices heard, {len(boards)} of them announce the service of JBD boards")
    await hunt.ask_all(
        [Target(port=port, address=port, label=advert.name) for advert in boards for port in [f"ble://{advert.address}"]]
    )


def _answer(request: Request, outcomes: Sequence[Outcome]) -> None:
    ordered = sorted(outcomes, key=lambda outcome: outcome.state != "found")
    if request.as_json:
        sys.stdout.write(json.dumps({"ports": show.document(ordered)}, ensure_ascii=False) + "\n")
    else:
        show.draw(Console(), ordered)
