"""The owner's side of sessions: who may command this node's batteries from afar, and for how long without being heard.

Nothing here waits or speaks: calls come in with what a peer said, and are judged by this node's clock alone (control.md,
"Owners, sessions, claims" and "Sessions and restarts").
"""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from bosd.bal.alone import ANY_NODE, UNLIMITED, AloneW
from bosd.bal.setpoint import Claim, Lease
from bosd.clock import Clock
from bosd.errors import FencedError, UnavailableError, UnsupportedError
from bosd.fleet.loop_lag import LoopLag
from bosd.fleet.timers import SessionTimers
from bosd.fleet.told_alone import Table, ToldAlone

PROTOCOL = 1
SAME_NODE = "SAME_NODE"
MOST_PEERS = 256
_MOST_BOOTS = 5


class Commands(Protocol):
    """What a node keeps in force for its peers."""

    def of(self, holder: str) -> Sequence[Claim]:
        """Return the set points of `holder` in force."""
        ...

    def taken(self, holder: str) -> Mapping[str, str]:
        """Return by battery who took the claim of `holder` by force, as far as `holder` does not know."""
        ...

    def told(self, holder: str) -> None:
        """Note that `holder` knows what was taken from it."""
        ...

    def rebind(self, holder: str, kept: Mapping[str, float], lease: Lease) -> None:
        """Let those set points of `holder` whose battery and current are in `kept` live by `lease` from now on.

        Others that live by it keep its end as it is now, whatever renews it.
        """
        ...


class Events(Protocol):
    """Who wants to know what happens to sessions."""

    def on_session(self, event: str, peer: str, **facts: object) -> None:
        """Hear of `peer_restarted`, `identity_moved`, `crash_loop` and `session_ready`."""
        ...


@dataclass(slots=True)
class Session:
    """One peer's session."""

    peer: str
    peer_boot_id: str
    nonce: str
    address: str
    epoch: int
    lease: Lease
    ready: bool = False
    sequences: dict[str, int] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    """Batteries of which the peer was told that nobody has looked what they run."""
    alone: Mapping[str, AloneW] = field(default_factory=dict)
    """The alone limits that it was told last."""


@dataclass(slots=True)
class _Peer:
    """What is remembered of a peer beyond a session."""

    session: Session | None = None
    boots: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_MOST_BOOTS + 1))
    paused_until_s: float = 0.0


