"""A bench supply and the pack it charges, each a process on its own pseudo-terminal, under a node: set, read back, safe."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bosd.safeguard.report import read_report
from bosd.v1 import battery_pb2 as pb
from tests.integration.test_safe_by_hand import Done
from tests.support.processes import Caller, Node, Pack, Supply, pseudo, until

LIMITS = {"max_discharge_current_a": 60.0, "max_charge_current_a": 5.0}


def charged(pack: Pack, supply: Supply, **keys: object) -> str:
    """Return the table of a pack that the supply charges: 5 A and 14.6 V at most."""
    regulator = {"kind": "rd6006", "port": str(supply.port), "max_current_a": 5.0, "max_voltage_v": 14.6}
    return pack.toml("b1", current_control="external", regulator=regulator, refresh_period_s=0.5, **{**LIMITS, **keys})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[tuple[Pack, Supply]]:
    """A pack and a supply, wired to each other."""
    with Pack(tmp_path, "pack") as pack, Supply(tmp_path, "supply", pack) as supply:
        yield pack, supply


def test_charged_switched_off_by_hand_and_back(bench: tuple[Pack, Supply], tmp_path: Path) -> None:
    """3 A are charged and measured; the front panel's button off is NOT_FOLLOWED with all three numbers, on again clears it."""
    pack, supply = bench
    with Node(tmp_path, charged(pack, supply, follow_within_s=2.0)) as node, Caller(node.target) as caller:
        until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
        status = caller.status("b1")
        assert (status.max_discharge_current_a, status.max_charge_current_a) == (0.0, 5.0)
        assert "the regulator is a source: it cannot discharge" in status.reason
        refusal = node.refusal("set", "b1", "2")
        assert (refusal["reason"], refusal["metadata"]["upper_a"]) == ("CURRENT_OUT_OF_RANGE", "0.0")
        node.ask("set", "b1", "--ttl", "300s", "--", "-3")
        until(lambda: caller.status("b1").current_a == pytest.approx(-3.0, abs=0.05), because="the pack measures it")
        assert supply.state["current_a"] == 3.0
        until(lambda: "hardware" in node.ask("device", "b1")["identity"], because="it is asked for within some readings")
        device = node.ask("device", "b1")
        assert (device["identity"]["hardware"], device["regulator"]["identity"]["model"]) == ("BOSD-SIM-JBD", "RD6006")
        assert (device["regulator"]["port"], device["regulator"]["flags"]["output_on"]) == (str(supply.port), True)
        supply.tell("set", output=False)
        until(lambda: "NOT_FOLLOWED: commanded -3 A, held 0 A, measured 0 A" in caller.status("b1").reason, because="it is said")
        status = caller.status("b1")
        assert (status.applied_current_a, status.quality, status.current_a) == (-3.0, pb.QUALITY_GOOD, 0.0)
        assert not supply.state["output_on"], "what a person switched off stays off"
        (error,) = until(
            lambda: [error for error in node.ask("errors") if error["battery"] == "b1"], because="the error is raised"
        )
        assert (error["type"], error["message"]) == ("NOT_FOLLOWED", "commanded -3 A, held 0 A, measured 0 A")
        supply.tell("set", output=True)
        until(lambda: "NOT_FOLLOWED" not in caller.status("b1").reason, because="it is cleared")
        until(lambda: node.events("error_cleared", type="NOT_FOLLOWED", battery="b1"), because="the error, too")
        assert caller.status("b1").current_a == pytest.approx(-3.0, abs=0.05)
        node.ask("set", "b1", "0")
        assert not supply.state["output_on"]


def test_turned_up_by_hand_then_killed(bench: tuple[Pack, Supply], tmp_path: Path) -> None:
    """One that holds more than it was told is taken to 0 A and may do nothing; the guard of a killed daemon switches it off."""
    pack, supply = bench
    with Node(tmp_path, charged(pack, supply, follow_within_s=1.0)) as node, Caller(node.target) as caller:
        until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
        caller.set("b1", -2.0, ttl_s=300.0)
        supply.tell("set", set_current_a=4.5)
        until(lambda: not supply.state["output_on"], because="it is taken to 0 A")
        until(lambda: caller.status("b1").applied_current_a == 0.0, because="that is confirmed")
        status = caller.status("b1")
        assert "NOT_FOLLOWED: commanded -2 A, held -4.5 A, measured -" in status.reason
        assert status.max_charge_current_a == 0.0
        supply.tell("set", output=True, set_current_a=1.0)
        node.kill()
        until(lambda: not supply.state["output_on"], because="the guard switched it off")
        until(lambda: supply.state["set_current_a"] == 0.0)


