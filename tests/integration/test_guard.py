"""The guard: whatever ends the daemon, its devices are made safe on their real lines, and nobody else touches them meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from bosd.safeguard.report import read_report
from tests.support.processes import BOSD, REPOSITORY, Node, Pack, pseudo, until

LIMITS = {"max_discharge_current_a": 60.0, "max_charge_current_a": 30.0}
ON, OFF = (True, True), (False, False)
JOB_S = 10.0
"""A guard ends its work in 6 s at the latest (JOB_DEADLINE_S), and one device takes 3 s at most."""

BLOCKABLE = """
import asyncio, signal, time
import bosd.daemon as daemon
serve = daemon.serve
async def serve_and_block(config, **how):
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, time.sleep, 60.0)
    await serve(config, **how)
daemon.serve = serve_and_block
"""
"""A daemon whose loop stands still for a minute from SIGUSR1 on: a call of it that does not come back."""
SOON = "import bosd.safeguard.keeper as keeper\nkeeper.MOST_UNANSWERED, keeper.STEADY_S = 8, 1.0"


def gate(pack: Pack, name: str, safe: str = "release") -> str:
    """Return the table of a battery whose board switches."""
    return pack.toml(name, current_control="gate", safe=safe, **LIMITS)


def fets(pack: Pack) -> tuple[bool, bool]:
    """Return whether the pack's charge and discharge FETs are switched on."""
    state = pack.tell("get")["state"]
    return bool(state["charge_enabled"]), bool(state["discharge_enabled"])


def good(node: Node, *names: str) -> None:
    """Wait until these batteries are GOOD."""
    until(lambda: all(status["quality"] == "GOOD" for status in node.statuses(*names).values()), because=f"{names} are GOOD")


def gone(process: psutil.Process) -> bool:
    """Return whether a process has ended."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def report(node: Node) -> dict[str, Any]:
    """Wait for guard.json and return it."""
    return until(lambda: read_report(node.state_dir) or {}, timeout_s=JOB_S, because="guard.json is there")


def results(document: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Return what a report says of each device: its action, and whether it was confirmed."""
    return {each["name"]: (each["action"], each["confirmed"]) for each in document["devices"]}


class Site:
    """Three packs at 9600 baud: a gate that opens, one that is left as it is, and a regulator that runs 20 A."""

    def __init__(self, directory: Path, packs: tuple[Pack, Pack, Pack], prelude: str) -> None:
        self.opens, self.stays, self.runs = packs
        self.topology = gate(self.opens, "opens", "open") + gate(self.stays, "stays") + self.runs.regulated("runs")
        self.node = Node(directory, self.topology, prelude=prelude)

    def is_safe(self) -> None:
        """Check report and packs: what the guard says is what the boards show."""
        found = report(self.node)
        assert results(found) == {"opens": ("open", True), "stays": ("release", True), "runs": ("zero", True)}
        assert found["confirmed"] is True
        assert (fets(self.opens), fets(self.stays), self.runs.load_a) == (OFF, ON, 0.0)


@contextmanager
def site(directory: Path, prelude: str = "") -> Iterator[Site]:
    """Start all of it, let the regulator run 20 A."""
    real: dict[str, Any] = {"baud": 9600, "turnaround_ms": (10, 20)}
    with Pack(directory, "a", **real) as a, Pack(directory, "b", **real) as b, Pack(directory, "c", **real) as c:
        made = Site(directory, (a, b, c), prelude)
        with made.node:
            good(made.node, "opens", "stays", "runs")
            made.node.ask("set", "runs", "20", "--ttl", "10m")
            assert (fets(made.opens), fets(made.stays), made.runs.load_a) == (ON, ON, 20.0)
            yield made


def test_kill_9_and_the_daemon_after_it(tmp_path: Path) -> None:
    """Gate open, other gate as it was, regulator at 0 A, all read back; the next daemon reads them, and says and audits it."""
    with site(tmp_path) as here:
        guard = here.node.guard
        here.node.kill()
        here.is_safe()
        assert report(here.node)["why"] == "the daemon ended without a word"
        until(lambda: gone(guard), because="the guard has ended")
        here.node.start()
        good(here.node, "opens", "stays", "runs")
        assert here.node.events("guard_acted", guard_confirmed=True)
        (record,) = [each for each in here.node.ask("audit") if each["action"] == "guard"]
        assert record["outcome"] == "done"
        assert here.node.terminate() == 0
        assert read_report(here.node.state_dir) is None


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGUSR1])
def test_a_daemon_that_hangs(tmp_path: Path, number: signal.Signals) -> None:
    """Stopped, or its loop blocked: after 1 s it is killed, then its devices are made safe."""
    with site(tmp_path, prelude=BLOCKABLE) as here:
        here.node.signal(number)
        assert here.node.wait() == -signal.SIGKILL
        here.is_safe()
        assert report(here.node)["why"] == "the daemon gave no sign for 1 s and was killed"


