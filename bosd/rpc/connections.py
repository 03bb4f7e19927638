"""How many connections one certificate may have: an address takes so many in all, and nobody may take them from the others.

grpcio shows a connection with its calls alone: one that makes none has no bearer, and is hung up on after `IDLE_S` by the
server itself (`grpc.max_connection_idle_ms`). One too many is refused with its first call, and hung up on here, below grpcio.
"""

import contextlib
import math
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

from bosd.errors import NoResourcesError

MAX_CONNECTIONS_PER_PEER = 96
"""A quarter of what an address takes."""
IDLE_S = 30.0
"""A connection without calls for so long is hung up on."""
LOOK_S = 1.0
"""While somebody has too many all connections are looked at so often: those that were closed count no more."""
_FDS = Path("/proc/self/fd")

Address: TypeAlias = tuple[str, int]


class Connections:
    """The connections of each bearer that have calls, or had one and are open; times are monotonic seconds.

    `opened` returns whose connections this process has.
    """

    def __init__(self, opened: "Callable[[], set[Address]] | None" = None) -> None:
        self._of: dict[str, dict[str, int]] = {}
        self._opened = opened or open_connections
        self._looked_s = -math.inf

    def begin(self, who: str, peer: str, now_s: float) -> None:
        """Count a call of `who` over the connection from `peer`. Raises NoResourcesError for a connection too many."""
        known = self._of.setdefault(who, {})
        if peer not in known and len(known) >= MAX_CONNECTIONS_PER_PEER and now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._forget_closed()
        if peer not in known and len(known) >= MAX_CONNECTIONS_PER_PEER:
            most = MAX_CONNECTIONS_PER_PEER
            raise NoResourcesError(f"{who} has {most} connections, which is the most: close some", most=most)
        known[peer] = known.get(peer, 0) + 1

    def _forget_closed(self) -> None:
        """Count no more what was closed, of all bearers: who has too many keeps the others from no look of their own."""
        opened = self._opened()
        for known in self._of.values():
            for each in [each for each, calls in known.items() if not calls and address_of(each) not in opened]:
                del known[each]

    def end(self, who: str, peer: str) -> None:
        """Note that a call that was counted is over."""
        self._of[who][peer] -= 1


def address_of(peer: str) -> Address | None:
    """Return host and port of what grpcio calls `ipv4:HOST:PORT` or `ipv6:[HOST%ZONE]:PORT`; None for anything else.

    The zone of a link-local address is left out, as Python does where it says who is connected.
    """
    family, _, address = unquote(peer).partition(":")
    host, _, port = address.rpartition(":")
    return (host.strip("[]").partition("%")[0], int(port)) if family in ("ipv4", "ipv6") and port.isdigit() else None


def open_connections() -> set[Address]:
    """Return from where this process is connected over TCP, in either direction."""
    return {address for address, _ in _connections()}


def hang_up(peer: str) -> bool:
    """Shut the connection of this process with `peer`, as grpcio names it; return whether there was one."""
    wanted = address_of(peer)
    for address, connection in _connections():
        if address == wanted:
            with contextlib.suppress(OSError):  # it has ended by itself meanwhile
                connection.shutdown(socket.SHUT_RDWR)
            return True
    return False


def _connections() -> Iterator[tuple[Address, socket.socket]]:
    """Yield each with a descriptor of its own, which is closed behind it: grpcio's stay its own."""
    for entry in _FDS.iterdir():
        with contextlib.suppress(OSError):  # one that was closed meanwhile, or is not connected
            if entry.is_socket():
                with socket.socket(fileno=os.dup(int(entry.name))) as connection:
                    if connection.family in (socket.AF_INET, socket.AF_INET6):
                        host, port, *_ = connection.getpeername()
                        yield (host.removeprefix("::ffff:"), port), connection  # a listener for both names IPv4 so
