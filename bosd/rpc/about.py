"""What a node says of itself to whoever looks at the fleet."""

from collections.abc import Callable

from bosd import __version__
from bosd.fleet.owner import PROTOCOL, OwnerSessions
from bosd.node.api import NodeApi
from bosd.node.faults import Faults
from bosd.v1 import fleet_pb2 as pb


class About:
    """One node; `doubt` says why its wall clock is not trusted, `days_left` tells the days left of its certificate."""

    def __init__(
        self,
        node: NodeApi,
        faults: Faults,
        sessions: OwnerSessions,
        *,
        doubt: Callable[[], str] = lambda: "",
        days_left: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._node = node
        self._faults = faults
        self._sessions = sessions
        self._doubt = doubt
        self._days_left = days_left
        self._started_s = sessions.clock.now_s()

    @property
    def up_s(self) -> float:
        """For how long it has been up, in seconds."""
        return self._sessions.clock.now_s() - self._started_s

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
            certificate_days_left=self._days_left(),
            batteries=len(self._node.names()),
            errors=len(self._faults.own()),
            config_digest=self._sessions.config_digest(),
            parted=self._node.topology().parted,
            worst_lag_s=self._sessions.lag.worst_s,
        )
