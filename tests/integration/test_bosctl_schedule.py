"""`bosctl schedule` on real nodes: bookings seconds away, at another node, through `kill -9`, and on a simulated clock."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.processes import Node, aggregator, battery, pseudo, table, until

SPLIT = pseudo("src", max_discharge_current_a=100.0, max_charge_current_a=100.0) + table(
    "[[splitter]]",
    {
        "name": "sp",
        "policy": "proportional",
        "source": "src",
        "partitions": [{"name": "p", "fraction": 0.5}, {"name": "q", "fraction": 0.5}],
    },
)
NOT_SYNCHRONISED = "import bosd.node.clock_trust; bosd.node.clock_trust.kernel_synchronised = lambda: False"
FAR = "2040-01-01T00:00:00Z"
LATER = "2040-01-01T01:00:00Z"
ROWS = [
    ((200, 1, 3), (300, 2, 4), [0, 200, 300, 300, 0]),
    ((200, 1, 4), (300, 2, 3), [0, 200, 300, 200, 0]),
    ((200, 2, 4), (300, 1, 3), [0, 300, 300, 200, 0]),
    ((200, 1, 2), (300, 2, 3), [0, 200, 300, 0, 0]),
]
"""bal.md, "Schedules", each unit an hour; what is applied in the middle of each hour from 0 on."""


def test_a_booking_seconds_away(tmp_path: Path) -> None:
    """It begins, a set point goes above it, it is in force again, and it ends; all of it says so."""
    with Node(tmp_path, pseudo("b"), trust_clock=True) as node:
        booked = node.ask("schedule", "add", "b", "10", "--start", "+1s", "--end", "+12s")
        assert (booked["id"], booked["current_a"], booked["survives"], booked["warnings"]) == ("1", 10.0, "node home", [])
        assert (booked["checked_against"], booked["ideal_lower_a"], booked["ideal_upper_a"]) == ("ideal", -50.0, 50.0)
        status = until(lambda: (found := node.status("b"))["applied_current_a"] and found, because="the booking begins")
        assert (status["requested_current_a"], status["setpoint_source"]) == (10.0, "schedule")
        ends = datetime.fromisoformat(booked["end_at"])
        assert abs(datetime.fromisoformat(status["setpoint_ends_at"]) - ends) < timedelta(seconds=0.1)
        assert [each["running"] for each in node.ask("schedule", "ls", "b")] == [True]
        node.ask("set", "b", "5", "--ttl", "1s")
        assert node.status("b")["setpoint_source"] in ("manual", "schedule")
        until(lambda: node.status("b")["applied_current_a"] == 10.0, because="the booking is in force again")
        until(lambda: node.status("b")["setpoint_source"] == "safe", because="the booking is over")
        until(lambda: node.ask("schedule", "ls") == [], because="it is forgotten")


def test_cancelling(tmp_path: Path) -> None:
    """Cancelling what runs leads to 0 A at once; what is not there is refused."""
    with Node(tmp_path, pseudo("b"), trust_clock=True) as node:
        node.ask("schedule", "add", "b", "-10", "--end", "+1h")
        until(lambda: node.status("b")["applied_current_a"] == -10.0)
        assert node.ask("schedule", "cancel", "1")["current_a"] == -10.0
        until(lambda: node.status("b")["applied_current_a"] == 0.0)
        assert node.refusal("schedule", "cancel", "1")["reason"] == "BAD_NAME"


def test_refusals(tmp_path: Path) -> None:
    """Out of ideal limits, in use, in the past, too long, no offset; a booked battery is not put in use."""
    with Node(tmp_path, SPLIT + pseudo("c") + pseudo("d"), trust_clock=True) as node:
        error = node.refusal("schedule", "add", "p", "51", "--start", FAR, "--end", LATER)
        assert (error["reason"], error["metadata"]["upper_a"]) == ("CURRENT_OUT_OF_RANGE", "50.0")
        assert node.refusal("schedule", "add", "src", "1", "--start", FAR, "--end", LATER)["reason"] == "BATTERY_IN_USE"
        for start, end in (("2020-01-01T00:00:00Z", LATER), (LATER, FAR), (FAR, "2040-01-02T01:00:00Z")):
            assert node.refusal("schedule", "add", "p", "1", "--start", start, "--end", end)["reason"] == "INVALID_ARGUMENT"
        for wrong in ("2040-01-01T00:00:00", "tomorrow", "+x"):
            assert node.bosctl("schedule", "add", "p", "1", "--start", wrong, "--end", LATER).status == 2
        node.ask("schedule", "add", "c", "7", "--start", FAR, "--end", LATER)
        fragment = tmp_path / "agg.toml"
        fragment.write_text(aggregator("cd", "c", "d"))
        error = node.refusal("add", str(fragment))
        assert (error["reason"], error["metadata"]["bookings"]) == ("BATTERY_IN_USE", "1")


def test_a_booking_at_another_node(tmp_path: Path) -> None:
    """It is kept and executed by the owner while the node that booked it is gone."""
    with Node(tmp_path, pseudo("far"), name="owner", trust_clock=True) as owner:
        stub = battery("stub", "network", target=owner.target, remote_name="far")
        with Node(tmp_path, stub, name="local") as local:
            until(lambda: local.status("stub")["quality"] == "GOOD")
            booked = local.ask("schedule", "add", "stub", "10", "--start", "+2s", "--end", "+1h")
            assert (booked["id"], booked["name"], booked["survives"]) == ("stub/1", "stub", "node owner")
            assert [each["id"] for each in local.ask("schedule", "ls", "stub")] == ["stub/1"]
            assert local.ask("schedule", "ls") == []
            assert [each["who"] for each in owner.ask("schedule", "ls")] == ["node:local"]
            local.kill()
            until(lambda: owner.status("far")["applied_current_a"] == 10.0)
            local.start()
            until(lambda: local.status("stub")["setpoint_source"] == "schedule")
            assert local.ask("schedule", "cancel", "stub/1")["id"] == "stub/1"
        until(lambda: owner.status("far")["applied_current_a"] == 0.0)


def test_an_owner_restricts_bookings_of_other_nodes(tmp_path: Path) -> None:
    """What it takes from nobody, from its own alone, or for 2 h at most: refused with what and whose rule, here it is taken."""
    topology = pseudo("none", bookings="none") + pseudo("local", bookings="local") + pseudo("short", max_booking_h=2.0)
    with Node(tmp_path, topology, name="owner", trust_clock=True) as owner:
        names = ("none", "local", "short")
        stubs = "".join(battery(f"far-{name}", "network", target=owner.target, remote_name=name) for name in names)
        with Node(tmp_path, stubs, name="main", trust_clock=True) as main:
            until(lambda: all(status["quality"] == "GOOD" for status in main.statuses().values()))
            for name, rule in (("none", 'bookings = "none"'), ("local", 'bookings = "local"), node:main is one')):
                refusal = main.refusal("schedule", "add", f"far-{name}", "5", "--start", FAR, "--end", LATER)
                assert (refusal["reason"], refusal["metadata"]["rule"]) == ("NOT_ALLOWED", "bookings")
                assert rule in refusal["message"]
                assert refusal["message"].endswith(f"so says the node that owns far-{name}")
            refusal = main.refusal("schedule", "add", "far-short", "5", "--end", "+3h")
            assert (refusal["reason"], refusal["metadata"]["maximum_h"]) == ("INVALID_ARGUMENT", "2.0")
            assert "so says the node that owns far-short" in refusal["message"]
            assert owner.ask("schedule", "ls") == []
            booked = main.ask("schedule", "add", "far-short", "5", "--start", FAR, "--end", LATER)
            assert (booked["survives"], booked["id"]) == ("node owner", "far-short/1")
            assert owner.refusal("schedule", "add", "none", "5", "--end", "+1h")["reason"] == "NOT_ALLOWED"
            assert owner.ask("schedule", "add", "local", "5", "--end", "+1h")["survives"] == "node owner"
            refused = [each["who"] for each in owner.ask("audit") if (each["action"], each["outcome"]) == ("book", "refused")]
            assert refused.count("node:main") == 3


def test_a_virtual_booking_over_another_node(tmp_path: Path) -> None:
    """It is carried out by set points with an end: the member's owner shows them as manual, and ends them when nobody renews."""
    with Node(tmp_path, pseudo("far"), name="owner") as owner:
        topology = battery("stub", "network", target=owner.target, remote_name="far") + pseudo("near")
        with Node(tmp_path, topology + aggregator("all", "stub", "near"), name="local", trust_clock=True) as local:
            until(lambda: local.status("all")["max_discharge_current_a"] == 100.0)
            local.ask("schedule", "add", "all", "20", "--end", "+3h")
            status = until(lambda: (found := owner.status("far"))["applied_current_a"] == 10.0 and found)
            assert status["setpoint_source"] == "manual"
            left = datetime.fromisoformat(status["setpoint_ends_at"]) - datetime.fromisoformat(status["sampled_to"])
            assert timedelta(seconds=20) < left <= timedelta(seconds=61)
            assert local.status("near")["applied_current_a"] == 10.0


