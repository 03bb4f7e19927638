"""Alone limits between real processes: in force while the node that commands is not heard; all timers a fifth."""

from pathlib import Path

from tests.support.fifth import FIFTH, ready, stub
from tests.support.processes import Caller, Node, pseudo, until


def test_alone_limits(tmp_path: Path) -> None:
    """39 W at 13 V are 3 A: over the safe value, a booking and a set point, from the start and from a loss until it is ready."""
    limited = pseudo("b", alone_discharge_limit_w=39.0, safe_current_a=5.0)
    with Node(tmp_path, FIFTH + limited, name="sat", trust_clock=True) as sat, Caller(sat.target, "ann") as at_sat:

        def runs(current_a: float, reason: str = "") -> None:
            until(lambda: at_sat.status("b").applied_current_a == current_a, because=f"{current_a} A {reason}")
            assert reason in at_sat.status("b").reason

        runs(3.0, "alone, any node is not heard: at most 39 W out")
        with Node(tmp_path, FIFTH + stub("far", sat), name="main") as main:
            ready(main, "far")
            runs(5.0)
            main.ask("set", "far", "10", "--ttl", "60s")
            runs(10.0)
            assert at_sat.status("b").reason == ""
            main.kill()
            runs(3.0, "clamped to the alone discharge limit 39 W; alone, node:main is not heard")
            assert sat.events("alone", battery="b", unheard="node:main")
            sat.ask("schedule", "add", "b", "6", "--end", "+1h")
            until(lambda: sat.status("b")["setpoint_source"] == "schedule")
            runs(3.0, "alone")
            answer = at_sat.set("b", 8.0, 60.0)
            assert (answer.requested_current_a, answer.applied_current_a) == (8.0, 3.0)
            assert "alone discharge limit 39 W" in answer.reason
            assert "(clamped to the alone discharge limit 39 W)" in sat.ask("explain", "b")["in_force"]["text"]
            main.start()
            until(lambda: main.status("far")["link"] == "ready")
            runs(8.0)
            assert main.status("far")["reason"] == "CLAIMED: ann holds it at its node"
            assert sat.events("not_alone", battery="b")
            at_sat.set("b", -20.0, 60.0)
            main.kill()
            until(lambda: "is not heard" in at_sat.status("b").reason)
            runs(-20.0)  # that way has no limit
