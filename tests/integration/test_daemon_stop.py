"""SIGTERM: exit 0 within 5 s with every device at its safe value, what was not confirmed named, and a node refusing new calls."""

import signal
import time
from pathlib import Path

import grpc
import pytest

from tests.support.processes import Caller, Node, Pack, aggregator, battery, pseudo, recording, until

STOP_S = 5.0
BOTH, NONE = 3, 0


def terminated(node: Node) -> float:
    """Ask a node to end; it exits 0. Return how long that took, in s."""
    began_s = time.monotonic()
    assert node.terminate() == 0, node.tail()
    return time.monotonic() - began_s


def fets(pack: Pack) -> tuple[bool, bool]:
    """Return whether the pack's charge and discharge FETs are switched on."""
    state = pack.tell("get")["state"]
    return bool(state["charge_enabled"]), bool(state["discharge_enabled"])


def good(node: Node, *names: str) -> None:
    """Wait until these batteries are GOOD."""
    until(lambda: all(status["quality"] == "GOOD" for status in node.statuses(*names).values()), because=f"{names} are GOOD")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_regulated_pack_is_at_0_a(tmp_path: Path, number: signal.Signals) -> None:
    """A living set point of 20 A: after the exit the load is 0 A, and the safe action is logged once."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, pack.regulated("own") + pseudo("p")) as node:
        good(node, "own")
        node.ask("set", "own", "20", "--ttl", "10m")
        assert pack.load_a == 20.0
        began_s = time.monotonic()
        node.signal(number)
        assert node.wait() == 0
        assert time.monotonic() - began_s < STOP_S
        assert pack.load_a == 0.0
        assert len(node.events("made_safe", battery="own")) == 1
        assert not node.events("bug")


@pytest.mark.parametrize(("safe", "after"), [("release", (True, True)), ("open", (False, False))])
def test_a_gate(tmp_path: Path, safe: str, after: tuple[bool, bool]) -> None:
    """`release` leaves the switches as they are; `open` opens both and has that confirmed."""
    with Pack(tmp_path, "pack") as pack:
        gate = pack.toml("gate", current_control="gate", safe=safe, max_discharge_current_a=60.0, max_charge_current_a=30.0)
        with Node(tmp_path, gate) as node:
            good(node, "gate")
            assert fets(pack) == (True, True)
            assert terminated(node) < STOP_S
            assert fets(pack) == after


def test_a_gate_under_a_set_point_is_released_as_it_stands(tmp_path: Path) -> None:
    """Discharging opens the charge switch; `release` leaves it so, the node's way out changes nothing."""
    with Pack(tmp_path, "pack") as pack:
        gate = pack.toml("gate", current_control="gate", max_discharge_current_a=60.0, max_charge_current_a=30.0)
        with Node(tmp_path, gate) as node:
            good(node, "gate")
            node.ask("set", "gate", "10")
            assert fets(pack) == (False, True)
            assert terminated(node) < STOP_S
            assert fets(pack) == (False, True)


def test_a_stop_reaches_a_gate_that_was_never_commanded(tmp_path: Path) -> None:
    """Its switches conduct since before the node started: `stop` opens both and says so; its neighbour is left alone."""
    keys = {"current_control": "gate", "max_discharge_current_a": 60.0, "max_charge_current_a": 30.0}
    with Pack(tmp_path, "one") as one, Pack(tmp_path, "two") as two:
        packs = one.toml("one", **keys) + two.toml("two", **keys)
        with Node(tmp_path, packs + aggregator("both", "one", "two")) as node:
            good(node, "one", "two")
            assert fets(one) == fets(two) == (True, True)
            node.ask("stop", "one")
            assert (fets(one), fets(two)) == ((False, False), (True, True))
            node.ask("stop", "both")
            assert fets(two) == (False, False)


def closed_by_another_program(pack: Pack, node: Node) -> None:
    """Close a gate's discharge switch past the node, and wait until the node has seen it, or has opened it again even."""
    before = len(node.events("told_again"))
    pack.tell("set", discharge_enabled=True)
    until(
        lambda: (
            "discharge switch closed by another program" in node.status("gate")["reason"]
            or len(node.events("told_again")) > before
        )
    )


