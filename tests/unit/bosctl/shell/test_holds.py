"""Currents that hold: asked for again while they are in force, kept through what passes, let go of when they ended."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.shell.holds import LONGEST_TTL_S, Holds
from clients.bosctl.shell.node import ShellNode
from clients.bosctl.shell.printing import Printer


@dataclass
class Node:
    """A node that takes set points of an hour at most, or refuses with `refusal`."""

    asked: list[tuple[str, float, float | None]] = field(default_factory=list)
    in_force: dict[str, float] = field(default_factory=dict)
    refusal: Failure | None = None

    def set_current(self, name: str, current_a: float, ttl_s: float | None) -> pb.SetCurrentResponse:
        self.asked.append((name, current_a, ttl_s))
        if ttl_s is not None and ttl_s > 3600.0:
            raise Failure(ExitStatus.REFUSED, "INVALID_ARGUMENT", "too long", {"maximum_s": "3600.0"})
        if self.refusal is not None:
            raise self.refusal
        self.in_force[name] = current_a
        return pb.SetCurrentResponse(name=name, applied_current_a=current_a, ttl_s=ttl_s or 60.0)

    def status(self, name: str) -> pb.BatteryStatus:
        return pb.BatteryStatus(name=name, requested_current_a=self.in_force.get(name), reason="empty")


def holds(node: Node, *, longest: bool = True) -> Holds:
    """Return the holds of a shell at this node."""
    return Holds(cast("ShellNode", node), Printer(as_json=False), longest=longest)


def test_the_longest_the_node_takes_is_asked() -> None:
    """Where time may be moved, what the node refuses as too long is asked for its maximum; else the node's default holds."""
    node = Node()
    held = holds(node)
    held.ask("p", 5.0)
    assert node.asked == [("p", 5.0, LONGEST_TTL_S), ("p", 5.0, 3600.0)]
    assert held.step_s() == 1800.0
    plain = holds(node, longest=False)
    plain.ask("q", 1.0)
    assert node.asked[-1] == ("q", 1.0, None)
    assert plain.step_s() == 30.0
    for each in (held, plain):
        each.end()


def test_what_is_in_force_is_renewed_and_what_ended_is_let_go(capsys: pytest.CaptureFixture[str]) -> None:
    """A renewal asks again; one whose set point is gone (it ran empty) is forgotten with a note."""
    node = Node()
    held = holds(node, longest=False)
    held.ask("p", 5.0)
    held.renew()
    assert node.asked == [("p", 5.0, None)] * 2
    del node.in_force["p"]
    held.renew()
    held.renew()
    assert len(node.asked) == 2
    assert held.step_s() is None
    assert "p: 5 A ended: empty" in capsys.readouterr().err
    held.end()


@pytest.mark.parametrize(
    ("reason", "status", "kept"),
    [
        ("UNAVAILABLE", ExitStatus.UNREACHABLE, True),
        ("CURRENT_OUT_OF_RANGE", ExitStatus.REFUSED, True),
        ("STOPPED", ExitStatus.REFUSED, False),
        ("CLAIMED", ExitStatus.REFUSED, False),
    ],
)
def test_what_passes_is_tried_again(reason: str, status: ExitStatus, kept: bool) -> None:
    """A node out of reach, or a limit of the moment, ends no hold; a stop or another holder does."""
    node = Node()
    held = holds(node, longest=False)
    held.ask("p", 5.0)
    node.refusal = Failure(status, reason, "no")
    held.renew()
    assert (held.step_s() is not None) is kept
    held.end()


def test_a_refused_current_changes_no_hold() -> None:
    """What is refused at first is not held, and what was held before holds on."""
    node = Node()
    held = holds(node, longest=False)
    held.ask("p", 5.0)
    node.refusal = Failure(ExitStatus.REFUSED, "CURRENT_OUT_OF_RANGE", "no")
    for name in ("p", "q"):
        with pytest.raises(Failure):
            held.ask(name, 50.0)
    node.refusal = None
    node.asked.clear()
    held.renew()
    assert node.asked == [("p", 5.0, None)]
    held.end()
