"""The command `bosd sim sonnen`: one simulated battery per process, until it is told to stop."""

import argparse
import asyncio
import contextlib
import signal
import ssl
import sys
from pathlib import Path

from bosd.bal.spec_rules import host_port
from bosd.clock import SystemClock
from bosd.drivers.sonnen.simulator.model import Options
from bosd.drivers.sonnen.simulator.server import SonnenSimulator
from bosd.drivers.sonnen.token import read_token
from bosd.errors import BosError, InvalidArgumentError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `bosd sim sonnen`."""
    default = Options()
    add = parser.add_argument
    add("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="a loopback address; port 0 picks a free one (default)")
    add("--token-file", type=Path, metavar="FILE", help="the token that is asked for (mode 600); without one anybody may ask")
    add("--control", type=Path, metavar="PATH", help="unix socket that takes JSON lines (get, set, inject, clear, stats)")
    add("--capacity-wh", type=float, default=default.capacity_wh, help="with the part nobody may use (default %(default)g)")
    add("--inverter-w", type=float, default=default.inverter_w, help="largest power either way (default %(default)g)")
    add("--soc", type=float, default=default.soc, help="the user's state of charge at start, 0 to 1 (default %(default)g)")
    add("--series", type=int, default=default.series, help="modules in series, 102.4 V each (default %(default)s)")
    add("--reserve", type=int, default=default.reserve, help="BackupBuffer in percent (default %(default)s)")
    add("--seed", type=int, default=default.seed, help="of the house's consumption and of faults (default %(default)s)")
    add("--rate", type=float, default=default.rate, help="simulated seconds a second (default %(default)g)")
    add("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM): https instead of http")
    add("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")


async def run_simulator(args: argparse.Namespace) -> None:
    """Serve one battery until SIGTERM or SIGINT; prints `ready url=URL …` once it can be asked."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    names = ("capacity_wh", "inverter_w", "soc", "series", "reserve", "seed", "rate")
    simulator = SonnenSimulator(
        Options(**{name: getattr(args, name) for name in names}),
        SystemClock(),
        address=_address(args.listen),
        token=None if args.token_file is None else read_token(args.token_file),
        control=args.control,
        tls=_tls(args),
    )
    async with simulator:
        control = f" control={args.control}" if args.control else ""
        sys.stdout.write(f"ready url={simulator.url}{control} seed={args.seed}\n")
        sys.stdout.flush()
        await stop.wait()


def main(args: argparse.Namespace) -> int:
    """Run `bosd sim sonnen`; returns the exit status: 0 after a signal, 2 for bad options."""
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run_simulator(args))
    except BosError as error:
        sys.stderr.write(f"bosd sim sonnen: {error.message}\n")
        return 2
    return 0


def _address(listen: str) -> tuple[str, int]:
    found = host_port(listen)
    if found is None or found[0] not in _LOOPBACK:
        raise InvalidArgumentError(f"--listen {listen}: write a loopback address, such as 127.0.0.1:8080", key="listen")
    return found


def _tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    if args.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(args.tls_cert, args.tls_key)
    except OSError as error:
        raise InvalidArgumentError(f"--tls-cert {args.tls_cert}: {error}", key="tls_cert") from error
    return context
