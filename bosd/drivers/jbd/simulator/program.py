"""The command `bosd sim jbd`: one simulated pack per process, until it is told to stop."""

import argparse
import asyncio
import contextlib
import dataclasses
import selectors
import signal
import sys
from pathlib import Path

from bosd.drivers.jbd.simulator.chemistry import CHEMISTRIES
from bosd.drivers.jbd.simulator.options import WAKE_ARTEFACTS, SimulatorOptions
from bosd.drivers.jbd.simulator.simulator import JbdSimulator
from bosd.errors import BosError


async def run_simulator(options: SimulatorOptions) -> None:
    """Serve one pack until SIGTERM or SIGINT; prints `ready link=PATH …` once it can be opened."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with JbdSimulator(options) as simulator:
            control = f" control={options.control}" if options.control else ""
            sys.stdout.write(f"ready link={simulator.link}{control} seed={options.seed}\n")
            sys.stdout.flush()
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `bosd sim jbd`."""
    default = SimulatorOptions()
    add = parser.add_argument
    add("--link", type=Path, required=True, metavar="PATH", help="where the pseudo-terminal appears")
    add(
        "--control",
        type=Path,
        metavar="PATH",
        help="unix socket that takes JSON lines (set, get, inject, clear, advance, stats, raw)",
    )
    add("--log", type=Path, metavar="FILE", help="append every request, reply and fault as JSON lines")
    add("--series", type=int, default=default.series, help="cells in series (default %(default)s)")
    add("--capacity-ah", type=float, default=default.capacity_ah, help="capacity in Ah (default %(default)s)")
    add("--soc", type=float, default=default.soc, help="state of charge at start, 0 to 1 (default %(default)s)")
    add("--chemistry", choices=tuple(CHEMISTRIES), default=default.chemistry)
    add("--baud", type=int, default=default.baud, help="line pace (default %(default)s)")
    add("--seed", type=int, default=default.seed, help="of cell spread, turnaround and faults (default %(default)s)")
    add("--load-current-a", type=float, default=0.0, metavar="A", help="current asked for, positive = discharge")
    add("--ambient-c", type=float, default=default.ambient_c, help="temperature around the pack (default %(default)s)")
    add("--ntc-count", type=int, default=default.ntc_count, help="temperature sensors, 0 to 8 (default %(default)s)")
    add("--turnaround-ms", type=float, nargs=2, default=default.turnaround_ms, metavar=("MIN", "MAX"))
    add(
        "--sleep-after-s",
        type=float,
        default=default.sleep_after_s,
        help="idle time before sleep, 0 for never (default %(default)s)",
    )
    add(
        "--wake-artefact",
        choices=WAKE_ARTEFACTS,
        default=default.wake_artefact,
        help="what the first reply after sleep looks like",
    )
    add("--capacity-spread", type=float, default=default.capacity_spread, help="relative, of the cells (default %(default)s)")
    add("--hardware-name", default=default.hardware_name, help="text of register 05 (default %(default)s)")
    add("--full-duplex", action="store_true", help="hear bytes that arrive while transmitting")
    add("--zero-checksum-refusals", action="store_true", help="refuse with checksum 0000")
    add("--answer-bad-checksum", action="store_true", help="answer a bad checksum with status 82 instead of silence")
    add("--block-parameters", action="store_true", help="offer register FA")
    add("--tail", action="store_true", help="append the 9-byte tail to basic information")
    add("--password", help="six characters; writes are refused until they were presented")


def options_from(args: argparse.Namespace) -> SimulatorOptions:
    """Return the options that `add_arguments` declared; raises InvalidArgumentError."""
    names = {field.name for field in dataclasses.fields(SimulatorOptions)}
    values = {name: value for name, value in vars(args).items() if name in names}
    values["turnaround_ms"] = tuple(args.turnaround_ms)
    values["sleep_after_s"] = args.sleep_after_s or None
    return SimulatorOptions(**values, half_duplex=not args.full_duplex)


def main(args: argparse.Namespace) -> int:
    """Run `bosd sim jbd`; returns the exit status: 0 after a signal, 2 for bad options."""
    try:
        with asyncio.Runner(loop_factory=_precise_loop) as runner, contextlib.suppress(KeyboardInterrupt):
            runner.run(run_simulator(options_from(args)))
    except BosError as error:
        sys.stderr.write(f"bosd sim jbd: {error.message}\n")
        return 2
    return 0


def _precise_loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose timers are true to microseconds: epoll would round every wait up to a whole millisecond."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
