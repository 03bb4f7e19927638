"""`bosctl` as a process: watching through losses, interrupts, closed pipes, completion."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bosd.v1 import battery_pb2 as pb
from tests.support.bosctl_node import Home, running

BOSCTL = [sys.executable, "-m", "clients.bosctl"]


@contextmanager
def node(address: str = "127.0.0.1:0") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the node as a process of its own; yield it with its address."""
    command = [sys.executable, "-m", "tests.support.bosctl_node", "--address", address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


@contextmanager
def watching(target: str, *names: str) -> Iterator[subprocess.Popen[str]]:
    """Run `bosctl --json watch` until the end of the block."""
    command = [*BOSCTL, "--target", target, "--json", "watch", *names]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], **expected: Any) -> dict[str, Any]:
    """Return the next status that has these values; every line on the way is a status."""
    assert process.stdout is not None
    for line in process.stdout:
        status: dict[str, Any] = json.loads(line)
        if all(status[key] == value for key, value in expected.items()):
            return status
    raise AssertionError("the watch ended")


def test_watch_goes_through_a_killed_node() -> None:
    """Lost: last values, growing age, nothing may be asked. Back: as before, by the same process."""
    with node() as (process, target), watching(target, "b1") as watch:
        until(watch, quality="GOOD")
        process.kill()
        process.wait()
        lost = until(watch, link="lost")
        assert (lost["quality"], lost["current_a"], lost["max_discharge_current_a"]) == ("UNAVAILABLE", None, 0.0)
        assert (lost["voltage_v"], lost["charge_ah"], lost["capacity_ah"]) == (13.2, 52.0, 100.0)
        assert lost["age_s"] > 0.25
        assert until(watch, link="lost")["age_s"] > lost["age_s"]
        with node(target):
            assert until(watch, quality="GOOD")["link"] == "local"


def test_watch_goes_through_a_frozen_node() -> None:
    """A node that is stopped and says nothing is lost; when it goes on, so does the watch."""
    with node() as (process, target), watching(target, "b1") as watch:
        until(watch, quality="GOOD")
        process.send_signal(signal.SIGSTOP)
        assert "no word from the node" in until(watch, link="lost")["reason"]
        process.send_signal(signal.SIGCONT)
        until(watch, quality="GOOD")


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """The address of a node in this process."""
    with running(Home()) as address:
        yield address


def test_an_interrupt_ends_a_watch_without_a_traceback(target: str) -> None:
    """Ctrl-C is exit status 130 and silence."""
    with watching(target, "b1", "agg") as watch:
        until(watch, name="agg")
        watch.send_signal(signal.SIGINT)
        _out, err = watch.communicate()
        assert (watch.returncode, err) == (130, "")


@pytest.mark.parametrize("arguments", [["--json", "watch"], ["watch", "b1"]])
def test_a_reader_that_has_enough_ends_a_watch(target: str, arguments: list[str]) -> None:
    """`bosctl watch | head -1` is exit status 0 and silence."""
    with subprocess.Popen([*BOSCTL, "--target", target, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_hold_asks_again_until_interrupted(number: signal.Signals) -> None:
    """One document, then requests without one; Ctrl-C or SIGTERM gives the set point back, which is the second document."""
    home = Home()
    command = ["--json", "set", "b1", "4", "--ttl", "200ms", "--hold"]
    with running(home) as address, subprocess.Popen([*BOSCTL, "--target", address, *command], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ttl_s"] == 0.2
        while len([each for each in home.asked if isinstance(each, pb.SetCurrentRequest)]) < 4:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait() == 0
        (given_back,) = map(json.loads, process.stdout)
    assert (given_back["requested_current_a"], given_back["ttl_s"]) == (None, None)
    requests = [each for each in home.asked if isinstance(each, pb.SetCurrentRequest)]
    assert {request.current_a for request in requests} == {4.0}
    assert len({request.request_id for request in requests}) == len(requests)
    assert home.asked[-1] == pb.ClearCurrentRequest(name="b1")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_a_live_table(target: str, no_color: str) -> None:
    """It redraws until Ctrl-C, coloured unless NO_COLOR says otherwise."""
    primary, secondary = os.openpty()
    environment = {**os.environ, "BOSD_TARGET": target, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": no_color}
    with subprocess.Popen([*BOSCTL, "watch", "b1"], stdin=secondary, stdout=secondary, env=environment) as process:
        os.close(secondary)
        seen = b""
        while seen.count(b"GOOD") < 3:
            seen += os.read(primary, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    os.close(primary)
    assert (b"\x1b[32mGOOD" in seen) == (not no_color)


def test_piped_lines_are_plain_text(target: str) -> None:
    """No escape sequence leaves for a pipe."""
    done = subprocess.run([*BOSCTL, "--target", target, "ls"], capture_output=True, check=True)
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize("option", [["--target"], []])
def test_bash_completes_battery_names(target: str, option: list[str]) -> None:
    """Names come from the node the line or the environment names."""
    words = " ".join(["bosctl", *([*option, target] if option else []), "status", "b"])
    asked = {
        "_BOSCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "BOSD_TARGET": target,
    }
    done = subprocess.run(BOSCTL, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["b1", "b2"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_bash_script_completes_in_bash(target: str, tmp_path: Path) -> None:
    """The script of `bosctl completion bash`, run by bash itself: commands, names, keys."""
    program = tmp_path / "bosctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m clients.bosctl "$@"\n')
    program.chmod(0o755)
    script = """
        compopt() { :; }
        eval "$(bosctl completion bash)"
        ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _bosctl_completion bosctl; echo "${COMPREPLY[*]}"; }
        ask bosctl wat
        ask bosctl set gar
        ask bosctl pseudo agg vol
    """
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "BOSD_TARGET": target, "PATH": path}
    done = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout.splitlines(), done.stderr) == (["watch", "garage-pack", "voltage_v="], "")


def test_a_terminal_without_the_degree_sign_loses_only_that(target: str) -> None:
    """Old locales get question marks, not a traceback."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [*BOSCTL, "--target", target, "status", "b1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "21.5  22.0 ?C" in done.stdout


def test_completion_without_a_node_is_empty_and_silent() -> None:
    """Pressing Tab never prints an error."""
    asked = {
        "_BOSCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": "bosctl status b",
        "COMP_CWORD": "2",
        "BOSD_TARGET": "127.0.0.1:1",
    }
    done = subprocess.run(BOSCTL, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == ([], "")
