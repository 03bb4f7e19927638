"""LimitService: convert, ask the limit book, convert."""

from collections.abc import Sequence

from bosd.bal.cap import at_most_told
from bosd.bal.schedule import Moment
from bosd.errors import InvalidArgumentError, NotAllowedError
from bosd.limits.service import Limits, LimitView
from bosd.limits.sources import RESTORED
from bosd.rpc.edge import Context, Edge, closing, holder_of, need_finite, need_name, need_names, need_text, storable
from bosd.rpc.node_service import peer_of
from bosd.store.limits import CHARGE, DISCHARGE, Direction, Limit
from bosd.v1 import limits_pb2 as pb
from bosd.v1.limits_pb2_grpc import LimitServiceServicer

OPERATOR = "operator"
OWN_SOURCES = ("eebus", "node:")
"""Sources, by their beginning, that put their limits themselves."""
DEFAULT_EVENTS = 1000
MOST_EVENTS = 10_000
_DIRECTIONS: dict[pb.Direction, Direction] = {pb.DIRECTION_CHARGE: "charge", pb.DIRECTION_DISCHARGE: "discharge"}


class LimitService(LimitServiceServicer):
    """The limit book of one node."""

    def __init__(self, limits: Limits, edge: Edge) -> None:
        self._limits = limits
        self._edge = edge

    async def Put(self, request: pb.PutLimitRequest, context: Context) -> pb.PutLimitResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._put(request, context), ("limit", [request.battery]))

    async def _put(self, request: pb.PutLimitRequest, context: Context) -> pb.PutLimitResponse:
        source = request.source or OPERATOR
        if source.startswith(OWN_SOURCES):
            raise NotAllowedError(f"limits of {source} are put by {source} alone; name another source", source=source)
        if request.HasField("limit_w") is request.HasField("limit_a"):
            raise InvalidArgumentError("give one of limit_w and limit_a; to end a limit, remove it", field="limit_w")
        wanted = Limit(
            source=source,
            battery=need_name(request.battery, "battery"),
            direction=_direction(request.direction),
            limit_w=request.limit_w if request.HasField("limit_w") else None,
            limit_a=request.limit_a if request.HasField("limit_a") else None,
            identity=request.identity,
            priority=request.priority,
            who=holder_of(context),
            comment=need_text(request.comment, "comment"),
        )
        kept = await self._limits.book.put(wanted, begins=_moment(request, "from"), ends=_moment(request, "until"))
        return pb.PutLimitResponse(limit=message_of(self._limits.view_of(kept)))

    async def Remove(self, request: pb.RemoveLimitRequest, context: Context) -> pb.RemoveLimitResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._remove(request, context), ("unlimit", [request.battery]))

    async def _remove(self, request: pb.RemoveLimitRequest, context: Context) -> pb.RemoveLimitResponse:
        source = request.source or OPERATOR
        removed = await self._limits.remove(
            source,
            need_name(request.battery, "battery"),
            _direction(request.direction) if request.direction else None,
            identity=request.identity,
            who=holder_of(context),
            comment=need_text(request.comment, "comment"),
        )
        return pb.RemoveLimitResponse(removed=[message_of(self._limits.view_of(limit)) for limit in removed])

    async def List(self, request: pb.ListLimitsRequest, context: Context) -> pb.ListLimitsResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._list(request))

    async def _list(self, request: pb.ListLimitsRequest) -> pb.ListLimitsResponse:
        names = need_names(list(request.names))
        limited = {standing.limit.battery for standing in self._limits.book.standing()}
        for name in names:
            if name not in limited:
                self._limits.book.directory[name]  # a name that nobody has is no battery without limits
        return self._listed(names)

    def _listed(self, names: Sequence[str]) -> pb.ListLimitsResponse:
        views = self._limits.views()
        return pb.ListLimitsResponse(
            limits=[message_of(view) for view in views if not names or view.standing.limit.battery in names]
        )

    async def History(self, request: pb.LimitHistoryRequest, context: Context) -> pb.LimitHistoryResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._history(request))

    async def _history(self, request: pb.LimitHistoryRequest) -> pb.LimitHistoryResponse:
        if request.limit > MOST_EVENTS:
            raise InvalidArgumentError(f"limit is {request.limit}: at most {MOST_EVENTS} events", field="limit")
        most = request.limit or DEFAULT_EVENTS
        events = await self._limits.book.history(most, battery=request.battery, source=request.source)
        return pb.LimitHistoryResponse(
            events=[pb.LimitEvent(at=each.at_utc_s, event=each.event, limit=_kept(each.limit)) for each in events]
        )

    async def Watch(self, request: pb.ListLimitsRequest, context: Context) -> None:  # noqa: D102, N802
        await self._edge.stream(context, self._watch(request, context))

    async def _watch(self, request: pb.ListLimitsRequest, context: Context) -> None:
        names = need_names(list(request.names))
        async with closing(self._limits.book.watch()) as changes:
            async for _standing in changes:
                await context.write(self._listed(names))

    async def Grant(self, request: pb.GrantRequest, context: Context) -> pb.GrantResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._grant(request, context), ("grant", [request.battery]))

    async def _grant(self, request: pb.GrantRequest, context: Context) -> pb.GrantResponse:
        peer = peer_of(context)
        if not request.revision:
            raise InvalidArgumentError("revision is 0: a grant has one above 0", field="revision")
        if storable(request.revision) != request.revision:
            raise InvalidArgumentError(f"revision is {request.revision}: at most {storable(request.revision)}", field="revision")
        await self._limits.book.put(
            Limit(
                source=peer,
                battery=need_name(request.battery, "battery"),
                direction=_direction(request.direction),
                limit_w=at_most_told(request.limit_w) if request.HasField("limit_w") else None,
                limit_a=at_most_told(request.limit_a) if request.HasField("limit_a") else None,
                who=peer,
                revision=request.revision,
            )
        )
        return pb.GrantResponse()


