"""Stop over a distance: at the owner through one and two nodes, with a dead or frozen owner, in a circle, after a restart."""

import signal
from pathlib import Path

from tests.support.certificates import authority, issue
from tests.support.fifth import ready
from tests.support.processes import Node, battery, free_port, pseudo, until
from tests.support.secured import secured_node


def stub(name: str, owner: Node, remote_name: str) -> str:
    """Return a stub of a battery of `owner`."""
    return battery(name, "network", target=owner.target, remote_name=remote_name)


def good(node: Node, *names: str) -> None:
    """Wait until these batteries are followed."""
    until(lambda: all(node.status(name)["quality"] == "GOOD" for name in names), because=f"{names} are followed")


def test_through_two_nodes_to_the_owner(tmp_path: Path) -> None:
    """A stop of a stub of a stub latches the battery at its owner and nothing between; its release there is enough."""
    with (
        Node(tmp_path, pseudo("far"), name="owner") as owner,
        Node(tmp_path, stub("mid", owner, "far"), name="middle") as middle,
        Node(tmp_path, stub("near", middle, "mid") + pseudo("own"), name="near") as near,
    ):
        good(near, "near")
        near.ask("set", "near", "5")
        assert owner.status("far")["applied_current_a"] == 5.0
        assert near.ask("stop", "near", "--reason", "smoke") == {"stopped": ["near"], "unconfirmed": []}
        assert owner.refusal("set", "far", "1")["reason"] == "STOPPED"
        assert owner.status("far")["max_discharge_current_a"] == 0.0
        until(lambda: not near.status("near")["commandable"], because="the near node hears of it")
        (record,) = [each for each in owner.ask("audit") if each["action"] == "stop"]
        assert (record["who"], record["comment"]) == ("node:middle", "smoke")
        owner.kill()
        owner.start()
        assert owner.refusal("set", "far", "1")["reason"] == "STOPPED"
        until(lambda: len(middle.events("remote_ready")) == 2, because="the node between hears the new run")
        good(near, "near")
        assert near.ask("release", "near")["released"] == ["near"]
        until(lambda: near.status("near")["commandable"], because="it is released at its owner")
        assert near.ask("stop", "--node") == {"stopped": ["own"], "unconfirmed": []}
        assert sorted(near.ask("stop", "--all")["stopped"]) == ["near", "own"]
        assert owner.refusal("set", "far", "1")["reason"] == "STOPPED"
        owner.ask("release", "far")
        until(lambda: near.status("near")["commandable"], because="the owner's release is enough")


def test_dead_and_frozen_owners_delay_no_other(tmp_path: Path) -> None:
    """What can be stopped is; the others are named and latched here, also after a restart, until a release reaches the owner."""
    with (
        Node(tmp_path, pseudo("far"), name="alive") as alive,
        Node(tmp_path, pseudo("far"), name="frozen") as frozen,
        Node(tmp_path, pseudo("far"), name="dead") as dead,
        Node(tmp_path, stub("a", alive, "far") + stub("f", frozen, "far") + stub("d", dead, "far"), name="near") as near,
    ):
        good(near, "a", "f", "d")
        dead.kill()
        frozen.signal(signal.SIGSTOP)
        try:
            answer = near.bosctl("stop", "--all")
            assert answer.status == 3
            assert answer.document["stopped"] == ["a"]
            assert {each["name"] for each in answer.document["not_at_owner"]} == {"d", "f"}
            assert alive.refusal("set", "far", "1")["reason"] == "STOPPED"
        finally:
            frozen.signal(signal.SIGCONT)
        near.kill()
        near.start()
        good(near, "f")
        assert near.status("f")["reason"].startswith("stopped")
        assert near.refusal("set", "f", "1")["reason"] == "STOPPED"
        assert near.refusal("release", "d")["reason"] == "UNAVAILABLE"
        answer = near.bosctl("release", "d", "nope", "f")
        assert (answer.status, answer.document["released"]) == (1, ["f"])
        refused = {each["name"]: each["reason"] for each in answer.document["not_released"]}
        assert refused == {"d": "UNAVAILABLE", "nope": "BAD_NAME"}
        found = [(each["names"], each["outcome"], each["reason"]) for each in near.ask("audit") if each["action"] == "release"]
        assert sorted(found, key=str) == [
            (["d"], "refused", "UNAVAILABLE"),
            (["f"], "done", None),
            (["nope"], "refused", "BAD_NAME"),
        ]
        assert near.status("d")["reason"].startswith("stopped")
        assert near.ask("set", "f", "1")["applied_current_a"] == 1.0


