"""The command `bosd sim jbd`: one simulated pack per process, until it is told to stop."""

import argparse
import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bosd.drivers.far_end.program import precise_loop, told_to_stop
from bosd.drivers.jbd.simulator.chemistry import CHEMISTRIES
from bosd.drivers.jbd.simulator.fault_kinds import FAULTS
from bosd.drivers.jbd.simulator.options import TAILS, WAKE_ARTEFACTS, SimulatorOptions
from bosd.drivers.jbd.simulator.simulator import JbdSimulator
from bosd.errors import BosError, InvalidArgumentError


async def run_simulator(options: SimulatorOptions, faults: Sequence[Mapping[str, object]] = ()) -> None:
    """Serve the packs, with `faults` on each board, until SIGTERM or SIGINT.

    Prints `ready link=PATH …` or `ready tcp=HOST:PORT …` once it can be opened.
    """
    with told_to_stop() as stop:
        async with JbdSimulator(options) as simulator:
            for fault in faults:
                for unit in simulator.units:
                    unit.inject(fault)
            assert simulator.line is not None  # noqa: S101 - it has been started
            control = f" control={options.control}" if options.control else ""
            sys.stdout.write(f"ready {simulator.line.where()}{control} seed={options.seed}\n")
            sys.stdout.flush()
            await stop.wait()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `bosd sim jbd`."""
    default = SimulatorOptions()
    add = parser.add_argument
    medium = parser.add_mutually_exclusive_group(required=True)
    medium.add_argument("--link", type=Path, metavar="PATH", help="where the pseudo-terminal appears")
    medium.add_argument("--tcp", metavar="HOST:PORT", help="listen there as a serial bridge would (port 0: any free one)")
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
    _add_board(parser, default)


def _add_board(parser: argparse.ArgumentParser, default: SimulatorOptions) -> None:
    """Declare how the board and its line behave."""
    add = parser.add_argument
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
    add("--tail", nargs="?", const="standard", default=default.tail, choices=TAILS, help="what follows the temperatures")
    add("--unit-flag", action="store_true", help="count in 100 mA and 100 mAh, and say so in the tail")
    add("--undated", action="store_true", help="have no production date")
    add("--nameless", action="store_true", help="refuse register 05")
    add("--short-counters", action="store_true", help="have 11 counters in register AA instead of 12")
    add("--password", help="six characters; writes are refused until they were presented")
    add("--any-password", action="store_true", help="have the password register and no password set")
    add(
        "--factory-timeout-s",
        type=float,
        default=default.factory_timeout_s,
        help="idle time that ends factory mode, 0 for never (default %(default)s)",
    )
    add("--address", type=int, help="1 to 255: hear only requests with this byte after DD")
    add("--boards", type=int, default=default.boards, help="that many on the line, addressed from 1 or --address on")
    add(
        "--fault",
        action="append",
        default=[],
        dest="faults",
        metavar="RULE",
        help='as "flip_bit probability=0.01": one of '
        + ", ".join(FAULTS)
        + "; keys probability, count, after_s, every_s, register and the fault's own",
    )


def options_from(args: argparse.Namespace) -> SimulatorOptions:
    """Return the options that `add_arguments` declared; raises InvalidArgumentError."""
    names = {field.name for field in dataclasses.fields(SimulatorOptions)}
    values = {name: value for name, value in vars(args).items() if name in names}
    values["turnaround_ms"] = tuple(args.turnaround_ms)
    values["sleep_after_s"] = args.sleep_after_s or None
    values["factory_timeout_s"] = args.factory_timeout_s or None
    return SimulatorOptions(**values, half_duplex=not args.full_duplex)


def fault_from(rule: str) -> dict[str, object]:
    """Return the fault that `NAME key=value …` asks for, its values still to be checked by the simulator."""
    name, *pairs = rule.replace(",", " ").split() or [""]
    fault: dict[str, object] = {"fault": name}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        try:
            fault[key] = float(text)
        except ValueError:
            raise InvalidArgumentError(f"fault {rule!r}: {pair!r} must be KEY=NUMBER", key="fault") from None
        if not equals:
            raise InvalidArgumentError(f"fault {rule!r}: {pair!r} must be KEY=NUMBER", key="fault")
    return fault


def main(args: argparse.Namespace) -> int:
    """Run `bosd sim jbd`; returns the exit status: 0 after a signal, 2 for bad options."""
    try:
        with asyncio.Runner(loop_factory=precise_loop) as runner, contextlib.suppress(KeyboardInterrupt):
            runner.run(run_simulator(options_from(args), [fault_from(rule) for rule in args.faults]))
    except BosError as error:
        sys.stderr.write(f"bosd sim jbd: {error.message}\n")
        return 2
    return 0
