"""This node's session at another one: Hello, Sync and Ready on its connection, heartbeats on a connection of their own.

Nothing slow runs here: no store, no log in the beat's path; a reply that is late is counted by its absence.
"""

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple, Protocol

import grpc
import grpc.aio
import structlog

from bosd import __version__
from bosd.bal.cap import at_most_told
from bosd.bal.facts import Facts
from bosd.bal.status import Link
from bosd.cancellation import asked_to_end, heeding
from bosd.clock import Clock
from bosd.errors import BosError, DriverError
from bosd.fleet.holder import HolderSession
from bosd.fleet.owner import PROTOCOL, SAME_NODE
from bosd.fleet.timers import SessionTimers
from bosd.rpc.dialling import Dial, channel_options
from bosd.rpc.moving_channel import MovingChannel
from bosd.rpc.one_session import OneSession
from bosd.rpc.status import from_rpc_error
from bosd.v1 import node_pb2 as pb
from bosd.v1.node_pb2_grpc import NodeServiceStub

INCOMPATIBLE = "INCOMPATIBLE"
TRIES = 3
"""How often Sync and Ready are tried before a pause (control.md, "Sessions and restarts")."""

_log = structlog.get_logger(__name__)


class Snapshot(NamedTuple):
    """What the owner says at Sync: this node's set points in force there, and the facts of each battery."""

    claims_a: Mapping[str, float]
    facts: Mapping[str, Facts]
    restarted: bool


class SessionUser(Protocol):
    """Who lives by a session; called on the loop, and expected to return quickly."""

    def on_snapshot(self, snapshot: Snapshot) -> Mapping[str, float]:
        """Compare what the owner has in force with what is believed; return what this node goes on with."""
        ...

    def on_session(self, link: Link, reason: str) -> None:
        """Take that commands may be sent (READY, STALE), or why they may not (SYNC)."""
        ...


class Identity(NamedTuple):
    """Who this node is to others."""

    holder: str
    boot_id: str


