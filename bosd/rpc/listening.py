"""Addresses of this node that the machine does not have yet: a board whose cable is pulled gets none, and runs all the same."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from bosd.errors import ConfigError
from bosd.node.faults import Severity
from bosd.node.noticed import Noticed
from bosd.rpc.addresses import UNIX
from bosd.rpc.server import RpcServer

LOOK_S = 2.0
NAME_S = 0.5
"""Longest time for a host name to be looked up. GRPC does so again, and the loop stands still meanwhile: the guard allows 1 s."""

_log = structlog.get_logger(__name__)


class Listening:
    """Listens on what there is of `listen`, and on the rest once it is there, by `open_`: `bound` is where it does."""

    def __init__(self, listen: Sequence[str], open_: Callable[[str], Awaitable[str]]) -> None:
        self.bound: tuple[str, ...] = ()
        self._listen = listen
        self._missing: dict[str, str] = {}
        self._open = open_

    async def begin(self, server: RpcServer) -> None:
        """Listen with `server`. Raises ConfigError as that does, but not for an address that the machine does not have."""
        here = await asyncio.gather(*map(_is_here_now, self._listen))
        for address in (each for each, there in zip(self._listen, here, strict=True) if not there):
            server.check(address)
            self._missing[address] = "this machine does not have it"
            _log.warning("address_missing", address=address)
        self.bound = await server.start([each for each in self._listen if each not in self._missing])

    async def run(self) -> None:
        """Look for what is missing until all is there."""
        async with asyncio.TaskGroup() as group:
            for address in self._missing:
                group.create_task(self._wait_for(address), name=f"listen on {address}")

    async def _wait_for(self, address: str) -> None:
        while address in self._missing:
            await asyncio.sleep(LOOK_S)
            if await is_here(address):
                await self._add(address)

    async def _add(self, address: str) -> None:
        try:
            bound = await self._open(address)
        except ConfigError as error:
            self._missing[address] = error.message
        else:
            del self._missing[address]
            self.bound = (*self.bound, bound)
            _log.info("listening", address=bound)

    def noticed(self) -> Iterable[Noticed]:
        """Yield each address that nobody can reach this node at for now."""
        for address, why in self._missing.items():
            yield Noticed("ADDRESS_MISSING", Severity.MEDIUM, f"not reached at {address}: {why}", address)


async def _is_here_now(address: str) -> bool:
    try:
        async with asyncio.timeout(NAME_S):
            return await is_here(address)
    except TimeoutError:
        return False


async def is_here(address: str) -> bool:
    """Tell whether the machine has an address to listen on; a name that nobody knows for now is none, anything else is.

    Where nobody answers for a name that takes as long as the system tries. One given up goes on all the same, in a thread.
    """
    host, colon, port = address.rpartition(":")
    if address.startswith(UNIX) or not colon or not host or not port.isdecimal():
        return True
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    try:
        found = await loop.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return loop.time() <= begun_s + NAME_S and any(_has(family, place) for family, _, _, _, place in found)


def _has(family: int, place: tuple[object, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(place)
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True
