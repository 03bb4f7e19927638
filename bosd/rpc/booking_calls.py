"""The calls of BatteryService that book: convert, call the node, convert."""

from bosd.bal.schedule import Moment
from bosd.errors import InvalidArgumentError
from bosd.node.api import BookingView, BookResult, NodeApi
from bosd.rpc.edge import Context, Edge, holder_of, need_duration, need_finite, need_name, need_text
from bosd.v1 import schedule_pb2 as pb


class BookingCalls:
    """Schedule, ListSchedule and CancelSchedule."""

    _node: NodeApi
    _edge: Edge

    async def Schedule(self, request: pb.ScheduleRequest, context: Context) -> pb.ScheduleResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._schedule(request, context), ("book", [request.name]))

    async def _schedule(self, request: pb.ScheduleRequest, context: Context) -> pb.ScheduleResponse:
        start, end = moments_of(request)
        result = await self._node.book(
            need_name(request.name),
            need_finite(request.current_a, "current_a"),
            start,
            end,
            holder=holder_of(context),
            request_id=need_text(request.request_id, "request_id"),
        )
        return pb.ScheduleResponse(
            booking=booking_message(result.booking),
            survives=result.survives,
            lower_a=result.lower_a,
            upper_a=result.upper_a,
            warnings=result.warnings,
        )

    async def ListSchedule(self, request: pb.ListScheduleRequest, context: Context) -> pb.ListScheduleResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._list_schedule(request))

    async def _list_schedule(self, request: pb.ListScheduleRequest) -> pb.ListScheduleResponse:
        return pb.ListScheduleResponse(bookings=map(booking_message, await self._node.bookings(request.name)))

    async def CancelSchedule(self, request: pb.CancelScheduleRequest, context: Context) -> pb.Booking:  # noqa: D102, N802
        return await self._edge.answer(context, self._cancel_schedule(request, context), ("cancel", ()))

    async def _cancel_schedule(self, request: pb.CancelScheduleRequest, context: Context) -> pb.Booking:
        if not request.id:
            raise InvalidArgumentError("id is empty: name a booking", field="id")
        booking_id = need_text(request.id, "id")
        return booking_message(await self._node.cancel_booking(booking_id, holder=holder_of(context)))


def moments_of(request: pb.ScheduleRequest) -> tuple[Moment, Moment]:
    """Return start and end as they were asked for. Raises InvalidArgumentError for an end that is missing or nonsense."""
    match request.WhichOneof("start"):
        case "start_at":
            start = Moment(utc_s=need_finite(request.start_at, "start_at"))
        case "start_in_s":
            start = Moment(in_s=need_duration(request.start_in_s, "start_in_s"))
        case _:
            start = Moment()
    match request.WhichOneof("end"):
        case "end_at":
            end = Moment(utc_s=need_finite(request.end_at, "end_at"))
        case "end_in_s":
            end = Moment(in_s=need_duration(request.end_in_s, "end_in_s"))
        case _:
            raise InvalidArgumentError("the end is missing", field="end")
    return start, end


def schedule_request(name: str, current_a: float, start: Moment, end: Moment, request_id: str) -> pb.ScheduleRequest:
    """Return the request of a booking; relative times stay relative."""
    request = pb.ScheduleRequest(name=name, current_a=current_a, request_id=request_id)
    if start.utc_s is None:
        request.start_in_s = start.in_s
    else:
        request.start_at = start.utc_s
    if end.utc_s is None:
        request.end_in_s = end.in_s
    else:
        request.end_at = end.utc_s
    return request


def booking_message(view: BookingView) -> pb.Booking:
    """Return a booking as it travels."""
    return pb.Booking(
        id=view.booking_id,
        name=view.name,
        current_a=view.current_a,
        start_at=view.start_utc_s,
        end_at=view.end_utc_s,
        who=view.who,
        booked_at=view.booked_utc_s,
        running=view.running,
        in_force=[pb.Interval(start_at=start_s, end_at=end_s) for start_s, end_s in view.in_force],
    )


def booking_view(message: pb.Booking) -> BookingView:
    """Return a booking that another node told of."""
    return BookingView(
        booking_id=message.id,
        name=message.name,
        current_a=message.current_a,
        start_utc_s=message.start_at,
        end_utc_s=message.end_at,
        who=message.who,
        booked_utc_s=message.booked_at,
        running=message.running,
        in_force=tuple((each.start_at, each.end_at) for each in message.in_force),
    )


def book_result(message: pb.ScheduleResponse) -> BookResult:
    """Return what another node answered to a booking."""
    return BookResult(
        booking=booking_view(message.booking),
        survives=message.survives,
        lower_a=message.lower_a,
        upper_a=message.upper_a,
        warnings=tuple(message.warnings),
    )
