"""`bosctl ledger` and `bosctl meter reset` on real nodes: a simulated clock, restarts, `kill -9`."""

import csv
import io
from pathlib import Path

import pytest

from tests.support.forked import run_process
from tests.support.processes import REPOSITORY, Node, pseudo, table, until

DAY_S = 86400.0
SPLIT = pseudo(
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
"""P1 of 80 Ah, full; P2 of 120 Ah with 20 Ah (bal.md, "Partition accounting")."""


class Simulated(Node):
    """A node on a simulated clock, whose set points may live for a day."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, SPLIT, max_setpoint_ttl_s=DAY_S)
        self._arguments = [*self._arguments, "--clock", "simulated"]


def shown(node: Node, *arguments: str) -> str:
    """Return what a person sees."""
    done = run_process("bosctl", ["--target", node.target, *arguments], REPOSITORY, 30.0)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_accounting_example_as_it_is_shown_and_exported(tmp_path: Path) -> None:
    """Two hours at 40 and -50 A: JSON, CSV, the statement of each, and the people's table tell the same."""
    with Simulated(tmp_path) as node:
        node.ask("set", "p1", "40", "--ttl", "9h")
        node.ask("set", "p2", "-50", "--ttl", "9h")
        node.ask("tick", "2h")
        answer = node.ask("ledger", "src")
        assert set(answer["entries"][0]) == {"account", "from", "to", "charge_ah", "energy_wh", "start", "end", "open"}
        assert answer["unallocated_ah"] == 0.0
        given = [entry for entry in answer["entries"] if (entry["from"], entry["to"]) == ("p1", "p2")]
        assert sum(entry["charge_ah"] for entry in given) == pytest.approx(80.0, abs=1e-6)
        assert sum(entry["energy_wh"] for entry in given) == pytest.approx(80.0 * 50.0, abs=1e-4)
        inner = [entry["end"][14:19] for entry in given[:-1]]
        assert inner == ["00:00"] * len(inner), "entries are closed at full hours"
        stated = node.ask("ledger", "p2", "--statement")
        assert {each["name"]: (each["in_ah"], each["out_ah"]) for each in stated["counterparties"]} == {
            "p1": pytest.approx((80.0, 0.0), abs=1e-6),
            "outside": pytest.approx((20.0, 0.0), abs=1e-6),
        }
        assert (stated["in_wh"], stated["expected_charge_ah"]) == (pytest.approx(5000.0), pytest.approx(120.0))
        rows = list(csv.DictReader(io.StringIO(shown(node, "ledger", "src", "--csv", "-"))))
        assert [(row["from"], row["to"], float(row["charge_ah"])) for row in rows] == [
            (entry["from"], entry["to"], entry["charge_ah"]) for entry in answer["entries"]
        ]
        file = tmp_path / "ledger.csv"
        assert node.ask("ledger", "src", "--csv", str(file)) == {"file": str(file), "entries": len(rows)}
        written = list(csv.DictReader(io.StringIO(file.read_text())))
        for row in (*written, *rows):
            del row["open"]  # an entry counts as open until it is on the disk, which may be between the two
        assert written == rows
        table_of_p1 = shown(node, "ledger", "p1")
        assert "p1    p2" in table_of_p1
        assert "meter of p1: 0.0000 Ah" in table_of_p1
        assert node.ask("ledger", "p1", "--since", "2040-01-01")["entries"] == []
        assert node.refusal("ledger", "nobody")["reason"] == "BAD_NAME"


def test_a_reset_from_the_command_line(tmp_path: Path) -> None:
    """20 of 100 Ah are gone: refused above the leaf, which is named; at the leaf it moves the meters above by their shares."""
    with Simulated(tmp_path) as node:
        node.ask("pseudo", "src", "charge_ah=80")
        refused = node.refusal("meter", "reset", "p1")
        assert refused["reason"] == "UNSUPPORTED"
        assert refused["metadata"]["leaves"] == "src"
        assert node.status("p1")["expected_charge_ah"] == pytest.approx(80.0)
        assert node.ask("meter", "reset", "src")["shift_ah"] == pytest.approx(-20.0)
        expected = {name: status["expected_charge_ah"] for name, status in node.statuses().items()}
        assert expected == pytest.approx({"src": 80.0, "p1": 64.0, "p2": 16.0})


def test_meters_and_ledger_survive_kill_and_stop(tmp_path: Path) -> None:
    """After `kill -9` and after a stop each partition expects what it expected, its lines are there, and the dark time counts."""
    with Node(tmp_path, SPLIT) as node:
        node.ask("set", "p1", "50", "--ttl", "1h")
        until(lambda: node.ask("ledger", "p1")["expected_charge_ah"] < 79.99, because="50 A are 0.014 Ah a second")
        node.ask("set", "p1", "none")
        until(
            lambda: [entry for entry in node.ask("ledger", "p1")["entries"] if not entry["open"]], because="the entry is closed"
        )
        stood = node.status("p1")["expected_charge_ah"]
        node.kill()
        node.start()
        back = node.status("p1")
        assert back["expected_charge_ah"] == pytest.approx(stood, abs=1e-9)
        assert 0.0 < back["unobserved_s"] < 60.0
        lines = node.ask("ledger", "p1")["entries"]
        given_ah = sum(line["charge_ah"] for line in lines if (line["from"], line["to"]) == ("p1", "outside"))
        assert given_ah == pytest.approx(80.0 - stood, abs=1e-9), lines
        node.terminate()
        node.start()
        again = node.status("p1")
        assert again["expected_charge_ah"] == pytest.approx(stood, abs=1e-9)
        assert again["unobserved_s"] > back["unobserved_s"]
