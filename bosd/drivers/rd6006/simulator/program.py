"""The command `bosd sim rd6006`: one simulated supply per process, until it is told to stop."""

import argparse
import asyncio
import contextlib
import dataclasses
import sys
from pathlib import Path

from bosd.drivers.far_end.program import precise_loop, told_to_stop
from bosd.drivers.rd6006.simulator.options import MODELS, SimulatorOptions
from bosd.drivers.rd6006.simulator.simulator import Rd6006Simulator
from bosd.errors import BosError


async def run_simulator(options: SimulatorOptions) -> None:
    """Serve one supply until SIGTERM or SIGINT; prints `ready link=PATH …` once it can be opened."""
    with told_to_stop() as stop:
        async with Rd6006Simulator(options) as simulator:
            control = f" control={options.control}" if options.control else ""
            sys.stdout.write(f"ready link={simulator.link}{control} model={options.model} seed={options.seed}\n")
            sys.stdout.flush()
            await stop.wait()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `bosd sim rd6006`."""
    default = SimulatorOptions()
    add = parser.add_argument
    add("--link", type=Path, required=True, metavar="PATH", help="where the pseudo-terminal appears")
    add(
        "--control",
        type=Path,
        metavar="PATH",
        help="unix socket that takes JSON lines (set, get, inject, clear, stats, log); set output is the front panel's button",
    )
    add("--pack-control", type=Path, metavar="PATH", help="control socket of the simulated pack that the output is wired to")
    add("--log", type=Path, metavar="FILE", help="append every request, reply and fault as JSON lines")
    add("--model", choices=tuple(MODELS), default=default.model)
    add("--address", type=int, default=default.address, help="on the line, 1 to 247 (default %(default)s)")
    add("--baud", type=int, default=default.baud, help="line pace (default %(default)s)")
    add("--seed", type=int, default=default.seed, help="of turnaround and faults (default %(default)s)")
    add("--input-voltage-v", type=float, default=default.input_voltage_v, metavar="V", help="what feeds it (default %(default)s)")
    add("--battery-voltage-v", type=float, default=default.battery_voltage_v, metavar="V", help="where no pack is wired to it")
    add("--battery-resistance-ohm", type=float, default=default.battery_resistance_ohm, metavar="OHM")
    add("--turnaround-ms", type=float, nargs=2, default=default.turnaround_ms, metavar=("MIN", "MAX"))
    add("--boot-output", action="store_true", help="the output comes back on after a loss of power")


def options_from(args: argparse.Namespace) -> SimulatorOptions:
    """Return the options that `add_arguments` declared; raises InvalidArgumentError."""
    names = {field.name for field in dataclasses.fields(SimulatorOptions)}
    values = {name: value for name, value in vars(args).items() if name in names}
    values["turnaround_ms"] = tuple(args.turnaround_ms)
    return SimulatorOptions(**values)


def main(args: argparse.Namespace) -> int:
    """Run `bosd sim rd6006`; returns the exit status: 0 after a signal, 2 for bad options."""
    try:
        with asyncio.Runner(loop_factory=precise_loop) as runner, contextlib.suppress(KeyboardInterrupt):
            runner.run(run_simulator(options_from(args)))
    except BosError as error:
        sys.stderr.write(f"bosd sim rd6006: {error.message}\n")
        return 2
    return 0
