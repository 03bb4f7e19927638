"""The tables of bal.md through `bosctl` on a running node: aggregators, and splitters with the proportional policy."""

from collections.abc import Iterator

import pytest

from tests.support.processes import Caller, Node, aggregator, pseudo, table

PARTS = ((0.5, "top"), (0.3, "middle"), (0.2, "bottom"))


def member(name: str, limit_a: float, capacity_ah: float, charge_ah: float | None = None) -> str:
    """Return a member that discharges and charges with `limit_a`; full unless told otherwise."""
    charge_ah = capacity_ah if charge_ah is None else charge_ah
    limits = {"max_discharge_current_a": limit_a, "max_charge_current_a": limit_a}
    return pseudo(name, charge_ah=charge_ah, capacity_ah=capacity_ah, **limits)


def splitter(prefix: str, **top: float) -> str:
    """Return a proportional splitter of 50, 30 and 20 % over battery `prefix`-source; `top` changes the first partition."""
    parts = [{"name": f"{prefix}-{name}", "fraction": fraction} for fraction, name in PARTS]
    parts[0].update(top)
    return table("[[splitter]]", {"name": prefix, "policy": "proportional", "source": f"{prefix}-source", "partitions": parts})


TOPOLOGY = "".join(
    (
        member("A", 60.0, 110.0),
        member("B", 40.0, 40.0),
        aggregator("AB", "A", "B"),
        *(member(f"t{charge:g}", 5.0, charge) for charge in (60.0, 40.0, 20.0)),
        aggregator("three", "t60", "t40", "t20"),
        pseudo("s-source", charge_ah=100.0, capacity_ah=200.0, max_discharge_current_a=100.0, max_charge_current_a=80.0),
        splitter("s"),
        pseudo("e-source", charge_ah=100.0, capacity_ah=200.0, max_discharge_current_a=100.0, max_charge_current_a=100.0),
        table(
            "[[splitter]]",
            {
                "name": "e",
                "policy": "proportional",
                "source": "e-source",
                "partitions": [
                    {"name": "e-top", "fraction": 0.5, "charge_fraction": 0.0},
                    {"name": "e-middle", "fraction": 0.3, "charge_fraction": 0.6},
                    {"name": "e-bottom", "fraction": 0.2, "charge_fraction": 0.4},
                ],
            },
        ),
    )
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node for all tables."""
    with Node(tmp_path_factory.mktemp("tables"), TOPOLOGY) as node:
        yield node


@pytest.fixture(scope="module")
def caller(running: Node) -> Iterator[Caller]:
    """A connection to bring the batteries back to where the tables begin."""
    with Caller(running.target) as caller:
        yield caller


@pytest.fixture
def node(running: Node, caller: Caller) -> Node:
    """The node with every battery as the tables begin with it."""
    caller.modify("A", charge_ah=110.0, max_discharge_current_a=60.0)
    caller.modify("B", charge_ah=40.0)
    caller.modify("s-source", charge_ah=100.0, max_discharge_current_a=100.0)
    return running


def test_balanced(node: Node) -> None:
    """60 A, 110 Ah with 40 A, 40 Ah, both full: 150 Ah, 60/110 * 150 = 81.8 A, of which A gives 60 and B 21.8."""
    whole = node.status("AB")
    assert (whole["charge_ah"], whole["capacity_ah"]) == (150.0, 150.0)
    assert whole["max_discharge_current_a"] == pytest.approx(60 / 110 * 150)
    assert whole["ideal_max_discharge_current_a"] == pytest.approx(60 / 110 * 150)
    told = node.ask("set", "AB", str(60 / 110 * 150), "--dry-run")["leaves"]
    assert {leaf["name"]: leaf["new_current_a"] for leaf in told} == pytest.approx({"A": 60.0, "B": 60 / 110 * 40})


def test_unbalanced(node: Node) -> None:
    """A holds 10 of its 110 Ah: 50 of 150 Ah, a third, present limit 50 A, ideal limit 81.8 A."""
    node.ask("pseudo", "A", "charge_ah=10")
    whole = node.status("AB")
    assert (whole["charge_ah"], whole["capacity_ah"]) == (50.0, 150.0)
    assert whole["soc"] == pytest.approx(1 / 3)
    assert whole["max_discharge_current_a"] == pytest.approx(50.0)
    assert whole["ideal_max_discharge_current_a"] == pytest.approx(60 / 110 * 150)


def test_shares(node: Node) -> None:
    """50 A of the balanced aggregate are 36.7 A of A and 13.3 A of B, applied and measured."""
    node.ask("set", "AB", "50")
    try:
        found = node.statuses("A", "B", "AB")
        shares = {name: status["applied_current_a"] for name, status in found.items()}
        assert shares == pytest.approx({"A": 50 * 110 / 150, "B": 50 * 40 / 150, "AB": 50.0}, abs=1e-3)
        assert found["AB"]["current_a"] == pytest.approx(50.0, abs=1e-9)
        assert found["A"]["requested_current_a"] == pytest.approx(50 * 110 / 150, abs=1e-3)
    finally:
        node.ask("set", "AB", "none")
    assert node.status("AB")["current_a"] == 0.0


@pytest.mark.parametrize(("derated_a", "whole_a"), [(30.0, 30 / 110 * 150), (6.0, 40.0), (1.0, 40.0), (0.1, 40.0), (0.0, 40.0)])
def test_a_derated_member_does_not_drag_the_rest_down(node: Node, derated_a: float, whole_a: float) -> None:
    """A derated from 60 A to 6, 1, 0.1, 0 A leaves the 40 A of B, A named if it gives any; 30 A count: 40.9 A."""
    node.ask("pseudo", "A", f"max_discharge_current_a={derated_a}")
    whole = node.status("AB")
    assert whole["max_discharge_current_a"] == pytest.approx(whole_a)
    assert whole["ideal_max_discharge_current_a"] == pytest.approx(60 / 110 * 150)
    assert ("A" in whole["reason"]) == (0.0 < derated_a < 30.0)


@pytest.mark.parametrize("derated_a", [1.0, 0.0])
def test_two_derated_members(node: Node, derated_a: float) -> None:
    """60, 40 and 20 Ah, the first two derated to 1 A or 0, the third at its full 5 A: 5 A."""
    for name in ("t60", "t40"):
        node.ask("pseudo", name, f"max_discharge_current_a={derated_a}")
    whole = node.status("three")
    assert whole["max_discharge_current_a"] == pytest.approx(5.0)
    named = [name for name in ("t60", "t40") if name in whole["reason"]]
    assert named == (["t60", "t40"] if derated_a else [])


def test_an_empty_member_does_not_limit_the_others(node: Node) -> None:
    """A at 0 Ah: B alone gives its 40 A; charging, A alone takes its 60 A."""
    node.ask("pseudo", "A", "charge_ah=0")
    whole = node.status("AB")
    assert whole["max_discharge_current_a"] == pytest.approx(40.0)
    assert whole["max_charge_current_a"] == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("holds_ah", "parts_ah"), [(90.0, (45.0, 27.0, 18.0)), (110.0, (55.0, 33.0, 22.0)), (100.0, (50.0, 30.0, 20.0))]
)
def test_proportional(node: Node, holds_ah: float, parts_ah: tuple[float, ...]) -> None:
    """A source that was expected to hold 100 Ah and holds 90 or 110: deficit and surplus go in proportion."""
    node.ask("pseudo", "s-source", f"charge_ah={holds_ah}")
    found = node.statuses("s-top", "s-middle", "s-bottom")
    assert tuple(status["charge_ah"] for status in found.values()) == pytest.approx(parts_ah)
    assert tuple(status["capacity_ah"] for status in found.values()) == pytest.approx((100.0, 60.0, 40.0))


def test_limits_of_partitions(node: Node) -> None:
    """Ideal limits by fraction, exactly; the present limit is allotted among those that can use it."""
    found = node.statuses("s-top", "s-middle", "s-bottom")
    assert [status["ideal_max_discharge_current_a"] for status in found.values()] == pytest.approx([50.0, 30.0, 20.0])
    assert [status["ideal_max_charge_current_a"] for status in found.values()] == pytest.approx([40.0, 24.0, 16.0])
    node.ask("pseudo", "s-source", "max_discharge_current_a=50")
    present = [status["max_discharge_current_a"] for status in node.statuses("s-top", "s-middle", "s-bottom").values()]
    assert present == pytest.approx([25.0, 15.0, 10.0])


def test_an_empty_partition_leaves_its_limit_to_the_others(node: Node) -> None:
    """50/30/20 % of 100 A, source derated to 50 A, the top one empty: 0, 30 and 20 A."""
    node.ask("pseudo", "e-source", "max_discharge_current_a=50")
    found = node.statuses("e-top", "e-middle", "e-bottom")
    assert found["e-top"]["charge_ah"] == 0.0
    assert [status["max_discharge_current_a"] for status in found.values()] == pytest.approx([0.0, 30.0, 20.0])


def test_partitions_are_summed_onto_the_source(node: Node) -> None:
    """One discharges at 4 A, another charges at 6 A: the source charges at 2 A, and one charges the other."""
    node.ask("set", "s-top", "4")
    node.ask("set", "s-middle", "-6")
    found = node.statuses("s-source", "s-top", "s-middle", "s-bottom")
    assert {name: status["applied_current_a"] for name, status in found.items()} == {
        "s-source": -2.0,
        "s-top": 4.0,
        "s-middle": -6.0,
        "s-bottom": 0.0,
    }
    assert {name: status["current_a"] for name, status in found.items()} == pytest.approx(
        {"s-source": -2.0, "s-top": 4.0, "s-middle": -6.0, "s-bottom": 0.0}
    )
    node.ask("set", "s-top", "none")
    node.ask("set", "s-middle", "none")
    assert node.status("s-source")["applied_current_a"] == 0.0
