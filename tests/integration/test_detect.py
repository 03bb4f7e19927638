"""`bosd detect` as a program, on real pseudo-terminals with simulated packs."""

import asyncio
import json
import os
import signal
import subprocess
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bosd.detect.hunt import Hunt, Target
from bosd.drivers.jbd.probe import PROBE
from bosd.drivers.transport import open_transport
from bosd.v1 import battery_pb2 as pb
from tests.support.jbd_frames import FakeBoard
from tests.support.processes import BOSD, Caller, Node, Pack, until
from tests.unit.detect.test_hunt import Watcher


def detect(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end."""
    return subprocess.run((*BOSD, "detect", *arguments), capture_output=True, text=True, timeout=50, check=False)


def document(*arguments: str) -> list[dict[str, Any]]:
    """Return what it finds as JSON."""
    ports: list[dict[str, Any]] = json.loads(detect("--json", *arguments).stdout)["ports"]
    return ports


def test_found_written_checked_and_read(tmp_path: Path) -> None:
    """Two packs are found, the file written is good, and a node that runs it reads both and commands neither."""
    path = tmp_path / "bosd.toml"
    with Pack(tmp_path, "a", series=4) as a, Pack(tmp_path, "b", series=16) as b:
        links = [str(a.port), str(b.port)]
        done = detect("--ports", links[0], "--ports", links[1], "--write", str(path))  # as good as both at once
        assert done.returncode == 0, done.stderr
        assert "BOSD-SIM-JBD" in done.stdout
        check = subprocess.run((*BOSD, "check", "--config", str(path)), capture_output=True, text=True, timeout=50, check=False)
        assert check.stdout == f"{path}: good; 2 batteries, 0 partitions\n"
        again = detect("--ports", *links, "--write", str(path))
        assert (again.returncode, "exists and is not replaced" in again.stderr) == (1, True)
        tables = path.read_text().partition("\n# BOSD-SIM")[2]
        with Node(tmp_path / "node", "# " + tables) as node, Caller(node.target) as caller:
            until(lambda: all(caller.status(name).quality == pb.QUALITY_GOOD for name in ("pack1", "pack2")))
            statuses = [caller.status(name) for name in ("pack1", "pack2")]
            assert [len(status.cells_v) for status in statuses] == [4, 16]
            assert not any(status.commandable for status in statuses)
            # a port that a running node holds is named with it, and its reading goes on
            (held,) = document("--ports", links[0])
            assert held["state"] == "in_use"
            assert f"process {node.pid}" in held["detail"]
            assert caller.refresh("pack1").quality == pb.QUALITY_GOOD


@pytest.fixture
def dead_port() -> Iterator[str]:
    """Provide a pseudo-terminal on which nothing answers."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_interrupted(tmp_path: Path, dead_port: str) -> None:
    """Ctrl-C ends it at once with what was found so far; nothing is written, and the port is free again."""
    path = tmp_path / "bosd.toml"
    with Pack(tmp_path, "a") as pack:
        link = str(pack.port)
        command = (*BOSD, "detect", "--json", "--ports", link, dead_port, "--write", str(path))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"{link}: jbd"):
                break
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "interrupted; nothing was written" in errors
        assert [port["state"] for port in json.loads(output)["ports"]] == ["found"]
        assert not path.exists()
        assert document("--ports", link)[0]["state"] == "found"


@contextmanager
def board_at(baud: int) -> Iterator[str]:
    """Provide a pseudo-terminal whose board answers only while the port is set to `baud`, as a real line would carry it."""
    master, slave = os.openpty()
    tty.setraw(slave)
    board, done = FakeBoard(), threading.Event()
    speed = getattr(termios, f"B{baud}")

    def serve() -> None:
        while not done.is_set():
            try:
                request = os.read(master, 64)
            except OSError:
                return
            if termios.tcgetattr(master)[4] == speed:
                os.write(master, board.respond(request))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        done.set()
        os.close(slave)
        thread.join(5)
        os.close(master)


async def test_speeds_in_their_order() -> None:
    """A board at 38400 baud is found after 9600 and 19200 were asked, with its speed."""
    watcher = Watcher()
    with board_at(38400) as path:
        hunt = Hunt((PROBE,), watcher, open_transport)
        async with asyncio.timeout(40):
            await hunt.ask_all([Target(port=path, address=path)])
    assert [baud for _, _, baud in watcher.asked] == [9600, 19200, 38400]
    assert (hunt.outcomes[0].state, hunt.outcomes[0].baud) == ("found", 38400)
