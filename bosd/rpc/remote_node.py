"""The link to one other node: a connection, one Watch for all stubs on it, its loss noticed by silence, and the way back.

Each attempt has a connection of its own, so a half-dead one is never found again. Attempts are never more than 2 s apart: one
waits at most `first_s` for its first message, the pause after it is at most `pause_most_s`. Only where this node's own
certificate is refused, or nothing of what it wants is there for it, pauses grow longer; another certificate or wish ends them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import grpc
import grpc.aio
import structlog

from bosd.bal.facts import NONE_KNOWN
from bosd.bal.status import Link
from bosd.cancellation import asked_to_end, heeding
from bosd.clock import Clock
from bosd.errors import (
    BadNameError,
    BosError,
    DriverError,
    NotAllowedError,
    TransientError,
    UnauthenticatedError,
    UnavailableError,
)
from bosd.rpc.answering import answer_of
from bosd.rpc.clock_difference import ClockDifference
from bosd.rpc.convert import from_message
from bosd.rpc.dialling import Dial, channel_options
from bosd.rpc.link_timers import LinkTimers, Pauses
from bosd.rpc.moving_channel import MovingChannel, settled
from bosd.rpc.round_trips import RoundTrips
from bosd.rpc.seeking import Seeker, serial_of
from bosd.rpc.session import Identity, PeerSession, Snapshot
from bosd.rpc.sink import Sink
from bosd.rpc.status import cause_in, from_rpc_error
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

T = TypeVar("T")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """How an attempt ended; `barred`: this node's own certificate was refused, or nothing of what it wants is there for it."""

    link: Link
    reason: str
    barred: bool = False


