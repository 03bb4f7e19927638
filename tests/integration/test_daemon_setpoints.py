"""Set points on real packs: their ends, clamping, lowering before raising, losses in mid-discharge, holders, stops."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.processes import Caller, Node, Pack, aggregator, pseudo, until


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pack, Pack]]:
    """Two packs of 100 Ah, half full, whose logs tell in which order they were told what."""
    directory = tmp_path_factory.mktemp("packs")
    with Pack(directory, "one") as one, Pack(directory, "two", seed=2) as two:
        yield one, two


@pytest.fixture
def rig(packs: tuple[Pack, Pack], tmp_path: Path) -> Iterator[Node]:
    """A fresh node: two packs as one, and a pseudo battery."""
    for pack in packs:
        pack.tell("clear")
        pack.tell("set", load_current_a=0.0, soc=0.5, protection_bits=0)
    topology = packs[0].regulated("b1", refresh_period_s=0.5, max_staleness_s=1.5) + packs[1].regulated(
        "b2", refresh_period_s=0.5, max_staleness_s=1.5
    )
    with Node(tmp_path, topology + aggregator("both", "b1", "b2") + pseudo("p")) as node:
        sampled(node)
        yield node


def sampled(node: Node) -> None:
    """Wait until both packs were looked at: what never was is left out of the sum."""
    until(lambda: {each["quality"] for each in node.statuses().values()} == {"GOOD"})


def loads(packs: tuple[Pack, Pack]) -> tuple[float, float]:
    """Return what the packs are asked to give now."""
    return packs[0].load_a, packs[1].load_a


def test_the_end_of_its_time_to_live(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """A set point of 2 s: both packs run their halves, then 0 A, with the end named before and `safe` in force after."""
    answer = rig.ask("set", "both", "20", "--ttl", "2s")
    assert answer["applied_current_a"] == 20.0
    assert 1.0 < answer["ttl_s"] <= 2.0
    assert loads(packs) == pytest.approx((10.0, 10.0), abs=0.2)
    began_s = time.monotonic()
    until(lambda: loads(packs) == (0.0, 0.0))
    assert time.monotonic() - began_s > 0.5
    status = rig.status("both")
    assert (status["requested_current_a"], status["applied_current_a"], status["setpoint_source"]) == (None, 0.0, "safe")
    assert rig.events("setpoint_ended", battery="both")


def test_times_to_live_that_are_none(rig: Node) -> None:
    """Above the node's longest it is INVALID_ARGUMENT with the maximum; without one it is the node's default."""
    error = rig.refusal("set", "both", "1", "--ttl", "2h")
    assert error["reason"] == "INVALID_ARGUMENT"
    assert float(error["metadata"]["maximum_s"]) == 3600.0
    assert rig.ask("set", "both", "1")["ttl_s"] == pytest.approx(60.0, abs=5.0)


def test_asking_again_prolongs_it(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """The same request repeated by its holder is in force from then on, whatever the first one's end was."""
    rig.ask("set", "both", "20", "--ttl", "2s")
    rig.ask("set", "both", "20", "--ttl", "60s")
    time.sleep(2.5)
    assert loads(packs) == pytest.approx((10.0, 10.0), abs=0.2)
    rig.ask("set", "both", "none")
    assert loads(packs) == (0.0, 0.0)


