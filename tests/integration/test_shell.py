"""`bosctl shell` as a program: every command in one script, at a node and with one of its own; where a script ends and why."""

import json
import os
import pty
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_simulated_clock import Simulated
from tests.support.forked import Done, run_process
from tests.support.processes import BOSCTL, REPOSITORY, START_S, Node, Pack, free_port, pseudo

EVERY_COMMAND = """
# every command of the language
clock get
clock set SystemTime
time
echo two  words          # as one blank apart
alias l ls -l
l
unalias l
load {loaded}
make null gone 13
make battery b1 JBDBMS UART {port}
refresh disable b1
refresh enable b1
refresh once b1
clock set DummyTime 0
make pseudo a v=13,c=0,s=50,cap=100,discharge=50,charge=50
mk pseudo b voltage=13,soc=50,max_capacity=100,max_discharging_current=50,max_charging_current=50
make aggregator agg a,b 13 1
make splitter policy sp proportional agg p1
make splitter battery p2 sp s=20,mc=50,mdc=25,mcc=500 p1
make pseudo c v=13,s=10,cap=10,discharge=5,charge=5
make splitter policy tr tranche c t1
current p1 10
tick 2
stat p1 p2 agg
current p1 0
modify pseudo a v=13.1
visualize
server start {server}
clock set SystemTime
make network far b TCP 127.0.0.1 {server}
server stop {server}
remove far
rm gone
sleep 0.01
list
ls -l
ledger
ledger sp
help
"""


def run(*arguments: str, lines: str | None = None, as_json: bool = True) -> Done:
    """Run `bosctl shell` to its end."""
    command = [*(["--json"] if as_json else []), "shell", *arguments]
    if lines is None:
        return run_process("bosctl", command, REPOSITORY, 50.0)
    done = subprocess.run(
        [*BOSCTL, *command], input=lines, capture_output=True, text=True, timeout=90, check=False, cwd=REPOSITORY
    )
    return Done(done.returncode, done.stdout, done.stderr)


def documents(done: Done) -> list[Any]:
    """Return what a good run printed, one document a line."""
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def error_of(done: Done) -> dict[str, Any]:
    """Return the error of a run that was refused."""
    assert done.returncode == 1, f"{done.stdout}\n{done.stderr}"
    error: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])["error"]
    return error


def test_every_command_in_one_script(tmp_path: Path) -> None:
    """A script with every command of the language runs on a node of the shell's own, and says what each printed."""
    loaded = tmp_path / "loaded.bos"
    loaded.write_text("echo loaded\n")
    with Pack(tmp_path, "pack", soc=0.5) as pack:
        script = tmp_path / "all.bos"
        script.write_text(EVERY_COMMAND.format(loaded=loaded, port=pack.port, server=free_port()))
        printed = documents(run("--local", str(script)))
    assert {"echo": "two words"} in printed
    assert {"echo": "loaded"} in printed
    statuses = {each["name"]: each for each in printed if isinstance(each, dict) and "quality" in each}
    assert statuses["p1"]["charge_ah"] == pytest.approx(80.0 - 20.0)
    assert statuses["p2"]["charge_ah"] == pytest.approx(20.0)
    assert statuses["agg"]["current_a"] == pytest.approx(10.0)
    assert {"clock": "DummyTime", "time": "1970-01-01T02:00:00.000Z", "time_s": 7200.0} in printed
    (split,) = [each for each in printed if isinstance(each, dict) and "given" in each]
    assert split["asked"]["max_charge_current_a"] == 500.0
    assert split["given"]["max_charge_current_a"] == 100.0
    entries = [each for each in printed if isinstance(each, list) and each and "from" in each[0]]
    assert sum(each["charge_ah"] for each in entries[0] if (each["from"], each["to"]) == ("p1", "outside")) == pytest.approx(20.0)


