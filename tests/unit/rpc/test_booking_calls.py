"""Bookings on the wire: relative times stay relative, and what comes back is what was sent."""

import math

import pytest

from bosd.bal.schedule import Moment
from bosd.errors import InvalidArgumentError
from bosd.node.api import BookingView, BookResult
from bosd.rpc.booking_calls import book_result, booking_message, booking_view, moments_of, schedule_request
from bosd.v1 import schedule_pb2 as pb

VIEW = BookingView(
    booking_id="s/7",
    name="b",
    current_a=-4.5,
    start_utc_s=1_800_000_000.25,
    end_utc_s=1_800_003_600.0,
    who="ann@desk",
    booked_utc_s=1_799_999_999.0,
    running=True,
    in_force=((1_800_000_000.25, 1_800_000_100.0), (1_800_000_200.0, 1_800_003_600.0)),
)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (Moment(), Moment(in_s=60.0)),
        (Moment(in_s=30.0), Moment(utc_s=1_800_000_000.0)),
        (Moment(utc_s=1_800_000_000.5), Moment(utc_s=1_800_000_001.5)),
    ],
)
def test_times_travel_as_they_were_asked_for(start: Moment, end: Moment) -> None:
    """Instants as instants, relative ones as seconds."""
    assert moments_of(schedule_request("b", 1.0, start, end, "r")) == (start, end)


def test_a_start_that_is_not_given_is_now() -> None:
    """An end is needed, a start is not."""
    assert moments_of(pb.ScheduleRequest(name="b", end_in_s=60.0)) == (Moment(), Moment(in_s=60.0))
    with pytest.raises(InvalidArgumentError, match="end is missing"):
        moments_of(pb.ScheduleRequest(name="b", start_in_s=60.0))


@pytest.mark.parametrize(
    "request_",
    [
        pb.ScheduleRequest(start_in_s=-1.0, end_in_s=60.0),
        pb.ScheduleRequest(start_at=math.nan, end_in_s=60.0),
        pb.ScheduleRequest(end_at=math.inf),
        pb.ScheduleRequest(end_in_s=math.inf),
    ],
)
def test_times_that_are_none(request_: pb.ScheduleRequest) -> None:
    """NaN, infinities and negative durations are refused at the edge."""
    with pytest.raises(InvalidArgumentError):
        moments_of(request_)


def test_a_booking_there_and_back() -> None:
    """Nothing is lost on the way."""
    assert booking_view(booking_message(VIEW)) == VIEW
    message = pb.ScheduleResponse(
        booking=booking_message(VIEW), survives="node far", lower_a=-30.0, upper_a=50.0, warnings=["mind it"]
    )
    assert book_result(message) == BookResult(
        booking=VIEW, survives="node far", lower_a=-30.0, upper_a=50.0, warnings=("mind it",)
    )
