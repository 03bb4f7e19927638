"""`bosctl` against `bosd run`: the tables of the battery abstraction, edits, and a daemon that is killed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.forked import Done, run_process
from tests.support.processes import REPOSITORY

BOSCTL = [sys.executable, "-m", "clients.bosctl"]


def pseudo(name: str, charge_ah: float, capacity_ah: float, limit_a: float) -> str:
    """Return the table of a 48 V pseudo battery with the same limit both ways."""
    return (
        f'[[battery]]\nname = "{name}"\nkind = "pseudo"\nvoltage_v = 48.0\ncharge_ah = {charge_ah}\ncapacity_ah = {capacity_ah}\n'
        f"max_discharge_current_a = {limit_a}\nmax_charge_current_a = {limit_a}\n\n"
    )


def aggregator(name: str, *sources: str) -> str:
    """Return the table of a 48 V aggregator."""
    return (
        f'[[battery]]\nname = "{name}"\nkind = "aggregator"\nsources = {json.dumps(sources)}\n'
        "voltage_v = 48.0\nvoltage_tolerance_v = 2.0\n\n"
    )


def proportional(source: str, **fractions: float) -> str:
    """Return the table of a splitter with the proportional policy."""
    partitions = ", ".join(f'{{name = "{name}", fraction = {fraction}}}' for name, fraction in fractions.items())
    return f'[[splitter]]\nname = "sp"\npolicy = "proportional"\nsource = "{source}"\npartitions = [{partitions}]\n\n'


NODE = (
    pseudo("a", 110.0, 110.0, 60.0)
    + pseudo("b", 40.0, 40.0, 40.0)
    + aggregator("agg", "a", "b")
    + pseudo("x60", 60.0, 60.0, 30.0)
    + pseudo("x40", 40.0, 40.0, 20.0)
    + pseudo("x20", 20.0, 20.0, 5.0)
    + aggregator("three", "x60", "x40", "x20")
    + pseudo("s", 100.0, 120.0, 50.0)
    + proportional("s", p50=0.5, p30=0.3, p20=0.2)
)


class Node:
    """A running daemon on a unix socket, and `bosctl` pointed at it."""

    def __init__(self, directory: Path, topology: str) -> None:
        self.target = f"unix:{directory}/socket"
        self.config = directory / "bosd.toml"
        node = f'[node]\nname = "home"\nlisten = ["{self.target}"]\nstate_dir = "{directory}/state"\n\n'
        self.config.write_text(node + topology)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Run the daemon until the end of the block."""
        command = [sys.executable, "-m", "bosd", "run", "--config", str(self.config), "--log-format", "json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert process.stdout is not None
            log = []
            for line in process.stdout:
                log.append(line)
                if '"serving"' in line:
                    break
            else:
                pytest.fail(f"the daemon ended: {''.join(log)}")
            yield process
        finally:
            process.kill()
            process.communicate()

    def call(self, *arguments: str) -> Done:
        """Run one command with `--json`."""
        return run_process("bosctl", ("--target", self.target, "--json", *arguments), REPOSITORY, 60.0)

    def __call__(self, *arguments: str) -> Any:
        """Return the document of a command that was done."""
        done = self.call(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def refused(self, *arguments: str) -> str:
        """Return the reason of a refusal."""
        done = self.call(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        return str(json.loads(done.stderr)["error"]["reason"])

    def statuses(self, *names: str) -> dict[str, Any]:
        """Return the statuses by name."""
        return {status["name"]: status for status in self("status", *names)}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with the batteries of the worked tables."""
    node = Node(tmp_path_factory.mktemp("node"), NODE)
    with node.running():
        yield node


def test_the_balanced_aggregate(node: Node) -> None:
    """110 Ah at 60 A and 40 Ah at 40 A, both full: 150 Ah, and 60 / 110 * 150 = 81.8 A; 50 A are 36.7 A and 13.3 A."""
    node("pseudo", "a", "charge_ah=110", "max_discharge_current_a=60")
    agg = node.statuses("agg")["agg"]
    assert agg["capacity_ah"] == pytest.approx(150.0)
    assert agg["max_discharge_current_a"] == pytest.approx(60.0 / 110.0 * 150.0, rel=1e-3)
    node("set", "agg", "50")
    shares = node.statuses("a", "b")
    assert shares["a"]["applied_current_a"] == pytest.approx(50.0 * 110.0 / 150.0, abs=0.05)
    assert shares["b"]["applied_current_a"] == pytest.approx(50.0 * 40.0 / 150.0, abs=0.05)
    assert node("set", "agg", "none")["applied_current_a"] == 0.0


def test_the_unbalanced_aggregate(node: Node) -> None:
    """10 Ah and 40 Ah left: 50 of 150 Ah, 1 * 50 = 50 A now (b's 40 A at 40 Ah bind), 81.8 A at best."""
    node("pseudo", "a", "charge_ah=10", "max_discharge_current_a=60")
    node("pseudo", "b", "charge_ah=40")
    agg = node.statuses("agg")["agg"]
    assert (agg["charge_ah"], agg["soc"]) == (pytest.approx(50.0, abs=0.1), pytest.approx(1.0 / 3.0, abs=0.001))
    assert agg["max_discharge_current_a"] == pytest.approx(50.0, abs=0.1)
    assert agg["ideal_max_discharge_current_a"] == pytest.approx(60.0 / 110.0 * 150.0)


@pytest.mark.parametrize(("derated_a", "limit_a"), [(30.0, 40.9), (6.0, 40.0), (1.0, 40.0), (0.1, 40.0), (0.0, 40.0)])
def test_a_derated_member_does_not_drag_the_rest_down(node: Node, derated_a: float, limit_a: float) -> None:
    """A from 60 A down: the better of both together (30 / 110 * 150 = 40.9) and b alone (40)."""
    node("pseudo", "a", "charge_ah=110", f"max_discharge_current_a={derated_a}")
    node("pseudo", "b", "charge_ah=40")
    assert node.statuses("agg")["agg"]["max_discharge_current_a"] == pytest.approx(limit_a, abs=0.05)


@pytest.mark.parametrize("derated_a", [1.0, 0.0])
def test_only_the_small_one_is_left(node: Node, derated_a: float) -> None:
    """60, 40 and 20 Ah, the first two derated: the third's full 5 A."""
    node("pseudo", "x60", f"max_discharge_current_a={derated_a}")
    node("pseudo", "x40", f"max_discharge_current_a={derated_a}")
    assert node.statuses("three")["three"]["max_discharge_current_a"] == pytest.approx(5.0)


@pytest.mark.parametrize(("holds_ah", "parts_ah"), [(90.0, (45.0, 27.0, 18.0)), (110.0, (55.0, 33.0, 22.0))])
def test_the_proportional_policy(node: Node, holds_ah: float, parts_ah: tuple[float, ...]) -> None:
    """50 / 30 / 20 % of a source that expects 100 Ah and holds less or more."""
    node("pseudo", "s", f"charge_ah={holds_ah}")
    parts = node.statuses("p50", "p30", "p20")
    assert [parts[name]["charge_ah"] for name in ("p50", "p30", "p20")] == [pytest.approx(part) for part in parts_ah]


def test_refusals_are_named(node: Node) -> None:
    """What the daemon refuses reaches the command line as its reason."""
    assert node.refused("set", "a", "1") == "BATTERY_IN_USE"
    assert node.refused("set", "p50", "1000") == "CURRENT_OUT_OF_RANGE"
    assert node.refused("set", "nosuch", "1") == "BAD_NAME"
    assert node.refused("rm", "a") == "BATTERY_IN_USE"


def test_a_stop_outranks_a_set_point(node: Node) -> None:
    """Stopped refuses, released obeys."""
    assert node("stop", "p20", "--reason", "test") == {"stopped": ["p20"], "unconfirmed": []}
    assert node.refused("set", "p20", "1") == "STOPPED"
    assert node("release", "p20") == {"released": ["p20"]}
    assert node("set", "p20", "1")["applied_current_a"] == 1.0
    node("set", "p20", "none")


def test_edits_follow_each_other(node: Node, tmp_path: Path) -> None:
    """Add, refuse what was made against an older revision, export, remove."""
    file = tmp_path / "n.toml"
    file.write_text('[[battery]]\nname = "spare"\nkind = "null"\nvoltage_v = 48.0\n')
    before = node("topology", "show")["revision"]
    assert node("add", str(file), "-m", "a spare")["revision"] == before + 1
    assert node.refused("rm", "spare", "--revision", str(before)) == "STALE_REVISION"
    assert '"spare"' in node("topology", "export")["toml"]
    assert node("topology", "history")[0]["comment"] == "a spare"
    assert node("rm", "spare")["changes"][0]["action"] == "remove"


def test_a_watch_survives_a_killed_daemon(tmp_path: Path) -> None:
    """Killed hard: lost, with the last values; started again: good, from the stored topology, by the same process."""
    node = Node(tmp_path, pseudo("a", 50.0, 100.0, 10.0))
    command = [*BOSCTL, "--target", node.target, "--json", "watch", "a"]
    with node.running() as daemon, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        lines = (json.loads(line) for line in watch.stdout)
        try:
            assert next(lines)["quality"] == "GOOD"
            daemon.kill()
            daemon.wait()
            lost = next(status for status in lines if status["link"] == "lost")
            assert (lost["quality"], lost["charge_ah"], lost["current_a"]) == ("UNAVAILABLE", 50.0, None)
            assert node.call("ls").returncode == 3
            with node.running():
                assert next(status for status in lines if status["link"] == "local")["quality"] == "GOOD"
        finally:
            watch.kill()
