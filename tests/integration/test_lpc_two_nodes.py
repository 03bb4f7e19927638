"""End to end over two nodes: the limited battery of node A rests on a simulated pack of node B and on one of its own."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.test_lpc_end_to_end import FAILSAFE_W, SKI, Box, within
from tests.support.fifth import ready, stub
from tests.support.processes import Caller, Node, Pack, aggregator, free_port, table, until

pytestmark = pytest.mark.timeout(120)
LIMIT_W = 4200.0
BOUND_S = 2.0
"""control.md, "Limits over a distance": through a ready session."""
KEYS = {"max_charge_current_a": 100.0, "max_discharge_current_a": 100.0, "refresh_period_s": 0.25, "max_staleness_s": 1.5}


def eebus(port: int) -> str:
    """Return a section whose service is reached at `port`, with timers set low."""
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


def above(packs: tuple[Pack, ...], most_w: float, for_s: float, holds: Callable[[], bool] = lambda: True) -> float:
    """Sample for a while what the packs themselves take; return how long after now the last sample above `most_w` was."""
    began_s = time.monotonic()
    last_s = 0.0
    while time.monotonic() < began_s + for_s:
        if charging_w(packs) > most_w:
            last_s = time.monotonic() - began_s
        assert holds()
        time.sleep(0.05)
    return last_s


def charging_w(packs: tuple[Pack, ...]) -> float:
    """Return what the packs take in truth: no node is asked."""
    states = [pack.tell("get")["state"] for pack in packs]
    return -sum(float(state["voltage_v"]) * float(state["load_current_a"]) for state in states)


def test_the_limited_battery_is_on_another_node(tmp_path: Path) -> None:
    """8 kW over both nodes; 4.2 kW within 2 s; the failsafe value when the service is killed; 8 kW again without a person."""
    port = free_port()
    with Pack(tmp_path, "pa", series=16, capacity_ah=200) as near, Pack(tmp_path, "pb", series=16, capacity_ah=200) as far:
        packs = (near, far)
        box = Box(port, tmp_path / "box.log")
        try:
            with Node(tmp_path, far.regulated("b", **KEYS), name="b") as other:
                text = near.regulated("own", **KEYS) + stub("remote", other)
                text += aggregator("site", "own", "remote", voltage_v=52.0, voltage_tolerance_v=8.0) + eebus(port)
                with Node(tmp_path, text, name="a") as node:
                    _follows(node, other, packs, box)
        finally:
            box.kill()


def _follows(node: Node, other: Node, packs: tuple[Pack, ...], box: Box) -> None:
    ready(node, "site")
    until(lambda: node.events("eebus_connected"), because="the service is joined", timeout_s=30.0)
    box.say("unlimited")
    until(lambda: node.events("eebus_published", state="UnlimitedControlled"), because="nothing is limited")
    node.ask("set", "site", "-8000W", "--ttl", "600s")
    until(lambda: charging_w(packs) > 7500.0, because="8 kW flow", timeout_s=30.0)
    box.say(f"limit {LIMIT_W:g}")
    until(lambda: node.events("eebus_published", state="Limited"), because="the limit is there")
    assert above(packs, within(LIMIT_W), 3.0) <= BOUND_S
    assert charging_w(packs) > 0.8 * LIMIT_W
    (granted,) = [each for each in other.ask("limits") if each["source"] == "node:a" and each["direction"] == "charge"]
    assert 0.0 < granted["limit_w"] < LIMIT_W
    box.kill()
    until(lambda: node.events("eebus_published", state="Failsafe"), because="the heartbeats are missed", timeout_s=10.0)
    assert above(packs, within(FAILSAFE_W), 3.0) <= BOUND_S
    box.start()
    until(lambda: len(node.events("eebus_connected")) == 2, because="the service is joined again", timeout_s=30.0)
    box.say("unlimited")
    until(lambda: len(node.events("eebus_published", state="UnlimitedControlled")) == 2, because="recovered", timeout_s=20.0)
    until(lambda: charging_w(packs) > 7500.0, because="8 kW flow again", timeout_s=30.0)
    with Caller(node.target) as caller:
        assert caller.status("site").requested_current_a < 0.0
