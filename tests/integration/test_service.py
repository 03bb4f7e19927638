"""The daemon under a service manager: what it tells NOTIFY_SOCKET, and when."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Node, Pack, Program, pseudo, until


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        """Take what has come; return the first lines of all messages so far."""
        while True:
            try:
                self.heard.append(self._socket.recv(65536).decode())
            except BlockingIOError:
                return [message.splitlines()[0] for message in self.heard]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """A service manager."""
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def test_ready_watchdog_stopping(tmp_path: Path, manager: Manager) -> None:
    """READY once and only when a call is answered, then a beat at least every half period, then STOPPING, and no READY again."""
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}
    with Pack(tmp_path, "pack") as pack, Node(tmp_path, pack.regulated("own") + pseudo("p"), environment=environment) as node:
        until(lambda: "READY=1" in manager.listen())
        assert len(node.statuses()) == 2
        ready = next(message for message in manager.heard if message.startswith("READY=1"))
        assert "2 batteries" in ready
        assert node.target in ready
        began_s, before = time.monotonic(), manager.listen().count("WATCHDOG=1")
        until(lambda: manager.listen().count("WATCHDOG=1") >= before + 10)
        assert time.monotonic() - began_s < 10 * 0.4
        assert node.terminate() == 0
        heard = manager.listen()
        assert heard.count("READY=1") == heard.count("STOPPING=1") == 1
        assert heard.index("READY=1") < heard.index("STOPPING=1")


def test_not_ready_when_the_start_fails(tmp_path: Path, manager: Manager) -> None:
    """A port in use: exit 1, and the manager never heard READY."""
    with Node(tmp_path / "one", pseudo("p")) as first:
        second = Node(tmp_path / "two", pseudo("p"), listen=[first.target], environment={"NOTIFY_SOCKET": manager.address})
        second.launch()
        assert second.wait() == 1
    assert "READY=1" not in manager.listen()


def test_a_manager_that_is_gone(tmp_path: Path, manager: Manager) -> None:
    """Its socket is closed while the node runs: the node goes on and ends as usual."""
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}
    with Node(tmp_path, pseudo("p"), environment=environment) as node:
        until(lambda: "READY=1" in manager.listen())
        manager.close()
        assert node.status("p")["quality"] == "GOOD"
        assert node.terminate() == 0


def test_logs_are_json_events_where_nobody_looks(tmp_path: Path) -> None:
    """Without a terminal every line of the log is one JSON object with event, level and an RFC 3339 time."""
    import json
    from datetime import datetime

    program = Node(tmp_path, pseudo("p"))
    arguments = [each for each in program._arguments if each not in ("--log-format", "json")]
    with Program("plain", arguments, tmp_path / "plain.log") as plain:
        plain.launch()
        until(lambda: '"serving"' in plain.output())
        plain.process.terminate()
        assert plain.wait() == 0
        lines = [json.loads(line) for line in plain.output().splitlines()]
    assert next(line["event"] for line in lines) == "serving"
    assert lines[-1]["event"] == "stopped"
    for line in lines:
        assert line["level"] in ("info", "warning")
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
