"""`bosd run --clock simulated`: time moves by `bosctl tick` alone, and what happens on the way happens at its own instant."""

from pathlib import Path

import pytest

from bosd.bal.spec import JbdSpec
from bosd.safeguard.report import removed_of, write_removed
from tests.support.processes import Node, aggregator, battery, pseudo, recording, table, until

HOUR_S = 3600.0
DAY_S = 86400.0

ACCOUNTING = pseudo(
    "src", voltage_v=50.0, charge_ah=100.0, capacity_ah=200.0, max_discharge_current_a=100.0, max_charge_current_a=100.0
) + table(
    "[[splitter]]",
    {
        "name": "sp",
        "policy": "proportional",
        "source": "src",
        "partitions": [
            {"name": "p1", "charge_fraction": 0.8, "capacity_fraction": 0.4, "current_fraction": 0.5},
            {"name": "p2", "charge_fraction": 0.2, "capacity_fraction": 0.6, "current_fraction": 0.5},
        ],
    },
)
"""P1 of 80 Ah, full; P2 of 120 Ah with 20 Ah (16.7 %) (bal.md, "Partition accounting")."""


class Simulated(Node):
    """A node on a simulated clock, whose set points may live for a day."""

    def __init__(self, directory: Path, topology: str, name: str = "home") -> None:
        super().__init__(directory, topology, name=name, max_setpoint_ttl_s=DAY_S)
        self._arguments = [*self._arguments, "--clock", "simulated"]


def test_devices_that_an_earlier_run_left_are_not_told(tmp_path: Path) -> None:
    """A run on the real clock took b1 out, and the power went before its device confirmed: it is kept for the next such run."""
    with Simulated(tmp_path, ACCOUNTING) as node:
        state_dir = node.state_dir
    left = JbdSpec(
        name="b1",
        port=str(tmp_path / "nowhere"),
        current_control="gate",
        safe="open",
        max_discharge_current_a=60.0,
        max_charge_current_a=30.0,
    )
    write_removed(state_dir, [left])
    with Simulated(tmp_path, ACCOUNTING) as node:
        assert node.events("orphan_inherited") == []
    assert removed_of(state_dir) == (left,)


def test_two_hours_of_partition_accounting(tmp_path: Path) -> None:
    """P1 gives 40 A, P2 takes 50 A: after two hours P1 is empty and stopped, P2 full, and 20 Ah came from outside."""
    with Simulated(tmp_path, ACCOUNTING) as node:
        node.ask("set", "p1", "40", "--ttl", "3h")
        node.ask("set", "p2", "-50", "--ttl", "3h")
        assert node.status("src")["current_a"] == pytest.approx(-10.0)
        began = node.ask("clock")
        half = node.ask("tick", "1h")
        assert half["monotonic_s"] - began["monotonic_s"] == pytest.approx(HOUR_S, abs=1e-6)
        halfway = node.statuses()
        assert halfway["p1"]["charge_ah"] == pytest.approx(80.0 - 40.0)
        assert halfway["p2"]["charge_ah"] == pytest.approx(20.0 + 50.0)
        node.ask("tick", "1h")
        after = node.statuses()
        flowed_ah: dict[tuple[str, str], float] = {}
        for entry in node.ask("ledger", "src")["entries"]:
            way = (entry["from"], entry["to"])
            flowed_ah[way] = flowed_ah.get(way, 0.0) + entry["charge_ah"]
    assert flowed_ah == pytest.approx({("p1", "p2"): 80.0, ("outside", "p2"): 20.0}, abs=1e-6)
    assert after["p1"]["charge_ah"] == pytest.approx(0.0, abs=1e-6)
    assert after["p2"]["charge_ah"] == pytest.approx(120.0)
    assert after["src"]["charge_ah"] == pytest.approx(100.0 + 2 * 10.0)
    for name, why in (("p1", "empty"), ("p2", "full")):
        assert after[name]["requested_current_a"] is None
        assert after[name]["applied_current_a"] == 0.0
        assert why in after[name]["reason"]
    assert after["src"]["current_a"] == pytest.approx(0.0, abs=1e-9)


def test_one_long_tick_ends_everything_at_its_instant(tmp_path: Path) -> None:
    """In one tick of 8 h: P1 (80 Ah at 40 A) ends after 2 h, P2's set point of 20 A in after 3 h, so it holds 20 + 60 Ah."""
    with Simulated(tmp_path, ACCOUNTING) as node:
        node.ask("set", "p1", "40", "--ttl", "9h")
        node.ask("set", "p2", "-20", "--ttl", "3h")
        node.ask("tick", "8h")
        after = node.statuses()
    assert after["p1"]["charge_ah"] == pytest.approx(0.0, abs=1e-6)
    assert after["p2"]["charge_ah"] == pytest.approx(80.0, abs=1e-6)
    assert after["src"]["charge_ah"] == pytest.approx(100.0 - 80.0 + 60.0, abs=1e-6)
    assert after["src"]["current_a"] == 0.0