class OwnerSessions:
    """The sessions that peers keep at this node. `boot_id` is this run's; `config_digest` tells the present configuration.

    Where the node's time stands still (`standing`, a simulated clock), sessions go by `clock` and end no set point.
    """

    def __init__(
        self,
        clock: Clock,
        commands: Commands,
        *,
        boot_id: str,
        config_digest: Callable[[], str],
        timers: SessionTimers | None = None,
        events: Events | None = None,
        standing: bool = False,
    ) -> None:
        self.clock = clock
        self.boot_id = boot_id
        self.config_digest = config_digest
        self.timers = timers or SessionTimers()
        self.lag = LoopLag(self.timers.lease_s / 4.0)
        self._commands = commands
        self._events = events
        self._standing = standing
        self.told = ToldAlone()
        self._epoch = self._number = 0
        self._peers: dict[str, _Peer] = {}
        self._commanded: dict[str, tuple[int, str]] = {}

    def hello(self, peer: str, *, nonce: str, boot_id: str, address: str = "", elsewhere: Collection[str] = ()) -> Session:
        """Open a session of `peer`, or return the one this nonce opened; the newest Hello of a peer wins.

        `elsewhere` are owners' boot ids that the same run of the peer has sessions at by another address: where this one is among
        them, two of its links would end each other's session for ever, so the second is refused. An earlier run of the peer that
        is back lives beside the later one: two nodes have one identity, whatever their addresses.
        Raises UnavailableError while a peer that restarts over and over is paused, UnsupportedError with `cause` SAME_NODE.
        """
        now_s = self.clock.now_s()
        known = self._known(peer)
        old = known.session
        if old is not None and old.nonce == nonce and old.peer_boot_id == boot_id:
            return old
        if old is not None and old.peer_boot_id == boot_id and self.boot_id in elsewhere:
            raise UnsupportedError(
                f"{peer} has a session here by another address: one is all it gets", cause=SAME_NODE, boot_id=self.boot_id
            )
        came_back = any(boot_id == each for _, each in known.boots)
        self._note_boot(peer, known, boot_id, now_s)
        if now_s < known.paused_until_s:
            raise UnavailableError(
                f"{peer} was started more than {_MOST_BOOTS} times within {self.timers.crash_window_s:g} s: "
                f"no session for another {known.paused_until_s - now_s:.0f} s",
                cause="CRASH_LOOP",
            )
        if old is not None and old.peer_boot_id != boot_id:
            moved = came_back or (old.address != address and old.lease.ends_s > now_s)
            self._tell(
                "identity_moved" if moved else "peer_restarted", peer, before=old.address, now=address, epoch=self._epoch + 1
            )
        if old is not None:
            old.lease.superseded = True
        self._epoch += 1
        known.session = Session(peer, boot_id, nonce, address, self._epoch, Lease(now_s))
        return known.session

    def _known(self, peer: str) -> _Peer:
        known = self._peers.get(peer)
        if known is None:
            while len(self._peers) >= MOST_PEERS:
                self._forget_one()
            known = self._peers[peer] = _Peer()
        return known

    def _forget_one(self) -> None:
        """Forget the peer whose lease ended first. Raises UnavailableError while all of them live."""
        now_s = self.clock.now_s()
        over = [
            (known.session.lease.ends_s if known.session else 0.0, peer)
            for peer, known in self._peers.items()
            if known.session is None or known.session.lease.ends_s <= now_s
        ]
        if not over:
            raise UnavailableError(f"{MOST_PEERS} nodes have sessions here: no more")
        _, peer = min(over)
        del self._peers[peer]
        self.told.forget(peer)

    def _note_boot(self, peer: str, known: _Peer, boot_id: str, now_s: float) -> None:
        if not known.boots or known.boots[-1][1] != boot_id:
            known.boots.append((now_s, boot_id))
        recent = len(known.boots) > _MOST_BOOTS and known.boots[0][0] > now_s - self.timers.crash_window_s
        if recent and now_s >= known.paused_until_s:
            known.paused_until_s = now_s + self.timers.crash_pause_s
            known.boots.clear()
            known.boots.append((now_s, boot_id))
            self._tell("crash_loop", peer, boots=_MOST_BOOTS + 1, pause_s=self.timers.crash_pause_s)

    def _tell(self, event: str, peer: str, **facts: object) -> None:
        if self._events is not None:
            self._events.on_session(event, peer, **facts)

    def find(self, peer: str, boot_id: str, epoch: int) -> Session:
        """Return the session a peer names. Raises FencedError with `check` SESSION, BOOT_ID or EPOCH."""
        known = self._peers.get(peer)
        session = known.session if known else None
        if boot_id != self.boot_id:
            raise _restarted(peer, self.boot_id)
        if session is None:
            raise _fenced("SESSION", f"{peer} has no session here: say hello first")
        if session.epoch != epoch:
            raise _fenced("EPOCH", f"{peer} has a newer session than epoch {epoch}", epoch=session.epoch)
        return session

    def digest(self, session: Session) -> str:
        """Return the digest of what is in force for the peer, and of the configuration."""
        claims = sorted((claim.name, claim.current_a) for claim in self._commands.of(session.peer))
        return hashlib.sha256(repr((claims, self.config_digest())).encode()).hexdigest()

    def claims(self, session: Session) -> Sequence[Claim]:
        """Return the peer's set points in force."""
        return self._commands.of(session.peer)

    def taken(self, session: Session) -> Mapping[str, str]:
        """Return by battery who took the peer's claim by force, until the peer was Ready after it was told so at Sync."""
        return self._commands.taken(session.peer)

    def tell_alone(self, session: Session, alone: Mapping[str, AloneW]) -> None:
        """Note the alone limits that the peer is being told, by battery."""
        session.alone = {name: limits for name, limits in alone.items() if limits != UNLIMITED}
        self.told.tell(session.peer, session.alone)

    def ready(self, session: Session, digest: str, kept: Mapping[str, float], echo_s: float) -> bool:
        """Grant the lease if the peer has seen, a moment ago, what is in force now.

        Set points not among `kept` end with their old lease.
        """
        if digest != self.digest(session) or not self._fresh(echo_s, self.clock.now_s()):
            return False
        self._commands.rebind(session.peer, kept, self.lease_of(session))
        session.lease.ends_s = self.clock.now_s() + self.timers.lease_s
        self._commands.told(session.peer)  # the digest names claims: one that was taken after Sync is none of them
        self.told.agreed(session.peer, session.alone)  # it has had the answer of this Sync, or of one before it
        if not session.ready:
            session.ready = True
            self._tell("session_ready", session.peer, epoch=session.epoch)
        return True

    def beat(self, session: Session, echo_s: float) -> bool:
        """Renew the lease, unless it is over or the echo is too old; return whether it was renewed."""
        now_s = self.clock.now_s()
        lease = session.lease
        if not session.ready or now_s >= lease.ends_s or not self._fresh(echo_s, now_s):
            return False
        lease.ends_s = now_s + self.timers.lease_s
        return True

    def lease_of(self, session: Session) -> Lease:
        """Return what the set points of a session live by."""
        return Lease(math.inf) if self._standing else session.lease

    def _fresh(self, echo_s: float, now_s: float) -> bool:
        return 0.0 <= now_s - echo_s <= self.timers.max_command_age_s

    def fence(self, peer: str, *, boot_id: str, epoch: int, sequence: int, owner_s: float) -> "SessionFence":
        """Return what judges one command of a peer, whenever it is about to be executed."""
        return SessionFence(self, peer, boot_id, epoch, sequence, owner_s)

    async def load(self, table: Table, configured: Callable[[], Mapping[str, AloneW]]) -> None:
        """Go on with what earlier runs kept in `table`; `configured` are the alone limits of now. Raises StoreError.

        Of those that commanded batteries then each counts as the last until one does in this run.
        """
        self._commanded = {battery: (0, peer) for battery, peer in (await self.told.load(table, configured)).items()}

    def commanded(self, battery: str, peer: str) -> None:
        """Note that a peer commands a battery."""
        self._number += 1
        self._commanded[battery] = (self._number, peer)
        self.told.commanded(battery, peer)

    def count_no_more(self, peer: str) -> Mapping[str, AloneW]:
        """Miss a peer no more that a person says is gone; return by battery the alone limits that held for it alone."""
        self._commanded = {battery: last for battery, last in self._commanded.items() if last[1] != peer}
        return self.told.forget(peer)

    def unheard(self, batteries: Sequence[str], limiters: Iterable[str] = ()) -> str:
        """Return who is not heard of those that command one of these batteries, or are its `limiters`; empty while all are.

        Of the former that is the peer that commanded last (`load`); where none is known to have, any peer at all.
        """
        return next(self._silent(batteries, limiters), "")

    def _silent(self, batteries: Sequence[str], limiters: Iterable[str]) -> Iterator[str]:
        yield from (peer for peer in limiters if not self.is_heard(peer))
        found = [self._commanded[name] for name in batteries if name in self._commanded]
        if found:
            newest, _ = max(found)
            last = dict.fromkeys(peer for number, peer in found if number == newest)
            yield from (peer for peer in last if not self.is_heard(peer))
        elif not any(map(self.is_heard, self._peers)):
            yield ANY_NODE

    @property
    def announced(self) -> Collection[str]:
        """The batteries of which some peer may know an alone limit."""
        return self.told.batteries

    def known_alone(self, battery: str, batteries: Sequence[str], limiters: Iterable[str] = ()) -> AloneW:
        """Return the tightest alone limits of a battery that those who are `unheard` may know of."""
        silent = list(self._silent(batteries, limiters))
        return self.told.known(battery, self.told.peers if ANY_NODE in silent else silent)

    def kept_alone(self, coming: Mapping[str, AloneW]) -> AbstractAsyncContextManager[None]:
        """Have kept for a restart, while its block runs and after it, what peers count on beside `coming`. Raises StoreError."""
        return self.told.kept(coming)

    def is_heard(self, peer: str) -> bool:
        """Tell whether a peer keeps a session here that lives."""
        known = self._peers.get(peer)
        session = known.session if known else None
        return session is not None and session.ready and self.clock.now_s() < session.lease.ends_s

    def peers(self) -> Mapping[str, Session | None]:
        """Return the newest session of each peer that is remembered."""
        return {peer: known.session for peer, known in self._peers.items()}


