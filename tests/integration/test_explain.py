"""`bosctl explain` against real nodes: the chain of one node, and on through a stub to another."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.forked import run_process
from tests.support.processes import REPOSITORY, Node, aggregator, battery, pseudo, table, until

HALVES = [{"name": "p1", "fraction": 0.5}, {"name": "p2", "fraction": 0.5}]
FAR = (
    pseudo("b1", charge_ah=0.0, capacity_ah=100.0, max_discharge_current_a=40.0, max_charge_current_a=40.0)
    + pseudo("b2", charge_ah=50.0, capacity_ah=100.0, max_discharge_current_a=40.0, max_charge_current_a=40.0)
    + aggregator("agg", "b1", "b2")
    + table("[[splitter]]", {"name": "sp", "policy": "proportional", "source": "agg", "partitions": HALVES})
)
CHAIN = (
    "b2: discharge limited to 40 A by its configuration; b1: discharge limited to 0 A by being empty; "
    "so agg 40 A (b1 left out); so p2 20 A (its fraction 0.5 of agg)"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """far owns p2, near has a stub of it."""

    far: Node
    near: Node


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two nodes."""
    with Node(tmp_path, FAR, name="far") as far:
        stub = battery("stub", "network", target=far.target, remote_name="p2")
        with Node(tmp_path, stub, name="near") as near:
            until(lambda: near.status("stub")["quality"] == "GOOD")
            yield Pair(far, near)


def test_the_chain_of_one_node(pair: Pair) -> None:
    """b1 is empty, b2 gives 40 A, p2 half of it; a set point shows with its end and the time to empty."""
    document = pair.far.ask("explain", "p2")
    assert document["discharge"]["summary"] == CHAIN
    assert document["discharge"]["limit_a"] == 20.0
    assert [step["left_out"] for step in document["discharge"]["chain"]] == [False, True, False, False]
    assert document["in_force"]["text"] == "nothing asked, safe value 0 A; applied 0 A"
    pair.far.ask("set", "p2", "10", "--ttl", "60s")
    running = pair.far.ask("explain", "p2")
    assert running["in_force"]["source"] == "manual"
    assert running["in_force"]["requested_current_a"] == 10.0
    assert 50.0 < running["in_force"]["ends_in_s"] <= 60.0
    assert running["time_to_empty_s"] == pytest.approx(25.0 / 10.0 * 3600.0, rel=0.01)
    text = run_process("bosctl", ["--target", pair.far.target, "explain", "p2"], REPOSITORY, 30.0).stdout
    assert "discharge  20.00 A now" in text
    assert "  so p2 20 A (its fraction 0.5 of agg)" in text
    assert "empty in   2 h, at the present current" in text
    assert pair.far.refusal("explain", "nobody")["reason"] == "BAD_NAME"


def test_through_a_stub_and_without_it(pair: Pair) -> None:
    """The far node's chain stands before the stub; when that node hangs the rest is told, and that it did not answer."""
    document = pair.near.ask("explain", "stub")
    assert [(step["node"], step["battery"]) for step in document["discharge"]["chain"]] == [
        ("far", "b2"),
        ("far", "b1"),
        ("far", "agg"),
        ("far", "p2"),
        ("near", "stub"),
    ]
    assert document["discharge"]["summary"].startswith(CHAIN)
    assert document["notes"] == []
    pair.far.signal(signal.SIGSTOP)
    try:
        lone = pair.near.ask("explain", "stub")
    finally:
        pair.far.signal(signal.SIGCONT)
    assert [step["battery"] for step in lone["discharge"]["chain"]] == ["stub"]
    assert lone["notes"] == ["stub: its node did not answer in time"]