def test_a_trip_is_named_then_ended_in_order(bench: tuple[Pack, Supply], tmp_path: Path) -> None:
    """What its own protection switched off has the protection's name in the reason; a daemon that ends leaves it off."""
    pack, supply = bench
    with Node(tmp_path, charged(pack, supply, follow_within_s=1.0)) as node, Caller(node.target) as caller:
        until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
        caller.set("b1", -2.0, ttl_s=300.0)
        supply.tell("set", excess_v=5.0)
        until(lambda: "NOT_FOLLOWED" in caller.status("b1").reason)
        reason = caller.status("b1").reason
        assert "commanded -2 A, held 0 A, measured " in reason
        assert "OVP: its own protection switched it off" in reason
        assert not supply.state["output_on"]
        assert node.terminate() == 0
        assert (supply.state["output_on"], supply.state["set_current_a"]) == (False, 0.0)


def test_taken_out_while_it_does_not_answer(bench: tuple[Pack, Supply], tmp_path: Path) -> None:
    """A supply that cannot be told 0 A when its battery is removed is told until it is: no current goes on without anybody."""
    pack, supply = bench
    with Node(tmp_path, charged(pack, supply)) as node, Caller(node.target) as caller:
        until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
        caller.set("b1", -3.0, ttl_s=300.0)
        supply.tell("inject", fault="unplug", seconds=8.0)
        answer = node.bosctl("rm", "b1")
        told = answer.document
        assert (answer.status, told["unconfirmed"]) == (1, ["b1"]), "a script is to see it"
        assert "b1 did not confirm 0 A: look at its device, which is told until it does" in told["warnings"]
        assert supply.state["output_on"], "it goes on with what it was told"
        (error,) = until(lambda: [each for each in node.ask("errors") if each["battery"] == "b1"], because="it is said")
        assert (error["type"], error["message"].partition(":")[0]) == (
            "NOT_FOLLOWED",
            "b1 was taken out and its device did not confirm its safe action",
        )
        until(lambda: not supply.state["output_on"], because="it is told when it is back")
        until(lambda: not [each for each in node.ask("errors") if each["battery"] == "b1"], because="the error is over")


def test_taken_out_and_left_by_a_killed_daemon(bench: tuple[Pack, Supply], tmp_path: Path) -> None:
    """Guard, `bosd safe` and the next daemon go on with a supply that is in no topology any more, until it is off."""
    pack, supply = bench
    with Node(tmp_path, charged(pack, supply) + pseudo("p")) as node, Caller(node.target) as caller:
        until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
        caller.set("b1", -3.0, ttl_s=300.0)
        supply.tell("inject", fault="silent", seconds=300.0)
        assert node.bosctl("rm", "b1").status == 1
        node.kill()
        found = until(lambda: read_report(node.state_dir) or {}, timeout_s=10.0, because="the guard has acted")
        assert [(each["name"], each["confirmed"]) for each in found["devices"]] == [("b1", False)]
        done = Done(node)
        assert (done.status, done.lines[0].partition(": ")[:1]) == (1, ("b1",))
        node.start()
        assert node.events("guard_acted", guard_confirmed=False)
        (error,) = until(lambda: [each for each in node.ask("errors") if each["battery"] == "b1"], because="it is said")
        assert error["type"] == "NOT_FOLLOWED"
        assert supply.state["output_on"], "it goes on with what it was told"
        supply.tell("inject", fault="silent", seconds=0.01)
        until(lambda: not supply.state["output_on"], because="it is told when it answers")
        until(lambda: not [each for each in node.ask("errors") if each["battery"] == "b1"], because="the error is over")
        assert node.terminate() == 0
        assert read_report(node.state_dir) is None


def test_a_pack_that_falls_silent_is_charged_no_more(bench: tuple[Pack, Supply], tmp_path: Path) -> None:
    """The supply, which answers, is switched off when nobody sees the cells any more."""
    pack, supply = bench
    with Node(tmp_path, charged(pack, supply, unavailable_after_s=2.0)) as node, Caller(node.target) as caller:
        until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
        caller.set("b1", -3.0, ttl_s=300.0)
        assert supply.state["output_on"]
        pack.tell("inject", fault="stuck", seconds=60.0)
        until(lambda: not supply.state["output_on"], because="it is switched off")
        until(lambda: caller.status("b1").applied_current_a == 0.0, because="that is confirmed")
        until(lambda: caller.status("b1").quality == pb.QUALITY_UNAVAILABLE, because="an answer may have been on its way")
        assert not supply.state["output_on"]


