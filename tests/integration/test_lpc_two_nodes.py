"""End to end over two nodes: the limited battery of node A rests on a simulated pack of node B and on one of its own."""

from pathlib import Path

import pytest

from tests.support.eebus_site import (
    AGGREGATE,
    FAILSAFE_W,
    LIMIT_W,
    REGULATED,
    Box,
    above_until_s,
    charging_w,
    packs_named,
    section,
    within,
)
from tests.support.fifth import stub
from tests.support.processes import Caller, Node, Pack, aggregator, free_port, until

pytestmark = pytest.mark.timeout(120)
BOUND_S = 2.0
"""control.md, "Limits over a distance": through a ready session."""


def test_the_limited_battery_is_on_another_node(tmp_path: Path) -> None:
    """8 kW over both nodes; 4.2 kW within 2 s; the failsafe value when the service is killed; 8 kW again without a person."""
    port = free_port()
    with packs_named(tmp_path, "pa", "pb") as packs:
        near, far = packs
        box = Box(port, tmp_path / "box.log")
        try:
            with Node(tmp_path, far.regulated("b", **REGULATED), name="b") as other:
                text = near.regulated("own", **REGULATED) + stub("remote", other)
                text += aggregator("site", "own", "remote", **AGGREGATE) + section(port)
                with Node(tmp_path, text, name="a") as node:
                    _follows(node, other, packs, box)
        finally:
            box.kill()


def _follows(node: Node, other: Node, packs: tuple[Pack, ...], box: Box) -> None:
    with Caller(node.target) as caller:
        until(lambda: caller.status("site").commandable, because="all of it may be commanded", timeout_s=30.0)
    until(lambda: node.events("eebus_connected"), because="the service is joined", timeout_s=30.0)
    box.say("unlimited")
    until(lambda: node.events("eebus_published", state="UnlimitedControlled"), because="nothing is limited")
    node.ask("set", "site", "-8000W", "--ttl", "600s")
    until(lambda: charging_w(packs) > 7500.0, because="8 kW flow", timeout_s=30.0)
    box.say(f"limit {LIMIT_W:g}")
    until(lambda: node.events("eebus_published", state="Limited"), because="the limit is there")
    assert above_until_s(packs, LIMIT_W, 2.5) <= BOUND_S
    assert charging_w(packs) > 0.8 * LIMIT_W
    (granted,) = [each for each in other.ask("limits") if each["source"] == "node:a" and each["direction"] == "charge"]
    assert 0.0 < granted["limit_w"] < LIMIT_W
    box.kill()
    until(lambda: node.events("eebus_published", state="Failsafe"), because="the heartbeats are missed", timeout_s=10.0)
    until(lambda: charging_w(packs) <= within(FAILSAFE_W), because="the failsafe value is kept", timeout_s=5.0)
    box.start()
    until(lambda: len(node.events("eebus_connected")) == 2, because="the service is joined again", timeout_s=30.0)
    box.say("unlimited")
    until(lambda: len(node.events("eebus_published", state="UnlimitedControlled")) == 2, because="recovered", timeout_s=20.0)
    until(lambda: charging_w(packs) > 7500.0, because="8 kW flow again", timeout_s=30.0)
