"""Sessions between real processes: leases, restarts on either side, shares of what is not seen; all timers a fifth.

Judged by order and by the nodes' own records (control.md, "Kinds of proof on one small machine").
"""

import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Caller, Node, aggregator, battery, pseudo, until

FIFTH = """
[fleet]
heartbeat_s = 0.1
stale_s = 0.3
lease_s = 0.6
max_command_age_s = 0.2
"""
SAFE_WITHIN_S = 0.2 + 0.6 + 0.02
"""max_command_age + lease + margin, of a battery in software (control.md, "When something dies")."""

BEAT_S = 0.1
"""So old its last answer may have been."""


def owner(directory: Path, name: str) -> Node:
    """Return a node with one battery `b`."""
    return Node(directory, FIFTH + pseudo("b"), name=name)


def stub(name: str, node: Node) -> str:
    """Return a stub of that node's battery."""
    return battery(name, "network", target=node.target, remote_name="b")


def commandable(node: Node, name: str) -> bool:
    """Tell whether a battery takes set points there."""
    return bool(node.status(name)["commandable"])


def ready(node: Node, *names: str) -> None:
    """Wait until these may be commanded."""
    for name in names:
        until(partial(commandable, node, name), because=f"{name} may be commanded")


def applied(node: Node, name: str) -> Any:
    """Return what a battery follows there."""
    return node.status(name)["applied_current_a"]


def shares(*nodes: Node) -> list[Any]:
    """Return what the batteries of these nodes follow."""
    return [applied(node, "b") for node in nodes]


def test_a_killed_controller(tmp_path: Path) -> None:
    """`kill -9` of who asked: the owner acts for one lease, then goes to the safe value; it does not restart."""
    with owner(tmp_path, "sat") as sat, Node(tmp_path, FIFTH + stub("far", sat), name="main") as main:
        ready(main, "far")
        main.ask("set", "far", "10", "--ttl", "60s")
        assert applied(sat, "b") == 10.0
        time.sleep(1.5)  # two and a half leases: it lives by its beats
        assert applied(sat, "b") == 10.0
        main.kill()
        until(lambda: sat.events("setpoint_ended"))
        (ended,) = sat.events("setpoint_ended")
        assert ended["why"] == "the lease is over"
        assert applied(sat, "b") == 0.0
        main.start()
        ready(main, "far")
        until(lambda: sat.events("peer_restarted"))
        assert applied(sat, "b") == 0.0  # set points are never stored
        assert main.ask("set", "far", "4", "--ttl", "60s")["applied_current_a"] == 4.0
        assert applied(sat, "b") == 4.0


def test_a_frozen_controller(tmp_path: Path) -> None:
    """SIGSTOP for longer than a lease: safe meanwhile; back again, it agrees anew and what still lives is asked again."""
    with owner(tmp_path, "sat") as sat, Node(tmp_path, FIFTH + stub("far", sat), name="main") as main:
        ready(main, "far")
        main.ask("set", "far", "10", "--ttl", "60s")
        main.signal(signal.SIGSTOP)
        try:
            until(lambda: applied(sat, "b") == 0.0, because="the lease ends")
        finally:
            main.signal(signal.SIGCONT)
        until(lambda: applied(sat, "b") == 10.0, because="it is asked again")
        assert main.status("far")["setpoint_source"] == "manual"


def test_a_killed_owner(tmp_path: Path) -> None:
    """`kill -9` of the owner: its share is kept from the others until it is safe by itself; it comes back and is asked again."""
    with owner(tmp_path / "a", "a") as a, owner(tmp_path / "b", "b") as b, owner(tmp_path / "c", "c") as c:
        stubs = "".join(stub(name, node) for name, node in (("sa", a), ("sb", b), ("sc", c)))
        with Node(tmp_path / "main", FIFTH + stubs + aggregator("all", "sa", "sb", "sc"), name="main") as main:
            ready(main, "sa", "sb", "sc")
            main.ask("set", "all", "30", "--ttl", "60s")
            assert [applied(each, "b") for each in (a, b, c)] == [10.0, 10.0, 10.0]
            with Caller(a.target) as at_a, Caller(b.target) as at_b, Caller(main.target) as at_main:
                assert at_main.status("sc").reason == ""  # connected: what follows has to be read within the bound
                c.kill()
                killed_s = time.monotonic()
                until(lambda: "counted at 10 A" in at_main.status("sc").reason)
                assert "may still run: sc up to 10 A" in at_main.status("all").reason
                while True:
                    now_a = [each.status("b").applied_current_a for each in (at_a, at_b)]
                    if time.monotonic() - killed_s >= SAFE_WITHIN_S - BEAT_S - 0.1:
                        break  # what was read until now was read before the bound
                    assert now_a == [10.0, 10.0]
            until(
                lambda: [applied(each, "b") for each in (a, b)] == pytest.approx([15.0, 15.0]),
                because="the others take its share",
            )
            assert time.monotonic() - killed_s > SAFE_WITHIN_S - 0.1  # its last answer may be a beat old
            c.start()
            until(
                lambda: [applied(each, "b") for each in (a, b, c)] == pytest.approx([10.0, 10.0, 10.0], rel=0.01),
                because="all share again",
            )
            assert len(main.events("peer_restarted")) == 1
