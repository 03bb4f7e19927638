"""What a node says of itself to whoever looks at the fleet."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bosd import __version__
from bosd.bal.spec import NetworkSpec
from bosd.fleet.announcement import Announcement
from bosd.fleet.owner import PROTOCOL, OwnerSessions
from bosd.node.api import NodeApi
from bosd.node.faults import Faults
from bosd.v1 import fleet_pb2 as pb

if TYPE_CHECKING:
    from bosd.rpc.tls import Keyring  # a node without [security] loads no cryptography


class About:
    """One node; `doubt` says why its wall clock is not trusted, `keyring` has its certificate, if it has one."""

    def __init__(
        self,
        node: NodeApi,
        faults: Faults,
        sessions: OwnerSessions,
        doubt: Callable[[], str] = lambda: "",
        keyring: "Keyring | None" = None,
    ) -> None:
        self._node = node
        self._faults = faults
        self._sessions = sessions
        self._doubt = doubt
        self._keyring = keyring
        self._started_s = sessions.clock.now_s()

    @property
    def name(self) -> str:
        """Its name."""
        return self._node.name

    @property
    def up_s(self) -> float:
        """For how long it has been up, in seconds."""
        return self._sessions.clock.now_s() - self._started_s

    def announcement(self) -> Announcement:
        """Return what the local network is told (satellites.md 3.8)."""
        system, key_hash = self._keyring.hashes() if self._keyring is not None else ("", "")
        return Announcement(
            serial=self._node.name,
            system=system,
            role="main" if any(entry.kind == NetworkSpec.kind for entry in self._node.topology().entries) else "sat",
            protocol=str(PROTOCOL),
            boot=self._sessions.boot_id.replace("-", "")[:8],
            version=__version__,
            batteries=len(self._node.names()),
            key_hash=key_hash,
        )

    def facts(self) -> pb.NodeFacts:
        """Return what it is and how it is, by its own clocks."""
        return pb.NodeFacts(
            node=self._node.name,
            boot_id=self._sessions.boot_id,
            version=__version__,
            protocol=PROTOCOL,
            sent_at=self._node.clock.utc_s(),
            clock_doubt=self._doubt(),
            uptime_s=self.up_s,
            certificate_days_left=None if self._keyring is None else self._keyring.days_left(),
            batteries=len(self._node.names()),
            errors=len(self._faults.own()),
            config_digest=self._sessions.config_digest(),
            parted=self._node.topology().parted,
            worst_lag_s=self._sessions.lag.worst_s,
        )