def test_a_clock_that_is_not_trusted(tmp_path: Path) -> None:
    """An unsynchronised kernel: the booking is kept with a warning, does not begin, and `reason` says why."""
    with Node(tmp_path, pseudo("b"), prelude=NOT_SYNCHRONISED) as node:
        booked = node.ask("schedule", "add", "b", "10", "--end", "+1h")
        assert "the wall clock is not trusted now, the kernel does not call it synchronised" in booked["warnings"][0]
        reason = until(lambda: node.status("b")["reason"])
        assert "no booking begins" in reason
        assert "trust_clock = true overrides" in reason
        assert node.status("b")["applied_current_a"] == 0.0


@pytest.mark.timeout(120)
def test_no_acknowledged_booking_is_lost(tmp_path: Path) -> None:
    """`kill -9` at random moments: after each, what was acknowledged is there, and what was cancelled is not."""
    moments = random.Random(5)
    acknowledged: set[str] = set()
    node = Node(tmp_path, pseudo("b"), trust_clock=True)
    with node:
        for _ in range(4):
            for _ in range(moments.randint(1, 3)):
                acknowledged.add(node.ask("schedule", "add", "b", "10", "--start", FAR, "--end", LATER)["id"])
            gone = min(acknowledged)
            node.ask("schedule", "cancel", gone)
            acknowledged.remove(gone)
            node.kill()
            node.start()
            assert {each["id"] for each in node.ask("schedule", "ls")} == acknowledged


