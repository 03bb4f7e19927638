"""Messages to the service manager, received by a real datagram socket."""

import asyncio
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bosd.sdnotify import Notifier


def receive_all(manager: socket.socket) -> list[str]:
    """Return every message that has arrived."""
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Listen as systemd does, at a path and in the abstract namespace; yield socket and NOTIFY_SOCKET's value."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@bosd-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.setblocking(False)
        receiver.bind(name.replace("@", "\0", 1))
        yield receiver, name


def test_the_messages_of_a_life(manager: tuple[socket.socket, str]) -> None:
    """Each call is one datagram in sd_notify's form, its status on a line of its own."""
    receiver, name = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": name})
    assert notifier.ready("serving 3 batteries")
    assert notifier.status("2 of 3 batteries answer")
    assert notifier.beat()
    assert notifier.stopping()
    notifier.close()
    assert receive_all(receiver) == [
        "READY=1\nSTATUS=serving 3 batteries",
        "STATUS=2 of 3 batteries answer",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_a_status_cannot_smuggle_an_assignment(manager: tuple[socket.socket, str]) -> None:
    """Line breaks in a status, which may quote a device or a peer, become spaces."""
    receiver, name = manager
    notifier = Notifier(name)
    notifier.status("lost b1\nMAINPID=1\r\nREADY=1")
    notifier.close()
    assert receive_all(receiver) == ["STATUS=lost b1 MAINPID=1 READY=1"]


@pytest.mark.jumping
async def test_the_watchdog_is_fed_four_times_a_period(manager: tuple[socket.socket, str]) -> None:
    """With WATCHDOG_USEC of 2 s, beats leave at 0, 0.5, 1.0, 1.5 and 2.0 s."""
    receiver, name = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())})
    assert notifier.watchdog_s == 2.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.25):
            await notifier.keep_alive()
    notifier.close()
    assert receive_all(receiver) == ["WATCHDOG=1"] * 5


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "²"},
        {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"},
    ],
)
async def test_no_watchdog_where_none_is_meant(environ: dict[str, str]) -> None:
    """Absent, zero, malformed or another process's watchdog: none, and keep_alive returns."""
    notifier = Notifier.from_environment(environ)
    assert notifier.watchdog_s is None
    await notifier.keep_alive()


def test_without_a_manager_nothing_happens() -> None:
    """Started by hand, every message is dropped and says so."""
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": ""})
    assert not notifier.ready()
    assert not notifier.beat()
    notifier.close()


def test_a_manager_that_is_gone_or_full_stops_nobody(tmp_path: Path) -> None:
    """A missing socket and a full queue are refused without blocking; after the queue is read, messages arrive again."""
    orphan = Notifier(str(tmp_path / "nobody"))
    assert not orphan.beat()
    orphan.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.setblocking(False)
        receiver.bind(str(tmp_path / "slow"))
        notifier = Notifier(str(tmp_path / "slow"))
        sent = 0
        while notifier.beat():
            sent += 1
        assert sent > 0
        assert len(receive_all(receiver)) == sent
        assert notifier.beat()
        notifier.close()
        notifier.close()
        assert not notifier.beat()
