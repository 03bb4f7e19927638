"""ClockService: convert, call the node, convert."""

from bosd.errors import InvalidArgumentError
from bosd.node.api import NodeApi, TimeView
from bosd.rpc.edge import Context, Edge, holder_of, need_finite
from bosd.v1 import clock_pb2 as pb
from bosd.v1.clock_pb2_grpc import ClockServiceServicer

_FOLLOW = {
    pb.CLOCK_MODE_UNSPECIFIED: None,
    pb.CLOCK_MODE_SYSTEM: True,
    pb.CLOCK_MODE_SIMULATED: False,
}
EARLIEST_UTC_S = -62_135_596_800.0
LATEST_UTC_S = 253_402_300_799.0
"""Years 1 to 9999, what RFC 3339 can write."""


class ClockService(ClockServiceServicer):
    """The clock of one node."""

    def __init__(self, node: NodeApi, edge: Edge) -> None:
        self._node = node
        self._edge = edge

    async def Get(self, request: pb.GetClockRequest, context: Context) -> pb.ClockState:  # noqa: D102, N802
        del request
        return await self._edge.answer(context, self._get())

    async def _get(self) -> pb.ClockState:
        return _state(self._node.time.view())

    async def Tick(self, request: pb.TickRequest, context: Context) -> pb.ClockState:  # noqa: D102, N802
        return await self._edge.answer(context, self._tick(request, context), ("tick", ()))

    async def _tick(self, request: pb.TickRequest, context: Context) -> pb.ClockState:
        duration_s = need_finite(request.duration_s, "duration_s")
        return _state(await self._node.time.tick(duration_s, holder=holder_of(context)))

    async def Set(self, request: pb.SetClockRequest, context: Context) -> pb.ClockState:  # noqa: D102, N802
        return await self._edge.answer(context, self._set(request, context), ("clock", ()))

    async def _set(self, request: pb.SetClockRequest, context: Context) -> pb.ClockState:
        if request.mode not in _FOLLOW:
            raise InvalidArgumentError(f"mode {request.mode} is none this node knows", field="mode")
        utc_s = need_finite(request.time, "time") if request.HasField("time") else None
        if utc_s is not None and not EARLIEST_UTC_S <= utc_s <= LATEST_UTC_S:
            raise InvalidArgumentError(f"time {utc_s:g} is outside the years 1 to 9999", field="time")
        rate = need_finite(request.rate, "rate") if request.HasField("rate") else None
        follow, holder = _FOLLOW[request.mode], holder_of(context)
        return _state(await self._node.time.adjust(follow=follow, utc_s=utc_s, rate=rate, holder=holder))


def _state(view: TimeView) -> pb.ClockState:
    mode = pb.CLOCK_MODE_SIMULATED if view.simulated else pb.CLOCK_MODE_SYSTEM
    return pb.ClockState(mode=mode, time=view.utc_s, monotonic_s=view.now_s, rate=view.rate, instants=view.instants)