def test_members_that_run_empty_leave_the_aggregate_at_their_instant(tmp_path: Path) -> None:
    """Members of 10 and 30 Ah share 20 A as 5 and 15 A and are empty together after 2 h; a tick of 3 h finds them at rest."""
    sources = pseudo("a", charge_ah=10.0) + pseudo("b", charge_ah=30.0)
    with Simulated(tmp_path, sources + aggregator("agg", "a", "b")) as node:
        node.ask("set", "agg", "20", "--ttl", "5h")
        assert {name: status["current_a"] for name, status in node.statuses("a", "b").items()} == pytest.approx(
            {"a": 5.0, "b": 15.0}
        )
        node.ask("tick", "3h")
        after = node.statuses()
    assert after["agg"]["charge_ah"] == pytest.approx(0.0, abs=1e-6)
    assert after["agg"]["current_a"] == 0.0
    assert after["agg"]["requested_current_a"] == 20.0
    assert after["agg"]["applied_current_a"] == 0.0


def test_drift_is_judged_inside_a_tick(tmp_path: Path) -> None:
    """A member outside the tolerance for 10 s loses its share then: of 10 A each it gave 10 s, the other all from there."""
    sources = pseudo("a", charge_ah=50.0) + pseudo("b", charge_ah=50.0)
    with Simulated(tmp_path, sources + aggregator("agg", "a", "b", voltage_tolerance_v=1.0)) as node:
        node.ask("set", "agg", "20", "--ttl", "5h")
        node.ask("pseudo", "b", "voltage_v=15")
        node.ask("tick", "1h")
        after = node.statuses()
    assert after["b"]["charge_ah"] == pytest.approx(50.0 - 10.0 * 10.0 / 3600.0, abs=1e-6)
    assert after["a"]["charge_ah"] == pytest.approx(50.0 - 10.0 * 10.0 / 3600.0 - 20.0 * 3590.0 / 3600.0, abs=1e-6)


def test_time_stands_between_ticks_and_what_is_sampled_when_asked_does_not_age(tmp_path: Path) -> None:
    """A watch beats although two looks at the clock give one time; a pseudo battery is GOOD at age 0 after a tick of a day."""
    with Simulated(tmp_path, pseudo("p")) as node:
        first = node.ask("clock")
        with recording(node.target, "p") as record:
            until(lambda: len(record.of("p")) >= 3, because="beats come")
        assert node.ask("clock") == first
        assert first["simulated"] is True
        node.ask("tick", "1d")
        status = node.status("p")
        assert [record["action"] for record in node.ask("audit")].count("tick") == 1
    assert (status["quality"], status["age_s"]) == ("GOOD", 0.0)


def test_a_node_on_the_machines_time_refuses_to_tick(tmp_path: Path) -> None:
    """`tick` is UNSUPPORTED without --clock simulated, and the clock says that it is the machine's."""
    with Node(tmp_path, pseudo("p")) as node:
        assert node.refusal("tick", "2h")["reason"] == "UNSUPPORTED"
        assert node.ask("clock")["simulated"] is False
    with Simulated(tmp_path, pseudo("p"), name="other") as node:
        assert node.bosctl("tick", "soon").status == 2


def test_devices_and_other_nodes_are_refused_by_name(tmp_path: Path) -> None:
    """A configuration or an edit with a pack or a stub is refused on a simulated clock, each named."""
    outside = battery("pack", "jbd", port="/dev/ttyUSB7") + battery("stub", "network", target="127.0.0.1:1", remote_name="x")
    refused = Simulated(tmp_path, pseudo("p") + outside, name="refused")
    refused.launch()
    assert refused.wait() == 1
    assert "pack, stub" in refused.output()
    (tmp_path / "more.toml").write_text(outside)
    with Simulated(tmp_path, pseudo("p")) as node:
        error = node.refusal("add", str(tmp_path / "more.toml"))
    assert (error["reason"], error["metadata"]["batteries"]) == ("UNSUPPORTED", "pack, stub")


def test_time_at_a_rate_is_as_exact(tmp_path: Path) -> None:
    """At 100,000 s a second P1 (80 Ah at 40 A) is empty within the run, and gave 80 Ah exactly; at rate 0 time stands again."""
    with Simulated(tmp_path, ACCOUNTING) as node:
        node.ask("set", "p1", "40", "--ttl", "3h")
        node.ask("clock", "--rate", "100000")
        until(lambda: node.status("p1")["applied_current_a"] == 0.0, because="two hours pass")
        node.ask("clock", "--rate", "0")
        stands = node.ask("clock")
        assert node.ask("clock") == stands
        assert node.status("src")["charge_ah"] == pytest.approx(100.0 - 80.0, abs=1e-6)


def test_bookings_begin_and_end_inside_a_tick(tmp_path: Path) -> None:
    """200 A in [1, 3) h and then 300 A in [2, 4) h are 200 A for one hour and 300 A for two: 800 Ah (bal.md, "Schedules")."""
    big = pseudo("p", charge_ah=5000.0, capacity_ah=10_000.0, max_discharge_current_a=500.0, max_charge_current_a=500.0)
    with Simulated(tmp_path, big) as node:
        node.ask("schedule", "add", "p", "200", "--start", "+1h", "--end", "+3h")
        node.ask("schedule", "add", "p", "300", "--start", "+2h", "--end", "+4h")
        node.ask("tick", "90m")
        assert node.status("p")["current_a"] == 200.0
        node.ask("tick", "8h")
        assert node.status("p")["charge_ah"] == pytest.approx(5000.0 - 200.0 - 2 * 300.0, abs=1e-4)
