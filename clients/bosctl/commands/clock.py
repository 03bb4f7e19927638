"""The node's clock: `tick` moves it on where it is simulated, `clock` shows it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from clients.bosctl.session import Session, session_of
from clients.bosctl.values import parse_duration_s

if TYPE_CHECKING:
    from rich.console import Console

    from bosd.v1 import clock_pb2 as pb


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("tick")(tick)
    app.command("clock")(clock)


def tick(
    context: typer.Context,
    duration: Annotated[
        float, typer.Argument(metavar="TIME", parser=parse_duration_s, help="How far, such as 30s, 8m or 2h.", show_default=False)
    ],
) -> None:
    """Move simulated time on; all that ends on the way ends at its own instant."""
    from bosd.v1 import clock_pb2 as pb  # noqa: PLC0415 (these commands only)

    session = session_of(context)
    with session.connect() as connection:
        state = connection.call(connection.clock.Tick, pb.TickRequest(duration_s=duration), long=True, doing="ticking")
    _answer(session, state)


def clock(
    context: typer.Context,
    rate: Annotated[
        float | None, typer.Option(min=0.0, help="Simulated seconds per second from now on; 0 stands still.", show_default=False)
    ] = None,
) -> None:
    """Show the node's clock; let a simulated one run."""
    from bosd.v1 import clock_pb2 as pb  # noqa: PLC0415 (these commands only)

    session = session_of(context)
    with session.connect() as connection:
        if rate is None:
            state = connection.call(connection.clock.Get, pb.GetClockRequest())
        else:
            state = connection.call(connection.clock.Set, pb.SetClockRequest(rate=rate))
    _answer(session, state)


def clock_document(state: "pb.ClockState") -> dict[str, Any]:
    """Return a clock's state as a document."""
    from bosd.v1 import clock_pb2 as pb  # noqa: PLC0415 (these commands only)
    from clients.bosctl.format_json import rfc3339  # noqa: PLC0415

    simulated = state.mode == pb.CLOCK_MODE_SIMULATED
    return {"time": rfc3339(state.time), "simulated": simulated, "rate": state.rate, "monotonic_s": state.monotonic_s}


def clock_line(state: "pb.ClockState") -> str:
    """Return a clock's state for people."""
    from bosd.v1 import clock_pb2 as pb  # noqa: PLC0415 (these commands only)
    from clients.bosctl.format_json import rfc3339  # noqa: PLC0415

    if state.mode != pb.CLOCK_MODE_SIMULATED:
        return f"{rfc3339(state.time)}, the machine's time"
    pace = "it stands still" if state.rate == 0.0 else f"{state.rate:g} s a second"
    return f"{rfc3339(state.time)}, simulated: {pace}"


def _answer(session: Session, state: "pb.ClockState") -> None:
    def draw(console: "Console") -> None:
        console.print(clock_line(state), markup=False)

    session.answer(clock_document(state), draw)
