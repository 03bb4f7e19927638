"""How many connections one certificate may have: an address takes so many in all, and nobody may take them from the others.

grpcio shows a connection with its calls alone: one that makes none has no bearer, and is hung up on after `IDLE_S` by the
server itself (`grpc.max_connection_idle_ms`). One too many is refused with its first call, and hung up on here, below grpcio.
"""

import contextlib
import os
import socket
from pathlib import Path
from urllib.parse import unquote

from bosd.errors import NoResourcesError

MAX_CONNECTIONS_PER_PEER = 96
"""A quarter of what an address takes."""
IDLE_S = 30.0
"""A connection without calls for so long is hung up on."""
_FDS = Path("/proc/self/fd")


class Connections:
    """The connections of each bearer that have calls, or had one within `IDLE_S`; times are monotonic seconds."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, tuple[int, float]]] = {}

    def begin(self, who: str, peer: str, now_s: float) -> None:
        """Count a call of `who` over the connection from `peer`. Raises NoResourcesError for a connection too many."""
        known = self._of.setdefault(who, {})
        running, _ = known.get(peer, (0, 0.0))
        if peer not in known and len(known) >= MAX_CONNECTIONS_PER_PEER:
            for each in [each for each, (calls, at_s) in known.items() if not calls and now_s - at_s > IDLE_S]:
                del known[each]
            if len(known) >= MAX_CONNECTIONS_PER_PEER:
                most = MAX_CONNECTIONS_PER_PEER
                raise NoResourcesError(
                    f"{who} has {most} connections, which is the most: close some, or wait {IDLE_S:g} s", most=most
                )
        known[peer] = (running + 1, now_s)

    def end(self, who: str, peer: str, now_s: float) -> None:
        """Note that a call that was counted is over."""
        running, _ = self._of[who][peer]
        self._of[who][peer] = (running - 1, now_s)


def hang_up(peer: str) -> bool:
    """Shut the connection of this process from `peer`, as grpcio names it (`ipv4:HOST:PORT`); return whether there was one."""
    family, _, address = unquote(peer).partition(":")
    host, _, port = address.rpartition(":")
    if family not in ("ipv4", "ipv6") or not port.isdigit():
        return False
    wanted = host.strip("[]"), int(port)
    for entry in _FDS.iterdir():
        with contextlib.suppress(OSError):  # one that was closed meanwhile, or is not connected
            if entry.is_socket() and _shut(int(entry.name), wanted):
                return True
    return False


def _shut(descriptor: int, wanted: tuple[str, int]) -> bool:
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        found = connection.family in (socket.AF_INET, socket.AF_INET6) and _plain(connection.getpeername()) == wanted
        if found:
            connection.shutdown(socket.SHUT_RDWR)
        return found


def _plain(address: tuple[str, int]) -> tuple[str, int]:
    """Return host and port; a listener for both families names those of IPv4 as IPv6 does."""
    return address[0].removeprefix("::ffff:"), address[1]
