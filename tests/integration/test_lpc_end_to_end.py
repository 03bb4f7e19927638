"""End to end: a control box, the daemon, the limit book, two simulated packs that charge at 8 kW through an aggregator."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.processes import REPOSITORY, Node, Pack, aggregator, free_port, pseudo, table, until

SKI = "a" * 40
TOLERANCE = 1.02
TOLERANCE_W = 20.0
"""control.md, "Limits over a distance"."""
FAILSAFE_W = 2000.0


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
def site(tmp_path: Path) -> Iterator[tuple[Node, tuple[Pack, ...], Box]]:
    """Run two packs of 16 cells under `site`, one beside them, a box, and the daemon."""
    port = free_port()
    box = Box(port, tmp_path / "box.log")
    keys = {"max_charge_current_a": 100.0, "max_discharge_current_a": 100.0, "refresh_period_s": 0.25, "max_staleness_s": 1.5}
    with (
        Pack(tmp_path, "p1", series=16, capacity_ah=200) as p1,
        Pack(tmp_path, "p2", series=16, capacity_ah=200) as p2,
        Pack(tmp_path, "p3", series=16, capacity_ah=200) as p3,
    ):
        packs = (p1, p2, p3)
        text = "".join(pack.regulated(f"b{number}", **keys) for number, pack in enumerate(packs, 1))
        text += aggregator("site", "b1", "b2", voltage_v=52.0, voltage_tolerance_v=8.0)
        section = {
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
        try:
            with Node(tmp_path, text + table("[eebus]", section)) as node:
                yield node, packs, box
        finally:
            box.kill()


def charging_w(node: Node) -> float:
    """Return what both packs take, as they measure it."""
    found = node.statuses("b1", "b2")
    return -sum(float(status["power_w"]) for status in found.values())


def within(limit_w: float) -> float:
    """Return what may be measured under a limit."""
    return limit_w * TOLERANCE + TOLERANCE_W


def test_a_limit_holds_and_its_loss_too(tmp_path: Path) -> None:
    """8 kW, then 4.2 kW, the failsafe value when the service is killed, and 8 kW again without a person."""
    with site(tmp_path) as (node, packs, box):
        until(lambda: node.events("eebus_connected"), because="the service is joined", timeout_s=30.0)
        box.say("unlimited")
        until(lambda: node.events("eebus_published", state="UnlimitedControlled"), because="nothing is limited")
        node.ask("set", "site", "-8000W", "--ttl", "600s")
        node.ask("set", "b3", "-40", "--ttl", "600s")
        until(lambda: charging_w(node) > 7500.0, because="8 kW flow", timeout_s=30.0)
        box.say("limit 4200")
        until(lambda: node.events("eebus_published", state="Limited"), because="the limit is there")
        until(lambda: charging_w(node) <= within(4200.0), because="the limit is kept", timeout_s=5.0)
        assert charging_w(node) > 3500.0
        listed = [each for each in node.ask("limits") if each["source"] == "eebus" and each["battery"] == "site"]
        assert [(each["direction"], each["limit_w"], each["until"]) for each in listed] == [("charge", 4200.0, None)]
        box.kill()
        until(lambda: node.events("eebus_published", state="Failsafe"), because="the heartbeats are missed", timeout_s=10.0)
        until(lambda: charging_w(node) <= within(FAILSAFE_W), because="the failsafe value is kept", timeout_s=5.0)
        assert packs[2].load_a == -40.0
        box.start()
        until(lambda: len(node.events("eebus_connected")) == 2, because="the service is joined again", timeout_s=30.0)
        box.say("unlimited")
        until(lambda: len(node.events("eebus_published", state="UnlimitedControlled")) == 2, because="recovered", timeout_s=20.0)
        until(lambda: charging_w(node) > 7500.0, because="8 kW flow again", timeout_s=30.0)


def test_a_section_that_is_gone_limits_nothing_any_more(tmp_path: Path) -> None:
    """What the book kept for it ends with it; under a faulty one it goes on."""
    keys = {
        "battery": "p",
        "vendor_code": "v",
        "device_brand": "b",
        "device_model": "m",
        "serial_number": "s",
        "manage_eebus_grpc_api_binary": False,
        "grpc_port": free_port(),
    }
    with Node(tmp_path, pseudo("p") + table("[eebus]", keys)) as node:

        def limits() -> list[tuple[str, float]]:
            return [(each["battery"], each["limit_w"]) for each in node.ask("limits")]

        assert limits() == [("p", 4200.0)]
        written = node.config.read_text()
        for section, expected in ((table("[eebus]", {**keys, "grpc_port": 0}), [("p", 4200.0)]), ("", [])):
            assert node.terminate() == 0
            node.config.write_text(written.partition("[eebus]")[0] + section)
            node.start()
            until(lambda: limits() == expected, because="the limit is what the section asks for")  # noqa: B023
