"""Bookings of stubs: their owners' own, by the names they have here."""

from dataclasses import replace

from bosd.node.api import BookingView, BookResult

SEPARATOR = "/"


def view_at_stub(stub: str, view: BookingView) -> BookingView:
    """Return another node's booking by the names it has here: `STUB/ID` cancels it."""
    return replace(view, name=stub, booking_id=f"{stub}{SEPARATOR}{view.booking_id}")


def at_stub(stub: str, result: BookResult) -> BookResult:
    """Return another node's answer to a booking by the names it has here."""
    return replace(result, booking=view_at_stub(stub, result.booking))
