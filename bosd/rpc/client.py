"""Batteries of other nodes: one link a node, shared by all stubs on it."""

import asyncio
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from bosd.bal.cap import Grant
from bosd.bal.explain import Explanation
from bosd.bal.schedule import Moment
from bosd.bal.status import BatteryStatus
from bosd.clock import Clock
from bosd.errors import BadNameError, FencedError, UnavailableError
from bosd.node.api import BookingView, BookResult, StopResult
from bosd.rpc.booking_calls import book_result, booking_view, schedule_request
from bosd.rpc.convert import from_message
from bosd.rpc.dialling import Dial, dial_plainly
from bosd.rpc.error_feed import ErrorFeed
from bosd.rpc.explain_calls import from_explain_message
from bosd.rpc.granted_there import granted_there
from bosd.rpc.in_time import in_time
from bosd.rpc.link_timers import LinkTimers
from bosd.rpc.one_session import OneSession
from bosd.rpc.remote_node import RemoteNode
from bosd.rpc.seeking import Seeker
from bosd.rpc.session import Identity
from bosd.rpc.sink import Sink
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import explain_pb2 as epb
from bosd.v1 import limits_pb2 as lpb
from bosd.v1 import schedule_pb2 as spb
from bosd.v1.limits_pb2_grpc import LimitServiceStub

__all__ = ["LinkTimers", "RemoteLink", "RemotePool", "Sink"]


class Running(Protocol):
    """Which batteries of other nodes may run something for this node, over its restarts, each with its bound in seconds."""

    def __contains__(self, key: str) -> bool:
        """Tell whether a battery may."""
        ...

    def bound_s(self, key: str) -> float | None:
        """Return how long it may run on unheard; None: until contact."""
        ...

    async def note(self, key: str, value: float | None) -> bool:
        """Note, durably, that it is about to; return whether that took time. Raises UnavailableError where that cannot be."""
        ...

    def note_soon(self, key: str, value: float | None) -> None:
        """Note the bound of one that does already; never waits."""
        ...

    def forget(self, key: str) -> None:
        """Note that it runs nothing."""
        ...


class _Unnoted:
    """For a node that keeps nothing over its restarts."""

    def __contains__(self, key: str) -> bool:
        return False

    def bound_s(self, key: str) -> float | None:
        """Return nothing: no battery is noted."""
        raise KeyError(key)

    async def note(self, key: str, value: float | None) -> bool:
        """Keep nothing."""
        del key, value
        return False

    def note_soon(self, key: str, value: float | None) -> None:
        """Keep nothing."""

    def forget(self, key: str) -> None:
        """Keep nothing."""