def test_a_name_that_is_none_keeps_no_other_battery_running(tmp_path: Path) -> None:
    """A slip in an emergency: what there is stops, what there is not is named; only where there is none it is refused."""
    with Node(tmp_path, pseudo("a") + pseudo("b"), name="home") as node:
        node.ask("set", "a", "5")
        node.ask("set", "b", "5")
        answer = node.bosctl("stop", "nope", "a", "b\x1b[2J", "b")
        assert answer.status == 1
        assert answer.document == {"stopped": ["a", "b"], "unconfirmed": [], "unknown": ["nope", "b\x1b[2J"]}
        assert [node.status(name)["current_a"] for name in ("a", "b")] == [0.0, 0.0]
        (record,) = (each for each in node.ask("audit") if each["action"] == "stop")
        assert (record["names"], record["asked"]["names"]) == (["a", "b"], ["nope", "a", "b\x1b[2J", "b"])
        assert node.refusal("stop", "nope", "none")["reason"] == "BAD_NAME"


def test_two_stubs_in_a_circle(tmp_path: Path) -> None:
    """Two nodes whose stubs point at each other: the stop ends, both are latched, and the circle is named."""
    with Node(tmp_path, pseudo("p"), name="one") as one, Node(tmp_path, stub("x", one, "x"), name="two") as two:
        (tmp_path / "x.toml").write_text(stub("x", two, "x"))
        one.ask("add", str(tmp_path / "x.toml"))
        until(lambda: "CYCLE" in one.status("x")["reason"], because="the circle is seen")
        answer = one.bosctl("stop", "x")
        assert answer.status == 3
        ((name, reason),) = [(each["name"], each["reason"]) for each in answer.document["not_at_owner"]]
        assert name == "x"
        assert "one/x -> two/x -> one/x" in reason
        assert all(
            list(event["not_at_owner"]) == ["x"] for node in (one, two) for event in node.events("stopped", batteries=["x"])
        )
        assert len(two.events("stopped", batteries=["x"])) == 1


def test_a_late_stop_stands_at_its_owner(tmp_path: Path) -> None:
    """Behind TLS a node may stop at the owner, at contact too, and not release there: an admin there may."""
    by = authority(tmp_path / "ca")
    tls = {name: issue(by, f"node:{name}").install(tmp_path / f"tls-{name}") for name in ("hut", "home")}
    address = f"127.0.0.1:{free_port()}"
    with secured_node(tmp_path / "hut", tls["hut"], "hut", address, pseudo("b"), {"node:home": ["b"]}) as hut:
        far = battery("far", "network", target=address, remote_name="b")
        with secured_node(tmp_path / "home", tls["home"], "home", f"127.0.0.1:{free_port()}", far) as home:
            ready(home, "far")
            hut.kill()
            assert home.bosctl("stop", "far", "--reason", "smoke").status == 3
            assert home.refusal("release", "far")["reason"] == "UNAVAILABLE"
            hut.start()
            until(lambda: home.events("stops_told_late", batteries=["far"]), because="its owner is told at contact")
            refusal = home.refusal("release", "far")
            assert (refusal["reason"], refusal["metadata"]["owner"]) == ("NOT_ALLOWED", address)
            assert refusal["message"].startswith(f"far is not stopped here; a stop at its owner, {address}, ends there alone: ")
            hut.ask("release", "b")
            ready(home, "far")
