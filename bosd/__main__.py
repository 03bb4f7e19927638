"""The `bosd` program: run a node, check a configuration, show a demo, simulate devices."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bosd import __version__
from bosd.errors import BosError

_DETECT = """\
Asks on every serial port of this machine, or on those named, which device answers: 9600 baud first, then 19200, 38400, 57600 and
115200. It only reads. Ports that another program has open are left alone and named.
Exit status 0 when something was found, 1 when nothing was.

  bosd detect
  bosd detect --ble --write bosd.toml && bosd check --config bosd.toml
"""
_SAFE = """\
Applies the safe action of every battery whose device this node may command, and reads it back:
  a regulator goes to 0 A; a gate's switches stay as they are (safe = "release") or open (safe = "open").
The stored topology counts; without one, that of FILE. A line a battery; guard.json in the state directory has it too.
Exit status 0 when all are confirmed, 1 otherwise. Refused while a daemon runs there: `bosctl stop --node` is for that.
As ExecStopPost of the service it touches nothing after an orderly end.

  bosd safe --config /etc/bosd/bosd.toml
"""
_GUARD = """\
Waits for the end of a daemon, or for 1 s without a sign of it (then it kills it), and makes its devices safe.
`bosd run` starts one for itself: it needs the daemon's pipe on standard input, which brings the devices and the ticks.
What it did is in guard.json in the state directory, in the log, and in the audit once a daemon runs again:

  cat /var/lib/bosd/guard.json
  bosctl audit

By hand, `bosd safe` does the same work.
"""
_CONFIG = """\
Reads the settings of a battery's own board and changes none. A running node has the port: stop it first.

  bosd driver config b1 show --config bosd.toml
  bosd driver config b1 backup b1.json --config bosd.toml
  bosd driver config b1 compare b1.json --config bosd.toml

A backup holds each raw word, what it means, who the board is and when it was read; one that exists is not overwritten.
Exit status of compare: 0 the same, 1 different (what the board counts by itself is shown, and makes no difference).
"""
_CAPTURE = """\
Reads a battery at its refresh period and records every byte with its time, as JSON lines for `bosd sim replay`. It
commands nothing. While a node runs, it has the port: give the battery a `capture = "NAME"` there, and the record is in
the directory captures below its state_dir. A record is readable by its owner alone.

  bosd driver capture b1 --config bosd.toml --out b1.jsonl --seconds 30
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; exit status 0 done, 1 refused, 2 usage."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        status: int = args.do(args)
    except BosError as error:
        sys.stderr.write(f"bosd: {error.message}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bosd", description="The operating system for batteries.")
    parser.add_argument("--version", action="version", version=f"bosd {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a node in the foreground")
    run.add_argument("--config", required=True, metavar="FILE", help="configuration (TOML)")
    run.add_argument(
        "--clock", default="system", choices=["system", "simulated"], help="simulated: no devices, time moves by `bosctl tick`"
    )
    run.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    run.add_argument(
        "--log-format", default="auto", choices=["auto", "console", "json"], help="console for people, JSON otherwise"
    )
    run.add_argument(
        "--no-guard",
        action="store_true",
        help="no guard beside it, which kills a daemon that stands still: for debuggers and demos",
    )
    run.set_defaults(do=_run)
    check = commands.add_parser("check", help="check a configuration and name everything wrong with it")
    check.add_argument("--config", required=True, metavar="FILE", help="configuration (TOML)")
    check.set_defaults(do=_check)
    for name, text in (("backup", "write everything in the state directory to a file"), ("restore", "put a backup back")):
        keep = commands.add_parser(name, help=text)
        keep.add_argument("file", metavar="FILE", help="the archive (.tar.gz)")
        keep.add_argument("--config", default=None, metavar="FILE", help="configuration that names the state directory")
        keep.set_defaults(do=_backup if name == "backup" else _restore)
    _add_safeguard(commands)
    _add_driver(commands)
    _add_detect(commands)
    demo = commands.add_parser("demo", help="two nodes with simulated packs, and a live table")
    demo.add_argument("--seconds", type=float, default=None, help="end by itself after this time")
    demo.add_argument("--json", action="store_true", help="print one JSON document at the end instead of the table")
    demo.set_defaults(do=_demo)
    _add_sim(commands)
    return parser