def _lost_power_at(node: Node, supply: Supply, current_a: float) -> None:
    """Have the supply charge, end the node and its guard at once, and have the supply answer nothing from then on."""
    with Caller(node.target) as caller:
        until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
        caller.set("b1", current_a, ttl_s=300.0)
    node.power_cut()
    supply.tell("inject", fault="silent", seconds=300.0)


def test_what_a_board_without_power_left_counts_until_it_answers(bench: tuple[Pack, Supply], tmp_path: Path) -> None:
    """3 A are charged when daemon and guard end at once; the supply, which runs on, answers nothing: 3 A count, and are said."""
    pack, supply = bench
    with Node(tmp_path, charged(pack, supply)) as node:
        _lost_power_at(node, supply, -3.0)
        node.start()
        with Caller(node.target) as caller:
            words = "counted at -3 A, which an earlier run had it run, until it answers"
            until(lambda: words in caller.status("b1").reason, because="it is counted")
            assert len(node.events("left_running", battery="b1", current_a=-3.0)) == 1
            assert supply.state["output_on"], "it goes on with what it was told"
            supply.tell("inject", fault="silent", seconds=0.01)
            until(lambda: not supply.state["output_on"], because="it is seen running, and ended")
            until(lambda: "counted" not in caller.status("b1").reason, because="nothing is counted any more")


@pytest.mark.parametrize("who", ["guard", "safe"])
def test_what_was_confirmed_in_the_daemons_place_counts_no_more(bench: tuple[Pack, Supply], tmp_path: Path, who: str) -> None:
    """The guard, or `bosd safe`, switched a supply off that was charging; somebody unplugs it then: it drags nobody."""
    pack, supply = bench
    with Node(tmp_path, charged(pack, supply)) as node:
        if who == "guard":
            with Caller(node.target) as caller:
                until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
                caller.set("b1", -3.0, ttl_s=300.0)
            node.kill()
            until(lambda: (read_report(node.state_dir) or {}).get("confirmed"), timeout_s=10.0, because="the guard has acted")
        else:
            _lost_power_at(node, supply, -3.0)
            supply.tell("inject", fault="silent", seconds=0.01)
            assert Done(node).status == 0
        assert not supply.state["output_on"]
        supply.tell("inject", fault="silent", seconds=300.0)
        node.start()
        with Caller(node.target) as caller:
            _has_looked(node, caller)
            assert "an earlier run" not in caller.status("b1").reason


def test_what_was_made_safe_after_it_was_taken_out_counts_no_more(bench: tuple[Pack, Supply], tmp_path: Path) -> None:
    """Taken out while it was silent, told 0 A by the next daemon, then brought back unplugged: nothing is counted for it."""
    pack, supply = bench
    with Node(tmp_path, charged(pack, supply) + pseudo("p")) as node:
        with Caller(node.target) as caller:
            until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
            caller.set("b1", -3.0, ttl_s=300.0)
        supply.tell("inject", fault="silent", seconds=300.0)
        assert node.bosctl("rm", "b1").status == 1
        node.power_cut()
        node.start()
        supply.tell("inject", fault="silent", seconds=0.01)
        until(lambda: not supply.state["output_on"], because="it is told when it answers")
        until(lambda: not [each for each in node.ask("errors") if each["battery"] == "b1"], because="the error is over")
        supply.tell("inject", fault="silent", seconds=300.0)
        table = tmp_path / "b1.toml"
        table.write_text(charged(pack, supply) + pseudo("p"))
        node.ask("topology", "apply", str(table))
        with Caller(node.target) as caller:
            _has_looked(node, caller)
            assert "an earlier run" not in caller.status("b1").reason


def _has_looked(node: Node, caller: Caller) -> None:
    """Wait until the node has given up its first look at what holds: a set point is refused by the supply itself from then on."""
    until(lambda: caller.status("b1").quality == pb.QUALITY_GOOD)
    until(lambda: "no answer in" in node.refusal("set", "b1", "-1")["message"], because="the first look is over")