def test_rows_of_the_table_on_a_simulated_clock(tmp_path: Path) -> None:
    """The five booking rows from the command line alone, ticked hour by hour, one battery a row."""
    batteries = "".join(
        pseudo(f"b{row}", charge_ah=5000.0, capacity_ah=10000.0, max_discharge_current_a=400.0) for row in range(1, 6)
    )
    node = Node(tmp_path, batteries)
    node._arguments = [*node._arguments, "--clock", "simulated"]
    with node:
        for row, bookings in enumerate(ROWS, 1):
            for current_a, start_h, end_h in bookings[:2]:
                node.ask("schedule", "add", f"b{row}", str(current_a), "--start", f"+{start_h}h", "--end", f"+{end_h}h")
        node.ask("schedule", "add", "b5", "100", "--start", "now", "--end", "+5h")
        found: dict[str, list[float]] = {f"b{row}": [] for row in range(1, 6)}
        node.ask("tick", "30m")
        for hour in range(6):
            for name, status in node.statuses().items():
                found[name].append(status["applied_current_a"])
            if hour == 1:
                node.ask("tick", "30m")
                node.ask("schedule", "add", "b5", "200", "--start", "now", "--end", "+2h")
                node.ask("tick", "30m")
            else:
                node.ask("tick", "1h")
        charges = {name: status["charge_ah"] for name, status in node.statuses().items()}
    for row, (_, _, expected) in enumerate(ROWS, 1):
        assert found[f"b{row}"] == [*expected, 0]
        assert charges[f"b{row}"] == pytest.approx(5000.0 - sum(expected), abs=1e-3)
    assert found["b5"] == [100, 100, 200, 200, 100, 0]
    assert charges["b5"] == pytest.approx(5000.0 - (3 * 100 + 2 * 200), abs=1e-3)