def _direction(direction: pb.Direction) -> Direction:
    if direction not in _DIRECTIONS:
        raise InvalidArgumentError("direction is missing: charge or discharge", field="direction")
    return _DIRECTIONS[direction]


def _moment(request: pb.PutLimitRequest, field: str) -> Moment | None:
    """Return one of the two times of a request, absolute or relative; None where it is not set."""
    if request.HasField(f"{field}_in_s"):
        return Moment(in_s=need_finite(getattr(request, f"{field}_in_s"), f"{field}_in_s"))
    if request.HasField(field):
        return Moment(utc_s=need_finite(getattr(request, field), field))
    return None


def _kept(limit: Limit) -> pb.Limit:
    """Return a limit as it was put."""
    message = pb.Limit(
        source=limit.source,
        battery=limit.battery,
        direction={CHARGE: pb.DIRECTION_CHARGE, DISCHARGE: pb.DIRECTION_DISCHARGE}[limit.direction],
        limit_w=limit.limit_w,
        limit_a=limit.limit_a,
        identity=limit.identity,
        priority=limit.priority,
        until=limit.until_utc_s,
        who=limit.who,
        comment=limit.comment,
        put_at=limit.put_utc_s,
        in_amperes=limit.limit_a is not None,
    )
    if limit.from_utc_s is not None:
        setattr(message, "from", limit.from_utc_s)  # a word of Python's
    return message


def message_of(view: LimitView) -> pb.Limit:
    """Return a limit as it stands."""
    message = _kept(view.standing.limit)
    message.in_force = view.standing.in_force
    message.restored = view.standing.restored or view.standing.limit.identity == RESTORED
    message.enforceable, message.provable, message.reason = view.enforceable, view.provable, view.reason
    if view.limit_a is not None and not message.in_amperes:
        message.limit_a = view.limit_a
    if view.applied_a is not None:
        message.applied_current_a = view.applied_a
    if view.bound_s is not None:
        message.bound_s = view.bound_s
    return message
