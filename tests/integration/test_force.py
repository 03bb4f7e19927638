"""Taking over a claim, between real processes: on one node, and from another node that held it; all timers a fifth."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.fifth import FIFTH, applied, asked, owner, ready, stub
from tests.support.processes import Caller, Node, Pack, aggregator, pseudo, until


def around(*currents_a: float) -> Any:
    """Return these currents, give or take what charges move meanwhile."""
    return pytest.approx(currents_a, rel=0.01)


def records(node: Node, action: str, name: str = "b") -> list[dict[str, Any]]:
    """Return what the audit has of an action, newest first."""
    return [each for each in node.ask("audit", "--battery", name) if each["action"] == action]


def test_a_claim_is_taken_over(tmp_path: Path) -> None:
    """Refused without, done with `--force`, recorded with both holders; who lost it is refused, and the newcomer goes on."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, pack.regulated("b")) as node, Caller(node.target, "ann") as ann:
        until(lambda: node.status("b")["commandable"])
        ann.set("b", 20.0, 60.0)
        refusal = node.refusal("set", "b", "-5")
        assert (refusal["reason"], refusal["metadata"]["holder"]) == ("CLAIMED", "ann")
        foreseen = node.ask("set", "b", "-5", "--force", "--dry-run")
        assert (foreseen["taken_from"], pack.load_a) == ("ann", 20.0)
        taken = node.ask("set", "b", "-5", "--ttl", "30s", "--force")
        assert (taken["taken_from"], taken["applied_current_a"], pack.load_a) == ("ann", -5.0, -5.0)
        (record,) = records(node, "force")
        assert record["outcome"] == "done"
        assert record["before"]["holder"] == "ann"
        assert record["after"]["holder"] == record["who"]
        assert "taken from ann" in record["message"]
        assert "taken_from" not in node.ask("set", "b", "-6", "--force")  # one's own by now
        assert node.refusal("set", "b", "61", "--force")["metadata"]["upper_a"] == "60.0"


def test_a_nodes_claim_is_taken_over(tmp_path: Path) -> None:
    """The node learns of it by its beats, shows CLAIMED and tells nothing more; once it is free, what lives is asked again."""
    with owner(tmp_path, "sat") as sat, Node(tmp_path, FIFTH + stub("far", sat), name="main") as main:
        ready(main, "far")
        main.ask("set", "far", "10", "--ttl", "60s")
        with Caller(sat.target, "boss") as boss:
            assert boss.force("b", 3.0, 60.0).taken_from == "node:main"
            status = until(lambda: (found := main.status("far"))["applied_current_a"] == 0.0 and found, because="main knows")
            assert status["reason"].startswith("CLAIMED: boss took it at its node")
            assert (status["requested_current_a"], status["commandable"]) == (10.0, False)
            assert applied(sat, "b") == 3.0  # for longer than the pause before a device that refused is told again
            newest, *_ = sat.ask("audit", "--battery", "b")
            assert (newest["action"], newest["who"]) == ("force", "boss")
            boss.set("b", 3.0, 0.1)
        until(lambda: applied(sat, "b") == 10.0, because="it is free again, and ten amperes still live")
        assert main.status("far")["reason"] == ""
        assert main.ask("set", "far", "7", "--ttl", "60s")["applied_current_a"] == 7.0
        assert applied(sat, "b") == 7.0
        assert main.status("far")["reason"] == ""


def test_the_others_go_on_without_what_was_taken(tmp_path: Path) -> None:
    """Of three members at three nodes one is taken: the two others carry its share and what is asked anew, until it is free."""
    with owner(tmp_path / "a", "a") as a, owner(tmp_path / "c", "c") as c:
        topology = stub("sa", a) + stub("sc", c) + pseudo("near") + aggregator("all", "sa", "sc", "near")
        with (
            Node(tmp_path / "main", FIFTH + topology, name="main") as main,
            Caller(a.target) as at_a,
            Caller(c.target, "boss") as boss,
            Caller(main.target) as at_main,
        ):
            ready(main, "sa", "sc")

            def shares() -> tuple[float, ...]:
                asked = ((at_a, "b"), (boss, "b"), (at_main, "near"))
                return tuple(caller.status(name).applied_current_a for caller, name in asked)

            at_main.set("all", 30.0, 60.0)
            assert shares() == around(10.0, 10.0, 10.0)
            boss.force("b", -4.0, 60.0)
            until(lambda: shares() == around(15.0, -4.0, 15.0), because="the others take its share")
            assert at_main.status("sc").reason.startswith("CLAIMED: boss took it at its node")
            assert at_main.status("all").max_discharge_current_a == pytest.approx(100.0, rel=0.01)  # of two, 50 A each
            assert at_main.set("all", 30.0, 60.0).applied_current_a == 30.0  # what can be promised can be asked
            assert shares() == around(15.0, -4.0, 15.0)
            boss.set("b", -4.0, 0.1)
            until(lambda: shares() == around(10.0, 10.0, 10.0), because="nobody holds it any more")


def test_a_node_that_was_started_anew_has_lost_nothing(tmp_path: Path) -> None:
    """Killed while its claim is taken and started anew, it has lost nothing and may ask; a refused force before took nothing."""
    with owner(tmp_path, "sat") as sat, Node(tmp_path, FIFTH + stub("far", sat), name="main") as main:
        ready(main, "far")
        main.ask("set", "far", "10", "--ttl", "60s")
        refused = sat.refusal("set", "b", "60", "--force")
        assert refused["reason"] == "CURRENT_OUT_OF_RANGE"
        assert applied(sat, "b") == 10.0  # what is refused takes nothing
        main.kill()
        sat.ask("set", "b", "3", "--ttl", "1s", "--force")
        main.start()
        ready(main, "far")
        assert main.status("far")["reason"] == ""
        until(lambda: sat.status("b")["setpoint_source"] == "safe")
        assert main.ask("set", "far", "7", "--ttl", "60s")["applied_current_a"] == 7.0


def test_over_two_nodes(tmp_path: Path) -> None:
    """Taken at the owner, the farthest node runs nothing; no `--force` is passed on, and later it may again. Full timers."""
    with (
        Node(tmp_path / "sat", pseudo("b"), name="sat") as sat,
        Node(tmp_path / "relay", stub("mid", sat), name="relay") as relay,
        Node(tmp_path / "main", stub("far", relay, "mid"), name="main") as main,
        Caller(sat.target, "boss") as boss,
    ):
        ready(main, "far")
        asked(main, "far", 10.0)
        assert applied(sat, "b") == 10.0
        assert boss.force("b", 3.0, 60.0).taken_from == "node:relay"
        until(lambda: main.status("far")["applied_current_a"] == 0.0, because="main knows")
        until(lambda: "CLAIMED: boss holds it at its node" in main.status("far")["reason"], because="the relay says so")
        assert not main.status("far")["commandable"]
        for node, name in ((main, "far"), (relay, "mid")):
            refusal = node.refusal("set", name, "7", "--force")
            assert (refusal["reason"], refusal["metadata"]["holder"]) == ("CLAIMED", "boss")
            assert applied(sat, "b") == 3.0
        boss.set("b", 3.0, 0.1)
        until(lambda: main.status("far")["commandable"], because="what took it is over")
        assert asked(main, "far", 7.0)["applied_current_a"] == 7.0
        assert applied(sat, "b") == 7.0