def test_a_programming_error(tmp_path: Path) -> None:
    """A task that breaks makes the daemon end loudly, its devices safe by itself: the guard has nothing to do."""
    prelude = (
        "import asyncio, bosd.node.noticed as noticed\nlook = noticed.Notices.look\n"
        "def breaking(self):\n    look(self)\n    import os\n    if os.path.exists(BREAK):\n        raise ZeroDivisionError\n"
        f"BREAK = {str(tmp_path / 'break')!r}\nnoticed.Notices.look = breaking\n"
    )
    with site(tmp_path, prelude=prelude) as here:
        guard = here.node.guard
        (tmp_path / "break").touch()
        assert here.node.wait() != 0
        assert "ZeroDivisionError" in here.node.output()
        assert (fets(here.opens), fets(here.stays), here.runs.load_a) == (OFF, ON, 0.0)
        until(lambda: gone(guard))
        assert not here.node.events("guard_done")


def test_an_orderly_stop(tmp_path: Path) -> None:
    """The daemon makes all safe itself: no guard is left, none has acted, and no guard.json is there."""
    with site(tmp_path) as here:
        guard = here.node.guard
        assert here.node.terminate() == 0
        assert gone(guard)
        assert read_report(here.node.state_dir) is None
        assert not here.node.events("guard_done")
        assert (fets(here.opens), fets(here.stays), here.runs.load_a) == (OFF, ON, 0.0)


