"""The local network: announcing this node there and hearing of others, begun when it is needed first."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from bosd.fleet.announcement import Announcement
from bosd.node.faults import Severity
from bosd.node.noticed import Noticed

if TYPE_CHECKING:
    from bosd.fleet.mdns import Mdns


class Neighbourhood:
    """Loads multicast DNS at once where this node is announced, else when a node is looked for by serial."""

    def __init__(self, *, announces: bool, listen: Callable[[], Sequence[str]], announcement: Callable[[], Announcement]) -> None:
        self._announces = announces
        self._listen = listen
        self._announcement = announcement
        self._wanted = asyncio.Event()
        self._mdns: Mdns | None = None
        self._taken = False
        if announces:
            self._wanted.set()

    def announced(self, serial: str) -> Sequence[str]:
        """Return where a node says to be, as far as is known; whoever asks has it looked for."""
        self._wanted.set()
        return () if self._mdns is None else self._mdns.addresses(serial)

    def noticed(self) -> Iterable[Noticed]:
        """Yield that somebody else has this node's name; it is not renamed, since the name is the identity."""
        if self._taken:
            message = f"another host announces the name {self._announcement().serial}: this one is not announced"
            yield Noticed("CONFLICT", Severity.HIGH, message, "mdns")

    def _conflict(self, there: bool) -> None:  # noqa: FBT001 (the one thing it says)
        self._taken = there

    async def run(self) -> None:
        """Wait until it is needed, then announce and browse until cancelled."""
        await self._wanted.wait()
        from bosd.fleet.mdns import Mdns  # noqa: PLC0415 (a node that is alone loads no zeroconf)

        self._mdns = Mdns(
            listen=self._listen, announcement=lambda: self._announcement() if self._announces else None, conflict=self._conflict
        )
        await self._mdns.run()
