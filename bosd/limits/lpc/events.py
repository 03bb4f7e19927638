"""What the service tells while it runs: events of the use case and of discovery, and the calls that follow from them.

Approvals are answered at once, each in a task of its own, since the peer's stack rejects a write after 10 s. Reads follow each
other in the order of their events, one for each and none twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import structlog

from bosd.cancellation import heeding
from bosd.limits.lpc.calls import CallFailed, Lost, call, failed
from bosd.limits.lpc.lpc import Lpc
from bosd.limits.lpc.startup import push, tolerated, written_limit
from bosd.limits.pb import control_service_messages_pb2 as pb
from bosd.limits.pb import cs_lpc_pb2 as lpc_pb

MOST_WAITING = 1000
"""Events that wait for their read; a service that sends more is left and joined anew."""
MOST_APPROVALS = 64

HEARTBEAT, LIMIT, DURATION = "DataUpdateHeartbeat", "DataUpdateLimit", "DataUpdateFailsafeDurationMinimum"
SUPPORT = "UseCaseSupportUpdate"
APPROVALS = frozenset({"WriteApprovalRequired", "LimitWriteApprovalRequired"})
"""Newer stacks use the second name (eebus.md 1.8)."""

_log = structlog.get_logger("eebus")

Work = Callable[[], Awaitable[None]]


class Events:
    """Handles the events of one connection; `group` owns every task."""

    def __init__(self, control: Any, service: Any, lpc: Lpc, group: asyncio.TaskGroup) -> None:  # noqa: ANN401
        self._control = control
        self._service = service
        self._lpc = lpc
        self._group = group
        self._deadline_s = lpc.config.keys.call_deadline_s
        self._reads: asyncio.Queue[Work] = asyncio.Queue(MOST_WAITING)
        self._pushes: asyncio.Queue[Work] = asyncio.Queue(MOST_WAITING)
        self._answering: set[int] = set()
        self._approvals = 0
        self.started = asyncio.Event()

    def begin(self, use_cases: Any, discovery: Any) -> None:  # noqa: ANN401
        """Read both streams, and work off what comes."""
        self._group.create_task(self._read_use_cases(use_cases), name="eebus events")
        self._group.create_task(self._read_discovery(discovery), name="eebus discovery")
        self._group.create_task(self._work(self._reads), name="eebus reads")
        self._group.create_task(self._work_when_started(), name="eebus pushes")

    async def _read_use_cases(self, stream: Any) -> None:  # noqa: ANN401
        try:
            with heeding():
                async for message in stream:
                    self._hear(message)
        except grpc.aio.AioRpcError as error:
            raise failed("SubscribeUseCaseEvents", error) from None
        raise Lost("SubscribeUseCaseEvents: the service ended the stream")

    async def _read_discovery(self, stream: Any) -> None:  # noqa: ANN401
        try:
            with heeding():
                async for message in stream:
                    self._discovered(message)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                _log.info("eebus_no_discovery", detail="the service is older than 0.2.0: peers are let in at the start alone")
                return
            raise failed("SubscribeDiscoveryEvents", error) from None
        raise Lost("SubscribeDiscoveryEvents: the service ended the stream")

    # --- events of the use case

    def _hear(self, message: pb.SubscribeUseCaseEventsResponse) -> None:
        event, ski = message.use_case_event.event, message.remote_ski
        if not event:
            return
        lpc = self._lpc
        read = self._read_of(event, ski)
        data = event == HEARTBEAT or event in APPROVALS or read is not None
        if not data and event != SUPPORT:
            lpc.count("unknown_events")
            _log.error("eebus_unknown_event", event_name=event[:100], ski=ski)
            return
        if not lpc.admits(ski, event, data=data):
            return
        if event == HEARTBEAT:
            lpc.heartbeat()
        elif event in APPROVALS:
            self._approve_soon(ski)
        else:
            self._put(*((self._pushes, self._push) if read is None else (self._reads, read)))

    def _read_of(self, event: str, ski: str) -> Work | None:
        if event == LIMIT:
            return lambda: self._read_limit(ski)
        if event == DURATION:
            return lambda: self._read_duration(ski)
        return (lambda: self._read_power(ski)) if event == self._lpc.use_case.failsafe_event else None

    @staticmethod
    def _put(queue: "asyncio.Queue[Work]", work: Work) -> None:
        try:
            queue.put_nowait(work)
        except asyncio.QueueFull:
            raise Lost(f"the service sent {MOST_WAITING} events without answering their reads") from None

    async def _work(self, queue: "asyncio.Queue[Work]") -> None:
        while True:
            work = await queue.get()
            try:
                await work()
            except CallFailed as error:
                self._lpc.count("failed_calls")
                _log.error("eebus_call_failed", detail=error.message)

    async def _work_when_started(self) -> None:
        await self.started.wait()
        await self._work(self._pushes)

    async def _read_limit(self, ski: str) -> None:
        answer = await call(self._service.ConsumptionLimit, lpc_pb.ConsumptionLimitRequest(), self._deadline_s)
        if self._lpc.admits(ski, LIMIT, data=True):
            self._lpc.limit(ski, written_limit(answer.load_limit))

    async def _read_power(self, ski: str) -> None:
        request = lpc_pb.FailsafeConsumptionActivePowerLimitRequest()
        answer = await call(self._service.FailsafeConsumptionActivePowerLimit, request, self._deadline_s)
        if self._lpc.admits(ski, "failsafe power", data=True):
            self._lpc.failsafe_power(ski, answer.limit)

    async def _read_duration(self, ski: str) -> None:
        request = lpc_pb.FailsafeDurationMinimumRequest()
        answer = await call(self._service.FailsafeDurationMinimum, request, self._deadline_s)
        if self._lpc.admits(ski, DURATION, data=True):
            self._lpc.failsafe_duration(ski, answer.duration_nanoseconds)

    async def _push(self) -> None:
        await push(self._service, self._lpc, self._deadline_s)
        await tolerated(self._service.StartHeartbeat, lpc_pb.StartHeartbeatRequest(), self._deadline_s)

    # --- approvals

    def _approve_soon(self, ski: str) -> None:
        if self._approvals >= MOST_APPROVALS:
            self._lpc.count("failed_calls")
            _log.error("eebus_too_many_approvals", waiting=self._approvals)
            return
        self._approvals += 1
        self._group.create_task(self._approve(ski), name="eebus approval")

    async def _approve(self, ski: str) -> None:
        """Answer every write that waits; one that is being answered is left alone."""
        try:
            request = lpc_pb.PendingConsumptionLimitRequest()
            answer = await call(self._service.PendingConsumptionLimit, request, self._deadline_s)
            waiting = {number: limit for number, limit in answer.load_limits.items() if number not in self._answering}
            self._answering.update(waiting)
            try:
                for number in sorted(waiting):
                    decision = self._lpc.decide(ski, written_limit(waiting[number]))
                    reply = lpc_pb.ApproveOrDenyConsumptionLimitRequest(
                        msg_counter=number, approve=decision.approve, reason=decision.reason
                    )
                    await call(self._service.ApproveOrDenyConsumptionLimit, reply, self._deadline_s)
            finally:
                self._answering.difference_update(waiting)
        except CallFailed as error:
            self._lpc.count("failed_calls")
            _log.error("eebus_approval_failed", detail=error.message, ski=ski)
        finally:
            self._approvals -= 1

    # --- discovery

    def _discovered(self, message: pb.DiscoveryEvent) -> None:
        """Let in a peer that is named, or any where that is allowed."""
        if message.type != pb.DiscoveryEvent.DISCOVERED or message.is_trusted:
            return
        ski = "".join(message.remote_ski.split()).lower()
        about = {"ski": ski, "brand": message.brand, "model": message.model}
        if ski in self._lpc.config.skis:
            _log.info("eebus_discovered", **about)
        elif self._lpc.config.keys.accept_unknown_ems:
            _log.warning("eebus_unknown_peer_accepted", **about)
        else:
            _log.info("eebus_unknown_peer", **about)
            return
        request = pb.RegisterRemoteSkiRequest(remote_ski=ski)
        self._put(self._pushes, lambda: self._register(request))

    async def _register(self, request: pb.RegisterRemoteSkiRequest) -> None:
        await tolerated(self._control.RegisterRemoteSki, request, self._deadline_s)
