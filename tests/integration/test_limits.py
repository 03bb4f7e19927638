"""The limit book between real processes: by bosctl, at once, over `kill -9`, over two nodes, with rights."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.fifth import asked, ready, stub
from tests.support.processes import Caller, Node, aggregator, pseudo, until

pytestmark = pytest.mark.timeout(180)


def applied(node: Node, name: str) -> float:
    """Return the magnitude of what is applied, rounded: charges move a little meanwhile."""
    with Caller(node.target) as caller:
        return round(abs(caller.status(name).applied_current_a), 2)


def limit_of(node: Node, name: str, source: str) -> dict[str, Any]:
    """Return the one limit of a source on a battery."""
    (found,) = [each for each in node.ask("limits", "ls", name) if each["source"] == source]
    return dict(found)


def audited(node: Node) -> tuple[int, int]:
    """Return how many limits were put and removed, by the audit."""
    actions = [each["action"] for each in node.ask("audit", "--limit", "100")]
    return actions.count("limit"), actions.count("unlimit")


def test_a_limit_by_hand(tmp_path: Path) -> None:
    """13 V: 39 W are 3 A. Clamped and not refused, explained, audited, over `kill -9`, and away when it is removed."""
    with Node(tmp_path, pseudo("b") + pseudo("c"), name="n") as node:
        assert node.ask("limits") == []
        node.ask("set", "b", "-10", "--ttl", "600s")
        node.ask("set", "c", "-4", "--ttl", "600s")
        put = node.ask("limits", "set", "b", "charge", "39W", "--until", "+1h", "--comment", "the street's fuse")
        assert (put["source"], put["battery"], put["direction"], put["limit_w"]) == ("operator", "b", "charge", 39.0)
        assert (put["limit_a"], put["in_force"], put["enforceable"], put["provable"]) == (3.0, True, True, True)
        assert put["bound_s"] == 1.0
        assert put["until"] is not None
        until(lambda: applied(node, "b") == 3.0, because="the limit clamps")
        assert applied(node, "c") == 4.0
        status = node.status("b")
        assert (status["requested_current_a"], status["max_charge_current_a"]) == (-10.0, 50.0)
        assert "the charge limit 39 W of operator" in status["reason"]
        assert "the charge limit 39 W of operator" in node.ask("explain", "b")["in_force"]["text"]
        answer = node.ask("set", "b", "-8", "--ttl", "600s")
        assert (answer["requested_current_a"], answer["applied_current_a"]) == (-8.0, -3.0)
        assert "the charge limit 39 W of operator" in answer["reason"]
        node.ask("limits", "set", "b", "charge", "2A", "--source", "house")
        until(lambda: applied(node, "b") == 2.0, because="the tighter one binds")

        assert audited(node) == (2, 0)
        until(lambda: node.ask("audit", "--verify")["unwritten"] == 0, because="it is written in groups, after the answer")
        node.kill()
        node.start()
        assert {each["source"]: each["restored"] for each in node.ask("limits")} == {"operator": True, "house": True}
        answer = node.ask("set", "b", "-8", "--ttl", "600s")
        assert answer["applied_current_a"] == -2.0
        node.ask("limits", "rm", "b", "--source", "house")
        until(lambda: applied(node, "b") == 3.0, because="the other one binds again")
        node.ask("limits", "set", "b", "charge", "0W")
        until(lambda: applied(node, "b") == 0.0, because="0 W is 0")
        node.ask("limits", "rm", "b", "charge")
        until(lambda: applied(node, "b") == 8.0, because="the request is in force again")
        assert node.refusal("limits", "rm", "b", "charge")["reason"] == "BAD_NAME"
        assert node.refusal("limits", "set", "nope", "charge", "1W")["reason"] == "BAD_NAME"
        assert node.refusal("limits", "ls", "nope")["reason"] == "BAD_NAME"
        assert node.refusal("limits", "set", "b", "charge", "1W", "--source", "eebus")["reason"] == "NOT_ALLOWED"
        assert node.bosctl("limits", "set", "b", "charge", "many").status == 2

        history = [(each["event"], each["source"], each["limit_w"]) for each in node.ask("limits", "history", "b")]
        assert history == [
            ("put", "operator", 39.0),
            ("put", "house", None),
            ("removed", "house", None),
            ("put", "operator", 0.0),
            ("removed", "operator", None),
        ]
        assert audited(node) == (5, 3)  # refused ones too


def test_a_limit_over_two_nodes(tmp_path: Path) -> None:
    """26 W over a battery here and one there, 13 V each: 1 A each; the part there stays when this node is killed."""
    with (
        Node(tmp_path / "sat", pseudo("b", safe_current_a=-5.0), name="sat") as sat,
        Node(tmp_path, pseudo("own") + stub("far", sat) + aggregator("all", "own", "far"), name="main") as main,
    ):
        ready(main, "all")
        asked(main, "all", -12.0)
        until(lambda: applied(sat, "b") == 6.0, because="no limit yet")
        main.ask("limits", "set", "all", "charge", "26W")
        until(lambda: applied(main, "all") == 2.0, because="limited")
        until(lambda: applied(sat, "b") == 1.0, because="there, too")
        granted = limit_of(sat, "b", "node:main")
        assert (granted["limit_w"], granted["direction"]) == (pytest.approx(13.0, rel=0.02), "charge")
        shown = limit_of(main, "all", "operator")
        assert (shown["provable"], shown["bound_s"]) == (True, 2.0)

        main.kill()
        until(lambda: sat.events("setpoint_ended", battery="b", why="the lease is over"), because="the lease is over")
        until(lambda: applied(sat, "b") == 1.0, because="its safe value of 5 A is limited")
        sat.kill()
        sat.start()
        until(lambda: applied(sat, "b") == 1.0, because="over its restart, too")
        main.start()
        ready(main, "all")
        assert [each["battery"] for each in main.ask("limits")] == ["all"]
        main.ask("limits", "rm", "all")
        until(lambda: sat.ask("limits") == [], because="the grant is withdrawn")
        until(lambda: applied(sat, "b") == 5.0, because="its safe value again")