def _add_sim(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the simulated devices."""
    sim = commands.add_parser("sim", help="simulate a device")
    devices = sim.add_subparsers(dest="device", required=True, metavar="DEVICE")
    if sys.argv[1:2] == ["sim"]:
        from bosd.drivers import replay_program  # noqa: PLC0415 (the daemon does not load simulators)
        from bosd.drivers.jbd.simulator import program  # noqa: PLC0415
        from bosd.drivers.rd6006.simulator import program as supply  # noqa: PLC0415

        jbd = devices.add_parser("jbd", help="JBD packs on a pseudo-terminal or behind a TCP port")
        program.add_arguments(jbd)
        jbd.set_defaults(do=program.main)
        replay = devices.add_parser(
            "replay",
            help="a capture played back",
            description=replay_program.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        replay_program.add_arguments(replay)
        replay.set_defaults(do=replay_program.main)
        rd6006 = devices.add_parser("rd6006", help="a Riden bench supply on a pseudo-terminal")
        supply.add_arguments(rd6006)
        rd6006.set_defaults(do=supply.main)
    if sys.argv[1:3] == ["sim", "sonnen"]:
        from bosd.drivers.sonnen.simulator import program as sonnen_program  # noqa: PLC0415 (its HTTP server is its own)

        sonnen = devices.add_parser("sonnen", help="a Sonnen home battery behind HTTP")
        sonnen_program.add_arguments(sonnen)
        sonnen.set_defaults(do=sonnen_program.main)
    else:
        devices.add_parser("sonnen", help="a Sonnen home battery behind HTTP")


def _add_detect(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the search for devices."""
    detect = commands.add_parser(
        "detect",
        help="find devices on serial ports, bridges and Bluetooth, and write a configuration",
        description=_DETECT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    detect.add_argument(
        "--ports",
        nargs="+",
        action="extend",
        metavar="PORT",
        help="ask there alone: a device path, usb:SERIAL, tcp://host:port, ble://ADDRESS",
    )
    detect.add_argument("--ble", action="store_true", help="listen for Bluetooth modules, too, and ask those of JBD boards")
    detect.add_argument("--seconds", type=float, default=8.0, metavar="S", help="how long to listen (default %(default)g)")
    detect.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    detect.add_argument(
        "--write", default=None, metavar="FILE", help="write a configuration with what was found; replaces nothing"
    )
    detect.set_defaults(do=_detect)


def _add_safeguard(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the guard and its work by hand."""
    as_written = argparse.RawDescriptionHelpFormatter
    safe = commands.add_parser(
        "safe", help="make the devices of a node that is down safe", description=_SAFE, formatter_class=as_written
    )
    safe.add_argument("--config", required=True, metavar="FILE", help="configuration (TOML) that names the state directory")
    safe.set_defaults(do=_safe)
    guard = commands.add_parser(
        "guard", help="stand beside a daemon (`bosd run` starts it)", description=_GUARD, formatter_class=as_written
    )
    guard.add_argument("--state-dir", required=True, metavar="DIR", help="where guard.json is written")
    guard.add_argument("--daemon", required=True, type=int, metavar="FD", help="open descriptor (pidfd) of the daemon's process")
    guard.set_defaults(do=_guard)


def _add_driver(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add what is done with a device while its node is down."""
    driver = commands.add_parser("driver", help="try a battery's device while no node has it")
    actions = driver.add_subparsers(dest="action", required=True, metavar="ACTION")
    capture = actions.add_parser(
        "capture",
        help="record the traffic of a battery",
        description=_CAPTURE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    capture.add_argument("battery", metavar="NAME", help="a battery of the configuration")
    capture.add_argument("--config", required=True, metavar="FILE", help="configuration (TOML)")
    capture.add_argument("--out", required=True, metavar="FILE", help="where the record goes, behind what is there")
    capture.add_argument("--seconds", type=float, default=60.0, help="how long (default %(default)g)")
    capture.set_defaults(do=_capture)
    config = actions.add_parser(
        "config",
        help="show, back up or compare the settings of a battery's board",
        description=_CONFIG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    config.add_argument("battery", metavar="NAME", help="a battery of the configuration")
    config.add_argument("verb", choices=["show", "backup", "compare"])
    config.add_argument("file", nargs="?", metavar="FILE", help="the backup")
    config.add_argument("--config", required=True, metavar="FILE", help="configuration (TOML)")
    config.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    config.set_defaults(do=_driver_config)
    if "driver" in sys.argv[1:2]:
        from bosd.drivers.kit import program  # noqa: PLC0415 (the daemon does not load the kit)

        test = actions.add_parser(
            "test",
            help="try a driver on a simulated device and print its report card",
            description=program.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        program.add_arguments(test)
        test.set_defaults(do=program.main)


def _capture(args: argparse.Namespace) -> int:
    from bosd import log  # noqa: PLC0415
    from bosd.clock import SystemClock  # noqa: PLC0415
    from bosd.config import load_config  # noqa: PLC0415
    from bosd.drivers import capture_program  # noqa: PLC0415
    from bosd.policy.registry import POLICY_NAMES  # noqa: PLC0415

    log.configure(level="warning")
    topology = load_config(args.config, POLICY_NAMES).topology
    return capture_program.main(topology, args.battery, Path(args.out), args.seconds, SystemClock())


def _driver_config(args: argparse.Namespace) -> int:
    from bosd import log  # noqa: PLC0415
    from bosd.clock import SystemClock  # noqa: PLC0415
    from bosd.config import load_config  # noqa: PLC0415
    from bosd.drivers import configuration_program  # noqa: PLC0415
    from bosd.policy.registry import POLICY_NAMES  # noqa: PLC0415

    log.configure(level="error")
    topology = load_config(args.config, POLICY_NAMES).topology
    file = Path(args.file) if args.file is not None else None
    return configuration_program.main(topology, args.battery, args.verb, file, SystemClock(), as_json=args.json)


def _run(args: argparse.Namespace) -> int:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its C core writes to stderr past every logger; read when it is loaded
    from bosd import daemon, log  # noqa: PLC0415 (each command loads what it needs)
    from bosd.config import load_config  # noqa: PLC0415
    from bosd.policy.registry import POLICY_NAMES  # noqa: PLC0415

    config = load_config(args.config, POLICY_NAMES, stored=True)
    log.configure(json={"auto": None, "console": False, "json": True}[args.log_format], level=args.log_level)
    return daemon.run(config, simulated=args.clock == "simulated", guarded=not args.no_guard)


def _check(args: argparse.Namespace) -> int:
    from bosd.config import hook_warnings, load_config, warnings  # noqa: PLC0415
    from bosd.config.eebus import eebus_warnings  # noqa: PLC0415
    from bosd.errors import ConfigError  # noqa: PLC0415
    from bosd.policy.registry import POLICY_NAMES  # noqa: PLC0415

    config = load_config(args.config, POLICY_NAMES)
    topology = config.topology
    limited = () if config.eebus is None else (config.eebus.keys.battery,)
    told = (*warnings(topology, config.security, limited), *eebus_warnings(config.eebus, topology))
    told += hook_warnings(config.hooks.command)
    if config.security is not None:
        from bosd.pki.material import Places, doubts  # noqa: PLC0415 (cryptography is not loaded for a file without)

        files = config.security
        places = Places(ca=files.ca, certificate=files.certificate, key=files.key, revoked=files.revoked)
        told += doubts(places, config.node.name)
    for warning in told:
        sys.stderr.write(f"bosd: warning: {args.config}: {warning}\n")
    if config.eebus_fault:
        raise ConfigError(config.eebus_fault)
    partitions = sum(len(splitter.partitions) for splitter in topology.splitters)
    batteries = len(topology.batteries)
    counted = f"{batteries} batter{'y' if batteries == 1 else 'ies'}, {partitions} partition{'' if partitions == 1 else 's'}"
    sys.stdout.write(f"{args.config}: good; {counted}\n")
    return 0


def _detect(args: argparse.Namespace) -> int:
    from bosd import log  # noqa: PLC0415
    from bosd.detect.program import Request, run  # noqa: PLC0415

    log.configure(level="error")
    write = None if args.write is None else Path(args.write)
    return run(Request(ports=args.ports, bluetooth=args.ble, seconds=args.seconds, as_json=args.json, write=write))


def _safe(args: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from bosd import log  # noqa: PLC0415
    from bosd.clock import SystemClock  # noqa: PLC0415
    from bosd.config import load_config  # noqa: PLC0415
    from bosd.policy.registry import POLICY_NAMES  # noqa: PLC0415
    from bosd.safeguard.by_hand import make_safe_by_hand  # noqa: PLC0415

    log.configure(level="error")
    config = load_config(args.config, POLICY_NAMES, stored=True)
    return asyncio.run(make_safe_by_hand(config, SystemClock(), os.environ))


def _guard(args: argparse.Namespace) -> int:
    sys.modules["rich"] = None  # type: ignore[assignment]  # structlog's tracebacks would load it, a seventh of this process
    from bosd import log  # noqa: PLC0415
    from bosd.clock import SystemClock  # noqa: PLC0415
    from bosd.safeguard.guard import stand_guard  # noqa: PLC0415

    log.configure()
    return stand_guard(Path(args.state_dir), args.daemon, SystemClock())


def _state_dir(args: argparse.Namespace) -> Path:
    """Return the state directory of a configuration, else the one a node without one uses."""
    from bosd.config import NodeConfig, load_config  # noqa: PLC0415
    from bosd.policy.registry import POLICY_NAMES  # noqa: PLC0415

    return NodeConfig().state_dir if args.config is None else load_config(args.config, POLICY_NAMES, stored=True).node.state_dir


def _backup(args: argparse.Namespace) -> int:
    from bosd.clock import SystemClock  # noqa: PLC0415
    from bosd.store.backup import back_up  # noqa: PLC0415

    manifest = back_up(_state_dir(args), Path(args.file), version=__version__, now_utc_s=SystemClock().utc_s())
    size = sum(size for size, _ in manifest.files.values())
    sys.stdout.write(f"{args.file}: {len(manifest.files)} files, {size} bytes\n")
    return 0


def _restore(args: argparse.Namespace) -> int:
    from bosd.store.backup import BEFORE, restore  # noqa: PLC0415

    state_dir = _state_dir(args)
    manifest = restore(state_dir, Path(args.file))
    kept = f"; what was there is kept as {BEFORE}" if (state_dir / BEFORE).exists() else ""
    sys.stdout.write(f"{state_dir}: {len(manifest.files)} files restored, written by bosd {manifest.version}{kept}\n")
    return 0


def _demo(args: argparse.Namespace) -> int:
    from bosd.demo import run_demo  # noqa: PLC0415

    return run_demo(seconds=args.seconds, json=args.json)


if __name__ == "__main__":
    sys.exit(main())
