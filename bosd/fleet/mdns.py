"""Multicast DNS: telling the local network of this node, and hearing who else is there. The one module that knows zeroconf.

What is heard says where to knock, never who is there: a certificate decides that. Presence here is not life, absence not death.
"""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import ifaddr
import structlog
from zeroconf import (
    InterfaceChoice,
    IPVersion,
    NonUniqueNameException,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from bosd.fleet.announcement import SERVICE_TYPE, Announcement, decode, encode, instance_name

LOOK_S = 5.0
"""How often addresses are looked at: the library does not follow them (satellites.md 3.8)."""
ASK_S = 3.0
MOST_NODES = 1024
MOST_ADDRESSES = 8
_MOST_ASKED = 256
_ASKING_AT_ONCE = 8

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A node that was announced: what it says, the host it says to be, and its addresses as `host:port`."""

    said: Announcement
    host: str
    addresses: tuple[str, ...]


def own_addresses() -> tuple[str, ...]:
    """Return the IPv4 addresses of this machine off loopback, in a fixed order."""
    ips = (ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str))
    return tuple(sorted(ip for ip in ips if _is_usable(ip)))


def _is_usable(ip: str) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


def announced_addresses(listen: Sequence[str], own: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Return the port and the addresses to announce for listeners as they were bound; port 0 for none.

    Loopback and unix sockets are never announced; the first port off loopback is the one.
    """
    port, addresses = 0, []
    for each in listen:
        host, colon, number = each.rpartition(":")
        if each.startswith("unix:") or not colon or not number.isdecimal() or port not in (0, int(number)):
            continue
        bare = host.removeprefix("[").removesuffix("]")
        hosts = own if bare in ("0.0.0.0", "::") else (bare,)  # noqa: S104 (compared, not bound)
        if usable := [ip for ip in hosts if _is_usable(ip)]:
            port = int(number)
            addresses += usable
    return port, tuple(dict.fromkeys(addresses))


class Mdns:
    """Announces and browses until cancelled, through every change of addresses.

    `announcement` returns what to say now, None for nothing; `conflict` is told whether somebody else has this node's name.
    """

    def __init__(
        self,
        *,
        listen: Callable[[], Sequence[str]] = lambda: (),
        announcement: Callable[[], Announcement | None] = lambda: None,
        conflict: Callable[[bool], None] = lambda _there: None,
        own: Callable[[], Sequence[str]] = own_addresses,
    ) -> None:
        self._listen = listen
        self._announcement = announcement
        self._conflict = conflict
        self._own = own
        self._found: dict[str, Found] = {}
        self._asked: asyncio.Queue[str] = asyncio.Queue(_MOST_ASKED)
        self.changed = asyncio.Event()

    @property
    def found(self) -> Mapping[str, Found]:
        """Who is announced, by serial."""
        return {each.said.serial: each for each in self._found.values()}

    def addresses(self, serial: str) -> tuple[str, ...]:
        """Return where a node says to be."""
        return next((each.addresses for each in self._found.values() if each.said.serial == serial), ())

    async def run(self) -> None:
        """Announce and browse; where there is no network to do so, look for one.

        Whatever goes wrong here, packets of anybody included, is told and tried again: a node lives without it.
        """
        told = ""
        while True:
            own: tuple[str, ...] = ()
            failed = ""
            try:
                if own := tuple(self._own()):
                    await self._live(own)
            except* Exception as errors:  # noqa: BLE001
                failed = "; ".join(str(error) or type(error).__name__ for error in errors.exceptions)
            if failed and failed != told:
                _log.warning("mdns_failed", detail=failed)
            told = failed
            if failed or not own:
                await asyncio.sleep(LOOK_S)

    async def _live(self, own: tuple[str, ...]) -> None:
        """Announce and browse until this machine's addresses change."""
        async with self._opened(own) as zeroconf, asyncio.TaskGroup() as group:
            asking = [group.create_task(self._ask(zeroconf), name="ask mdns") for _ in range(_ASKING_AT_ONCE)]
            await self._announce_while(zeroconf, own)
            for task in asking:
                task.cancel()

    @contextlib.asynccontextmanager
    async def _opened(self, own: tuple[str, ...]) -> AsyncIterator[AsyncZeroconf]:
        zeroconf = AsyncZeroconf(interfaces=list(own) or InterfaceChoice.Default, ip_version=IPVersion.V4Only)
        browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE_TYPE, handlers=[self._heard])
        try:
            yield zeroconf
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await browser.async_cancel()
                    await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()

    def _heard(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        del zeroconf, service_type
        if state_change is ServiceStateChange.Removed:
            self._found.pop(name, None)
            self.changed.set()
        else:
            with contextlib.suppress(asyncio.QueueFull):  # it is announced again
                self._asked.put_nowait(name)

    async def _ask(self, zeroconf: AsyncZeroconf) -> None:
        """Find out where those are that were heard."""
        while True:
            name = await self._asked.get()
            if not name.lower().endswith(f".{SERVICE_TYPE}"):
                continue  # a pointer to something else, which anybody may send
            info = AsyncServiceInfo(SERVICE_TYPE, name)
            if not await info.async_request(zeroconf.zeroconf, ASK_S * 1000.0):
                continue
            if (said := decode(info.properties)) is None or not info.port:
                continue
            if info.name != instance_name(said.serial) or (len(self._found) >= MOST_NODES and info.name not in self._found):
                continue
            ips = [ip for ip in info.parsed_addresses(IPVersion.V4Only) if _is_usable(ip)][:MOST_ADDRESSES]
            addresses = tuple(f"{ip}:{info.port}" for ip in ips)
            self._found[info.name] = Found(said=said, host=(info.server or "").removesuffix("."), addresses=addresses)
            self.changed.set()

    async def _announce_while(self, zeroconf: AsyncZeroconf, own: tuple[str, ...]) -> None:
        """Keep what is announced true, until this machine's addresses change."""
        info: AsyncServiceInfo | None = None
        while tuple(self._own()) == own:
            wanted = self._info(own)
            try:
                if info is None and wanted is not None:
                    await zeroconf.async_register_service(wanted, allow_name_change=False)
                    info = wanted
                    self._conflict(False)  # noqa: FBT003 (what it is told)
                    _log.info("announced", name=wanted.name, port=wanted.port)
                elif info is not None and wanted is not None and wanted.text != info.text:
                    await zeroconf.async_update_service(wanted)
                    info = wanted
            except NonUniqueNameException:
                self._conflict(True)  # noqa: FBT003
            await asyncio.sleep(LOOK_S)

    def _info(self, own: tuple[str, ...]) -> AsyncServiceInfo | None:
        said = self._announcement()
        port, addresses = announced_addresses(self._listen(), own)
        if said is None or not addresses:
            return None
        name = instance_name(said.serial)
        server = f"{said.serial.replace('.', '-')}.local."
        return AsyncServiceInfo(
            SERVICE_TYPE, name, port=port, properties=dict(encode(said)), server=server, parsed_addresses=list(addresses)
        )
