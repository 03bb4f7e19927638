"""Edits while set points are in force: what leaves the topology is at 0 A, what stays is not disturbed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Node, Pack, aggregator, battery, pseudo, table, until


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pack, Pack]]:
    """Two packs, half full."""
    directory = tmp_path_factory.mktemp("packs")
    with Pack(directory, "one") as one, Pack(directory, "two", seed=2) as two:
        yield one, two


@pytest.fixture
def node(packs: tuple[Pack, Pack], tmp_path: Path) -> Iterator[Node]:
    """A fresh node: two packs as one, a third battery in software."""
    for pack in packs:
        pack.tell("set", load_current_a=0.0, soc=0.5)
    topology = packs[0].regulated("b1", refresh_period_s=0.5) + packs[1].regulated("b2", refresh_period_s=0.5)
    with Node(tmp_path, topology + aggregator("both", "b1", "b2") + pseudo("p")) as node:
        until(lambda: {each["quality"] for each in node.statuses().values()} == {"GOOD"})
        yield node


def test_a_removed_aggregate_asks_nothing_any_more(node: Node, packs: tuple[Pack, Pack]) -> None:
    """`rm` of an aggregate with a living set point: its members are free, and at their safe value of 0 A."""
    node.ask("set", "both", "20", "--ttl", "10m")
    node.ask("rm", "both")
    until(lambda: (packs[0].load_a, packs[1].load_a) == (0.0, 0.0))
    status = node.status("b1")
    assert (status["requested_current_a"], status["applied_current_a"]) == (None, 0.0)
    assert node.ask("set", "b1", "5")["applied_current_a"] == 5.0


def test_a_removed_pack_is_left_at_0_a(node: Node, packs: tuple[Pack, Pack]) -> None:
    """Removed with its aggregate in one edit, or replaced: the device is told 0 A before its line is let go."""
    node.ask("rm", "both")
    node.ask("set", "b1", "5", "--ttl", "10m")
    node.ask("rm", "b1")
    until(lambda: packs[0].load_a == 0.0)
    assert node.refusal("status", "b1")["reason"] == "BAD_NAME"
    requests = packs[0].tell("stats")["stats"]["requests"]
    until(lambda: node.status("b2")["quality"] == "GOOD")
    assert packs[0].tell("stats")["stats"]["requests"] <= requests + 2


def test_a_member_replaced_by_a_null_battery(node: Node, packs: tuple[Pack, Pack], tmp_path: Path) -> None:
    """Gone on purpose: name and aggregate stay, the old device is at 0 A, the other carries what it can; and back again."""
    node.ask("set", "both", "20", "--ttl", "10m")
    edit = tmp_path / "null.toml"
    edit.write_text(battery("b1", "null", voltage_v=13.0))
    replaced = node.ask("replace", "b1", str(edit))
    assert packs[0].load_a == 0.0
    assert any(warning.startswith("b1 carries ") and "brought to 0 A first" in warning for warning in replaced["warnings"])
    assert node.status("b1")["reason"] == "absent on purpose"
    until(lambda: packs[1].load_a == pytest.approx(20.0))
    whole = node.status("both")
    assert (whole["quality"], whole["requested_current_a"], whole["capacity_ah"]) == ("GOOD", 20.0, 100.0)
    edit.write_text(packs[0].regulated("b1", refresh_period_s=0.5))
    node.ask("replace", "b1", str(edit))
    until(lambda: (packs[0].load_a, packs[1].load_a) == pytest.approx((10.0, 10.0), abs=0.3))


def test_a_parameter_of_a_pack_under_way(node: Node, packs: tuple[Pack, Pack], tmp_path: Path) -> None:
    """A lower limit by `replace` while it discharges: the set point is clamped to it, and comes back with the old limit."""
    node.ask("set", "both", "100", "--ttl", "10m")
    edit = tmp_path / "edit.toml"
    edit.write_text(packs[0].regulated("b1", refresh_period_s=0.5, max_discharge_current_a=20.0))
    node.ask("replace", "b1", str(edit))
    until(lambda: packs[0].load_a == pytest.approx(20.0, abs=0.3) and packs[1].load_a <= 60.0, because="clamped")
    status = until(lambda: (found := node.status("both"))["quality"] == "GOOD" and found)
    assert status["requested_current_a"] == 100.0
    assert status["applied_current_a"] <= 80.0
    edit.write_text(packs[0].regulated("b1", refresh_period_s=0.5))
    node.ask("replace", "b1", str(edit))
    until(lambda: packs[0].load_a + packs[1].load_a == pytest.approx(100.0, abs=0.3))
    assert not node.events("battery_lost"), "the line was let go before it was opened again"


def test_partitions_of_a_pack(packs: tuple[Pack, Pack], tmp_path: Path) -> None:
    """Partitions' set points are summed onto the pack; one that ends lowers it; transfers never reach it."""
    packs[0].tell("set", load_current_a=0.0, soc=0.5)
    parts = [{"name": "top", "fraction": 0.5}, {"name": "bottom", "fraction": 0.5}]
    splitter = table("[[splitter]]", {"name": "sp", "policy": "proportional", "source": "b1", "partitions": parts})
    with Node(tmp_path, packs[0].regulated("b1", refresh_period_s=0.5) + splitter) as node:
        until(lambda: node.status("top")["quality"] == "GOOD")
        node.ask("set", "top", "10", "--ttl", "10m")
        assert packs[0].load_a == 10.0
        node.ask("set", "bottom", "-4", "--ttl", "3s")
        assert packs[0].load_a == 6.0
        assert node.refusal("set", "b1", "1")["metadata"]["users"] == "sp"
        until(lambda: packs[0].load_a == 10.0, because="the one that ended is no longer added")
        until(lambda: node.status("b1")["current_a"] == pytest.approx(10.0, abs=0.1))
        found = node.statuses("top", "bottom", "b1")
        assert found["top"]["charge_ah"] + found["bottom"]["charge_ah"] == pytest.approx(found["b1"]["charge_ah"])
        assert found["top"]["current_a"] + found["bottom"]["current_a"] == pytest.approx(found["b1"]["current_a"], abs=1e-6)
        node.ask("set", "top", "none")
        assert packs[0].load_a == 0.0
