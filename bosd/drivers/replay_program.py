"""The command `bosd sim replay`: a capture as a device on a line, until it is told to stop."""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

from bosd.drivers.capture_file import Capture, read_capture
from bosd.drivers.far_end.line import far_line
from bosd.drivers.far_end.program import precise_loop, told_to_stop
from bosd.drivers.replay import TIMINGS, ReplayDevice, exchanges_of
from bosd.errors import BosError

DESCRIPTION = """\
Plays a capture back as a device: each request is answered with what was answered on record, in its order, from the start
again after the last. A request that is not on record meets silence and is named. The device goes away when the record says
so. At the end it says what was asked.

  bosd sim replay capture.jsonl --link /tmp/battery
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `bosd sim replay`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the capture (JSON lines)")
    medium = parser.add_mutually_exclusive_group(required=True)
    medium.add_argument("--link", type=Path, metavar="PATH", help="where the pseudo-terminal appears")
    medium.add_argument("--tcp", metavar="HOST:PORT", help="listen there as a serial bridge would (port 0: any free one)")
    parser.add_argument(
        "--timing", choices=TIMINGS, default=TIMINGS[0], help="answers as they came, or at the line's pace (default %(default)s)"
    )
    parser.add_argument("--once", action="store_true", help="be silent after the last answer of a kind")


async def replay(capture: Capture, args: argparse.Namespace) -> None:
    """Serve `capture` until SIGTERM or SIGINT; prints `ready link=PATH …` once it can be opened, and a summary at the end."""
    device = ReplayDevice(capture, timing=args.timing, once=args.once, say=_say)
    line = far_line(args.link, args.tcp, device)
    device.unplug = line.unplug
    with told_to_stop() as stop:
        line.open()
        try:
            exchanges = exchanges_of(capture)
            torn = f" torn_lines={capture.torn}" if capture.torn else ""
            _say(f"ready {line.where()} exchanges={len(exchanges)} baud={capture.parts[0].header.baud}{torn}")
            await stop.wait()
        finally:
            device.close()
            line.close()
    counts = device.counts
    _say(f"answered={counts.answered} silent={counts.silent} over={counts.over} unknown={counts.unknown}")


def main(args: argparse.Namespace) -> int:
    """Run `bosd sim replay`; returns the exit status: 0 after a signal, 2 for a bad file or options."""
    try:
        capture = read_capture(args.file)
        with asyncio.Runner(loop_factory=precise_loop) as runner, contextlib.suppress(KeyboardInterrupt):
            runner.run(replay(capture, args))
    except BosError as error:
        sys.stderr.write(f"bosd sim replay: {error.message}\n")
        return 2
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
