"""Nodes that start at different times (satellites.md 4.1, as control.md corrects it: the state is derived, and gates nothing).

The wait for nodes that were not there yet is a fifth; sessions have their own times, since none is to end here.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from bosd.v1 import fleet_pb2 as pb
from bosd.v1.fleet_pb2_grpc import FleetServiceStub
from tests.support.fifth import applied, ready, stub
from tests.support.processes import CALL_S, Caller, Node, aggregator, pseudo, recording, table, until

BARRIER = "import bosd.fleet.system_state as whole\nwhole.START_S = 2.0\n"
"""A fifth of the scenario's 10 s."""
LOOK_S = 0.05


@contextmanager
def states(node: Node) -> Iterator[list[str]]:
    """Note how the system stands, each state once as it comes, while the block runs."""
    seen: list[str] = []
    done = threading.Event()

    def look(caller: Caller) -> None:
        peers = FleetServiceStub(caller.channel).ListPeers
        while not done.is_set():
            with suppress(grpc.RpcError):
                answer = peers(pb.ListPeersRequest(), timeout=CALL_S, metadata=caller.metadata)
                name = pb.SystemState.Name(answer.system_state).removeprefix("SYSTEM_STATE_")
                if name not in seen[-1:]:
                    seen.append(name)
            time.sleep(LOOK_S)

    with Caller(node.target) as caller:
        thread = threading.Thread(target=look, args=(caller,), name="states")
        thread.start()
        try:
            yield seen
        finally:
            done.set()
            thread.join(CALL_S)


def test_a_node_that_comes_late(tmp_path: Path) -> None:
    """One main demands it, one does not; both read and command what is there all the while, and what is not there is refused."""
    late = Node(tmp_path / "c", pseudo("b"), name="c")
    with Node(tmp_path / "a", pseudo("b") + pseudo("d"), name="a") as a, Node(tmp_path / "b", pseudo("b"), name="b") as b:
        common = stub("sa", a) + stub("sb", b)
        strict = table("[fleet]", {"required": ["a", "b", late.target]}) + common + stub("sc", late)
        easy = common + stub("sd", a, "d") + stub("sc", late) + aggregator("both", "sd", "sc")
        first = Node(tmp_path / "strict", strict, name="strict", prelude=BARRIER)
        second = Node(tmp_path / "easy", easy, name="easy", prelude=BARRIER)
        with first, states(first) as of_first, second, states(second) as of_second:
            ready(first, "sa", "sb")
            with recording(first.target, "sa", "sb") as record:
                assert first.ask("set", "sa", "5", "--ttl", "60s")["applied_current_a"] == applied(a, "b") == 5.0
                until(lambda: (of_first[-1:], of_second[-1:]) == (["BLOCKED"], ["DEGRADED"]), because="it is missing")
                assert first.refusal("set", "sc", "5")["reason"] == "UNAVAILABLE"
                assert second.ask("set", "sb", "5", "--ttl", "60s")["applied_current_a"] == applied(b, "b") == 5.0
                until(
                    lambda: second.bosctl("set", "both", "6", "--ttl", "60s").status == 0,
                    because="what an earlier run may have asked of the missing one is over",
                )
                assert applied(a, "d") == 6.0
                with late:
                    until(lambda: of_first[-1] == of_second[-1] == "OK", because="all are there")
                    until(lambda: applied(late, "b") == pytest.approx(3.0, rel=0.01), because="it takes its half")
                assert {each.quality for each in record.seen} == {"GOOD"}
        assert of_first[:3] == ["STARTING", "BLOCKED", "OK"]
        assert of_second[:3] == ["STARTING", "DEGRADED", "OK"]
        assert [sorted(each["peer"] for each in node.events("session_ready")) for node in (a, b)] == 2 * [
            ["node:easy", "node:strict"]
        ]
