"""Sessions between real processes: leases, restarts on either side, shares of what is not seen; all timers a fifth.

Judged by order and by the nodes' own records (control.md, "Kinds of proof on one small machine").
"""

import signal
import time
from pathlib import Path

import pytest

from tests.support.fifth import FIFTH, SAFE_WITHIN_S, applied, asked, owner, ready, shares, stub
from tests.support.processes import Caller, Node, aggregator, pseudo, until

BEAT_S = 0.1
"""So old its last answer may have been."""


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
        (record,) = [each for each in sat.ask("audit", "--battery", "b") if each["action"] == "lease-over"]
        assert (record["names"], record["before"]) == (["b"], {"current_a": 10.0, "holder": "node:main"})
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
            assert shares(a, b, c) == [10.0, 10.0, 10.0]
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
                lambda: shares(a, b) == pytest.approx([15.0, 15.0], rel=0.01),
                because="the others take its share",
            )
            assert time.monotonic() - killed_s > SAFE_WITHIN_S - 0.1  # its last answer may be a beat old
            c.start()
            until(
                lambda: shares(a, b, c) == pytest.approx([10.0, 10.0, 10.0], rel=0.01),
                because="all share again",
            )
            assert len(main.events("peer_restarted")) == 1


def test_a_stub_that_comes_while_the_session_lives(tmp_path: Path) -> None:
    """What is added at a known node hears its bounds, too: lost, it counts as long as it may run, and no longer."""
    far = Node(tmp_path / "far", FIFTH + pseudo("b") + pseudo("c"), name="far")
    with far, Node(tmp_path / "main", FIFTH + stub("s", far), name="main") as main:
        ready(main, "s")
        (tmp_path / "late.toml").write_text(stub("late", far, "c"))
        main.ask("add", str(tmp_path / "late.toml"))
        until(
            lambda: main.ask("explain", "late")["safe_within_s"] == pytest.approx(2.0 * SAFE_WITHIN_S),
            because="it has heard how soon its owner lets go",
        )
        ready(main, "late")
        assert asked(main, "late", 10.0)["applied_current_a"] == 10.0
        far.kill()
        until(lambda: main.status("late")["reason"].startswith("counted at 10 A for"), because="it is counted for a time")
