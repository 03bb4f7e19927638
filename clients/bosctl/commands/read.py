"""Reading: `ls`, `status`, `refresh`."""

from typing import TYPE_CHECKING, Annotated

import typer

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.commands.names import Name, OptionalNames
from clients.bosctl.format_json import listing, status_document
from clients.bosctl.session import session_of
from clients.bosctl.values import parse_duration_s

if TYPE_CHECKING:
    from rich.console import Console


_LIMITS = "Limits are the range of currents that may be asked now: charging is negative, 0 is nothing."
_LS_RANKS = {"kind": 0, "voltage": 8, "power": 9}
"""In a tree the kind says more than the voltage."""


def register(app: typer.Typer) -> None:
    """Add the reading commands."""
    app.command("ls", epilog=_LIMITS)(list_batteries)
    app.command("status", epilog=_LIMITS)(show_status)
    app.command("refresh")(refresh)


def list_batteries(context: typer.Context) -> None:
    """Show the topology as a tree, with the state of every battery."""
    from bosd.v1 import topology_pb2 as tpb  # noqa: PLC0415 (this command only)

    session = session_of(context)
    with session.connect() as connection:
        topology = connection.call(connection.topology.Get, tpb.GetTopologyRequest())
        statuses = connection.call(connection.batteries.ListStatuses, pb.ListStatusesRequest()).statuses
    by_name = {status.name: status for status in statuses}
    entries = [entry for entry in topology.entries if entry.name in by_name]
    documents = [
        {
            **status_document(by_name[entry.name]),
            "sources": list(entry.sources),
            "users": list(entry.users),
            "splitter": entry.splitter or None,
        }
        for entry in entries
    ]

    def draw(console: "Console") -> None:
        from clients.bosctl.tables import status_table  # noqa: PLC0415 (JSON needs no tables)
        from clients.bosctl.tree import ASCII_GUIDES, UNICODE_GUIDES, tree_lines  # noqa: PLC0415

        counted = "1 battery" if len(entries) == 1 else f"{len(entries)} batteries"
        console.print(f"node {topology.node}, revision {topology.revision}, {counted}\n", highlight=False)
        lines = tree_lines(entries, UNICODE_GUIDES if console.encoding.startswith("utf") else ASCII_GUIDES)
        rows = [by_name[line.name] for line in lines]
        console.print(status_table(rows, console.width, labels=[line.label for line in lines], ranks=_LS_RANKS, notes=False))

    session.answer(documents, draw)


def show_status(
    context: typer.Context,
    names: OptionalNames = None,
    max_age: Annotated[
        float | None, typer.Option(metavar="TIME", parser=parse_duration_s, help="Take a fresh sample of what is older.")
    ] = None,
) -> None:
    """Show batteries: one as a card, several as a table."""
    session = session_of(context)
    with session.connect() as connection:
        request = pb.ListStatusesRequest(names=names or [], max_age_s=max_age)
        answer = connection.call(connection.batteries.ListStatuses, request, doing="taking samples")

    def draw(console: "Console") -> None:
        from clients.bosctl.card import status_card  # noqa: PLC0415 (JSON needs no tables)
        from clients.bosctl.tables import status_table  # noqa: PLC0415

        if len(names or ()) == 1 and len(answer.statuses) == 1:
            console.print(status_card(answer.statuses[0]))
        elif answer.statuses:
            console.print(status_table(answer.statuses, console.width))
        else:
            console.print("This node has no batteries yet: add some with `bosctl add FILE` or `bosctl topology apply FILE`.")

    session.answer(listing(answer.statuses), draw)


def refresh(
    context: typer.Context,
    name: Name,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Everything it rests on, across nodes.")] = False,
) -> None:
    """Take a fresh sample, and show it."""
    session = session_of(context)
    with session.connect() as connection:
        request = pb.RefreshRequest(name=name, recursive=recursive)
        doing = f"refreshing {name} and all below it" if recursive else f"refreshing {name}"
        status = connection.call(connection.batteries.Refresh, request, long=recursive, doing=doing)

    def draw(console: "Console") -> None:
        from clients.bosctl.card import status_card  # noqa: PLC0415

        console.print(status_card(status))

    session.answer(status_document(status), draw)
