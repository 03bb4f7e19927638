"""`bosd safe`: a node that is down, by hand and after a stop of the service."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import serial

from bosd.bal.spec import JbdSpec
from bosd.clock import SystemClock
from bosd.safeguard.report import NAME, REMOVED, read_report
from bosd.safeguard.safe_action import AGAIN_S, Outcome, make_all_safe
from tests.integration.test_guard import OFF, ON, fets, gate, good, results
from tests.support.processes import BOSD, REPOSITORY, Node, Pack, pseudo, until

ORDERLY = {"SERVICE_RESULT": "success", "EXIT_CODE": "exited", "EXIT_STATUS": "0"}
KILLED = {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": "KILL"}


class Done:
    """A run of `bosd safe` on a node's configuration."""

    def __init__(self, node: Node, **environment: str) -> None:
        done = subprocess.run(
            [*BOSD, "safe", "--config", str(node.config)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
        )
        self.status, self.lines, self.complaints = done.returncode, done.stdout.splitlines(), done.stderr


@pytest.fixture
def pack(tmp_path: Path) -> Iterator[Pack]:
    """A pack at the pace of a real one."""
    with Pack(tmp_path, "pack", baud=9600, turnaround_ms=(10, 20)) as pack:
        yield pack


def down(node: Node, *names: str) -> None:
    """Let a node run, then lose its power."""
    with node:
        good(node, *names)
        node.power_cut()


def test_a_node_that_is_down(tmp_path: Path, pack: Pack) -> None:
    """A line a device, all confirmed, exit 0, and the report is there; what is left as it is has its switches."""
    with Pack(tmp_path, "other") as other, Pack(tmp_path, "third") as third:
        node = Node(tmp_path, gate(pack, "opens", "open") + gate(other, "stays") + third.regulated("runs"))
        with node:
            good(node, "opens", "stays", "runs")
            node.ask("set", "runs", "20", "--ttl", "10m")
            node.power_cut()
        assert third.load_a == 20.0
        done = Done(node)
        assert done.status == 0, done.complaints
        assert done.lines == ["opens: both switches open", "stays: switches left as they are", "runs: regulator at 0 A"]
        assert done.complaints == ""
        assert (fets(pack), fets(other), third.load_a) == (OFF, ON, 0.0)
        found = read_report(node.state_dir) or {}
        assert (found["by"], found["why"], found["confirmed"]) == ("safe", "asked by hand", True)


def test_a_missing_port_and_a_silent_pack(tmp_path: Path, pack: Pack) -> None:
    """Each says why, the third is open all the same; exit 1."""
    with ExitStack() as stack:
        packs = {name: stack.enter_context(Pack(tmp_path, name)) for name in ("missing", "silent")} | {"fine": pack}
        node = Node(tmp_path, "".join(gate(each, name, "open") for name, each in packs.items()))
        down(node, *packs)
        packs["missing"].tell("inject", fault="unplug", seconds=60.0)
        packs["silent"].raw(0xE1, b"")
        done = Done(node)
        assert done.status == 1
        assert done.lines == [
            f"missing: NOT SAFE: {packs['missing'].port}: no such file or directory",
            f"silent: NOT SAFE: {packs['silent'].port}: no answer in 3 attempts",
            "fine: both switches open",
        ]
        assert results(read_report(node.state_dir) or {}) == {
            "missing": ("open", False),
            "silent": ("open", False),
            "fine": ("open", True),
        }
        assert fets(pack) == OFF


def test_the_stored_topology_counts(tmp_path: Path, pack: Pack) -> None:
    """What was edited since the file was written is what is made safe, also when it lies in the log of a killed node's store."""
    node = Node(tmp_path, pseudo("p"))
    with node:
        edit = tmp_path / "edit.toml"
        edit.write_text(gate(pack, "later", "open"))
        node.ask("add", str(edit))
        good(node, "later")
        node.power_cut()
    assert (node.state_dir / "bosd.sqlite-wal").stat().st_size > 0
    done = Done(node)
    assert (done.status, done.lines) == (0, ["later: both switches open"])
    assert fets(pack) == OFF


@pytest.mark.parametrize("damage", ["never ran", "rubbish", "no table"])
def test_without_a_store_the_configuration_counts(tmp_path: Path, pack: Pack, damage: str) -> None:
    """It is said, with the reason, and the file's batteries are made safe."""
    node = Node(tmp_path, gate(pack, "b1", "open"))
    if damage != "never ran":
        node.state_dir.mkdir()
        (node.state_dir / "bosd.sqlite").write_bytes(b"rubbish" * 1000 if damage == "rubbish" else b"")
    done = Done(node)
    assert (done.status, done.lines) == (0, ["b1: both switches open"])
    said = {"never ran": "no stored topology", "rubbish": "file is not a database", "no table": "no such table"}[damage]
    assert said in done.complaints
    assert f"the batteries of {node.config}" in done.complaints
    assert fets(pack) == OFF


def test_a_node_that_runs_is_left_alone(tmp_path: Path, pack: Pack) -> None:
    """Refused with the process that has the devices, and what to use; nothing moves."""
    with Node(tmp_path, gate(pack, "b1", "open")) as node:
        good(node, "b1")
        done = Done(node)
        assert (done.status, done.lines) == (1, [])
        assert f"bosd runs here (process {node.pid})" in done.complaints
        assert "bosctl stop --node" in done.complaints
        assert fets(pack) == ON
        assert read_report(node.state_dir) is None


def test_after_a_stop_of_the_service(tmp_path: Path, pack: Pack) -> None:
    """After an orderly end nothing is woken; after any other, a clean signal too, or with something unconfirmed, it acts."""
    node = Node(tmp_path, gate(pack, "b1", "open"))
    with node:
        good(node, "b1")
        assert node.terminate() == 0
    requests = pack.tell("stats")["stats"]["requests"]
    done = Done(node, **ORDERLY)
    assert (done.status, done.lines) == (0, ["the daemon ended in order and made its devices safe: nothing to do"])
    assert pack.tell("stats")["stats"]["requests"] == requests
    assert read_report(node.state_dir) is None
    for environment in (KILLED, {**ORDERLY, "EXIT_CODE": "killed", "EXIT_STATUS": "TERM"}):
        pack.tell("set", charge_enabled=True, discharge_enabled=True)
        assert Done(node, **environment).lines == ["b1: both switches open"]
        assert fets(pack) == OFF
    assert (read_report(node.state_dir) or {})["why"] == "the service ended: success, killed TERM"
    pack.raw(0xE1, b"")
    assert Done(node).status == 1
    pack.raw(0xE1, None)
    assert Done(node, **ORDERLY).lines == ["b1: both switches open"]
    assert Done(node, **ORDERLY).lines == ["the daemon ended in order and made its devices safe: nothing to do"]


def test_what_an_edit_took_out_and_was_not_confirmed(tmp_path: Path, pack: Pack) -> None:
    """Its board refuses switches, it is taken out, daemon and guard die together: it is tried here, and by the next daemon."""
    node = Node(tmp_path, gate(pack, "gone", "open") + pseudo("p"))
    with node:
        good(node, "gone")
        node.ask("set", "gone", "5", "--ttl", "10m")
        pack.raw(0xE1, b"")
        assert (node.bosctl("rm", "gone").document or {})["unconfirmed"] == ["gone"]
        node.power_cut()
        pack.raw(0xE1, None)
        assert fets(pack) != OFF
        noted = (node.state_dir / REMOVED).read_text()
        assert (Done(node).lines, fets(pack)) == (["gone: both switches open"], OFF)
        assert not (node.state_dir / REMOVED).exists()
        pack.tell("set", charge_enabled=True, discharge_enabled=True)
        (node.state_dir / REMOVED).write_text(noted)
        (node.state_dir / NAME).unlink()
        node.start()
        until(lambda: fets(pack) == OFF, because="the next daemon tells it")
        until(lambda: not (node.state_dir / REMOVED).exists(), because="it is forgotten then")


def test_nothing_to_command(tmp_path: Path, pack: Pack) -> None:
    """A node of packs that are only read, and of batteries in software: exit 0, and it is said."""
    done = Done(Node(tmp_path, pack.toml("b1") + pseudo("p")))
    assert done.status == 0
    assert done.lines == ["no battery here has a device that could be commanded: nothing to do"]


def test_a_guard_at_its_work_is_waited_for(tmp_path: Path, pack: Pack) -> None:
    """Held up by another pack that is silent, the guard ends first; then `bosd safe` has every line to itself."""
    with Pack(tmp_path, "silent") as silent:
        node = Node(tmp_path, gate(pack, "b1", "open") + gate(silent, "silent", "open"))
        with node:
            good(node, "b1", "silent")
            silent.raw(0xE1, b"")
            node.kill()
            done = Done(node, **KILLED)
            assert node.events("guard_done")
            assert done.lines[0] == "b1: both switches open"
            assert (read_report(node.state_dir) or {})["by"] == "safe"


def test_what_it_loads(tmp_path: Path, pack: Pack) -> None:
    """No gRPC, no store's library, no numbers: it runs where the daemon could not start."""
    node = Node(tmp_path, gate(pack, "b1", "open"))
    program = (
        "import sys; from bosd.__main__ import main\n"
        f"print(main(['safe', '--config', {str(node.config)!r}]), *sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY, timeout=30)
    words = done.stderr.split()
    parts = {name.partition(".")[0] for name in words}
    assert "bosd.drivers.jbd.driver" in words
    assert not parts & {"grpc", "google", "numpy", "sqlalchemy", "msgspec", "uvloop", "cryptography"}
    assert not [name for name in words if name.startswith(("bosd.rpc", "bosd.v1", "bosd.node"))]


def outcome_of(pack: Pack, release_after_s: float | None) -> Outcome:
    """Make a pack safe whose port another program holds, for so long or for ever."""
    spec = JbdSpec(
        name="b1",
        port=str(pack.port),
        current_control="gate",
        safe="open",
        max_discharge_current_a=60.0,
        max_charge_current_a=30.0,
    )

    async def act() -> Outcome:
        with serial.Serial(str(pack.port), exclusive=True) as held:
            if release_after_s is not None:
                asyncio.get_running_loop().call_later(release_after_s, held.close)
            (outcome,) = await make_all_safe([spec], SystemClock())
            return outcome

    return asyncio.run(act())


def test_a_lock_on_the_port_is_waited_for(pack: Pack) -> None:
    """A port that another program still holds is tried until it is free; one that stays held is named."""
    outcome = outcome_of(pack, 3 * AGAIN_S)
    assert outcome.confirmed, outcome
    assert outcome.took_s > 3 * AGAIN_S
    assert fets(pack) == OFF
    pack.tell("set", charge_enabled=True, discharge_enabled=True)
    outcome = outcome_of(pack, None)
    assert not outcome.confirmed
    assert outcome.result.startswith(f"{pack.port}: in use by ")
    assert fets(pack) == ON


def test_check_warns_of_the_dark(tmp_path: Path, pack: Pack) -> None:
    """`bosd check` says of `safe = "open"` what goes dark, and accepts it."""
    node = Node(tmp_path, gate(pack, "dark", "open") + gate(pack, "light").replace("pack.tty", "pack2.tty"))
    done = subprocess.run(
        [*BOSD, "check", "--config", str(node.config)], capture_output=True, text=True, check=True, cwd=REPOSITORY, timeout=30
    )
    assert "good; 2 batteries" in done.stdout
    (warning,) = done.stderr.splitlines()
    assert 'battery[0] "dark".safe' in warning
    assert "this node perhaps included" in warning
