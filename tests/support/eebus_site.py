"""A site under a control box, for tests from end to end: the box as a process, the section, and what the packs take in truth."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.processes import REPOSITORY, START_S, Pack, table, until

SKI = "a" * 40
STATE_KEYS = {
    "state",
    "profile",
    "limit_w",
    "limit_until",
    "heartbeat_age_s",
    "bound_ski",
    "failsafe_limit_w",
    "failsafe_duration_s",
    "connected",
    "last_transition",
    "counters",
}
"""What the issue asks `bosctl --json limits eebus` for."""
TOLERANCE = 1.02
TOLERANCE_W = 20.0
"""control.md, "Limits over a distance"."""
FAILSAFE_W = 2000.0
LIMIT_W = 4200.0
REGULATED = {"max_charge_current_a": 100.0, "max_discharge_current_a": 100.0, "refresh_period_s": 0.25, "max_staleness_s": 1.5}
"""Keys of packs of 16 cells that can take 8 kW together."""
AGGREGATE = {"voltage_v": 52.0, "voltage_tolerance_v": 8.0}
LOOK_S = 0.05


class Box:
    """The service and the box as a process of its own; lines on its standard input are what the operator does."""

    def __init__(self, port: int, log: Path) -> None:
        self._command = [sys.executable, "-m", "tests.support.eebus_mock", "--grpc-port", str(port), "--heartbeat", "0.3"]
        self._log = log
        self.start()

    def start(self) -> None:
        """Launch it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=log)

    def say(self, line: str) -> None:
        """Have the operator do something."""
        pipe: IO[bytes] | None = self._process.stdin
        assert pipe is not None
        pipe.write(line.encode() + b"\n")
        pipe.flush()

    def kill(self) -> None:
        """Be gone at once."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


@contextmanager
def packs_named(directory: Path, *names: str) -> Iterator[tuple[Pack, ...]]:
    """Run packs of 16 cells, started at the same time."""
    packs = tuple(Pack(directory, name, series=16, capacity_ah=200) for name in names)
    try:
        for pack in packs:
            pack.launch()
        for pack in packs:
            until(lambda: "ready" in pack.output(), timeout_s=START_S, because=f"{pack.name} is ready")  # noqa: B023
        yield packs
    finally:
        for pack in packs:
            pack.kill()


def section(port: int) -> str:
    """Return a section for battery `site` whose service is reached at `port`, with timers set low."""
    keys = {
        "battery": "site",
        "vendor_code": "v",
        "device_brand": "b",
        "device_model": "m",
        "serial_number": "s",
        "manage_eebus_grpc_api_binary": False,
        "eebus_ems_ski": SKI,
        "grpc_port": port,
        "failsafe_control_limit_W": FAILSAFE_W,
        "heartbeat_timeout_s": 2.0,
        "tick_s": 0.1,
        "reconnect_delay_s": 0.5,
    }
    return table("[eebus]", keys)


def charging_w(packs: Sequence[Pack]) -> float:
    """Return what the packs take in truth: no node is asked."""
    states = [pack.tell("get")["state"] for pack in packs]
    return -sum(float(state["voltage_v"]) * float(state["load_current_a"]) for state in states)


def within(limit_w: float) -> float:
    """Return what may be measured under a limit."""
    return limit_w * TOLERANCE + TOLERANCE_W


def above_until_s(packs: Sequence[Pack], limit_w: float, for_s: float) -> float:
    """Sample for a while what the packs take; return how long after now the last sample above a limit was."""
    began_s = time.monotonic()
    last_s = 0.0
    while time.monotonic() < began_s + for_s:
        if charging_w(packs) > within(limit_w):
            last_s = time.monotonic() - began_s
        time.sleep(LOOK_S)
    return last_s
