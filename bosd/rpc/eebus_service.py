"""EebusService: the limitation of power asked for over EEBUS, and what it published."""

import json

from bosd.errors import UnsupportedError
from bosd.limits.lpc.port import Published
from bosd.limits.lpc.schedule import external_limits
from bosd.limits.lpc.view import View
from bosd.rpc.edge import Context, Edge, closing
from bosd.rpc.eebus import Eebus
from bosd.v1 import eebus_pb2 as pb
from bosd.v1.eebus_pb2_grpc import EebusServiceServicer


class EebusService(EebusServiceServicer):
    """Reads alone: the peer commands, and nobody else."""

    def __init__(self, eebus: Eebus | None, edge: Edge) -> None:
        self._eebus = eebus
        self._edge = edge

    def _there(self) -> Eebus:
        if self._eebus is None:
            raise UnsupportedError("this node has no [eebus] section: no grid operator limits it")
        return self._eebus

    async def Get(self, request: pb.GetEebusRequest, context: Context) -> pb.EebusState:  # noqa: D102, N802
        del request
        return await self._edge.answer(context, self._get())

    async def _get(self) -> pb.EebusState:
        return to_state(self._there().view())

    async def Watch(self, request: pb.WatchEebusRequest, context: Context) -> None:  # noqa: D102, N802
        del request
        await self._edge.stream(context, self._watch(context))

    async def _watch(self, context: Context) -> None:
        async with closing(self._there().watch()) as views:
            async for view in views:
                await context.write(to_state(view))

    async def History(self, request: pb.EebusHistoryRequest, context: Context) -> pb.EebusHistoryResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._history(request))

    async def _history(self, request: pb.EebusHistoryRequest) -> pb.EebusHistoryResponse:
        return pb.EebusHistoryResponse(publications=[_publication(each) for each in self._there().history(request.limit)])

    async def Schedule(self, request: pb.EebusScheduleRequest, context: Context) -> pb.EebusScheduleResponse:  # noqa: D102, N802
        del request
        return await self._edge.answer(context, self._schedule())

    async def _schedule(self) -> pb.EebusScheduleResponse:
        lpc = self._there().lpc
        if lpc is None:
            raise UnsupportedError(self._there().view().fault)
        view = lpc.view()
        found = external_limits(lpc.use_case, view.limit_w, view.time_left_s, view.at_utc_s)
        return pb.EebusScheduleResponse(json=json.dumps(found))


def to_state(view: View) -> pb.EebusState:
    """Return what is seen as it is sent."""
    message = pb.EebusState(
        fault=view.fault,
        state=view.state or "",
        profile=view.profile,
        use_case=view.use_case,
        battery=view.battery,
        direction=view.direction,
        limit_w=view.limit_w,
        limit_until=view.limit_until_utc_s,
        time_left_s=view.time_left_s,
        heartbeat_age_s=view.heartbeat_age_s,
        bound_ski=view.bound_ski,
        failsafe_limit_w=view.failsafe_limit_w,
        failsafe_duration_s=view.failsafe_duration_s,
        connected=view.connected,
        connection=view.connection,
        service=view.service,
        counters=view.counters,
        at=view.at_utc_s,
    )
    if view.statement is not None:
        message.statement = view.statement.value  # type: ignore[assignment]  # the numbers are the API's
    if (last := view.last) is not None:
        message.last_transition.CopyFrom(
            pb.EebusTransition(at=last.at_utc_s, from_state=last.before, to_state=last.after, reason=last.reason)
        )
    if (restored := view.restored) is not None:
        message.restored.CopyFrom(pb.EebusRestored(limit_w=restored.limit_w, until=restored.until_utc_s))
    return message


def _publication(published: Published) -> pb.EebusPublication:
    return pb.EebusPublication(
        number=published.number,
        at=published.at_utc_s,
        state=published.state,
        limit_w=published.limit_w,
        until=published.until_utc_s,
        reason=published.reason,
    )
