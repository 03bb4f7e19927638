"""`bosd driver config`: a board's settings shown, kept and compared, on a simulated pack; refused while a node has the port."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bosd.drivers.jbd.limits import TRIP_POINTS
from tests.support.forked import Done, run_process
from tests.support.processes import REPOSITORY, Node, Pack, until


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    """One pack for all."""
    with Pack(tmp_path_factory.mktemp("pack"), "pack") as pack:
        yield pack


class Board:
    """`bosd driver config` on one pack."""

    def __init__(self, pack: Pack, directory: Path) -> None:
        self.config = directory / "board.toml"
        node = f'[node]\nname = "n1"\nlisten = ["unix:{directory}/socket"]\nstate_dir = "{directory}/state"\n\n'
        pseudo = '[[battery]]\nname = "null"\nkind = "null"\nvoltage_v = 12.0\n'
        self.config.write_text(node + pack.toml("b1") + pseudo)

    def run(self, *arguments: str) -> Done:
        """Run it to its end."""
        return run_process("bosd", ["driver", "config", *arguments, "--config", str(self.config)], REPOSITORY, 120.0)


def test_show_backup_compare(pack: Pack, tmp_path: Path) -> None:
    """All settings by name, unit and raw word; a backup that compares as the same until the board differs; the mode is left."""
    board = Board(pack, tmp_path)
    shown = board.run("b1", "show")
    assert shown.returncode == 0, shown.stderr
    assert "hardware: BOSD-SIM-JBD" in shown.stdout
    [trip] = [line for line in shown.stdout.splitlines() if line.startswith("0x28")]
    assert trip.split() == ["0x28", "charge_overcurrent", "230", "A", "59D8"]
    [functions] = [line for line in shown.stdout.splitlines() if line.startswith("0x2D")]
    assert "load_lock, balance, balance_only_charging" in functions
    state: dict[str, Any] = pack.tell("get")["state"]
    assert state["factory_mode"] is False

    kept = tmp_path / "b1.json"
    assert board.run("b1", "backup", str(kept)).returncode == 0
    document = json.loads(kept.read_text())
    words = {f"0x{register.upper()}": word for register, word in state["configuration"].items()}
    assert {address: entry["raw"] for address, entry in document["settings"].items()} == {
        address: word for address, word in words.items() if address in document["settings"]
    }
    assert len(document["settings"]) == 0x47 - 0x10 + 1
    assert document["identity"]["hardware"] == "BOSD-SIM-JBD"
    again = board.run("b1", "backup", str(kept))
    assert (again.returncode, "not overwritten" in again.stderr) == (1, True)

    same = board.run("b1", "compare", str(kept))
    assert (same.returncode, same.stdout.splitlines()[-1].split(":")[0]) == (0, "the same")
    document["settings"]["0x24"] |= {"raw": 3700, "value": "3700"}
    document["settings"]["0x17"] |= {"raw": 3, "value": "3"}
    kept.write_text(json.dumps(document))
    different = board.run("b1", "compare", str(kept), "--json")
    assert different.returncode == 1
    found = json.loads(different.stdout)
    assert [(each["address"], each["matters"]) for each in found["differences"]] == [("0x17", False), ("0x24", True)]
    assert pack.tell("get")["state"]["factory_mode"] is False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended_by_a_signal(pack: Pack, tmp_path: Path, number: signal.Signals) -> None:
    """A signal in the middle of reading ends it as a shell expects, and the board is out of configuration mode."""
    board = Board(pack, tmp_path)
    pack.tell("inject", fault="delay", delay_s=0.2, register=0x24)  # its first setting is asked twice: there is time to see it
    command = [sys.executable, "-m", "bosd", "driver", "config", "b1", "show", "--config", str(board.config)]
    try:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as program:
            until(lambda: pack.tell("get")["state"]["factory_mode"], because="the board is in configuration mode")
            program.send_signal(number)
            assert program.wait(30.0) == 128 + number
    finally:
        pack.tell("clear")
    assert pack.tell("get")["state"]["factory_mode"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("b2", "show"), "no battery b2; with a device there are: b1"),
        (("b1", "backup"), "backup: FILE is missing"),
        (("b1", "backup", "/nowhere/b1.json"), "/nowhere/b1.json: No such file or directory"),
    ],
)
def test_refused(pack: Pack, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """What cannot be done is named; nothing is asked of the board for it, unless only writing fails."""
    answer = Board(pack, tmp_path).run(*arguments)
    assert answer.returncode == 1
    assert said in answer.stderr


def test_a_file_that_is_no_backup(pack: Pack, tmp_path: Path) -> None:
    """The file is named, and what is wrong."""
    path = tmp_path / "kept.json"
    path.write_text("[]")
    answer = Board(pack, tmp_path).run("b1", "compare", str(path))
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"bosd: {path}: no backup of a device")


def test_while_a_node_has_the_port(pack: Pack, tmp_path: Path) -> None:
    """A port that a running node holds is said to be in use, and by whom probably; the node's battery stays good."""
    with Node(tmp_path, pack.toml("b1")) as node:
        until(lambda: node.status("b1")["quality"] == "GOOD")
        answer = Board(pack, tmp_path).run("b1", "show")
        assert answer.returncode == 1
        assert "in use by" in answer.stderr
        assert "stop that node first" in answer.stderr
        assert node.status("b1")["quality"] == "GOOD"


def test_a_node_whose_terminal_is_closed(pack: Pack, tmp_path: Path) -> None:
    """SIGHUP ends a node as SIGTERM does: the board that it was asking for its trip points is out of configuration mode."""
    for register in TRIP_POINTS:  # so that there is time to see it
        pack.tell("inject", fault="delay", delay_s=0.2, register=register)
    table = pack.toml("b1", read_protection=True, max_charge_current_a=20.0, max_discharge_current_a=20.0)
    try:
        with Node(tmp_path, table) as node:
            until(lambda: pack.tell("get")["state"]["factory_mode"], because="the board is in configuration mode")
            node.signal(signal.SIGHUP)
            assert node.wait() == 0
    finally:
        pack.tell("clear")
    assert pack.tell("get")["state"]["factory_mode"] is False