def test_every_command_but_the_clock_against_a_node(tmp_path: Path) -> None:
    """The same language builds on a running daemon; what its clock forbids is refused with its line."""
    with Node(tmp_path, pseudo("old")) as node:
        lines = (
            "make pseudo a v=13,s=50,cap=100,discharge=50,charge=50\n"
            "make splitter policy sp tranche a p1\n"
            "make splitter battery p2 sp s=20,mc=40 p1\n"
            "current p2 5\n"
            "stat p2 a\nremove old\nlist\nledger sp\nvisualize\nclock get\n"
            f"server start {node.target.rpartition(':')[2]}\n"
        )
        printed = documents(run("--target", node.target, lines=lines))
        assert printed[1]["current_a"] == 5.0
        assert [each["name"] for each in printed[3]] == ["a", "p1", "p2"]
        assert node.status("p2")["setpoint_ends_at"] is not None
        refused = error_of(run("--target", node.target, lines="time\ntick 1\necho never\n"))
    assert refused["reason"] == "UNSUPPORTED"
    assert (refused["metadata"]["file"], refused["metadata"]["line"]) == ("<stdin>", "2")


def test_a_current_holds_over_a_tick_longer_than_the_node_allows(tmp_path: Path) -> None:
    """On a simulated node whose set points live a day at most, 1 A holds over 60 h: it is asked for again on the way."""
    with Simulated(tmp_path, pseudo("p", charge_ah=90.0)) as node:
        printed = documents(run("--target", node.target, lines="current p 1\ntick 60\nstat p\n"))
    assert printed[-1]["charge_ah"] == pytest.approx(90.0 - 60.0)
    assert printed[-1]["current_a"] == 1.0


def test_a_wrong_line_ends_the_script_and_says_where(tmp_path: Path) -> None:
    """Status 1 with file, line, word and what was expected on stderr; what stood before was done, what follows is not."""
    inner, outer = tmp_path / "inner.bos", tmp_path / "outer.bos"
    inner.write_text("# nothing\n\nmake pseudo a v=13,amps=3\n")
    outer.write_text(f"echo first\nload {inner}\necho last\n")
    done = run("--local", str(outer))
    assert documents_before(done) == [{"echo": "first"}]
    error = error_of(done)
    found = error["metadata"]
    assert (found["file"], found["line"], found["word"]) == (str(inner), "3", "amps=3")
    assert "voltage|v" in found["expected"]
    people = run("--local", str(outer), as_json=False)
    assert people.returncode == 1
    assert f'{inner}:3: "amps=3": expected one of the keys' in people.stderr


def documents_before(done: Done) -> list[Any]:
    """Return what was printed before the failure."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_refused_command_ends_the_script_with_its_reason(tmp_path: Path) -> None:
    """What the node refuses has its reason and the line; the shell's own node keeps nothing for the next one."""
    script = tmp_path / "refused.bos"
    script.write_text("make pseudo a v=13,s=5,cap=10,discharge=1,charge=1\ncurrent a 2\n")
    for _ in range(2):
        error = error_of(run("--local", str(script)))
        assert (error["reason"], error["metadata"]["line"]) == ("CURRENT_OUT_OF_RANGE", "2")
    script.write_text(f"load {script}\n")
    assert "load each other" in error_of(run("--local", str(script)))["message"]
    assert run("--target", "127.0.0.1:1", lines="ls\n").returncode == 3


def test_the_prompt_goes_on_after_a_failure_and_keeps_its_history(tmp_path: Path) -> None:
    """At a terminal a wrong line is told and the next one runs; lines are in the history file afterwards."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "dumb", "NO_COLOR": "1"}
    with ExitStack() as stack:
        stack.callback(os.close, leader)
        shell = subprocess.Popen(
            [*BOSCTL, "shell", "--local"], stdin=follower, stdout=follower, stderr=follower, cwd=REPOSITORY, env=environment
        )
        stack.callback(shell.kill)
        os.close(follower)
        os.write(leader, b"make pseudo aaa v=13,s=5,cap=10\nstat nobody\nlst\nls\nexit\n")
        shown = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        assert shell.wait(START_S) == 0
    text = shown.decode()
    assert "BAD_NAME" in text
    assert '"lst": expected a command' in text
    assert "aaa (pseudo)" in text
    assert "stat nobody" in (tmp_path / "bosd/shell_history").read_text()
