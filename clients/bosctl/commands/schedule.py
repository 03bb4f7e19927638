"""`schedule`: currents booked for times to come."""

from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from bosd.v1 import schedule_pb2 as pb
from clients.bosctl.commands.names import Name, complete_names
from clients.bosctl.format_json import Document, number, rfc3339
from clients.bosctl.holding import new_request_id
from clients.bosctl.moments import When, parse_when
from clients.bosctl.session import session_of
from clients.bosctl.values import SetPoint, parse_setpoint

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Book currents for times to come; the node that owns the battery executes them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(parent: typer.Typer, numbers_allowed: type[TyperCommand]) -> None:
    """Add the commands; `add` takes negative numbers."""
    app.command("add", cls=numbers_allowed)(add)
    parent.add_typer(app, name="schedule")


def add(
    context: typer.Context,
    name: Name,
    amps: Annotated[
        SetPoint,
        typer.Argument(metavar="AMPS", parser=parse_setpoint, help="4 or 4A discharges, -2.5 charges.", show_default=False),
    ],
    end: Annotated[
        When,
        typer.Option(metavar="TIME", parser=parse_when, help="When it ends: +2h from now, or 2026-01-31T14:00:00Z."),
    ],
    start: Annotated[
        When, typer.Option(metavar="TIME", parser=parse_when, help="When it begins: now, +10m, or RFC 3339.")
    ] = "now",  # type: ignore[assignment]  # the parser reads the default too
) -> None:
    """Book a current. Where bookings of a battery overlap, the one booked last is in force."""
    if amps.current_a is None:
        raise typer.BadParameter("a booking is in amperes: the voltage of a time to come is not known.")
    session = session_of(context)
    request = pb.ScheduleRequest(name=name, current_a=amps.current_a, request_id=new_request_id())
    if start.utc_s is None:
        request.start_in_s = start.in_s
    else:
        request.start_at = start.utc_s
    if end.utc_s is None:
        request.end_in_s = end.in_s
    else:
        request.end_at = end.utc_s
    with session.connect() as connection:
        answer = connection.call(connection.batteries.Schedule, request, doing=f"booking {name}")
    session.answer(booked_document(answer), lambda console: _draw_booked(console, answer))


@app.command("ls")
def list_(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            autocompletion=complete_names,
            help="A battery (a stub's bookings come from its owner); all that this node owns when none is named.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """List bookings, with the times at which each is in force."""
    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.batteries.ListSchedule, pb.ListScheduleRequest(name=name))
    bookings = list(answer.bookings)
    session.answer([booking_document(each) for each in bookings], lambda console: _draw_list(console, bookings))


@app.command("cancel")
def cancel(
    context: typer.Context,
    booking: Annotated[str, typer.Argument(metavar="ID", help="As `schedule ls` shows it.", show_default=False)],
) -> None:
    """Cancel a booking, also while it runs."""
    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.batteries.CancelSchedule, pb.CancelScheduleRequest(id=booking))

    def draw(console: "Console") -> None:
        from clients.bosctl.format_text import signed  # noqa: PLC0415 (JSON needs no text)

        console.print(f"cancelled: {answer.id}, {answer.name} {signed(answer.current_a)} A {_times(answer)}", markup=False)

    session.answer(booking_document(answer), draw)


def booking_document(booking: pb.Booking) -> Document:
    """Return a booking; `in_force` holds the times that no later booking takes."""
    return {
        "id": booking.id,
        "name": booking.name,
        "current_a": number(booking.current_a),
        "start_at": rfc3339(booking.start_at),
        "end_at": rfc3339(booking.end_at),
        "who": booking.who,
        "booked_at": rfc3339(booking.booked_at),
        "running": booking.running,
        "in_force": [{"start_at": rfc3339(each.start_at), "end_at": rfc3339(each.end_at)} for each in booking.in_force],
    }


def booked_document(answer: pb.ScheduleResponse) -> Document:
    """Return the answer to a booking: it, who it survives with, and the limits it was checked against."""
    return {
        **booking_document(answer.booking),
        "survives": answer.survives,
        "checked_against": "ideal",
        "ideal_lower_a": number(answer.lower_a),
        "ideal_upper_a": number(answer.upper_a),
        "warnings": list(answer.warnings),
    }


def _times(booking: pb.Booking) -> str:
    from clients.bosctl.format_text import moment  # noqa: PLC0415 (JSON needs no text)

    return f"from {moment(booking.start_at)} to {moment(booking.end_at)}"


def _draw_booked(console: "Console", answer: pb.ScheduleResponse) -> None:
    from clients.bosctl.format_text import signed  # noqa: PLC0415 (JSON needs no text)

    booking = answer.booking
    console.print(f"{booking.name}: booked {signed(booking.current_a)} A {_times(booking)}, id {booking.id}", markup=False)
    console.print(f"  survives: {answer.survives}", markup=False)
    lower, upper = signed(answer.lower_a), signed(answer.upper_a)
    console.print(f"  checked against the ideal limits, {lower} to {upper} A; present ones clamp it when it runs", markup=False)
    for warning in answer.warnings:
        console.print(f"  {warning}", style="yellow", markup=False)


def _draw_list(console: "Console", bookings: list[pb.Booking]) -> None:
    from rich.table import Table  # noqa: PLC0415 (JSON needs no tables)
    from rich.text import Text  # noqa: PLC0415

    from clients.bosctl.format_text import moment, signed  # noqa: PLC0415

    if not bookings:
        console.print("nothing is booked")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("id", "battery", "A", "from", "to", "", "who"):
        table.add_column(title, justify="right" if title == "A" else "left", overflow="fold")
    for each in bookings:
        whole = [(part.start_at, part.end_at) for part in each.in_force] == [(each.start_at, each.end_at)]
        parts = ", ".join(f"{moment(part.start_at)[11:]} to {moment(part.end_at)[11:]}" for part in each.in_force)
        state = "running" if each.running else "" if whole else "covered" if not parts else f"in force {parts}"
        cells = (each.id, each.name, signed(each.current_a), moment(each.start_at), moment(each.end_at), state, each.who)
        table.add_row(*map(Text, cells))
    console.print(table)
