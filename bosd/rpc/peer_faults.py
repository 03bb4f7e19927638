"""What happens to other nodes, turned into errors of this one: one a cause, gone with it (satellites.md 3.11).

None of them is a battery's own, so none touches a limit.
"""

from collections.abc import Iterable, Mapping

from bosd import __version__
from bosd.bal.status import HEARD, Link
from bosd.fleet.loop_lag import LoopLag
from bosd.fleet.owner import SAME_NODE
from bosd.fleet.timers import SessionTimers
from bosd.node.faults import Faults, Severity
from bosd.node.noticed import Noticed
from bosd.rpc.fleet import NODE, Fleet
from bosd.rpc.remote_node import RemoteNode
from bosd.rpc.session import INCOMPATIBLE

STANDS_S = 60.0
"""How long what happened at an instant (two hosts with one identity, a late loop) stands after it happened last."""
_MOST_EVENTS = 512
_NO_SESSION = (INCOMPATIBLE, SAME_NODE)
_AWAY = (Link.CONNECTING, Link.LOST)


class PeerFaults:
    """Watches the fleet for the registry: `noticed` is looked at each second, events come when they happen."""

    def __init__(self, fleet: Fleet, faults: Faults, timers: SessionTimers, lag: LoopLag) -> None:
        self._fleet = fleet
        self._faults = faults
        self._timers = timers
        self._lag = lag
        self._clock = fleet.pool.session_clock
        self._events: dict[tuple[str, str], tuple[float, Noticed]] = {}

    def on_remote(self, event: str, remote: RemoteNode) -> None:
        """Hear of a node that this one keeps a session at: `peer_restarted`, `peer_ready`."""
        module = _module(self._fleet.name_of(remote))
        if event == "peer_restarted":
            self._restarted(module)
        else:
            self._faults.clear("PEER_RESTARTED", module=module)

    def on_session(self, event: str, peer: str, facts: Mapping[str, object]) -> None:
        """Hear of a node that keeps a session here."""
        module = _module(peer.removeprefix(NODE))
        if event == "peer_restarted":
            self._restarted(module)
        elif event == "session_ready":
            self._faults.clear("PEER_RESTARTED", module=module)
        elif event == "identity_moved":
            before, now = facts.get("before"), facts.get("now")
            message = f"two hosts say to be {peer}: the session moved from {before} to {now}"
            if before == now:
                message = f"two nodes at {now} say to be {peer}: each ends the other's session"
            self._note(Noticed("IDENTITY_MOVED", Severity.HIGH, message, module), STANDS_S)
        elif event == "crash_loop":
            message = f"{facts.get('boots')} starts within {self._timers.crash_window_s:g} s: no session for a while"
            self._note(Noticed("CRASH_LOOP", Severity.HIGH, message, module), self._timers.crash_pause_s)

    def _restarted(self, module: str) -> None:
        self._faults.raise_("PEER_RESTARTED", severity=Severity.LOW, message="what is in force is agreed anew", module=module)

    def _note(self, noticed: Noticed, for_s: float) -> None:
        if len(self._events) < _MOST_EVENTS:
            self._events[noticed.kind, noticed.module] = (self._clock.now_s() + for_s, noticed)

    def noticed(self) -> Iterable[Noticed]:
        """Yield what is so now."""
        now_s = self._clock.now_s()
        self._events = {key: event for key, event in self._events.items() if now_s < event[0]}
        yield from (noticed for _until_s, noticed in self._events.values())
        for remote in self._fleet.pool.remotes.values():
            yield from self._remote(remote, now_s)
        if (late_s := self._lag.late_s(STANDS_S)) is not None:
            message = f"the event loop was {late_s:.2f} s late; above {self._timers.lease_s / 4.0:g} s leases are in danger"
            yield Noticed("LOOP_LAG", Severity.MEDIUM, message, "loop")

    def _remote(self, remote: RemoteNode, now_s: float) -> Iterable[Noticed]:
        """Yield why a node is not there; a node that answers, but keeps no session, is not lost."""
        link, reason = remote.standing
        module = _module(self._fleet.name_of(remote))
        if (refused := remote.session.refused) in _NO_SESSION and link is Link.SYNC:
            yield Noticed(refused, Severity.MEDIUM, reason, module)
        if link is Link.STALE:
            yield Noticed("LINK_STALE", Severity.LOW, reason, module)
        version = remote.session.hello.version
        if link in HEARD and version != __version__:
            yield Noticed("MIXED_VERSIONS", Severity.HIGH, f"it runs bosd {version}, this node {__version__}", module)
        severity = Severity.HIGH if self._fleet.is_required(remote) else Severity.MEDIUM
        if link is Link.REFUSED:
            yield Noticed("LINK_REFUSED", severity, reason, module)
        silent_s = now_s - max(remote.session.state.answered_s, remote.since_s)
        if link in _AWAY and silent_s >= self._timers.lease_s:
            yield Noticed("LINK_LOST", severity, reason, module)


def _module(name: str) -> str:
    return f"{NODE}{name}"