def test_out_of_range_is_refused_with_the_numbers(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """Two equal packs of 60 A and 30 A: -60 to 120 A; 121 A and -61 A move nothing."""
    for asked in ("121", "-61"):
        error = rig.refusal("set", "both", asked)
        assert error["reason"] == "CURRENT_OUT_OF_RANGE"
        bounds = (float(error["metadata"]["lower_a"]), float(error["metadata"]["upper_a"]))
        assert bounds == pytest.approx((-60.0, 120.0), rel=0.02)
    assert loads(packs) == (0.0, 0.0)


def test_clamped_while_a_limit_falls_and_back_when_it_lifts(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """Charge switched off at one board by a protection: its share ends, the request stands, and it comes back."""
    rig.ask("set", "both", "-40")
    assert loads(packs) == pytest.approx((-20.0, -20.0), abs=0.3)
    packs[0].tell("set", protection_bits=1)  # cell overvoltage shuts charging
    until(lambda: packs[0].load_a == 0.0, because="the protected pack is not charged")
    clamped = rig.status("both")
    assert clamped["requested_current_a"] == -40.0
    assert clamped["applied_current_a"] == pytest.approx(-30.0)
    assert clamped["reason"]
    assert packs[1].load_a == pytest.approx(-30.0)
    packs[0].tell("set", protection_bits=0)
    until(lambda: rig.status("both")["applied_current_a"] == -40.0, because="the request is in force again")
    until(lambda: loads(packs) == pytest.approx((-20.0, -20.0), abs=0.3))


def test_clamping_a_pseudo_battery(rig: Node) -> None:
    """Requested and applied are two numbers: 40 A asked, 10 A possible, 40 A again; asking for 40 A again is accepted."""
    rig.ask("set", "p", "40")
    rig.ask("pseudo", "p", "max_discharge_current_a=10")
    status = until(lambda: (found := rig.status("p"))["applied_current_a"] == 10.0 and found)
    assert (status["requested_current_a"], status["current_a"]) == (40.0, 10.0)
    assert rig.ask("set", "p", "40")["applied_current_a"] == 10.0
    assert rig.refusal("set", "p", "39")["reason"] == "CURRENT_OUT_OF_RANGE"
    rig.ask("pseudo", "p", "max_discharge_current_a=50")
    until(lambda: rig.status("p")["applied_current_a"] == 40.0)


def test_lowered_first_then_raised(packs: tuple[Pack, Pack], tmp_path: Path) -> None:
    """Shares move from one pack to the other: the one that gives more is told only after the other confirmed less.

    The order is that in which the simulators hold their loads, sampled through their control sockets faster than a command
    travels: at no sample is the sum above the larger of the old and the new request.
    """
    for pack in packs:
        pack.tell("set", load_current_a=0.0, soc=0.5, protection_bits=0)
    topology = packs[0].regulated("b1", refresh_period_s=0.5) + packs[1].regulated("b2", refresh_period_s=0.5)
    with Node(tmp_path, topology + aggregator("both", "b1", "b2")) as node:
        sampled(node)
        node.ask("set", "both", "40")
        before = loads(packs)
        assert sum(before) == pytest.approx(40.0)
        packs[0].tell("set", soc=0.3)
        sums = []

        def moved() -> bool:
            second = packs[1].load_a
            first = packs[0].load_a
            sums.append(first + second)
            return first == pytest.approx(15.0, abs=0.3) and second == pytest.approx(25.0, abs=0.3)

        until(moved, because="shares follow 30 to 50 Ah of charge")
        assert max(sums) <= 40.0 + 1e-6, max(sums)


def test_a_pack_unplugged_in_mid_discharge(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """Its last values with age and reason, then no current; the other stays within its limits; all as before on return."""
    rig.ask("set", "both", "60", "--ttl", "5m")
    assert loads(packs) == pytest.approx((30.0, 30.0), abs=0.5)
    until(lambda: rig.status("b1")["current_a"] == pytest.approx(30.0, abs=0.5), because="it is measured")
    packs[0].tell("inject", fault="unplug", seconds=10.0)
    stale = until(lambda: (found := rig.statuses())["b1"]["quality"] == "STALE" and found)
    assert stale["b1"]["current_a"] == pytest.approx(30.0, abs=0.5)
    assert stale["b1"]["age_s"] > 1.5
    assert str(packs[0].port) in stale["b1"]["reason"]
    assert (stale["both"]["quality"], "b1" in stale["both"]["reason"]) == ("STALE", True)
    assert loads(packs) == pytest.approx((30.0, 30.0), abs=0.5)
    gone = until(lambda: (found := rig.statuses())["b1"]["quality"] == "UNAVAILABLE" and found)
    assert gone["b1"]["current_a"] is None
    assert gone["b1"]["voltage_v"] == stale["b1"]["voltage_v"]
    assert gone["b1"]["age_s"] > 4.5
    assert "b1" in gone["both"]["reason"]
    assert gone["both"]["max_discharge_current_a"] == pytest.approx(60.0)
    assert packs[1].load_a <= 60.0
    assert rig.refusal("set", "both", "100")["reason"] == "CURRENT_OUT_OF_RANGE"
    until(lambda: rig.status("both")["quality"] == "GOOD" and rig.status("b1")["quality"] == "GOOD", timeout_s=20.0)
    until(lambda: loads(packs) == pytest.approx((30.0, 30.0), abs=0.5), because="shares are as before")
    assert len(rig.events("battery_lost", battery="b1")) == 1
    assert len(rig.events("battery_back", battery="b1")) == 1


def test_a_pack_lost_with_its_regulator(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """What nobody can see counts: it may still run 30 A, so the other is not raised; the sum is not claimed; contact ends it."""
    rig.ask("set", "both", "60", "--ttl", "5m")
    kept_a = packs[1].load_a
    packs[0].signal(signal.SIGSTOP)
    try:
        until(lambda: rig.status("b1")["quality"] == "UNAVAILABLE")
        until(lambda: "unconfirmed" in rig.status("b1")["reason"], because="telling the lost one fails")
        time.sleep(1.5)  # longer than the pause between two recomputations of shares
        found = rig.statuses()
        assert found["b1"]["current_a"] is None
        assert found["both"]["current_a"] is None
        assert "may still run: b1 up to 30 A" in found["both"]["reason"]
        assert found["both"]["max_discharge_current_a"] == pytest.approx(60.0)
        assert packs[1].load_a <= kept_a + 1e-6
    finally:
        packs[0].signal(signal.SIGCONT)
    until(lambda: rig.status("b1")["quality"] == "GOOD" and rig.status("both")["quality"] == "GOOD")
    until(lambda: loads(packs) == pytest.approx((30.0, 30.0), abs=0.5))
    until(lambda: rig.status("both")["reason"] == "")


def test_a_battery_in_use_is_not_commanded_around_its_users(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """BATTERY_IN_USE names the user, and nothing moves."""
    error = rig.refusal("set", "b1", "5")
    assert error["reason"] == "BATTERY_IN_USE"
    assert error["metadata"]["users"] == "both"
    assert loads(packs) == (0.0, 0.0)


def refusal_of(call: Any) -> str:
    """Return the reason in the rich error of a refused call."""
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = rpc_status.from_call(caught.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    assert info.domain == "bosd"
    return str(info.reason)


def test_claimed_by_another_client(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """The first holds it until it lets go or its time is over; the second is refused with holder and remaining time."""
    with Caller(rig.target, "ann") as ann, Caller(rig.target, "ben") as ben:
        ann.set("both", 20.0, ttl_s=60.0)
        assert refusal_of(lambda: ben.set("both", 10.0)) == "CLAIMED"
        error = rig.refusal("set", "both", "10")
        assert (error["reason"], error["metadata"]["holder"]) == ("CLAIMED", "ann")
        assert 40.0 < float(error["metadata"]["remaining_s"]) <= 60.0
        assert rig.refusal("set", "both", "none")["reason"] == "CLAIMED"
        assert sum(loads(packs)) == pytest.approx(20.0)
        ann.set("both", 30.0, ttl_s=1.0)
        until(lambda: loads(packs) == (0.0, 0.0))
        assert ben.set("both", 10.0).applied_current_a == 10.0


def test_stop_and_release(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """A member in use is stopped at once by anyone, survives a restart, and runs again only after `release`."""
    rig.ask("set", "both", "40", "--ttl", "10m")
    assert rig.ask("stop", "b1", "--reason", "smoke") == {"stopped": ["b1"], "unconfirmed": []}
    assert packs[0].load_a == 0.0
    status = rig.statuses()
    assert status["b1"]["max_discharge_current_a"] == status["b1"]["max_charge_current_a"] == 0.0
    assert "stopped" in status["b1"]["reason"]
    until(lambda: packs[1].load_a == pytest.approx(40.0), because="the other carries on within its limit")
    assert rig.terminate() == 0
    rig.start()
    sampled(rig)
    assert "stopped" in rig.status("b1")["reason"]
    rig.ask("set", "both", "40", "--ttl", "10m")
    assert loads(packs) == pytest.approx((0.0, 40.0))
    released = rig.ask("release", "b1")
    assert released["released"] == ["b1"]
    assert [(each["name"], each["current_a"]) for each in released["asked_again"]] == [("both", 40.0)]
    until(lambda: loads(packs) == pytest.approx((20.0, 20.0), abs=0.5), because="the share is given back")


def test_stop_of_a_whole_and_of_the_node(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """A stopped battery refuses with STOPPED; `--node` stops all; releasing what is not stopped is done."""
    rig.ask("set", "both", "40")
    rig.ask("stop", "both")
    assert loads(packs) == (0.0, 0.0)
    assert rig.refusal("set", "both", "1")["reason"] == "STOPPED"
    rig.ask("release", "both")
    assert rig.ask("release", "both")["released"] is not None
    rig.ask("set", "p", "10")
    stopped = rig.ask("stop", "--node")
    assert set(stopped["stopped"]) == {"b1", "b2", "both", "p"}
    assert rig.status("p")["current_a"] == 0.0
    assert loads(packs) == (0.0, 0.0)
    rig.ask("release", "b1", "b2", "both", "p")
    rig.ask("set", "p", "3")


def test_a_pack_without_current_control(packs: tuple[Pack, Pack], tmp_path: Path) -> None:
    """It is read but not commandable, says so, keeps its ideal limits, and an aggregate of it is UNSUPPORTED with its name."""
    topology = packs[0].toml("plain", max_discharge_current_a=60.0, max_charge_current_a=30.0) + packs[1].regulated("b2")
    with Node(tmp_path, topology + aggregator("both", "plain", "b2")) as node:
        sampled(node)
        plain = node.status("plain")
        assert not plain["commandable"]
        assert "no current control" in plain["reason"]
        assert (plain["max_discharge_current_a"], plain["ideal_max_discharge_current_a"]) == (0.0, 60.0)
        error = node.refusal("set", "both", "5")
        assert error["reason"] == "UNSUPPORTED"
        assert "plain" in error["message"]


def test_dry_run(rig: Node, packs: tuple[Pack, Pack]) -> None:
    """It is checked and shown, and nothing moves."""
    answer = rig.ask("set", "both", "40", "--dry-run")
    assert {leaf["name"]: round(leaf["new_current_a"], 1) for leaf in answer["leaves"]} == pytest.approx(
        {"b1": 20.0, "b2": 20.0}, abs=0.3
    )
    assert rig.refusal("set", "both", "400", "--dry-run")["reason"] == "CURRENT_OUT_OF_RANGE"
    assert loads(packs) == (0.0, 0.0)
    assert rig.status("both")["requested_current_a"] is None
