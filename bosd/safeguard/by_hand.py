"""`bosd safe`: the guard's work by hand, and after every stop of the service (ExecStopPost)."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from bosd.bal.spec import PhysicalSpec
from bosd.clock import Clock
from bosd.config.settings import Config
from bosd.config.topology_toml import parse_stored
from bosd.errors import BosError, UnavailableError
from bosd.safeguard.device_list import devices_of
from bosd.safeguard.report import NAME, Report, forget_told, left_of, odd_of, read_report, removed_of, write_report
from bosd.safeguard.safe_action import Outcome, make_all_safe
from bosd.safeguard.turn import take_turn
from bosd.store.lock import holder
from bosd.store.look import look

TURN_S = 6.0
"""How long a guard at its work is waited for."""

_ORDERLY = {"SERVICE_RESULT": "success", "EXIT_CODE": "exited", "EXIT_STATUS": "0"}
"""What systemd sets for ExecStopPost when the daemon ended with status 0 (systemd.exec(5)); no signal is such an end."""


async def make_safe_by_hand(config: Config, clock: Clock, environment: Mapping[str, str]) -> int:
    """Make the devices of a node that is down safe and print a line for each; return 0 when all are confirmed, else 1.

    After an orderly end of the service nothing is touched, unless `guard.json` tells of a device that was not made safe. Raises
    UnavailableError while a daemon, or another of these, has the devices.
    """
    state_dir = config.node.state_dir
    if (process := holder(state_dir)) is not None:
        message = f"bosd runs here (process {process}) and has the devices: use `bosctl stop --node`, or end it first"
        raise UnavailableError(message, pid=process)
    await _wait_for_turn(state_dir)
    if _ended_in_order(state_dir, environment):
        _say("the daemon ended in order and made its devices safe: nothing to do")
        return 0
    specs = _devices(config)
    specs += _left(state_dir, {spec.commanded_place for spec in specs})
    if not specs:
        _say("no battery here has a device that could be commanded: nothing to do")
        return 0
    outcomes = await make_all_safe(specs, clock)
    for outcome in outcomes:
        _say(_line(outcome))
    report = Report(by="safe", why=_why(environment), at_utc_s=clock.utc_s(), outcomes=outcomes, specs=specs)
    if state_dir.is_dir() and (unwritten := write_report(state_dir, report) or forget_told(state_dir, report)):
        _complain(f"not recorded: {unwritten}")
    return 0 if report.confirmed else 1


async def _wait_for_turn(state_dir: Path) -> None:
    """Wait for a guard at its work; the turn is kept until this process ends. Raises UnavailableError."""
    try:
        turn = await take_turn(state_dir, TURN_S)
    except OSError:
        return  # a node that never ran, or a disk that is gone: nobody can be there either
    if turn is None:
        raise UnavailableError(f"{state_dir}: another process has made no end of its work on the devices for {TURN_S:g} s")


def _ended_in_order(state_dir: Path, environment: Mapping[str, str]) -> bool:
    if any(environment.get(key) != value for key, value in _ORDERLY.items()):
        return False
    report = read_report(state_dir)
    return report is None or report.get("confirmed") is True


def _why(environment: Mapping[str, str]) -> str:
    result = environment.get("SERVICE_RESULT")
    if result is None:
        return "asked by hand"
    return f"the service ended: {result}, {environment.get('EXIT_CODE', '?')} {environment.get('EXIT_STATUS', '?')}"


def _devices(config: Config) -> tuple[PhysicalSpec, ...]:
    """Return the devices of the stored topology, of the configuration's where there is none or it cannot be read, and say so."""
    try:
        stored = look(config.node.state_dir / "bosd.sqlite")
        if stored is not None:
            topology = parse_stored(stored.toml, f"stored topology, revision {stored.revision}")
            return devices_of(topology.batteries)
        _complain(f"{config.node.state_dir}: no stored topology; these are the batteries of {config.place}")
    except BosError as error:
        _complain(f"{error.message}; these are the batteries of {config.place}")
    return devices_of(config.topology.batteries)


def _left(state_dir: Path, places: Collection[str]) -> tuple[PhysicalSpec, ...]:
    """Return the devices of batteries that were taken out, which an earlier run could not make safe, unless one of `places`."""
    left: dict[str, PhysicalSpec] = {}
    to_look_at = "; look at these, then delete the file, which stays"
    for read, stays in ((_reported, ""), (removed_of, to_look_at), (odd_of, to_look_at)):
        try:
            left |= {spec.commanded_place: spec for spec in read(state_dir)}
        except BosError as error:
            _complain(f"{error.message}; what it tells of batteries that were taken out is not tried{stays}")
    return tuple(spec for place, spec in left.items() if place not in places)


def _reported(state_dir: Path) -> tuple[PhysicalSpec, ...]:
    return left_of(read_report(state_dir) or {}, str(state_dir / NAME))


def _line(outcome: Outcome) -> str:
    said = outcome.result if outcome.confirmed else f"NOT SAFE: {outcome.result}"
    return f"{outcome.name}: {said}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(f"bosd: {line}\n")
