"""Scenario 1 of satellites.md section 4, full timers, as control.md corrects it: nodes that start at 0, 1 and 20 s, or never."""

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bosd.fleet.system_state import START_S
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import fleet_pb2 as fpb
from bosd.v1.fleet_pb2_grpc import FleetServiceStub
from tests.soak.outcome import Book
from tests.soak.site import TTL_S
from tests.support.processes import CALL_S, Caller, Node, battery, pseudo, table, until

SECOND_S, LATE_S, WHOLE_S = 1.0, 20.0, 24.0
"""When the second and the third owner start, and by when all is there."""
READY_S = 3.0
"""What a start may take (scenario 2)."""
ASKED_A = 5.0
LOOK_S = 0.2
MOST_S = 60.0


def _state(caller: Caller) -> str:
    answer = FleetServiceStub(caller.channel).ListPeers(fpb.ListPeersRequest(), timeout=CALL_S, metadata=caller.metadata)
    return str(fpb.SystemState.Name(answer.system_state).removeprefix("SYSTEM_STATE_"))


def _is(caller: Caller, state: str) -> bool:
    return _state(caller) == state


def _stubs(*owners: Node) -> str:
    required = table("[fleet]", {"required": [owner.target for owner in owners]})
    return required + "".join(battery(f"s{owner.name}", "network", target=owner.target, remote_name="b") for owner in owners)


def late(directory: Path, book: Book) -> None:
    """Two mains demand owners: one's third comes at 20 s, the other's second never. What is there is read and commanded."""
    first, second, third, never = (Node(directory / name, pseudo("b"), name=name) for name in ("a", "b", "c", "d"))
    whole = Node(directory / "whole", _stubs(first, second, third), name="whole")
    short = Node(directory / "short", _stubs(second, never), name="short")
    with ExitStack() as stack:
        began_s = time.monotonic()
        for node in (first, whole):
            stack.enter_context(node)
        short_s = time.monotonic()
        stack.enter_context(short)
        at_whole, at_short = (stack.enter_context(Caller(node.target, "soak")) for node in (whole, short))
        time.sleep(max(0.0, began_s + SECOND_S - time.monotonic()))
        stack.enter_context(second)
        until(lambda: at_whole.status("sb").commandable, because="the second is there")
        at_whole.set("sb", ASKED_A, TTL_S)
        assert _state(at_whole) == "STARTING"
        oldest_s = 0.0
        while time.monotonic() < began_s + LATE_S:
            statuses = [at_whole.status(name) for name in ("sa", "sb")]
            assert all(status.quality == pb.QUALITY_GOOD for status in statuses), statuses
            oldest_s = max(oldest_s, *(status.age_s for status in statuses))
            time.sleep(LOOK_S)
        book.note("one comes at 20 s: oldest status of the others", oldest_s)
        stack.enter_context(third)
        until(partial(_is, at_whole, "OK"), timeout_s=MOST_S, because="all are there")
        book.note("one comes at 20 s: OK from the start", time.monotonic() - began_s, most=WHOLE_S)
        assert at_whole.status("sb").applied_current_a == ASKED_A, "the set point of another one was touched"
        until(partial(_is, at_short, "BLOCKED"), timeout_s=MOST_S, because="one never comes")
        blocked_s = time.monotonic() - short_s
        book.note("one never comes: BLOCKED from the start", blocked_s, least=START_S, most=START_S + READY_S)
        assert at_short.status("sb").reason == "CLAIMED: node:whole holds it at its node"
        sessions = {node.name: len(node.events("session_ready")) for node in (first, second, third)}
        assert sessions == {"a": 1, "b": 2, "c": 1}, f"a session was begun anew: {sessions}"
