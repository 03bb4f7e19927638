"""BatteryService: convert, call the node, convert."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from bosd.bal.setpoint import Fence
from bosd.bal.status import BatteryStatus, Quality
from bosd.clock import Clock
from bosd.errors import BadNameError, BosError, FencedError, InvalidArgumentError, NotAllowedError
from bosd.fleet.owner import OwnerSessions, SessionFence
from bosd.node.api import NodeApi, SetCurrentResult, WatchBatch
from bosd.rpc.booking_calls import BookingCalls
from bosd.rpc.convert import MAX_HOPS, to_message
from bosd.rpc.edge import (
    Context,
    Edge,
    closing,
    holder_of,
    need_duration,
    need_finite,
    need_name,
    need_names,
    need_text,
)
from bosd.rpc.explain_calls import ExplainCalls
from bosd.rpc.node_service import NODE
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import node_pb2 as node_pb
from bosd.v1.battery_pb2_grpc import BatteryServiceServicer

MAX_STREAMED_BYTES = 2 * 1024 * 1024
"""Half of what a gRPC client accepts by default."""
_STATUSES_PER_MESSAGE = 2000
_PSEUDO_FIELDS = ("voltage_v", "charge_ah", "capacity_ah", "max_discharge_current_a", "max_charge_current_a")


class _Optional(Protocol):
    max_age_s: float

    def HasField(self, field: Any) -> bool:  # noqa: ANN401, N802 (protobuf's)
        """Tell whether a field is set."""
        ...


class BatteryService(BookingCalls, ExplainCalls, BatteryServiceServicer):
    """Batteries of one node: reading, watching and commanding them."""

    def __init__(self, node: NodeApi, edge: Edge, sessions: OwnerSessions | None) -> None:
        self._node = node
        self._sessions = sessions
        self._edge = edge
        self._clock: Clock = node.clock

    def _message(self, status: BatteryStatus) -> pb.BatteryStatus:
        return to_message(status, self._clock.now_s(), self._clock.utc_s(), node=self._node.name)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.BatteryStatus:  # noqa: D102, N802
        return await self._edge.answer(context, self._get_status(request))

    async def _get_status(self, request: pb.GetStatusRequest) -> pb.BatteryStatus:
        return self._message(await self._node.fresh_status(need_name(request.name), _max_age_s(request)))

    async def ListStatuses(self, request: pb.ListStatusesRequest, context: Context) -> pb.ListStatusesResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._list_statuses(request))

    async def _list_statuses(self, request: pb.ListStatusesRequest) -> pb.ListStatusesResponse:
        names = need_names(list(request.names)) or self._node.names()
        await self._freshen(names, _max_age_s(request))
        response = pb.ListStatusesResponse(node=self._node.name)
        now_s, utc_now_s = self._clock.now_s(), self._clock.utc_s()
        for name in names:
            to_message(self._node.status(name), now_s, utc_now_s, response.statuses.add, node=self._node.name)
        return response

    async def _freshen(self, names: Iterable[str], max_age_s: float | None) -> None:
        """Refresh those that are too old, all at once: one slow device must not keep the others waiting."""
        oldest_s = -math.inf if max_age_s is None else self._clock.now_s() - max_age_s
        statuses = [self._node.status(name) for name in names]
        old = [s.name for s in statuses if s.quality is not Quality.GOOD or (s.sampled_from_s or 0.0) < oldest_s]
        try:
            async with asyncio.TaskGroup() as group:
                for name in old:
                    group.create_task(self._node.fresh_status(name, max_age_s), name=f"refresh {name}")
        except* BosError as failed:
            raise failed.exceptions[0] from None

    async def SetCurrent(self, request: pb.SetCurrentRequest, context: Context) -> pb.SetCurrentResponse:  # noqa: D102, N802
        command = None if request.dry_run else ("force" if request.force else "set", [request.name])
        return await self._edge.answer(context, self._set_current(request, context), command)

    async def _set_current(self, request: pb.SetCurrentRequest, context: Context) -> pb.SetCurrentResponse:
        holder = holder_of(context)
        name, current_a = need_name(request.name), need_finite(request.current_a, "current_a")
        ttl_s = need_duration(request.ttl_s, "ttl_s", positive=True) if request.HasField("ttl_s") else None
        request_id = need_text(request.request_id, "request_id")
        fence, dry_run = self._fence(request, holder), request.dry_run
        if request.force:
            command = self._node.force_current(
                name, current_a, ttl_s=ttl_s, holder=holder, request_id=request_id, dry_run=dry_run
            )
        else:
            command = self._node.set_current(
                name, current_a, ttl_s=ttl_s, holder=holder, request_id=request_id, dry_run=dry_run, fence=fence
            )
        return self._setpoint(await command)

    def _fence(self, request: pb.SetCurrentRequest, holder: str) -> Fence | None:
        """Return what judges a node's command. Raises FencedError where a node commands without a session."""
        if not holder.startswith(NODE):
            return None
        if request.force:
            raise NotAllowedError(f"{holder} is a node: it takes over no claim, an admin does", who=holder, role="admin")
        if self._sessions is None or not request.HasField("fence"):
            raise FencedError(f"{holder} is a node: it commands through a session", check="SESSION")
        return self._session_fence(request.fence, holder, self._sessions)

    @staticmethod
    def _session_fence(fence: node_pb.Fence, holder: str, sessions: OwnerSessions) -> SessionFence:
        return sessions.fence(holder, boot_id=fence.boot_id, epoch=fence.epoch, sequence=fence.sequence, owner_s=fence.owner_s)

    async def ClearCurrent(self, request: pb.ClearCurrentRequest, context: Context) -> pb.SetCurrentResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._clear_current(request, context), ("clear", [request.name]))

    async def _clear_current(self, request: pb.ClearCurrentRequest, context: Context) -> pb.SetCurrentResponse:
        name, holder = need_name(request.name), holder_of(context)
        self._node.status(name)  # of a battery that is not there nothing is noted
        if holder.startswith(NODE):
            if self._sessions is None or not request.HasField("fence"):
                raise FencedError(f"{holder} is a node: it commands through a session", check="SESSION")
            self._session_fence(request.fence, holder, self._sessions).let_go(name)
        return self._setpoint(await self._node.clear_current(name, holder=holder))

    def _setpoint(self, result: SetCurrentResult) -> pb.SetCurrentResponse:
        response = pb.SetCurrentResponse(
            name=result.name,
            requested_current_a=result.requested_current_a,
            applied_current_a=result.applied_current_a,
            reason=result.reason,
            binds=result.binds,
            may_run_a=result.may_run_a,
            unread=result.unread,
            taken_from=result.taken_from,
        )
        if result.setpoint_ends_s is not None:
            response.ttl_s = max(0.0, result.setpoint_ends_s - self._clock.now_s())
            response.setpoint_ends_at = self._clock.utc_s() + response.ttl_s
        for leaf in result.leaves:
            response.leaves.add(
                name=leaf.name,
                old_current_a=leaf.old_current_a,
                new_current_a=leaf.new_current_a,
                limit_a=leaf.limit_a,
                reason=leaf.reason,
            )
        return response

    async def Stop(self, request: pb.StopRequest, context: Context) -> pb.StopResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._stop(request, context), ("stop", request.names))

    async def _stop(self, request: pb.StopRequest, context: Context) -> pb.StopResponse:
        names = need_names(list(request.names))
        if not (names or request.node or request.all):
            raise InvalidArgumentError("nothing to stop: give names, node or all", field="names")
        reason = need_text(request.reason, "reason")
        result = await self._node.stop(
            names,
            node=request.node,
            everything=request.all,
            reason=reason,
            holder=holder_of(context),
            via=_checked_via(request.via),
        )
        not_at_owner = [pb.NotAtOwner(name=name, reason=why) for name, why in result.not_at_owner.items()]
        return pb.StopResponse(
            stopped=result.stopped,
            unconfirmed=result.unconfirmed,
            not_at_owner=not_at_owner,
            unrecorded=result.unrecorded,
            unknown=result.unknown,
        )

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._release(request, context), ("release", request.names))

    async def _release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:
        names = need_names(list(request.names))
        if not names:
            raise InvalidArgumentError("nothing to release: give names", field="names")
        result = await self._node.release(names, holder=holder_of(context), via=_checked_via(request.via))
        response = pb.ReleaseResponse(released=result.released)
        for name, error in result.refused.items():
            response.not_released.add(name=name, reason=error.reason, message=error.message)
        for asked in result.asked_again:
            response.asked_again.add(name=asked.name, current_a=asked.current_a, holder=asked.holder)
        return response

    async def Refresh(self, request: pb.RefreshRequest, context: Context) -> pb.BatteryStatus:  # noqa: D102, N802
        return await self._edge.answer(context, self._refresh(request))

    async def _refresh(self, request: pb.RefreshRequest) -> pb.BatteryStatus:
        return self._message(await self._node.refresh(need_name(request.name), recursive=request.recursive))

    async def ModifyPseudo(self, request: pb.ModifyPseudoRequest, context: Context) -> pb.BatteryStatus:  # noqa: D102, N802
        return await self._edge.answer(context, self._modify_pseudo(request, context), ("pseudo", [request.name]))

    async def _modify_pseudo(self, request: pb.ModifyPseudoRequest, context: Context) -> pb.BatteryStatus:
        name = need_name(request.name)
        values = {field: need_finite(getattr(request, field), field) for field in _PSEUDO_FIELDS if request.HasField(field)}
        if not values:
            raise InvalidArgumentError(f"nothing to change: give {', '.join(_PSEUDO_FIELDS)}", field="voltage_v")
        return self._message(await self._node.modify_pseudo(name, values, holder=holder_of(context)))

    async def Watch(self, request: pb.WatchRequest, context: Context) -> None:  # noqa: D102, N802
        await self._edge.stream(context, self._watch(request, context))

    async def _watch(self, request: pb.WatchRequest, context: Context) -> None:
        names = self._watched(request)
        batches = self._node.watch(
            names,
            min_interval_s=need_duration(request.min_interval_s, "min_interval_s"),
            max_staleness_s=need_duration(request.max_staleness_s, "max_staleness_s"),
        )
        async with closing(batches):
            async for batch in batches:
                for message in self._messages(batch):
                    await context.write(message)

    def _watched(self, request: pb.WatchRequest) -> tuple[str, ...] | None:
        wanted = [request.name, *request.names] if request.name else list(request.names)
        names = tuple(dict.fromkeys(need_names(wanted)))
        known = frozenset(self._node.names())
        if unknown := [name for name in names if name not in known]:
            raise BadNameError(f"no battery {', '.join(unknown)}", names=",".join(unknown))
        return names or None

    def _messages(self, batch: WatchBatch) -> Sequence[pb.WatchResponse]:
        statuses = batch.statuses
        first = self._response(batch, statuses[:_STATUSES_PER_MESSAGE])
        first.removed.extend(batch.removed)
        rest = [
            self._response(batch, statuses[start : start + _STATUSES_PER_MESSAGE])
            for start in range(_STATUSES_PER_MESSAGE, len(statuses), _STATUSES_PER_MESSAGE)
        ]
        return [part for whole in (first, *rest) for part in split(whole)]

    def _response(self, batch: WatchBatch, statuses: Sequence[BatteryStatus]) -> pb.WatchResponse:
        now_s, utc_now_s = self._clock.now_s(), self._clock.utc_s()
        response = pb.WatchResponse(node=self._node.name, sent_at=utc_now_s, beat_s=batch.beat_s)
        add = response.statuses.add
        for status in statuses:
            to_message(status, now_s, utc_now_s, add, node=self._node.name)
        return response


def split(response: pb.WatchResponse) -> list[pb.WatchResponse]:
    """Return `response`, in halves if it is larger than a receiver takes."""
    count = len(response.statuses)
    if count <= 1 or response.ByteSize() <= MAX_STREAMED_BYTES:
        return [response]
    second = pb.WatchResponse(node=response.node, sent_at=response.sent_at, beat_s=response.beat_s)
    second.statuses.extend(response.statuses[count // 2 :])
    del response.statuses[count // 2 :]
    return [*split(response), *split(second)]


def _max_age_s(request: _Optional) -> float | None:
    return need_duration(request.max_age_s, "max_age_s") if request.HasField("max_age_s") else None


def _checked_via(via: Sequence[str]) -> tuple[str, ...]:
    """Return the stubs a call came through; raises InvalidArgumentError where they are more than may follow each other."""
    if len(via) > MAX_HOPS:
        raise InvalidArgumentError(f"via holds {len(via)} stubs, at most {MAX_HOPS} follow each other", field="via")
    return need_names(list(via), "via")