def test_signals_for_the_daemon_are_none_for_the_guard(tmp_path: Path) -> None:
    """SIGTERM and SIGINT, as a manager or a terminal sends them to all, do not end the guard; it leads its own session."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, gate(pack, "opens", "open")) as node:
        good(node, "opens")
        guard = node.guard
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            guard.send_signal(number)
        node.kill()
        assert results(report(node)) == {"opens": ("open", True)}
        assert fets(pack) == OFF


AWAY = {"away": ("open", False)}


def test_what_an_orderly_stop_could_not_confirm(tmp_path: Path) -> None:
    """The guard is left the one pack that was away, and opens it when it is back."""
    with Pack(tmp_path, "here") as here, Pack(tmp_path, "away") as away:
        with Node(tmp_path, here.regulated("here") + gate(away, "away", "open")) as node:
            good(node, "here", "away")
            away.signal(signal.SIGSTOP)
            assert node.terminate() == 0
            assert node.events("safe_action_unconfirmed", batteries=["away"])
            assert (report(node)["by"], results(report(node))) in (("daemon", AWAY), ("guard", AWAY))
            away.signal(signal.SIGCONT)
            until(lambda: node.events("guard_done"), because="the guard is done")
            found = report(node)
        assert results(found) == {"away": ("open", True)}
        assert found["why"] == "the daemon ended in order, but could not make these safe"
        assert fets(away) == OFF


def test_what_is_left_without_a_guard(tmp_path: Path) -> None:
    """Where none could be kept, guard.json names what an orderly stop left, and the `bosd safe` of the service acts on it."""
    orderly = {"SERVICE_RESULT": "success", "EXIT_CODE": "exited", "EXIT_STATUS": "0"}
    none = "import bosd.safeguard.post as post\ndef man(*_):\n    raise OSError(11, 'no more processes')\npost.Post.man = man\n"
    with Pack(tmp_path, "away") as away, Node(tmp_path, gate(away, "away", "open"), prelude=none) as node:
        good(node, "away")
        until(lambda: node.events("error_raised", type="GUARD_LOST"), because="no guard is told")
        away.signal(signal.SIGSTOP)
        assert node.terminate() == 0
        assert (report(node)["by"], results(report(node))) == ("daemon", AWAY)
        away.signal(signal.SIGCONT)
        command = [*BOSD, "safe", "--config", str(node.config)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=REPOSITORY, timeout=30, env={**os.environ, **orderly}
        )
        assert done.stdout == "away: both switches open\n"
        assert fets(away) == OFF


def test_a_missing_port_a_silent_pack_and_one_that_does_not_follow(tmp_path: Path) -> None:
    """Each is named with its own reason and unconfirmed, and holds up nobody: the last one is open."""
    with ExitStack() as stack:
        packs = {name: stack.enter_context(Pack(tmp_path, name)) for name in ("missing", "silent", "stubborn", "fine")}
        node = stack.enter_context(Node(tmp_path, "".join(gate(pack, name, "open") for name, pack in packs.items())))
        good(node, *packs)
        packs["missing"].tell("inject", fault="unplug", seconds=60.0)
        packs["silent"].signal(signal.SIGSTOP)
        packs["stubborn"].raw(0xE1, bytes.fromhex("dde10000000077"))  # acknowledges, does nothing
        node.kill()
        found = report(node)
        said = {each["name"]: each["result"] for each in found["devices"]}
        assert found["confirmed"] is False
        assert results(found) == {name: ("open", name == "fine") for name in packs}
        assert "no such file" in said["missing"]
        assert "no answer" in said["silent"]
        assert "FETs show 11 (discharge, charge), commanded 00" in said["stubborn"]
        assert fets(packs["fine"]) == OFF
        packs["silent"].signal(signal.SIGCONT)


def test_a_restart_at_once_waits_for_the_guard(tmp_path: Path) -> None:
    """The guard is held up by a silent pack; the new daemon opens no line before it is done, then all are read."""
    with ExitStack() as stack:
        silent, fine = (stack.enter_context(Pack(tmp_path, name)) for name in ("silent", "fine"))
        with Node(tmp_path, gate(silent, "silent", "open") + gate(fine, "fine", "open")) as node:
            good(node, "silent", "fine")
            guard = node.guard
            silent.signal(signal.SIGSTOP)
            node.kill()
            node.launch()
            until(lambda: node.events("serving"), because="it serves again")
            assert gone(guard)
            assert results(report(node)) == {"silent": ("open", False), "fine": ("open", True)}
            assert fets(fine) == OFF
            silent.signal(signal.SIGCONT)
            good(node, "silent", "fine")
            assert "in use" not in node.output()


def test_a_full_disk_hinders_nothing(tmp_path: Path, disk: Path) -> None:
    """The devices are safe, the log has it; only guard.json is missing, and why is said."""
    node = Node(tmp_path, "", state_dir=str(disk / "state"))
    with Pack(tmp_path, "pack") as pack:
        node.config.write_text(node.config.read_text() + gate(pack, "opens", "open"))
        with node:
            good(node, "opens")
            with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(4096))
            node.kill()
            until(lambda: node.events("guard_done", confirmed=True), timeout_s=JOB_S)
            assert fets(pack) == OFF
            assert "No space left" in node.events("guard_report_unwritten")[0]["detail"]
            assert read_report(disk / "state") is None


def test_edits_reach_the_guard(tmp_path: Path) -> None:
    """A gate added while the node runs is opened, one that was removed is left alone."""
    with Pack(tmp_path, "first") as first, Pack(tmp_path, "second") as second, Node(tmp_path, pseudo("p")) as node:
        assert not psutil.Process(node.pid).children()
        edit = tmp_path / "edit.toml"
        edit.write_text(gate(first, "first", "open") + gate(second, "second", "open"))
        node.ask("add", str(edit))
        good(node, "first", "second")
        assert node.guard.is_running()
        node.ask("rm", "second")
        time.sleep(0.5)  # two ticks: by the next one the guard is told
        node.kill()
        assert results(report(node)) == {"first": ("open", True)}
        assert (fets(first), fets(second)) == (OFF, ON)


def test_no_guard_when_the_last_device_has_gone(tmp_path: Path) -> None:
    """Removed, it is nobody's any more: the guard is dismissed and has done nothing."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, gate(pack, "only", "open") + pseudo("p")) as node:
        good(node, "only")
        guard = node.guard
        node.ask("rm", "only")
        until(lambda: gone(guard), because="the guard has gone")
        node.kill()
        assert fets(pack) == ON
        assert read_report(node.state_dir) is None


