"""Addresses that come later, looked for by names that answer late or never."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from bosd.rpc import listening
from bosd.rpc.listening import Listening
from bosd.safeguard.guard import SILENT_SLICES, SLICE_S

NAME = "board.example:4004"
LOOKS = 20


class Server:
    """What is needed of a server that starts: it takes any address."""

    def check(self, address: str) -> None:
        """Take it."""

    async def start(self, listen: list[str]) -> tuple[str, ...]:
        return tuple(listen)


async def test_a_name_is_looked_up_once_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers, and each lookup holds a thread: another was begun with each look, until no thread was left."""
    monkeypatch.setattr(listening, "LOOK_S", 0.01)
    monkeypatch.setattr(listening, "NAME_S", 0.01)
    asked, go_on = 0, threading.Event()

    def silent(*_: object, **__: object) -> list[Any]:
        nonlocal asked
        asked += 1
        go_on.wait(30.0)
        return []

    async def open_(address: str) -> str:
        raise AssertionError(address)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    waits = Listening((NAME,), open_)
    server: Any = Server()
    await waits.begin(server)
    assert (waits.bound, [each.module for each in waits.noticed()], asked) == ((), [NAME], 1)
    try:
        async with asyncio.timeout(LOOKS * 0.02):
            await waits.run()
    except TimeoutError:
        assert asked == 2
    finally:
        go_on.set()


def test_a_name_that_is_slow_to_look_up_is_waited_for() -> None:
    """GRPC looks it up once more, and the loop stands still meanwhile: the guard kills a daemon that does so for 1 s."""
    assert 2.0 * listening.NAME_S <= SILENT_SLICES * SLICE_S