def test_0_a_reaches_a_gate_that_counts_at_0_a(tmp_path: Path) -> None:
    """Its switches conduct since before the node started, or because another program closed one: 0 A opens them each time."""
    with Pack(tmp_path, "pack") as pack:
        gate = pack.toml("gate", current_control="gate", max_discharge_current_a=60.0, max_charge_current_a=30.0)
        with Node(tmp_path, gate) as node:
            good(node, "gate")
            assert fets(pack) == (True, True)
            node.ask("set", "gate", "0", "--ttl", "10m")
            assert fets(pack) == (False, False)
            closed_by_another_program(pack, node)
            node.ask("set", "gate", "0", "--ttl", "10m")
            assert fets(pack) == (False, False)


def test_a_stop_reaches_a_gate_that_another_program_closed(tmp_path: Path) -> None:
    """At its first stop and at the next; one that cannot be reached then is named."""
    with Pack(tmp_path, "pack") as pack:
        gate = pack.toml(
            "gate", current_control="gate", max_discharge_current_a=60.0, max_charge_current_a=30.0, follow_within_s=1.0
        )
        with Node(tmp_path, gate) as node:
            good(node, "gate")
            node.ask("set", "gate", "0", "--ttl", "10m")
            for _ in range(2):
                closed_by_another_program(pack, node)
                node.ask("stop", "gate")
                assert fets(pack) == (False, False)
            closed_by_another_program(pack, node)
            until(lambda: fets(pack) == (False, False), because="reading back opens it again")
            assert node.events("told_again", battery="gate")
            pack.tell("inject", fault="unplug", seconds=60.0)
            answer = node.bosctl("stop", "gate")
            assert (answer.status, answer.document) == (1, {"stopped": ["gate"], "unconfirmed": ["gate"]})


def test_a_stop_names_a_gate_that_it_cannot_reach(tmp_path: Path) -> None:
    """Its line is dead: latched, and named as not confirmed."""
    with Pack(tmp_path, "pack") as pack:
        gate = pack.toml("gate", current_control="gate", max_discharge_current_a=60.0, max_charge_current_a=30.0)
        with Node(tmp_path, gate) as node:
            good(node, "gate")
            pack.tell("inject", fault="unplug", seconds=60.0)
            answer = node.bosctl("stop", "gate")
            assert (answer.status, answer.document) == (1, {"stopped": ["gate"], "unconfirmed": ["gate"]})


def test_an_unplugged_device(tmp_path: Path) -> None:
    """One of two packs is unplugged, its regulator gone too: exit 0 in time, the other safe, the lost one named in the log."""
    with (
        Pack(tmp_path, "here") as here,
        Pack(tmp_path, "away") as away,
        Node(tmp_path, here.regulated("here") + away.regulated("away")) as node,
    ):
        good(node, "here", "away")
        node.ask("set", "here", "10", "--ttl", "10m")
        node.ask("set", "away", "15", "--ttl", "10m")
        away.signal(signal.SIGSTOP)  # line and regulator fall silent without closing anything
        assert terminated(node) < STOP_S
        assert here.load_a == 0.0
        (unconfirmed,) = node.events("safe_action_unconfirmed")
        assert unconfirmed["batteries"] == ["away"]
        assert len(node.events("not_made_safe", battery="away")) == 1
        away.signal(signal.SIGCONT)


def test_a_dead_gate(tmp_path: Path) -> None:
    """A gate with `safe = "open"` whose line is gone: named, exit 0 in time."""
    with Pack(tmp_path, "pack") as pack:
        gate = pack.toml("gate", current_control="gate", safe="open", max_discharge_current_a=60.0, max_charge_current_a=30.0)
        with Node(tmp_path, gate) as node:
            good(node, "gate")
            pack.tell("inject", fault="unplug", seconds=60.0)
            assert terminated(node) < STOP_S
            assert node.events("not_made_safe", battery="gate")


