"""`topology`: the topology as a file."""

import re
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bosd.v1 import battery_pb2 as bpb
from bosd.v1 import topology_pb2 as pb
from clients.bosctl.commands import topology_edit
from clients.bosctl.commands.edit import Comment, File, Plan, Revision, read_toml, submit
from clients.bosctl.format_topology import change_summary, revision_document, topology_document
from clients.bosctl.session import session_of

if TYPE_CHECKING:
    from rich.console import Console


_NODE_TABLE = re.compile(r"^\s*\[\s*(node|store|hooks|security|fleet)\s*[].]", re.MULTILINE)


class Form(StrEnum):
    """How a picture is printed."""

    TEXT = "text"
    DOT = "dot"
    SVG = "svg"


app = typer.Typer(
    help="Show, export and change the topology as a whole.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("show")
def show(context: typer.Context) -> None:
    """Show what rests on what, and the revision."""
    session = session_of(context)
    with session.connect() as connection:
        topology = connection.call(connection.topology.Get, pb.GetTopologyRequest())
        statuses = connection.call(connection.batteries.ListStatuses, bpb.ListStatusesRequest()).statuses
    unallocated_ah = {status.name: status.unallocated_ah for status in statuses if status.HasField("unallocated_ah")}
    session.answer(topology_document(topology, unallocated_ah), lambda console: _draw_topology(console, topology, unallocated_ah))


@app.command("export")
def export(context: typer.Context) -> None:
    """Print the topology as TOML, ready for `apply`."""
    session = session_of(context)
    with session.connect() as connection:
        topology = connection.call(connection.topology.Get, pb.GetTopologyRequest())
    document = {"node": topology.node, "revision": topology.revision, "toml": topology.toml}
    session.answer(document, lambda _console: _write(topology.toml))


@app.command("plan")
def plan(context: typer.Context, file: File, revision: Revision = None) -> None:
    """Show what `apply` would change; change nothing."""
    submit(session_of(context), [_whole(context, file)], revision, plan=True)


@app.command("apply")
def apply(context: typer.Context, file: File, revision: Revision = None, comment: Comment = "") -> None:
    """Make the node look like the file, in one transaction: whole or not at all."""
    submit(session_of(context), [_whole(context, file)], revision, comment)


app.command("edit")(topology_edit.edit)


@app.command("graph")
def graph(
    context: typer.Context,
    form: Annotated[Form, typer.Option("--format", help="What to print.")] = Form.TEXT,
) -> None:
    """Draw what rests on what, with kinds, shares, currents and quality."""
    from clients.bosctl.graph.dot import dot_of  # noqa: PLC0415 (only where something is drawn)
    from clients.bosctl.graph.picture import picture_document, picture_of  # noqa: PLC0415
    from clients.bosctl.graph.svg import svg_of  # noqa: PLC0415
    from clients.bosctl.graph.text import text_of  # noqa: PLC0415

    session = session_of(context)
    with session.connect() as connection:
        topology = connection.call(connection.topology.Get, pb.GetTopologyRequest())
        statuses = connection.call(connection.batteries.ListStatuses, bpb.ListStatusesRequest()).statuses
    picture = picture_of(topology, {status.name: status for status in statuses})
    title = f"{topology.node}, revision {topology.revision}"

    def draw(console: "Console") -> None:
        if form is not Form.TEXT:
            _write(svg_of(picture, title) if form is Form.SVG else dot_of(picture, title))
            return
        text, columns = text_of(picture, unicode=console.encoding.startswith("utf"))
        if columns > console.width and console.is_terminal:
            console.print(f"{columns} columns are needed, {console.width} are there: widen the window, or use --format svg")
        _write(text)

    session.answer({"node": topology.node, "revision": topology.revision, **picture_document(picture)}, draw)


@app.command("rollback")
def rollback(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="REV", min=1, help="The revision to go back to.", show_default=False)],
    plan: Plan = False,
    revision: Revision = None,
    comment: Comment = "",
) -> None:
    """Make the topology that of an earlier revision, as a new one: whole or not at all."""
    session = session_of(context)
    with session.connect() as connection:
        earlier = connection.call(connection.topology.GetRevision, pb.GetRevisionRequest(revision=number))
    submit(session, [pb.TopologyEdit(whole=earlier.toml)], revision, comment or f"rollback to revision {number}", plan=plan)


@app.command("history")
def history(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many, newest first.")] = 20,
) -> None:
    """Show who changed the topology, when and why."""
    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.topology.History, pb.TopologyHistoryRequest(limit=limit))

    def draw(console: "Console") -> None:
        from rich.table import Table  # noqa: PLC0415 (JSON needs no tables)
        from rich.text import Text  # noqa: PLC0415

        from clients.bosctl.format_text import moment  # noqa: PLC0415

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("revision", justify="right")
        table.add_column("changed", no_wrap=True)
        for title in ("who", "changes", "comment"):
            table.add_column(title, overflow="fold")
        for entry in answer.revisions:
            cells = (moment(entry.changed_at), entry.who, change_summary(entry.changes), entry.comment)
            table.add_row(str(entry.revision), *(Text(cell) for cell in cells))
        console.print(table)

    session.answer([revision_document(entry) for entry in answer.revisions], draw)


def _whole(context: typer.Context, file: str) -> pb.TopologyEdit:
    """Return the edit that makes the topology that of a file; of a configuration file, say what else is in it."""
    text = read_toml(file)
    if (found := dict.fromkeys(_NODE_TABLE.findall(text))) and not session_of(context).as_json:
        tables = ", ".join(f"[{table}]" for table in found)
        print(f"note: {file}: only its topology counts here; {tables} is read when the daemon starts", file=sys.stderr)
    return pb.TopologyEdit(whole=text)


def _draw_topology(console: "Console", topology: pb.Topology, unallocated_ah: dict[str, float]) -> None:
    from rich.table import Table  # noqa: PLC0415 (JSON needs no tables)
    from rich.text import Text  # noqa: PLC0415

    from clients.bosctl.format_text import moment  # noqa: PLC0415
    from clients.bosctl.tree import ASCII_GUIDES, UNICODE_GUIDES, tree_lines  # noqa: PLC0415

    changed = f", changed {moment(topology.changed_at)}" if topology.changed_at else ""
    console.print(f"node {topology.node}, revision {topology.revision}{changed}\n", markup=False)
    if topology.parted:
        console.print(f"{topology.parted}\n", style="yellow", markup=False)
    entries = {entry.name: entry for entry in topology.entries}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("name", "kind", ""):
        table.add_column(title, no_wrap=title != "", overflow="ellipsis" if title else "fold")
    for line in tree_lines(topology.entries, UNICODE_GUIDES if console.encoding.startswith("utf") else ASCII_GUIDES):
        entry = entries[line.name]
        notes = [f"of {entry.splitter}"] if entry.splitter else []
        if entry.name in unallocated_ah:
            notes.append(f"{unallocated_ah[entry.name]:.2f} Ah unallocated")
        table.add_row(Text(line.label), entry.kind, Text(", ".join(notes)))
    console.print(table)


def _write(toml: str) -> None:
    sys.stdout.write(toml if toml.endswith("\n") or not toml else f"{toml}\n")
    sys.stdout.flush()
