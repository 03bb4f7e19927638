"""End to end: a control box, the daemon, the limit book, two simulated packs that charge at 8 kW through an aggregator."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from bosd.v1 import limits_pb2 as pb
from bosd.v1.limits_pb2_grpc import LimitServiceStub
from tests.support.eebus_site import (
    AGGREGATE,
    FAILSAFE_W,
    LIMIT_W,
    REGULATED,
    SKI,
    STATE_KEYS,
    Box,
    above_until_s,
    charging_w,
    packs_named,
    section,
    within,
)
from tests.support.processes import Caller, Node, Pack, aggregator, free_port, pseudo, table, until

BOUND_S = 2.0
"""The issue's, of a battery of this node (1 s in control.md) with the way from the box."""


@contextmanager
def site(tmp_path: Path) -> Iterator[tuple[Node, tuple[Pack, ...], Box]]:
    """Run two packs of 16 cells under `site`, one beside them, a box, and the daemon."""
    port = free_port()
    box = Box(port, tmp_path / "box.log")
    with packs_named(tmp_path, "p1", "p2", "p3") as packs:
        text = "".join(pack.regulated(f"b{number}", **REGULATED) for number, pack in enumerate(packs, 1))
        text += aggregator("site", "b1", "b2", **AGGREGATE)
        try:
            with Node(tmp_path, text + section(port)) as node:
                yield node, packs, box
        finally:
            box.kill()


def listed(node: Node) -> list[tuple[str, float]]:
    """Return what the node has in its book: batteries and watts."""
    with grpc.insecure_channel(node.target) as channel:
        answer = LimitServiceStub(channel).List(pb.ListLimitsRequest(), timeout=15.0)
    return [(each.battery, each.limit_w) for each in answer.limits]


def test_a_limit_holds_and_its_loss_too(tmp_path: Path) -> None:
    """8 kW, then 4.2 kW, the failsafe value when the service is killed, and 8 kW again without a person."""
    with site(tmp_path) as (node, packs, box):
        until(lambda: node.events("eebus_connected"), because="the service is joined", timeout_s=30.0)
        box.say("unlimited")
        until(lambda: node.events("eebus_published", state="UnlimitedControlled"), because="nothing is limited")
        node.ask("set", "site", "-8000W", "--ttl", "600s")
        node.ask("set", "b3", "-40", "--ttl", "600s")
        until(lambda: charging_w(packs[:2]) > 7500.0, because="8 kW flow", timeout_s=30.0)
        box.say("limit 4200")
        until(lambda: node.events("eebus_published", state="Limited"), because="the limit is there")
        assert above_until_s(packs[:2], LIMIT_W, 2.5) <= BOUND_S
        assert charging_w(packs[:2]) > 3500.0
        found = [each for each in node.ask("limits") if each["source"] == "eebus" and each["battery"] == "site"]
        assert [(each["direction"], each["limit_w"], each["until"]) for each in found] == [("charge", 4200.0, None)]
        box.kill()
        until(lambda: node.events("eebus_published", state="Failsafe"), because="the heartbeats are missed", timeout_s=10.0)
        until(lambda: charging_w(packs[:2]) <= within(FAILSAFE_W), because="the failsafe value is kept", timeout_s=5.0)
        assert packs[2].load_a == -40.0
        box.start()
        until(lambda: len(node.events("eebus_connected")) == 2, because="the service is joined again", timeout_s=30.0)
        box.say("unlimited")
        until(lambda: len(node.events("eebus_published", state="UnlimitedControlled")) == 2, because="recovered", timeout_s=20.0)
        until(lambda: charging_w(packs[:2]) > 7500.0, because="8 kW flow again", timeout_s=30.0)


def test_under_a_wrong_section_the_limit_goes_on_and_without_one_it_ends(tmp_path: Path) -> None:
    """A wrong section stops nothing, says every fault, and leaves what limited the battery in force; one that is gone ends it."""
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
        assert listed(node) == [("p", 4200.0)]
        assert node.refusal("limits", "rm", "p", "charge", "--source", "eebus")["reason"] == "NOT_ALLOWED"
        assert node.terminate() == 0
        topology = node.config.read_text().partition("[eebus]")[0]
        node.config.write_text(topology + table("[eebus]", {**keys, "grpc_port": 0, "tick_s": -1.0}))
        node.start()
        assert listed(node) == [("p", 4200.0)]
        _says_what_is_wrong(node)
        assert [(each["state"], each["limit_w"]) for each in node.ask("limits", "eebus", "history")] == [("Init", 4200.0)]
        assert node.terminate() == 0
        (tmp_path / "unplugged").symlink_to(tmp_path / "stick")
        managed = {"manage_eebus_grpc_api_binary": True, "eebus_grpc_api_binary_path": "/bin/sleep", "eebus_ems_ski": SKI}
        place = {"certificate_path": str(tmp_path / "unplugged/cert")}
        node.config.write_text(topology + table("[eebus]", keys | managed | place))
        node.start()
        assert f"eebus.certificate_path: {tmp_path}/unplugged cannot be made" in node.ask("limits", "eebus")["fault"]
        assert listed(node) == [("p", 4200.0)]
        assert node.terminate() == 0
        node.config.write_text(topology)
        node.start()
        until(lambda: listed(node) == [], because="nobody stands for the limit any more")


def _says_what_is_wrong(node: Node) -> None:
    """Batteries are served; the error, the log and `limits eebus` say every fault."""
    with Caller(node.target) as caller:
        assert caller.status("p").name == "p"
    seen = node.ask("limits", "eebus")
    assert "eebus.grpc_port: 0 is not 1 to 65535" in seen["fault"]
    assert "eebus.tick_s" in seen["fault"]
    assert seen.keys() >= STATE_KEYS
    (error,) = until(
        lambda: [each for each in node.ask("errors") if each["type"] == "EEBUS_CONFIG"], because="the error is raised"
    )
    assert "eebus.grpc_port" in error["message"]
    assert "bosd check" in error["remedy"]
    assert node.events("eebus_config")