def test_a_silent_remote(tmp_path: Path) -> None:
    """A set point through a stub whose node is frozen cannot be given back: named, exit 0 in time."""
    with Node(tmp_path, pseudo("far"), name="remote") as remote:
        stub = battery("stub", "network", target=remote.target, remote_name="far")
        with Node(tmp_path, stub, name="local") as local:
            good(local, "stub")
            local.ask("set", "stub", "5")
            assert remote.status("far")["current_a"] == 5.0
            remote.signal(signal.SIGSTOP)
            assert terminated(local) < STOP_S
            assert local.events("safe_action_unconfirmed", batteries=["stub"])
            remote.signal(signal.SIGCONT)


def test_a_set_point_through_a_stub_is_given_back(tmp_path: Path) -> None:
    """A node that ends lets go of what it asked of others: the remote is at 0 A at once, long before the end of its life."""
    with Node(tmp_path, pseudo("far"), name="remote") as remote:
        stub = battery("stub", "network", target=remote.target, remote_name="far")
        with Node(tmp_path, stub, name="local") as local:
            good(local, "stub")
            local.ask("set", "stub", "5", "--ttl", "10m")
            assert terminated(local) < STOP_S
            assert remote.status("far")["current_a"] == 0.0


def test_watchers_and_calls_while_it_ends(tmp_path: Path) -> None:
    """Streams end, new calls are refused, and a node that is asked twice ends once."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, pack.regulated("own")) as node:
        good(node, "own")
        with recording(node.target) as record, Caller(node.target) as caller:
            assert record.seen
            began_s = time.monotonic()
            node.signal(signal.SIGTERM)
            node.signal(signal.SIGTERM)
            assert node.wait() == 0
            assert time.monotonic() - began_s < STOP_S
            with pytest.raises(grpc.RpcError) as caught:
                caller.batteries.GetStatus(_status_request(), timeout=1.0)
            assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def _status_request() -> object:
    from bosd.v1 import battery_pb2 as pb

    return pb.GetStatusRequest(name="own")


def test_a_unix_socket_is_taken_away(tmp_path: Path) -> None:
    """The node listens on a socket file as well; `bosctl` reaches it there, and it is gone after the end."""
    path = tmp_path / "bosd.sock"
    node = Node(tmp_path, pseudo("p"))
    node.config.write_text(node.config.read_text().replace('listen = ["', f'listen = ["unix:{path}", "'))
    with node:
        from tests.support.processes import bosctl

        assert bosctl(f"unix:{path}", "status").document[0]["name"] == "p"
        assert terminated(node) < STOP_S
    assert not path.exists()


def test_a_current_that_outlived_its_node_is_shown_and_ended(tmp_path: Path) -> None:
    """After a power cut the regulator holds 20 A; the next daemon shows it as UNOWNED, then ends it (control.md, "Owners")."""
    with Pack(tmp_path, "pack") as pack:
        with Node(tmp_path, pack.regulated("own")) as node:
            good(node, "own")
            node.ask("set", "own", "20", "--ttl", "5s")
            node.power_cut()
        assert pack.load_a == 20.0
        with Node(tmp_path, pack.regulated("own")) as node:
            until(lambda: "UNOWNED: runs 20 A" in node.status("own")["reason"], because="the current is shown")
            until(lambda: pack.load_a == 0.0, because="the current is ended")
            until(lambda: node.status("own")["applied_current_a"] == 0.0 and "UNOWNED" not in node.status("own")["reason"])


def test_a_current_that_outlived_its_node_can_be_taken_over(tmp_path: Path) -> None:
    """A set point within one lease of the start adopts what runs: it goes on."""
    with Pack(tmp_path, "pack") as pack:
        with Node(tmp_path, pack.regulated("own")) as node:
            good(node, "own")
            node.ask("set", "own", "20", "--ttl", "1m")
            node.power_cut()
        with Node(tmp_path, pack.regulated("own")) as node:
            good(node, "own")
            node.ask("set", "own", "20", "--ttl", "1m")
            over_s = time.monotonic() + 4.0  # one lease (3 s) and more
            while time.monotonic() < over_s:
                assert pack.load_a == 20.0
                assert node.status("own")["quality"] == "GOOD"