class PeerSession:
    """Keeps one session; `run` ends when the peer is lost."""

    def __init__(
        self,
        target: str,
        clock: Clock,
        identity: Identity,
        user: SessionUser,
        *,
        dial: Dial,
        timers: SessionTimers,
        call_s: float,
    ) -> None:
        self.state = HolderSession(clock, timers)
        self.agreeing = f"agreeing with {target} on what is in force"
        self.lag_s = 0.0
        self.hello = pb.HelloResponse()
        """What the owner said at the last Hello."""
        self.refused = ""
        """Why the owner keeps no session with this node, in a word such as INCOMPATIBLE or CRASH_LOOP; empty: it does."""
        self.peer_run = ""
        """The boot id of who answers, also where it has its session by another address; empty while nobody does."""
        self.agreed_digest = ""
        self.expected = ""
        """The only node that may answer; empty: any."""
        self.one = OneSession()
        """What the links of this node share, so that two of them to one node do not end each other's session."""
        self._target = target
        self.clock = clock
        self._identity = identity
        self._user = user
        self._dial = dial
        self._timers = timers
        self._call_s = call_s
        self._digest = ""
        self._metadata = (("bosd-client", identity.holder),)
        self._changed = asyncio.Event()
        self._resync_wanted = asyncio.Event()
        self.exchanged = asyncio.Event()
        """Set where beats are to go on over a new connection."""
        self._replies: grpc.aio.Call | None = None
        self._moved = False

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries: who asks."""
        return self._metadata

    @property
    def drifted(self) -> bool:
        """Whether the owner's configuration is another one than both ends agreed on."""
        return self._digest != self.agreed_digest

    def agree_anew(self) -> None:
        """Sync anew, since more is wanted of the owner than at the last Sync; the session goes on meanwhile."""
        self._resync_wanted.set()

    def fence(self) -> pb.Fence:
        """Return what a command of this session carries."""
        stamp = self.state.stamp()
        return pb.Fence(boot_id=stamp.boot_id, epoch=stamp.epoch, sequence=stamp.sequence, owner_s=stamp.owner_s)

    async def run(self, channel: grpc.aio.Channel) -> str:
        """Keep the session over `channel` until the peer is not heard for a lease; return why."""
        stub = NodeServiceStub(channel)
        self._user.on_session(Link.SYNC, self.agreeing)
        try:
            while True:
                if reason := await self._open(stub):
                    return reason
                await asyncio.sleep(self._timers.sync_pause_s)
        finally:
            self.state.over()
            self.peer_run = ""
            self.one.leave(self._target)
            self._user.on_session(Link.SYNC, self.agreeing)

    async def _open(self, stub: NodeServiceStub) -> str:
        """Say hello, agree, and beat until the end; return why the peer is lost, or nothing if it only refused."""
        nonce = uuid.uuid4().hex
        try:
            await self._hello(stub, nonce)
            if self.expected and self.hello.node != self.expected:
                self._user.on_session(Link.SYNC, f"{self._target}: node {self.hello.node!r} answers there")
                return ""
            self.peer_run = self.hello.boot_id
            if other := self.one.take(self.hello.boot_id, self._target):
                self._user.on_session(Link.SYNC, self._second(other))
                return ""
            self._opened()
            for _ in range(TRIES):
                if await self._agree(stub):
                    return await self._beat(stub)
        except grpc.aio.AioRpcError as failed:
            self._user.on_session(Link.SYNC, self._refusal(failed))
            return ""
        except DriverError as nonsense:
            self._user.on_session(Link.SYNC, nonsense.message)
            return ""
        self._user.on_session(Link.SYNC, f"{self._target}: what is in force there changes too fast to agree on")
        return ""

    def _second(self, other: str) -> str:
        self.refused = SAME_NODE
        return f"{SAME_NODE}: {self._target} and {other} are one node, and it has one session: name it the same in every stub"

    def _refusal(self, failed: grpc.aio.AioRpcError) -> str:
        if failed.code() is grpc.StatusCode.UNIMPLEMENTED:
            self.refused = INCOMPATIBLE
            return f"INCOMPATIBLE: {self._target} knows no sessions; update it"
        error: BosError = from_rpc_error(failed)
        if error.metadata.get("cause") == SAME_NODE and (other := self.one.holder(error.metadata.get("boot_id", ""))):
            self.peer_run = error.metadata["boot_id"]
            return self._second(other)
        self.refused = cause = error.metadata.get("cause") or error.metadata.get("check") or error.reason
        return f"{self._target}: {cause}: {error.message}"

    async def _hello(self, stub: NodeServiceStub, nonce: str) -> None:
        state = self.state
        request = pb.HelloRequest(
            nonce=nonce,
            boot_id=self._identity.boot_id,
            protocol=PROTOCOL,
            version=__version__,
            believed_boot_id=state.boot_id,
            believed_epoch=state.epoch,
            elsewhere=self.one.elsewhere(self._target),
        )
        with heeding():
            self.hello = await stub.Hello(request, timeout=self._call_s, metadata=self._metadata)
        self.refused = self.peer_run = ""

    def _opened(self) -> None:
        state, answer = self.state, self.hello
        state.opened(answer.boot_id, answer.epoch, answer.owner_s, answer.lease_s)
        if state.restarted:
            _log.warning("peer_restarted", target=self._target, node=answer.node, epoch=answer.epoch)

    async def _agree(self, stub: NodeServiceStub) -> bool:
        """Sync and Ready once; return whether both ends name the same. Raises DriverError for numbers that are none."""
        state = self.state
        sync = pb.SyncRequest(boot_id=state.boot_id, epoch=state.epoch)
        with heeding():
            told = await stub.Sync(sync, timeout=self._call_s, metadata=self._metadata)
        state.heard(told.owner_s)
        self._resync_wanted.clear()
        if nonsense := _nonsense(told):
            raise DriverError(f"{self._target} sent nonsense: {nonsense}")
        kept = self._user.on_snapshot(
            Snapshot(
                {claim.name: claim.current_a for claim in told.claims},
                {each.name: _facts(each) for each in told.batteries},
                state.restarted,
            )
        )
        claims = [pb.Claim(name=name, current_a=current_a) for name, current_a in kept.items()]
        ready = pb.ReadyRequest(
            boot_id=state.boot_id, epoch=state.epoch, digest=told.digest, claims=claims, owner_s=state.owner_s
        )
        sent_s = self.clock.now_s()
        with heeding():
            answer = await stub.Ready(ready, timeout=self._call_s, metadata=self._metadata)
        if not answer.agreed:
            return False
        self._digest = self.agreed_digest = told.config_digest
        state.restarted = False
        state.granted(sent_s, answer.owner_s)
        return True

    async def _beat(self, stub: NodeServiceStub) -> str:
        """Beat on a connection of its own, opened anew where it breaks, until nothing is heard for a lease."""
        async with asyncio.TaskGroup() as group:
            resyncing = group.create_task(self._resync(stub), name=f"resync {self._target}")
            try:
                self.exchanged.clear()
                async with MovingChannel(self._dial_for_beats()) as channel:
                    self._user.on_session(Link.READY, "")
                    return await self._keep_beating(channel)
            finally:
                resyncing.cancel()

    def _dial_for_beats(self) -> grpc.aio.Channel:
        return self._dial(self._target, channel_options(self._timers.stale_s))

    async def _move(self, channel: MovingChannel) -> None:
        await channel.follow(
            self.exchanged, self._dial_for_beats, self._on_moved, connect_s=self._timers.stale_s, grace_s=self._call_s
        )

    def _on_moved(self) -> None:
        _log.info("beats_moved", target=self._target)
        if self._replies is not None:
            self._moved = True
            self._replies.cancel()

    async def _keep_beating(self, channel: MovingChannel) -> str:
        async with asyncio.TaskGroup() as group:
            moving = group.create_task(self._move(channel), name=f"move beats {self._target}")
            beating = group.create_task(self._beat_on(NodeServiceStub(channel)), name=f"beats {self._target}")
            watching = group.create_task(self._watch_silence(), name=f"silence {self._target}")
            await asyncio.wait((beating, watching), return_when=asyncio.FIRST_COMPLETED)
            for task in (beating, watching, moving):
                task.cancel()
        return watching.result() if not watching.cancelled() else beating.result()

    async def _beat_on(self, stub: NodeServiceStub) -> str:
        """Beat, on a new stream whenever one breaks; return why the owner beats no more with this session."""
        while True:
            self._moved = False
            try:
                with heeding():
                    await self._read_beats(stub)
            except asyncio.CancelledError:
                if not self._moved or asked_to_end():
                    raise
                continue  # on the new connection, at once
            except grpc.aio.AioRpcError as failed:
                if failed.code() is not grpc.StatusCode.UNAVAILABLE:
                    return self._refusal(failed)
            await asyncio.sleep(self._timers.heartbeat_s / 2.0)

    async def _watch_silence(self) -> str:
        """Say when the peer goes stale and comes back; return why it is lost."""
        stale = False
        state, timers = self.state, self._timers
        while True:
            silent_s = self.clock.now_s() - state.answered_s
            if silent_s >= timers.lease_s:
                return f"{self._target} is silent"
            if self.clock.now_s() >= state.lease_ends_s:
                return f"{self._target} hears this node no more"
            if (silent_s >= timers.stale_s) is not stale:
                stale = not stale
                link = Link.STALE if stale else Link.READY
                self._user.on_session(link, f"{self._target}: no beat for {timers.stale_s:g} s" if stale else "")
            due_s = min(timers.lease_s - silent_s, state.lease_ends_s - self.clock.now_s())
            if not stale:
                due_s = min(due_s, timers.stale_s - silent_s)
            self._changed.clear()
            try:
                async with asyncio.timeout(max(0.001, due_s)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _read_beats(self, stub: NodeServiceStub) -> None:
        self._replies = replies = stub.Heartbeat(self._beats(), metadata=self._metadata)
        try:
            async for reply in replies:
                self.lag_s = reply.lag_s
                self.state.beat_answered(reply.number, reply.owner_s, renewed=reply.renewed)
                self._changed.set()
                if reply.config_digest != self._digest or reply.resync:
                    self._digest = reply.config_digest
                    self._resync_wanted.set()
        finally:
            self._replies = None
            replies.cancel()

    async def _beats(self) -> AsyncIterator[pb.Beat]:
        state = self.state
        while True:
            yield pb.Beat(boot_id=state.boot_id, epoch=state.epoch, number=state.next_beat(), owner_s=state.owner_s)
            await asyncio.sleep(self._timers.heartbeat_s)

    async def _resync(self, stub: NodeServiceStub) -> None:
        """Sync anew whenever the owner's configuration changed, or more is wanted, until both agree; the session goes on."""
        while True:
            await self._resync_wanted.wait()
            self._resync_wanted.clear()
            if not await self._agreed_anew(stub):
                await asyncio.sleep(self._timers.sync_pause_s)
                self._resync_wanted.set()

    async def _agreed_anew(self, stub: NodeServiceStub) -> bool:
        """Try a few times; what is refused or not answered is worth a pause first."""
        try:
            for _ in range(TRIES):
                if await self._agree(stub):
                    return True
        except (grpc.aio.AioRpcError, DriverError) as failed:
            error = from_rpc_error(failed) if isinstance(failed, grpc.aio.AioRpcError) else failed
            _log.info("resync_failed", target=self._target, detail=error.message)
        return False


def _nonsense(told: pb.SyncResponse) -> str:
    """Say which current, limit or time of a Sync is none; empty where all are."""
    for claim in told.claims:
        if not math.isfinite(claim.current_a):
            return f"{claim.name[:64]}: a set point of {claim.current_a} A"
    for each in told.batteries:
        if not math.isfinite(each.unconfirmed_a) or not 0.0 <= each.safe_within_s < math.inf:
            return f"{each.name[:64]}: {each.unconfirmed_a} A unconfirmed, safe within {each.safe_within_s} s"
        if not 0.0 <= each.failsafe_time_s < math.inf:
            return f"{each.name[:64]}: confirmed within {each.failsafe_time_s} s"
        if not (0.0 <= each.alone_discharge_limit_w < math.inf and 0.0 <= each.alone_charge_limit_w < math.inf):
            return f"{each.name[:64]}: alone limits of {each.alone_discharge_limit_w} W and {each.alone_charge_limit_w} W"
        for field in ("charge_efficiency", "discharge_efficiency"):
            if each.HasField(field) and not 0.0 < getattr(each, field) <= 1.0:
                return f"{each.name[:64]}: {field} of {getattr(each, field)}"
    return ""


def _facts(told: pb.BatteryFacts) -> Facts:
    def up_to_most(field: str) -> float | None:
        return at_most_told(getattr(told, field)) if told.HasField(field) else None

    return Facts(
        safe_within_s=up_to_most("safe_within_s"),
        unconfirmed_a=told.unconfirmed_a if told.HasField("unconfirmed_a") else None,
        unread=told.unread,
        failsafe_time_s=told.failsafe_time_s,
        taken_by=told.taken_by,
        alone_discharge_limit_w=up_to_most("alone_discharge_limit_w"),
        alone_charge_limit_w=up_to_most("alone_charge_limit_w"),
        charge_efficiency=told.charge_efficiency if told.HasField("charge_efficiency") else 1.0,
        discharge_efficiency=told.discharge_efficiency if told.HasField("discharge_efficiency") else 1.0,
    )