class SessionFence:
    """Judges one command by the session it names (control.md, "Owners, sessions, claims").

    In this order: peer, boot id, epoch, lease, age, sequence.
    """

    def __init__(self, sessions: OwnerSessions, peer: str, boot_id: str, epoch: int, sequence: int, owner_s: float) -> None:
        self._sessions = sessions
        self._peer = peer
        self._boot_id = boot_id
        self._epoch = epoch
        self._sequence = sequence
        self._owner_s = owner_s

    def check(self, battery: str, *, lowers: bool) -> Lease | None:
        """Return the lease the command lives by; what `lowers` for its holder needs the right peer and boot id alone.

        None where nothing else would have let it pass: it lowers, and renews nothing. Commands that were sent before it and come
        after it are fenced all the same.
        Raises FencedError with `check`.
        """
        sessions = self._sessions
        try:
            session = self._judged(battery)
        except FencedError:
            if not lowers or self._peer not in sessions.peers():
                raise
            self.let_go(battery)
            sessions.commanded(battery, self._peer)
            return None
        session.sequences[battery] = self._sequence
        sessions.commanded(battery, self._peer)
        return sessions.lease_of(session)

    def stands(self, battery: str) -> bool:
        """Return whether the command would pass now; nothing follows from asking."""
        try:
            self._judged(battery)
        except FencedError:
            return False
        return True

    def _judged(self, battery: str) -> Session:
        """Return the session of a command that may be executed. Raises FencedError."""
        sessions = self._sessions
        now_s = sessions.clock.now_s()
        session = sessions.find(self._peer, self._boot_id, self._epoch)
        if not session.ready or now_s >= session.lease.ends_s:
            raise _fenced("LEASE", f"the lease of {self._peer} is over")
        age_s = now_s - self._owner_s
        if not 0.0 <= age_s <= sessions.timers.max_command_age_s:
            raise _fenced("AGE", f"the command is {age_s:.2f} s old, at most {sessions.timers.max_command_age_s:g} s")
        if self._sequence <= session.sequences.get(battery, 0):
            raise _fenced("SEQUENCE", f"a newer command of {self._peer} was here before", sequence=session.sequences[battery])
        return session

    def let_go(self, battery: str) -> None:
        """Let the peer give back, or lower, what it holds; what it sent before this, and comes after it, is fenced from now on.

        Raises FencedError where it was meant for another run of this node.
        """
        if self._boot_id != self._sessions.boot_id:
            raise _restarted(self._peer, self._sessions.boot_id)
        known = self._sessions.peers().get(self._peer)
        if known is not None and known.epoch == self._epoch:
            known.sequences[battery] = max(self._sequence, known.sequences.get(battery, 0))


def _restarted(peer: str, boot_id: str) -> FencedError:
    return _fenced("BOOT_ID", f"this node was restarted since {peer} said hello", boot_id=boot_id)


def _fenced(check: str, message: str, **facts: object) -> FencedError:
    return FencedError(message, check=check, **facts)