class RemotePool:
    """The links to all other nodes, one task each inside `run`. `node` is this node's name, told to the others.

    `running` keeps what they may run for this node.

    `dial` makes their channels, `seeker` in its place where it is given: it finds serials, too. `feed`, where it is set, follows
    their errors. Sessions belong to this run, `boot_id`, and go by `session_clock`, `clock` unless given.
    """

    def __init__(
        self,
        node: str,
        clock: Clock,
        *,
        timers: LinkTimers | None = None,
        dial: Dial = dial_plainly,
        boot_id: str = "",
        session_clock: Clock | None = None,
        seeker: Seeker | None = None,
    ) -> None:
        self.node = node
        self.clock = clock
        self.timers = timers or LinkTimers()
        self.feed: ErrorFeed | None = None
        self.running: Running = _Unnoted()
        self._on_event: Callable[[str, RemoteNode], None] = lambda *_: None
        self._seeker = seeker
        self._dial = dial if seeker is None else seeker.dial
        self._identity = Identity(f"node:{node}", boot_id or uuid.uuid4().hex)
        self._session_clock = session_clock or clock
        self._one_session = OneSession()
        self._remotes: dict[str, RemoteNode] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    @property
    def remotes(self) -> Mapping[str, RemoteNode]:
        """The nodes that are followed, by target."""
        return self._remotes

    @property
    def session_clock(self) -> Clock:
        """What sessions go by."""
        return self._session_clock

    def follow_events(self, on_event: Callable[[str, RemoteNode], None]) -> None:
        """Have `peer_restarted` and `peer_ready` of all nodes told."""
        self._on_event = on_event
        for remote in self._remotes.values():
            remote.on_event = on_event

    def redial(self) -> None:
        """Go over to new connections: the certificate that they show is another one."""
        for remote in self._remotes.values():
            remote.redial()

    async def run(self) -> None:
        """Keep all links until cancelled; what escapes is a programming error."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for remote in self._remotes.values():
                    self._start(remote)
                await asyncio.Event().wait()
        finally:
            self._group = None
            self._tasks.clear()

    def attach(self, target: str, remote_name: str, sink: Sink, *, max_staleness_s: float = 0.0) -> "RemoteLink":
        """Follow battery `remote_name` of the node at `target`; `sink` hears of it until the link is closed."""
        remote = self._remotes.get(target)
        if remote is None:
            remote = RemoteNode(
                target,
                self.clock,
                identity=self._identity,
                timers=self.timers,
                dial=self._dial,
                session_clock=self._session_clock,
            )
            self._remotes[target] = remote
            remote.on_event = self._on_event
            remote.ways = self._seeker
            remote.session.one = self._one_session
            if self.feed is not None:
                remote.beside = self.feed.follow
            if self._group is not None:
                self._start(remote)
        remote.add(remote_name, sink, max_staleness_s)
        return RemoteLink(self, remote, remote_name, sink)

    def detach(self, remote: RemoteNode, remote_name: str, sink: Sink) -> None:
        """End what `attach` began; the connection goes with its last battery."""
        remote.remove(remote_name, sink)
        if not remote.sinks:
            del self._remotes[remote.target]
            if self.feed is not None:
                self.feed.forget(remote.target)
            task = self._tasks.pop(remote.target, None)
            if task is not None:
                task.cancel()

    def _start(self, remote: RemoteNode) -> None:
        assert self._group is not None  # noqa: S101 (narrowing: both callers looked)
        self._tasks[remote.target] = self._group.create_task(remote.run(), name=f"remote {remote.target}")


class RemoteLink:
    """One battery of another node: commands to it, each with a deadline, and the end of following it.

    All calls raise the error the remote raised, or UnavailableError when there is no link or no answer in time.
    """

    def __init__(self, pool: RemotePool, remote: RemoteNode, remote_name: str, sink: Sink) -> None:
        self.target = remote.target
        self.remote_name = remote_name
        self._pool = pool
        self._remote = remote
        self._sink = sink
        self._closed = False
        self._commands = 0

    @property
    def key(self) -> str:
        """What the battery is called in notes."""
        return _key(self.remote_name, self.target)

    def left_running_s(self) -> float | None:
        """Return how long from now it may run what an earlier run of this node asked for; None where nothing was."""
        if self.key not in self._pool.running:
            return None
        bound_s = self._pool.running.bound_s(self.key)
        return math.inf if bound_s is None else bound_s

    async def note_running(self, safe_within_s: float | None, *, waits: bool) -> bool:
        """Note that it is about to run something; return whether that took time. Without `waits` it is noted soon.

        Raises UnavailableError where that cannot be noted, FencedError where a command that did not wait for the disk (a stop's,
        an edit's) was sent meanwhile: what is about to be sent would undo it.
        """
        if not waits:  # lowering never waits for the disk
            self._pool.running.note_soon(self.key, safe_within_s)
            return False
        before = self._commands
        waited = await self._pool.running.note(self.key, safe_within_s)
        if self._commands != before:
            raise FencedError(f"{self.key}: another command was sent while this one waited for the disk", check="SEQUENCE")
        return waited

    async def note_moved(self, target: str) -> Callable[[], None]:
        """Note that what it may run is looked for at another node; return what takes that back.

        Raises UnavailableError where that cannot be noted.
        """
        running, moved = self._pool.running, _key(self.remote_name, target)
        if self.key not in running:
            return lambda: None
        take_back = partial(running.forget, moved)
        if moved in running:
            take_back = partial(running.note_soon, moved, running.bound_s(moved))
        try:
            await running.note(moved, running.bound_s(self.key))
        except UnavailableError:
            take_back()
            raise
        return take_back

    def forget_running(self) -> None:
        """Note that it runs nothing for this node."""
        self._pool.running.forget(self.key)

    async def set_current(self, current_a: float, ttl_s: float | None, within_s: float) -> pb.SetCurrentResponse:
        """Ask for `current_a` (positive on discharge) for `ttl_s` seconds; None is the remote's default.

        What its owner was too busy to look at in time is sent again, unless another command was: all within `within_s`.
        """
        self._commands += 1
        mine, metadata = self._commands, self._remote.metadata

        async def send(request: pb.SetCurrentRequest, left_s: float) -> pb.SetCurrentResponse:
            return await self._remote.call(lambda stub: stub.SetCurrent(request, timeout=left_s, metadata=metadata))

        request = pb.SetCurrentRequest(name=self.remote_name, current_a=current_a, ttl_s=ttl_s)
        return await in_time(send, request, self._remote.session, within_s, lambda: self._commands == mine)

    def owner_run(self) -> str:
        """Return the boot id of what answers; empty while nothing does."""
        return self._remote.session.peer_run

    @property
    def tells_unreached(self) -> bool:
        """Whether its statuses say what is not reached behind its owner, as far as that was asked yet."""
        hello = self._remote.session.hello
        return hello.tells_unreached or not hello.boot_id

    def session_now_s(self) -> float:
        """Return the time that sessions go by."""
        return self._remote.session.clock.now_s()

    def agree_anew(self) -> None:
        """Ask the owner what is in force there, and compare."""
        self._remote.session.agree_anew()

    def counts_until_s(self, safe_within_s: float) -> float:
        """Return when a battery there is safe by itself, on this node's clock."""
        session = self._remote.session
        left_s = session.state.answered_s + safe_within_s - session.clock.now_s()
        return self._pool.clock.now_s() + left_s

    async def clear(self, within_s: float) -> pb.SetCurrentResponse:
        """End this node's own set point there."""
        self._commands += 1
        request = pb.ClearCurrentRequest(name=self.remote_name, fence=self._remote.session.fence())
        metadata = self._remote.metadata
        return await self._remote.call(lambda stub: stub.ClearCurrent(request, timeout=within_s, metadata=metadata))

    async def grant(self, grant: Grant) -> None:
        """Put a part of a limit in force there."""
        request = lpb.GrantRequest(
            battery=self.remote_name,
            direction=lpb.DIRECTION_DISCHARGE if grant.discharging else lpb.DIRECTION_CHARGE,
            limit_w=grant.limit_w,
            limit_a=grant.limit_a,
            revision=grant.revision,
        )
        timeout_s, metadata = self._pool.timers.call_s, self._remote.metadata
        await self._remote.over(lambda channel: LimitServiceStub(channel).Grant(request, timeout=timeout_s, metadata=metadata))

    async def granted(self) -> dict[str, list[Grant]]:
        """Return by battery what this node has granted, of revision 1: the wire names none. Raises DriverError for nonsense."""
        timeout_s, metadata = self._pool.timers.call_s, self._remote.metadata
        answer = await self._remote.over(
            lambda channel: LimitServiceStub(channel).List(lpb.ListLimitsRequest(), timeout=timeout_s, metadata=metadata)
        )
        return granted_there(answer, self._pool.node, self.target)

    async def book(self, current_a: float, start: Moment, end: Moment, *, request_id: str) -> BookResult:
        """Book there; relative times are resolved there."""
        request = schedule_request(self.remote_name, current_a, start, end, request_id)
        timeout_s, metadata = self._pool.timers.call_s, self._remote.metadata
        return book_result(await self._remote.call(lambda stub: stub.Schedule(request, timeout=timeout_s, metadata=metadata)))

    async def bookings(self) -> tuple[BookingView, ...]:
        """Return its bookings there."""
        request = spb.ListScheduleRequest(name=self.remote_name)
        timeout_s, metadata = self._pool.timers.call_s, self._remote.metadata
        answer = await self._remote.call(lambda stub: stub.ListSchedule(request, timeout=timeout_s, metadata=metadata))
        return tuple(map(booking_view, answer.bookings))

    async def cancel_booking(self, booking_id: str) -> BookingView:
        """Cancel a booking of this battery there. Raises BadNameError for another battery's."""
        if all(view.booking_id != booking_id for view in await self.bookings()):
            raise BadNameError(f"no booking {booking_id} of {self.remote_name}", booking=booking_id)
        request = spb.CancelScheduleRequest(id=booking_id)
        timeout_s, metadata = self._pool.timers.call_s, self._remote.metadata
        return booking_view(
            await self._remote.call(lambda stub: stub.CancelSchedule(request, timeout=timeout_s, metadata=metadata))
        )

    async def explain(self, within_s: float) -> Explanation:
        """Return what that node explains, waiting for nodes below it for `within_s`."""
        request = epb.ExplainRequest(name=self.remote_name, within_s=within_s)
        timeout_s, metadata = self._pool.timers.call_s, self._remote.metadata
        answer = await self._remote.call(lambda stub: stub.Explain(request, timeout=timeout_s, metadata=metadata))
        return from_explain_message(answer, self._pool.clock.now_s())

    async def stop(self, reason: str, via: Sequence[str], within_s: float) -> StopResult:
        """Stop it there, or where that node's own stub points."""
        request = pb.StopRequest(names=[self.remote_name], reason=reason, via=via)
        metadata = self._remote.metadata
        answer = await self._remote.call(lambda stub: stub.Stop(request, timeout=within_s, metadata=metadata))
        return StopResult(
            stopped=tuple(answer.stopped),
            unconfirmed=tuple(answer.unconfirmed),
            not_at_owner={each.name: each.reason for each in answer.not_at_owner},
            unrecorded=tuple(answer.unrecorded),
        )

    async def release(self, via: Sequence[str], within_s: float) -> None:
        """End the stop there."""
        request = pb.ReleaseRequest(names=[self.remote_name], via=via)
        metadata = self._remote.metadata
        await self._remote.call(lambda stub: stub.Release(request, timeout=within_s, metadata=metadata))

    async def refresh(self, *, recursive: bool = False, timeout_s: float | None = None) -> BatteryStatus:
        """Have a fresh sample taken there; the sink hears of it too."""
        request = pb.RefreshRequest(name=self.remote_name, recursive=recursive)
        timeout_s, metadata = timeout_s or self._pool.timers.call_s, self._remote.metadata
        message = await self._remote.call(lambda stub: stub.Refresh(request, timeout=timeout_s, metadata=metadata))
        half_rtt_s = self._remote.half_rtt_s
        status = from_message(message, self._pool.clock.now_s(), half_rtt_s=half_rtt_s)
        if not self._closed:
            self._sink.on_status(status, half_rtt_s)
        return status

    def close(self) -> None:
        """Stop following; closing again does nothing."""
        if not self._closed:
            self._closed = True
            self._pool.detach(self._remote, self.remote_name, self._sink)


def _key(remote_name: str, target: str) -> str:
    return f"{remote_name}@{target}"
