"""`limits eebus`: the grid operator's limit, the machine behind it, and everything it published."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import grpc
import typer

from clients.bosctl.connection import Connection
from clients.bosctl.errors import from_rpc
from clients.bosctl.format_json import Document, rfc3339
from clients.bosctl.format_text import duration, moment
from clients.bosctl.session import Session, print_document, session_of

if TYPE_CHECKING:
    from rich.console import Console

    from bosd.v1 import eebus_pb2 as pb

CSV_COLUMNS = ("number", "at", "state", "limit_w", "until", "reason")
_STATEMENTS = {1: "no statement", 2: "unlimited", 3: "limited"}

app = typer.Typer(
    help="The limit a grid operator asks for over EEBUS: `bosctl limits eebus` shows it.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def show(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Go on with each change, and each second.")] = False,
) -> None:
    """Show the state of the machine, what it limits, and whom it hears."""
    if context.invoked_subcommand is not None:
        return
    from bosd.v1 import eebus_pb2 as pb  # noqa: PLC0415 (these commands only)

    session = session_of(context)
    with session.connect() as connection:
        if watch:
            _watch(session, connection)
            return
        state = connection.call(connection.eebus.Get, pb.GetEebusRequest(), doing="reading the limit")
    session.answer(state_document(state), lambda console: _draw(console, state))


def _watch(session: Session, connection: Connection) -> None:
    from bosd.v1 import eebus_pb2 as pb  # noqa: PLC0415 (these commands only)

    try:
        for state in connection.eebus.Watch(pb.WatchEebusRequest(), metadata=connection.metadata):
            if session.as_json:
                print(json.dumps(state_document(state), allow_nan=False), flush=True)
            else:
                print(line(state), flush=True)
    except grpc.RpcError as error:
        raise from_rpc(error, connection.target, 0.0) from None


@app.command("history")
def history(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="The newest so many; 0: all.")] = 0,
    csv_file: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write CSV to a file, or to - .")] = None,
) -> None:
    """List every limit that was published, oldest first, with its time: the proof of what was followed."""
    from bosd.v1 import eebus_pb2 as pb  # noqa: PLC0415 (these commands only)

    session = session_of(context)
    with session.connect() as connection:
        request = pb.EebusHistoryRequest(limit=limit)
        answer = connection.call(connection.eebus.History, request, long=True, doing="reading the history")
    documents = [publication_document(each) for each in answer.publications]
    if csv_file is not None:
        _export(session, csv_file, documents)
    else:
        session.answer(documents, lambda console: _draw_history(console, documents))


@app.command("schedule")
def schedule(context: typer.Context) -> None:
    """Print what is in force as a schedule of external limits, the JSON that energy managers take."""
    from bosd.v1 import eebus_pb2 as pb  # noqa: PLC0415 (these commands only)

    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.eebus.Schedule, pb.EebusScheduleRequest(), doing="reading the limit")
    print_document(json.loads(answer.json))


def state_document(state: "pb.EebusState") -> Document:
    """Return the machine as JSON shows it; null is unlimited, without end, or never."""
    last, restored = state.last_transition, state.restored
    return {
        "state": state.state or None,
        "profile": state.profile or None,
        "use_case": state.use_case or None,
        "battery": state.battery or None,
        "direction": state.direction or None,
        "statement": _STATEMENTS.get(state.statement),
        "limit_w": state.limit_w if state.HasField("limit_w") else None,
        "limit_until": rfc3339(state.limit_until) if state.HasField("limit_until") else None,
        "time_left_s": state.time_left_s if state.HasField("time_left_s") else None,
        "heartbeat_age_s": state.heartbeat_age_s if state.HasField("heartbeat_age_s") else None,
        "bound_ski": state.bound_ski or None,
        "failsafe_limit_w": None if state.fault else state.failsafe_limit_w,
        "failsafe_duration_s": None if state.fault else state.failsafe_duration_s,
        "connected": state.connected,
        "connection": state.connection or None,
        "service": state.service or None,
        "last_transition": {
            "at": rfc3339(last.at),
            "from": last.from_state,
            "to": last.to_state,
            "reason": last.reason,
        }
        if state.HasField("last_transition")
        else None,
        "restored": {"limit_w": restored.limit_w, "until": rfc3339(restored.until)} if state.HasField("restored") else None,
        "counters": dict(sorted(state.counters.items())),
        "fault": state.fault or None,
        "at": rfc3339(state.at),
    }


def publication_document(published: "pb.EebusPublication") -> Document:
    """Return one published limit."""
    return {
        "number": published.number,
        "at": rfc3339(published.at),
        "state": published.state,
        "limit_w": published.limit_w if published.HasField("limit_w") else None,
        "until": rfc3339(published.until) if published.HasField("until") else None,
        "reason": published.reason,
    }


def amount(state: "pb.EebusState") -> str:
    """Return what is in force in words."""
    if not state.HasField("limit_w"):
        return "unlimited"
    left = f", for another {duration(state.time_left_s)}" if state.HasField("time_left_s") else ""
    return f"{state.limit_w:g} W{left}"


def line(state: "pb.EebusState") -> str:
    """Return the machine as one line."""
    if state.fault:
        return f"not running: {' '.join(state.fault.split())}"
    heard = f"heartbeat {duration(state.heartbeat_age_s)} ago" if state.HasField("heartbeat_age_s") else "no heartbeat"
    linked = "connected" if state.connected else f"not connected: {state.connection}"
    return f"{moment(state.at)}  {state.state}  {amount(state)}  {heard}  {linked}"


def _draw(console: "Console", state: "pb.EebusState") -> None:
    if state.fault:
        console.print(f"the [eebus] section is not used: {state.fault}", style="bold red", markup=False, soft_wrap=True)
        return
    last = state.last_transition
    rows = [
        ("battery", f"{state.battery}, {state.direction}"),
        ("state", f"{state.state}, profile {state.profile}"),
        ("limit", amount(state)),
        ("the operator's box", _STATEMENTS.get(state.statement, "?")),
        ("heartbeat", f"{duration(state.heartbeat_age_s)} ago" if state.HasField("heartbeat_age_s") else "none heard"),
        ("bound to", state.bound_ski or "nobody"),
        ("failsafe", f"{state.failsafe_limit_w:g} W for {state.failsafe_duration_s:g} s"),
        ("service", "connected" if state.connected else f"not connected: {state.connection}"),
    ]
    if state.service:
        rows.append(("binary", state.service))
    if state.HasField("last_transition"):
        rows.append(("last change", f"{moment(last.at)} {last.from_state} -> {last.to_state}: {last.reason}"))
    if state.HasField("restored"):
        rows.append(("restored", f"{state.restored.limit_w:g} W of an earlier run, until {moment(state.restored.until)}"))
    rows.append(("counters", ", ".join(f"{name} {number}" for name, number in sorted(state.counters.items()) if number) or "-"))
    for name, value in rows:
        console.print(f"{name:<20}{value}", markup=False, highlight=False, soft_wrap=True)


def _draw_history(console: "Console", documents: Sequence[Document]) -> None:
    if not documents:
        console.print("nothing was published")
        return
    from rich.table import Table  # noqa: PLC0415 (a person's view only)

    table = Table(box=None, pad_edge=False)
    for title in ("when", "state", "W", "until", "why"):
        table.add_column(title, justify="right" if title == "W" else "left")
    for each in documents:
        watts = "unlimited" if each["limit_w"] is None else f"{each['limit_w']:g}"
        table.add_row(each["at"], each["state"], watts, each["until"] or "-", each["reason"])
    console.print(table, markup=False)


def _export(session: Session, target: str, documents: Sequence[Document]) -> None:
    if target == "-":
        _write(csv.DictWriter(sys.stdout, CSV_COLUMNS, lineterminator="\n"), documents)
        return
    try:
        with Path(target).open("w", newline="", encoding="utf-8") as file:
            _write(csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n"), documents)
    except OSError as error:
        raise typer.BadParameter(f"{target}: cannot be written: {error.strerror}", param_hint="--csv") from None
    document = {"file": target, "publications": len(documents)}
    session.answer(document, lambda console: console.print(f"{target}: {len(documents)} limits", markup=False))


def _write(writer: "csv.DictWriter[str]", documents: Sequence[Document]) -> None:
    writer.writeheader()
    writer.writerows(documents)
