"""Splitters through `bosctl` on a running node: the tables of bal.md, split and merge, refused plans, rollback, restarts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Node, aggregator, battery, pseudo, table

POLICIES = ("proportional", "tranched", "reserved")
PARTS = ("top", "middle", "bottom")
FRACTIONS = (0.5, 0.3, 0.2)


def source(name: str, capacity_ah: float = 125.0) -> str:
    """Return a source that holds 100 Ah and gives 100 A."""
    return pseudo(name, charge_ah=100.0, capacity_ah=capacity_ah, max_discharge_current_a=100.0, max_charge_current_a=100.0)


def splitter(name: str, policy: str, on: str, **first: float) -> str:
    """Return a splitter of 50, 30 and 20 %; `first` changes the top one."""
    parts = [{"name": f"{name}-{part}", "fraction": each} for part, each in zip(PARTS, FRACTIONS, strict=True)]
    parts[0] = {**parts[0], **first}
    return table("[[splitter]]", {"name": name, "policy": policy, "source": on, "partitions": parts})


TOPOLOGY = "".join(
    (
        *(source(f"{policy}-source", 200.0) + splitter(policy, policy, f"{policy}-source") for policy in POLICIES),
        source("small") + splitter("capped", "reserved", "small"),
        source("shared", 200.0),
        table(
            "[[splitter]]",
            {"name": "house", "policy": "tranched", "source": "shared", "partitions": [{"name": "all", "fraction": 1}]},
        ),
    )
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node for all tables."""
    with Node(tmp_path_factory.mktemp("splitters"), TOPOLOGY) as node:
        yield node


def charges(node: Node, name: str) -> list[float]:
    """Return the charges of a splitter's three partitions, top first."""
    statuses = node.statuses(*(f"{name}-{part}" for part in PARTS))
    return [statuses[f"{name}-{part}"]["charge_ah"] for part in PARTS]


@pytest.mark.parametrize(
    ("policy", "less", "more"),
    [
        ("proportional", (45, 27, 18), (55, 33, 22)),
        ("tranched", (50, 30, 10), (60, 30, 20)),
        ("reserved", (50, 30, 10), (50, 30, 30)),
    ],
)
def test_expects_100_and_holds_90_or_110(node: Node, policy: str, less: tuple[float, ...], more: tuple[float, ...]) -> None:
    """The table of the three policies; meters stay at 50/30/20 throughout."""
    assert charges(node, policy) == pytest.approx([50, 30, 20])
    for holds_ah, expected in ((90, less), (110, more), (100, (50, 30, 20))):
        node.ask("pseudo", f"{policy}-source", f"charge_ah={holds_ah}")
        assert charges(node, policy) == pytest.approx(list(expected))
    metered = [node.status(f"{policy}-{part}")["expected_charge_ah"] for part in PARTS]
    assert metered == pytest.approx([50, 30, 20])


def test_the_rest_cascades_upward(node: Node) -> None:
    """Reserved, of 125 Ah: at most 62.5/37.5/25; 110 held: the bottom fills up to 25, the middle takes the other 5."""
    assert charges(node, "capped") == pytest.approx([50, 30, 20])
    node.ask("pseudo", "small", "charge_ah=110")
    assert charges(node, "capped") == pytest.approx([50, 35, 25])
    node.ask("pseudo", "small", "charge_ah=100")


@pytest.mark.parametrize(
    ("policy", "limits_a"), [("proportional", (0, 30, 20)), ("tranched", (0, 30, 20)), ("reserved", (0, 30, 20))]
)
def test_a_derated_source_whose_top_is_empty(tmp_path: Path, policy: str, limits_a: tuple[float, ...]) -> None:
    """50/30/20 of 100 A, derated to 50 A, the top one empty: 0/30/20."""
    parts = [
        {"name": "d-top", "fraction": 0.5, "charge_fraction": 0.0},
        {"name": "d-middle", "fraction": 0.3, "charge_fraction": 0.6},
        {"name": "d-bottom", "fraction": 0.2, "charge_fraction": 0.4},
    ]
    split = table("[[splitter]]", {"name": "d", "policy": policy, "source": "d-source", "partitions": parts})
    with Node(tmp_path, pseudo("d-source", charge_ah=40.0, capacity_ah=200.0, max_discharge_current_a=100.0) + split) as node:
        node.ask("pseudo", "d-source", "max_discharge_current_a=50")
        assert [node.status(f"d-{part}")["max_discharge_current_a"] for part in PARTS] == pytest.approx(list(limits_a))


def test_split_and_merge(node: Node) -> None:
    """From one that holds everything: 40 Ah with 10 Ah and 20 A for a guest, then half of the rest, then all back."""
    made = node.ask("split", "house", "guest", "--from", "all", "capacity_ah=40", "charge_ah=10", "max_discharge_current_a=20")
    assert [change["name"] for change in made["changes"]] == ["house"]
    guest, rest = node.status("guest"), node.status("all")
    assert (guest["charge_ah"], guest["capacity_ah"], guest["ideal_max_discharge_current_a"]) == pytest.approx((10, 40, 20))
    assert (rest["charge_ah"], rest["capacity_ah"], rest["ideal_max_discharge_current_a"]) == pytest.approx((90, 160, 80))
    node.ask("split", "house", "flat", "--from", "all", "fraction=0.4", "--above", "guest")
    assert node.status("flat")["charge_ah"] == pytest.approx(45)
    toml = node.ask("topology", "export")["toml"]
    assert toml.index('"flat"') < toml.index('"guest"')
    node.ask("set", "flat", "30")
    refused = node.refusal("merge", "flat", "--into", "all")
    assert refused["reason"] == "CLAIMED"
    assert "30 A" in refused["message"]
    node.ask("set", "flat", "none")
    node.ask("merge", "flat", "--into", "all")
    node.ask("merge", "guest", "--into", "all")
    assert node.status("all")["capacity_ah"] == pytest.approx(200)
    assert {entry["name"] for entry in node.ask("topology", "show")["entries"]} >= {"all", "shared"}