def test_a_stopped_gate_stays_stopped(tmp_path: Path) -> None:
    """What `stop` opened, `release` leaves open; the next daemon has the stop."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, gate(pack, "stays")) as node:
        good(node, "stays")
        node.ask("set", "stays", "10", "--ttl", "10m")
        assert fets(pack) == (False, True)
        node.ask("stop", "stays")
        assert fets(pack) == OFF
        node.kill()
        assert results(report(node)) == {"stays": ("release", True)}
        assert fets(pack) == OFF
        node.start()
        good(node, "stays")
        assert "stopped" in node.status("stays")["reason"]
        assert fets(pack) == OFF


def test_a_guard_that_dies_is_replaced(tmp_path: Path) -> None:
    """At once the first time; in a row it becomes an error of the node, which ends when one stands; the daemon never minds."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, gate(pack, "opens", "open"), prelude=SOON) as node:
        good(node, "opens")
        for count in range(1, 4):
            node.guard.kill()
            until(lambda n=count: len(node.events("guard_posted")) == n + 1, because="another is posted")  # type: ignore[misc]
        (error,) = node.events("error_raised", type="GUARD_LOST")
        assert error["severity"] == "HIGH"
        assert "ended with status -9" in error["detail"]
        until(lambda: node.events("error_cleared", type="GUARD_LOST"), because="one stands again")
        good(node, "opens")
        node.kill()
        assert results(report(node)) == {"opens": ("open", True)}


def test_a_guard_that_hangs_is_replaced(tmp_path: Path) -> None:
    """A stopped guard reads nothing: the daemon goes on and posts another; the old one does not wake up and kill it."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, gate(pack, "opens", "open"), prelude=SOON) as node:
        good(node, "opens")
        hung = node.guard
        hung.suspend()
        until(lambda: len(node.events("guard_posted")) == 2, because="another is posted")
        assert gone(hung)
        assert not node.events("loop_lag")
        good(node, "opens")
        assert node.terminate() == 0
        assert read_report(node.state_dir) is None


@pytest.mark.parametrize("topology", ["pseudo", "read only"])
def test_no_guard_where_nothing_can_be_commanded(tmp_path: Path, topology: str) -> None:
    """Batteries in software and packs that are only read need none; kill -9 leaves no guard.json."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, pseudo("p") if topology == "pseudo" else pack.toml("p")) as node:
        good(node, "p")
        assert not psutil.Process(node.pid).children()
        node.kill()
        assert read_report(node.state_dir) is None


def test_no_guard_in_simulated_time(tmp_path: Path) -> None:
    """A node whose time moves by ticks has none."""
    node = Node(tmp_path, pseudo("p"))
    node._arguments = [*node._arguments, "--clock", "simulated"]
    with node:
        good(node, "p")
        assert not psutil.Process(node.pid).children()


def test_what_the_guard_loads() -> None:
    """Neither gRPC nor the API, the store's library, numbers or the tracebacks' colours; drivers and transports it has."""
    program = (
        "import os, sys; from bosd.__main__ import main\n"
        "status = main(['guard', '--state-dir', '/nonexistent', '--daemon', str(os.pidfd_open(os.getpid()))])\n"
        "print(status, *sorted(sys.modules), file=sys.stderr)"
    )
    from bosd.bal.spec import JbdSpec
    from bosd.safeguard.device_list import Devices, End, encode

    specs = JbdSpec(name="x", port="/dev/ttyUSB0", current_control="gate", max_discharge_current_a=1.0, max_charge_current_a=1.0)
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=encode(Devices((specs,))) + encode(End()),
        capture_output=True,
        check=True,
        cwd=REPOSITORY,
        timeout=30,
    )
    status, *modules = done.stderr.decode().split()
    assert status == "0"
    assert {"bosd.drivers.serial", "bosd.drivers.jbd.driver", "bosd.safeguard.guard"} <= set(modules)
    parts = {name.partition(".")[0] for name in modules}
    assert not parts & {"grpc", "google", "numpy", "sqlalchemy", "msgspec", "uvloop", "cryptography", "rich.console", "typer"}
    assert not [name for name in modules if name.startswith(("bosd.rpc", "bosd.v1", "bosd.node", "bosd.store"))]


def test_started_by_hand(tmp_path: Path) -> None:
    """Without a daemon's descriptor it says who starts it, exit 1."""
    command = [*BOSD, "guard", "--state-dir", str(tmp_path), "--daemon", "0"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 1
    assert done.stderr.startswith("bosd: --daemon 0: no pidfd")
    assert "`bosd run` starts its guard itself" in done.stderr


def test_help_has_examples() -> None:
    """`bosd safe --help` shows a line to type, `bosd guard --help` says who starts it."""
    for command, words in (("safe", "bosd safe --config /etc/bosd/bosd.toml"), ("guard", "`bosd run` starts one")):
        done = subprocess.run([*BOSD, command, "--help"], capture_output=True, text=True, check=True, cwd=REPOSITORY)
        assert words in done.stdout
