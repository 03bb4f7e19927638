"""The demo as a person or a script runs it: real processes, real pseudo-terminals, nothing left behind."""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

BATTERIES = {"garage": {"b1", "b2", "pack", "workshop", "lent"}, "house": {"b3", "garage", "home", "flat-1", "flat-2"}}
CHILDREN = 5
"""Three simulators and two daemons."""

pytestmark = pytest.mark.timeout(120)


def command(*arguments: str) -> list[str]:
    """Return how the demo is started."""
    return [sys.executable, "-m", "bosd", "demo", *arguments]


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A temporary directory of the demo's own, with a path short enough for sockets, that must be empty at the end."""
    directory = Path(f"/tmp/bosd-test-{os.getpid()}-{time.monotonic_ns()}")
    directory.mkdir()
    try:
        yield os.environ | {"TMPDIR": str(directory), "COLUMNS": "100", "LINES": "40"}
    finally:
        for path in sorted(directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        directory.rmdir()


def left_behind(environment: dict[str, str]) -> list[str]:
    """Return what is still there of processes and files once the demo is gone."""
    return [*(str(process.pid) for process in family(environment)), *map(str, Path(environment["TMPDIR"]).iterdir())]


def family(environment: dict[str, str]) -> list[psutil.Process]:
    """Return the demo's children: processes whose command names its directory."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(environment["TMPDIR"] in word for word in process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until_up(demo: "subprocess.Popen[str]", environment: dict[str, str]) -> list[psutil.Process]:
    """Return the children once the story has begun."""
    assert demo.stderr is not None
    for line in demo.stderr:
        if "flat-1 draws" in line:
            children = family(environment)
            assert len(children) == CHILDREN
            return children
    raise AssertionError("the demo ended before it began")


def wait_for_none(environment: dict[str, str]) -> None:
    """Wait until all children are gone; the kernel needs a moment."""
    deadline_s = time.monotonic() + 10.0
    while family(environment):
        assert time.monotonic() < deadline_s, family(environment)
        time.sleep(0.02)


def test_one_document_with_every_battery(environment: dict[str, str]) -> None:
    """`--seconds N --json`: ten batteries at two nodes, all GOOD, right sums, currents that flow; exit status 0."""
    done = subprocess.run(
        command("--seconds", "4", "--json"), capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is True
    nodes = {node["name"]: node for node in document["nodes"]}
    assert {name: {each["name"] for each in node["batteries"]} for name, node in nodes.items()} == BATTERIES
    assert all(len(node["listen"]) == 1 for node in nodes.values())
    garage = {each["name"]: each for each in nodes["garage"]["batteries"]}
    house = {each["name"]: each for each in nodes["house"]["batteries"]}
    assert {each["quality"] for each in [*garage.values(), *house.values()]} == {"GOOD"}
    sums(garage, "pack", "b1", "b2")
    sums(garage, "pack", "workshop", "lent")
    sums(house, "home", "b3", "garage")
    sums(house, "home", "flat-1", "flat-2")
    assert house["flat-1"]["applied_current_a"] == 12.0
    assert house["home"]["current_a"] == pytest.approx(12.0, abs=0.05)  # a board measures in steps of 10 mA
    assert garage["b1"]["capacity_ah"] == 100.0
    assert len(garage["b1"]["cells_v"]) == 4
    assert left_behind(environment) == []


def sums(batteries: dict[str, Any], whole: str, *parts: str) -> None:
    """Assert that charge, capacity and current of the parts add up to the whole."""
    for key in ("charge_ah", "capacity_ah", "current_a"):
        assert sum(batteries[part][key] for part in parts) == pytest.approx(batteries[whole][key], rel=1e-6, abs=1e-6), key


def test_lines_where_there_is_no_terminal(environment: dict[str, str]) -> None:
    """Into a pipe go plain lines, what to type, and the verdict; no control sequences."""
    done = subprocess.run(command("--seconds", "1"), capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "house/" in done.stdout
    assert "try: " in done.stdout
    assert "10 batteries at two nodes, all GOOD, all sums right" in done.stdout
    assert "\x1b" not in done.stdout
    assert left_behind(environment) == []


def test_a_live_table_until_ctrl_c(environment: dict[str, str]) -> None:
    """On a terminal the table is drawn; Ctrl-C ends the demo and all it started, with exit status 0."""
    terminal, inner = pty.openpty()
    with subprocess.Popen(
        command(), stdin=inner, stdout=inner, stderr=inner, env=environment | {"TERM": "xterm"}, start_new_session=True
    ) as demo:
        os.close(inner)
        seen = read_until(terminal, "flat-1 draws")
        assert "GOOD" in seen
        assert "part of pack" in seen
        demo.send_signal(signal.SIGINT)
        read_until(terminal, None)
        assert demo.wait(20) == 0
    os.close(terminal)
    assert left_behind(environment) == []


def read_until(terminal: int, words: str | None) -> str:
    """Return what a terminal shows until `words` appear, or until it is closed."""
    seen = b""
    deadline_s = time.monotonic() + 30.0
    while words is None or words not in seen.decode(errors="replace"):
        assert time.monotonic() < deadline_s, seen.decode(errors="replace")
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
    return seen.decode(errors="replace")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end_early(environment: dict[str, str], number: signal.Signals) -> None:
    """A signal ends it in order: the document is printed, nothing is left."""
    with subprocess.Popen(command("--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as demo:
        wait_until_up(demo, environment)
        demo.send_signal(number)
        stdout, stderr = demo.communicate(timeout=30)
    assert demo.returncode == 0, stderr
    assert json.loads(stdout)["ok"] is True
    assert left_behind(environment) == []


def test_a_killed_demo_leaves_no_process(environment: dict[str, str]) -> None:
    """SIGKILL gives it no chance to clean up; the kernel ends its children."""
    with subprocess.Popen(command("--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as demo:
        wait_until_up(demo, environment)
        demo.kill()
        demo.wait(10)
    wait_for_none(environment)


@pytest.mark.parametrize(("words", "name"), [("sim jbd", "b1"), ("garage.toml", "garage")])
def test_a_child_that_dies_is_named(environment: dict[str, str], words: str, name: str) -> None:
    """The demo says who ended and how, exits with 1 and takes the others down."""
    with subprocess.Popen(command("--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as demo:
        children = wait_until_up(demo, environment)
        min((child for child in children if words in " ".join(child.cmdline())), key=lambda child: child.pid).kill()
        stdout, stderr = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert f"{name} ended by SIGKILL; the end of its log:" in stderr
    assert stdout == ""
    assert left_behind(environment) == []


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf"])
def test_a_time_that_is_none(seconds: str) -> None:
    """Refused before anything is started."""
    done = subprocess.run(command(f"--seconds={seconds}"), capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "--seconds must be a number of at least 0" in done.stderr