def test_what_the_donor_does_not_have(node: Node) -> None:
    """More than the 100 Ah, 200 Ah or 100 A there are: NO_RESOURCES with the numbers, and nothing changes."""
    before = node.ask("topology", "show")["revision"]
    for amount, has in (("charge_ah=101", 100.0), ("capacity_ah=201", 200.0), ("max_charge_current_a=101", 100.0)):
        amounts = [amount] if amount.startswith("capacity") else [amount, "fraction=0.5"]
        refused = node.refusal("split", "house", "x", "--from", "all", *amounts)
        assert refused["reason"] == "NO_RESOURCES"
        assert float(refused["metadata"]["has"]) == pytest.approx(has, rel=0.01)  # another test ran 30 A for a moment
    assert node.ask("topology", "show")["revision"] == before


def test_expectations_survive_a_restart(tmp_path: Path) -> None:
    """Split during a deficit, then restarted: the fractions are those of the split, and a surplus goes to the top."""
    topology = source("s", 200.0) + splitter("t", "tranched", "s")
    with Node(tmp_path, topology) as node:
        node.ask("pseudo", "s", "capacity_ah=150")
        assert [node.status(f"t-{part}")["capacity_ah"] for part in PARTS] == pytest.approx([100, 50, 0])
        assert [node.status(f"t-{part}")["charge_ah"] for part in PARTS] == pytest.approx([70, 30, 0])
        node.ask("split", "t", "new", "--from", "t-middle", "capacity_ah=25", "charge_ah=10")
        assert [node.status(name)["charge_ah"] for name in ("t-top", "t-middle", "t-bottom", "new")] == pytest.approx(
            [70, 20, 0, 10]
        )
        node.kill()
        node.start()
        names = ("t-top", "t-middle", "t-bottom", "new")
        assert [node.status(name)["capacity_ah"] for name in names] == pytest.approx([150, 25, 0, 25])


def edit_file(tmp_path: Path, text: str) -> str:
    """Write an edit; return its path."""
    path = tmp_path / "edit.toml"
    path.write_text(text)
    return str(path)


REFUSED = {
    "BAD_NAME": ("topology", "plan", aggregator("a", "nobody")),
    "NAME_TAKEN": ("topology", "plan", pseudo("a") + battery("a", "null", voltage_v=13.0)),
    "INVALID_ARGUMENT": ("topology", "plan", pseudo("a", charge_ah=200.0)),
    "BATTERY_IN_USE": ("topology", "plan", pseudo("a") + aggregator("x", "a") + aggregator("y", "a")),
    "CYCLE": ("topology", "plan", aggregator("x", "y") + aggregator("y", "x")),
    "VOLTAGE_MISMATCH": ("topology", "plan", pseudo("a", voltage_v=48.0) + aggregator("x", "a")),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refused_plans(node: Node, tmp_path: Path, reason: str) -> None:
    """A plan of what cannot be says why; nothing changes."""
    before = node.ask("topology", "show")["revision"]
    *words, text = REFUSED[reason]
    assert node.refusal(*words, edit_file(tmp_path, text))["reason"] == reason
    assert node.ask("topology", "show")["revision"] == before


def test_a_plan_against_an_earlier_revision(node: Node, tmp_path: Path) -> None:
    """STALE_REVISION names both."""
    now = node.ask("topology", "show")["revision"]
    refused = node.refusal("topology", "plan", edit_file(tmp_path, pseudo("a")), "--revision", str(now + 1))
    assert refused["reason"] == "STALE_REVISION"
    assert refused["metadata"] == {"expected": str(now + 1), "actual": str(now)}


def test_a_planned_split_that_asks_for_too_much(node: Node) -> None:
    """NO_RESOURCES from the dry run of a split, as from the split itself."""
    refused = node.refusal("split", "house", "x", "--from", "all", "capacity_ah=300", "--plan")
    assert refused["reason"] == "NO_RESOURCES"
    planned = node.ask("split", "house", "x", "--from", "all", "capacity_ah=30", "--plan")
    assert planned["planned"] is True
    assert node.refusal("status", "x")["reason"] == "BAD_NAME"


def test_rollback(tmp_path: Path) -> None:
    """Two edits, then back to the first revision: a third revision with its text, in the history with a comment."""
    with Node(tmp_path, pseudo("a")) as node:
        first = node.ask("topology", "export")["toml"]
        node.ask("add", edit_file(tmp_path, pseudo("b")))
        node.ask("add", edit_file(tmp_path, aggregator("ab", "a", "b")))
        assert len(node.ask("topology", "rollback", "1", "--plan")["changes"]) == 2
        back = node.ask("topology", "rollback", "1")
        assert (back["revision"], {change["name"] for change in back["changes"]}) == (4, {"b", "ab"})
        assert node.ask("topology", "export")["toml"] == first
        assert node.ask("topology", "history")[0]["comment"] == "rollback to revision 1"
        assert node.refusal("topology", "rollback", "9")["reason"] == "INVALID_ARGUMENT"
        node.ask("topology", "rollback", "3")
        assert node.status("ab")["capacity_ah"] == 200.0