class RemoteNode:
    """One other node. `run` keeps the link; `add` and `remove` say which batteries are wanted; `call` sends a command."""

    def __init__(
        self, target: str, clock: Clock, *, identity: Identity, timers: LinkTimers, dial: Dial, session_clock: Clock
    ) -> None:
        self.target = target
        self.beside: Callable[[str, grpc.aio.Channel], Coroutine[object, object, None]] | None = None
        """Runs over each connection while it is followed."""
        self._dial = dial
        self.sinks: dict[str, list[Sink]] = {}
        self._clock = clock
        self._timers = timers
        self._pauses = Pauses(timers)
        self.session = PeerSession(target, session_clock, identity, self, dial=dial, timers=timers.session, call_s=timers.call_s)
        self._metadata = self.session.metadata
        self._session_end = _End(link=Link.SYNC, reason=self.session.agreeing)
        self._staleness_s: dict[str, float] = {}
        self._told: dict[str, _End] = {}
        self._end = _End(link=Link.CONNECTING, reason=f"connecting to {target}")
        self._missing: set[str] = set()
        self._stub: BatteryServiceStub | None = None
        self._channel: grpc.aio.Channel | None = None
        self._watch: grpc.aio.Call | None = None
        self._restarting = False
        self.round_trips = RoundTrips()
        self.clock = ClockDifference(target)
        self.node = ""
        """Its name, as it says; empty before it did."""
        self.was_ready = False
        self.since_s = session_clock.now_s()
        self.ways: Seeker | None = None
        self.session.expected = serial_of(target)
        self.on_event: Callable[[str, RemoteNode], None] = lambda *_: None
        """Hears of `peer_restarted` and `peer_ready`."""
        self._expected_down = False
        self._up: bool | None = None
        self._heard_once = asyncio.Event()
        self._exchanged, self._moved = asyncio.Event(), asyncio.Event()

    @property
    def half_rtt_s(self) -> float:
        """Half of the shortest of the last round trips."""
        return self.round_trips.half_s

    def add(self, name: str, sink: Sink, max_staleness_s: float) -> None:
        """Want battery `name`; its sink hears the link's state at once. `max_staleness_s` 0 leaves the beat to the remote."""
        self.sinks.setdefault(name, []).append(sink)
        self._staleness_s[name] = max_staleness_s
        known = self._told.setdefault(name, _End(link=Link.CONNECTING, reason=f"connecting to {self.target}"))
        sink.on_link(self._shown(known.link), known.reason)
        self._pauses.hope()
        self.session.agree_anew()
        self._restart()

    def remove(self, name: str, sink: Sink) -> None:
        """Want it no more."""
        self.sinks[name].remove(sink)
        if not self.sinks[name]:
            del self.sinks[name], self._staleness_s[name]
            self._told.pop(name, None)
            self._missing.discard(name)
            self._restart()

    async def run(self) -> None:
        """Keep the link until cancelled."""
        while True:
            self._missing.clear()
            self._restarting = False
            was_up, end = await self._attempt()
            if self.ways is not None:
                if end.link is Link.LOST and (barred := self.ways.barred(self.target)):  # the other end only hangs up
                    end = _End(link=Link.REFUSED, reason=f"{end.reason}; {barred}", barred=True)
                self.ways.attempted(self.target, worked=was_up)
            self._end = end
            self._lost(end)
            await self._pauses.wait(was_up=was_up, refused=end.link is Link.REFUSED, barred=end.barred)

    @property
    def address(self) -> str:
        """Where it is looked for now."""
        return self.target if self.ways is None else self.ways.address(self.target)

    async def call(self, send: Callable[[BatteryServiceStub], Awaitable[T]]) -> T:
        """Return what a unary call answers; raises BosError leaves, UnavailableError when there is no link or no answer."""
        if self._stub is None:
            raise UnavailableError(self._end.reason, target=self.target)
        stub = self._stub
        return await self.over(lambda _channel: send(stub))

    async def over(self, send: Callable[[grpc.aio.Channel], Awaitable[T]]) -> T:
        """Return what a unary call of any service over the connection answers; raises as `call` does."""
        if self._channel is None:
            raise UnavailableError(self._end.reason, target=self.target)
        return await answer_of(send(self._channel), self.target)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries: who asks."""
        return self._metadata

    async def _attempt(self) -> tuple[bool, _End]:
        """Connect and follow until it ends; return whether anything was heard, and the end."""
        self.round_trips.clear()
        self._heard_once.clear()
        self._exchanged.clear()
        try:
            dialled = self._dialled()
        except UnavailableError as error:
            return False, _End(link=Link.LOST, reason=error.message)
        async with MovingChannel(dialled) as channel:
            if await settled(channel, self._timers.first_s) is None:
                return False, _End(link=Link.LOST, reason=f"{self.target} is silent")
            self._stub, self._channel = BatteryServiceStub(channel), channel
            try:
                async with asyncio.TaskGroup() as group:
                    probing = group.create_task(self._probe(channel), name=f"round trip {self.target}")
                    seeking = group.create_task(self._seek(self._stub), name=f"seek {self.target}")
                    beside = group.create_task(self._beside(channel), name=f"beside {self.target}")
                    moving = group.create_task(self._move(channel), name=f"move {self.target}")
                    keeping = group.create_task(self.session.run(channel), name=f"session {self.target}")
                    following = group.create_task(self._follow(self._stub), name=f"watch {self.target}")
                    await asyncio.wait((keeping, following), return_when=asyncio.FIRST_COMPLETED)
                    end = following.result() if following.done() else _End(link=Link.LOST, reason=keeping.result())
                    for task in (probing, seeking, keeping, following, beside, moving):
                        task.cancel()
            finally:
                self._stub = self._channel = None
        return bool(self._up), end

    def _dialled(self) -> grpc.aio.Channel:
        return self._dial(self.target, channel_options(self._timers.first_s))

    async def _beside(self, channel: grpc.aio.Channel) -> None:
        """Run what runs beside, anew over each connection."""
        while self.beside is not None:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self.beside(self.target, channel), name=f"beside {self.target}")
                self._moved.clear()
                await self._moved.wait()
                task.cancel()

    async def _move(self, channel: MovingChannel) -> None:
        timers = self._timers
        await channel.follow(self._exchanged, self._dialled, self._on_moved, connect_s=timers.first_s, grace_s=timers.call_s)

    def redial(self) -> None:
        """Go over to new connections, which show the certificate of now; nothing of the link or the session ends."""
        self._exchanged.set()
        self._pauses.hope()
        self.session.exchanged.set()

    def _on_moved(self) -> None:
        _log.info("link_moved", target=self.target)
        self._moved.set()
        self._restart()

    async def _follow(self, stub: BatteryServiceStub) -> _End:
        """Watch what is wanted, anew whenever that changes, until the stream ends."""
        while True:
            self._restarting = False
            names = [name for name in self.sinks if name not in self._missing]
            if not names:
                return _End(link=Link.REFUSED, reason=f"{self.target} has none of the batteries wanted", barred=True)
            staleness_s = min((each for name in names if (each := self._staleness_s[name]) > 0.0), default=0.0)
            request = pb.WatchRequest(names=names, max_staleness_s=staleness_s)
            try:
                with heeding():
                    return await self._read(stub.Watch(request, metadata=self._metadata), frozenset(names))
            except asyncio.CancelledError:
                if not self._restarting or asked_to_end():
                    raise
            except grpc.aio.AioRpcError as error:
                if (end := self._refusal(from_rpc_error(error))) is not None:
                    return end

    async def _read(self, watch: grpc.aio.UnaryStreamCall[pb.WatchRequest, pb.WatchResponse], asked: frozenset[str]) -> _End:
        loop, timers = asyncio.get_running_loop(), self._timers
        self._watch = watch
        started_s = loop.time()
        silence = asyncio.timeout(timers.first_s)
        try:
            async with silence:
                async for message in watch:
                    now_s = loop.time()
                    silence.reschedule(now_s + timers.lost_s)
                    if not self.round_trips:
                        self.round_trips.note(now_s - started_s)
                        self._heard_once.set()
                    self._heard(message, asked)
            return _End(link=Link.LOST, reason=f"{self.target} ended the stream")
        except TimeoutError:
            if not silence.expired():
                raise
            return _End(link=Link.LOST, reason=f"{self.target} is silent")
        except DriverError as error:
            return _End(link=Link.REFUSED, reason=error.message)
        finally:
            self._watch = None
            watch.cancel()

    def _heard(self, message: pb.WatchResponse, asked: frozenset[str]) -> None:
        received_s, half_rtt_s, sent_at = self._clock.now_s(), self.half_rtt_s, message.sent_at
        self.clock.compare(sent_at, half_rtt_s, self._clock.utc_s())
        self._named(message.node)
        self._found()
        for told in message.statuses:
            name = told.name
            if name not in asked:
                raise DriverError(f"{self.target} sent a battery that was not asked for: {name[:64]!r}")
            try:
                status = from_message(told, received_s, half_rtt_s=half_rtt_s, sent_at=sent_at, note=self.clock.note)
            except DriverError as error:
                self._tell(name, _End(link=Link.REFUSED, reason=error.message))
                continue
            self._tell(name, self._session_end)
            for sink in self.sinks.get(name, ()):
                sink.on_status(status, half_rtt_s)
        if message.removed:
            self._miss(message.removed)

    def _refusal(self, error: BosError) -> _End | None:
        """Return how a refused Watch ends the attempt; None when it can go on without those the remote does not know or grant."""
        if isinstance(error, (BadNameError, NotAllowedError)):
            unknown = error.metadata.get("names", error.metadata.get("name", "")).split(",")
            if self._miss(unknown, error.message if isinstance(error, NotAllowedError) else ""):
                return None
        link = Link.LOST if isinstance(error, TransientError) and not isinstance(error, DriverError) else Link.REFUSED
        barred = isinstance(error, (UnauthenticatedError, NotAllowedError))
        return _End(link=link, reason=f"{self.target}: {cause_in(error.message)}", barred=barred)

    def _miss(self, names: Iterable[str], why: str = "") -> bool:
        """Go on without batteries that the remote does not have, or does not grant; return whether any of them was wanted."""
        missing = [name for name in names if name in self.sinks and name not in self._missing]
        for name in missing:
            self._missing.add(name)
            self._tell(name, _End(link=Link.REFUSED, reason=why or f"BAD_NAME: {self.target} has no battery {name}"))
        if missing:
            self._restart()
        return bool(missing)

    async def _seek(self, stub: BatteryServiceStub) -> None:
        """Ask now and then for the batteries the remote did not have."""
        while True:
            await asyncio.sleep(self._timers.first_s)
            for name in tuple(self._missing):
                asked = pb.GetStatusRequest(name=name)
                try:
                    with heeding():
                        await stub.GetStatus(asked, timeout=self._timers.call_s, metadata=self._metadata)
                except grpc.aio.AioRpcError:
                    continue
                self._missing.discard(name)
                self._restart()

    async def _probe(self, channel: grpc.aio.Channel) -> None:
        timers = self._timers
        await self.round_trips.probe(channel, self._heard_once, call_s=timers.call_s, period_s=timers.probe_period_s)

    def _restart(self) -> None:
        if self._watch is not None:
            self._restarting = True
            self._watch.cancel()

    def on_session(self, link: Link, reason: str) -> None:
        """Let every battery that is heard know how the session stands."""
        self._session_end = end = _End(link=link, reason=reason)
        if link is Link.READY:
            self.node = self.session.hello.node
            self.was_ready = True
            self.on_event("peer_ready", self)
        for name, told in tuple(self._told.items()):
            if told.link in _HEARD:
                self._tell(name, end)

    def on_snapshot(self, snapshot: Snapshot) -> Mapping[str, float]:
        """Let every stub compare; return the set points that this node goes on with."""
        if snapshot.restarted:
            self.on_event("peer_restarted", self)
        kept: dict[str, float] = {}
        for name, sinks in self.sinks.items():
            claim_a = snapshot.claims_a.get(name)
            for sink in sinks:
                if sink.on_snapshot(claim_a, snapshot.facts.get(name, NONE_KNOWN)) and claim_a is not None:
                    kept[name] = claim_a
        return kept

    def expect_down(self, expected: bool) -> None:  # noqa: FBT001 (the one thing it says)
        """Show its absence as expected, or no more."""
        if expected is not self._expected_down:
            self._expected_down = expected
            for name, told in self._told.items():
                for sink in self.sinks.get(name, ()):
                    sink.on_link(self._shown(told.link), told.reason)

    def _shown(self, link: Link) -> Link:
        return Link.EXPECTED_DOWN if self._expected_down and link in _AWAY else link

    @property
    def standing(self) -> tuple[Link, str]:
        """How the link stands, whichever battery it is for, and why it is not ready."""
        end = self._session_end if self._up else self._end
        link = Link.CONNECTING if end.link is Link.LOST and not self.was_ready else end.link
        return self._shown(link), end.reason

    def _named(self, node: str) -> None:
        if node and self.session.expected not in ("", node):
            raise DriverError(f"{self.target}: node {node!r} answers there")
        self.node = node or self.node

    def _found(self) -> None:
        if not self._up:
            self._up = True
            _log.info("remote_ready", target=self.target, batteries=len(self.sinks))

    def _lost(self, end: _End) -> None:
        if self._up is not False:
            self._up = False
            _log.warning("remote_lost", target=self.target, link=end.link.name, reason=end.reason)
        for name in self.sinks:
            told = self._told.get(name)
            if end.link is Link.LOST and (told is None or told.link is Link.CONNECTING):
                self._tell(name, _End(link=Link.CONNECTING, reason=end.reason))
            elif told is None or told.link is not Link.REFUSED or end.link is not Link.REFUSED:
                self._tell(name, end)

    def _tell(self, name: str, end: _End) -> None:
        told = self._told.get(name)
        if told is end or told == end:
            return
        self._told[name] = end
        if end.link is Link.REFUSED and (told is None or told.link is not Link.REFUSED):
            _log.warning("remote_battery_refused", target=self.target, battery=name, reason=end.reason)
        for sink in self.sinks.get(name, ()):
            sink.on_link(self._shown(end.link), end.reason)


_HEARD = (Link.SYNC, Link.READY, Link.STALE)
_AWAY = (Link.CONNECTING, Link.LOST)
