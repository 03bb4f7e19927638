"""`fleet discover` and `fleet adopt`: nodes that announce themselves, and stubs for the batteries of one of them."""

import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from bosd.v1 import fleet_pb2 as pb
from bosd.v1 import topology_pb2 as tpb
from clients.bosctl.adopting import chosen_of, plan_stubs
from clients.bosctl.commands.edit import Comment
from clients.bosctl.commands.topology_edit import plan_and_apply
from clients.bosctl.connection import Connection
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.fleet_rows import DONE
from clients.bosctl.selecting import KEYS, Row, parse_selector, select
from clients.bosctl.session import Session, session_of
from clients.bosctl.values import parse_address, parse_duration_s

if TYPE_CHECKING:
    from rich.console import Console

    from bosd.fleet.mdns import Found

BROWSE_S = 3.0
ANSWER_S = 4.0
_NO_KEYS = ("target", "required", "drift", "errors", "trusted")

Timeout = Annotated[
    float | None,
    typer.Option(
        "--for", metavar="TIME", parser=parse_duration_s, help="How long to listen for announcements; 3 s, if not told."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("discover")(discover)
    app.command("adopt")(adopt)


def discover(
    context: typer.Context,
    listen_s: Timeout = None,
    selector: Annotated[
        list[str] | None,
        typer.Option(
            "--selector",
            "-l",
            metavar="KEY=PATTERN",
            help=f"Only such nodes; keys: {', '.join(key for key in KEYS if key not in _NO_KEYS)}.",
        ),
    ] = None,
) -> None:
    """Listen for nodes on the local network, and knock: a node's certificate says who it is, its announcement does not."""
    from clients.bosctl.discovering import discovered  # noqa: PLC0415 (these commands only load zeroconf)

    session = session_of(context)
    selectors = [parse_selector(text) for text in selector or ()]
    found = _browse(listen_s or BROWSE_S)
    rows = select(discovered(session.trust, found, _known(session)), selectors)
    session.answer({"nodes": rows}, lambda console: _draw(console, rows))


def _known(session: Session) -> pb.ListPeersResponse | None:
    """Return what the target of this program knows; None where it does not say."""
    try:
        with session.connect() as connection:
            known: pb.ListPeersResponse = connection.call(
                connection.fleet.ListPeers, pb.ListPeersRequest(within_s=2.0), timeout_s=ANSWER_S
            )
    except Failure:
        return None
    return known


def _browse(for_s: float, until: str = "") -> "list[Found]":
    from clients.bosctl.discovering import browse  # noqa: PLC0415 (see discover)

    with _progress(for_s) as count:
        return browse(for_s, until=until, progress=count)


class _Count:
    """Shows how many were heard."""

    def __init__(self, for_s: float) -> None:
        from clients.bosctl.console import stderr_console  # noqa: PLC0415 (these commands only)

        self._for_s = for_s
        console = stderr_console()
        self._status = console.status(self._words(0)) if console.is_terminal else None

    def _words(self, count: int) -> str:
        return f"listening for {self._for_s:g} s … {count} nodes"

    def __call__(self, count: int) -> None:
        """Show that so many were heard."""
        if self._status is not None:
            self._status.update(self._words(count))

    @contextmanager
    def shown(self) -> "Iterator[_Count]":
        """Show it for the time of the block."""
        if self._status is None:
            yield self
        else:
            with self._status:
                yield self


@contextmanager
def _progress(for_s: float) -> Iterator[_Count]:
    with _Count(for_s).shown() as count:
        yield count


def _draw(console: "Console", rows: Sequence[Row]) -> None:
    from rich.table import Table  # noqa: PLC0415 (JSON needs no tables)
    from rich.text import Text  # noqa: PLC0415

    from clients.bosctl.format_text import UNKNOWN  # noqa: PLC0415

    if not rows:
        console.print("no node announced itself; multicast often ends at a switch, a VLAN or Wi-Fi: name addresses then")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("serial", "host", "address", "version", "api", "batteries", "certificate", "known"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        words = [row[key] for key in ("node", "host", "address", "version", "protocol", "batteries")]
        certificate = {True: Text("ours", style="green"), False: Text("not ours", style="bold red"), None: Text(UNKNOWN)}
        cells = [Text(UNKNOWN if word in (None, "") else str(word)) for word in words]
        table.add_row(*cells, certificate[row["verified"]], Text(row["known"] or UNKNOWN))
    console.print(table)
    for row in rows:
        if row["status"] != DONE:
            console.print(Text(f"{row['node']}: {row['message']}", style="yellow"), soft_wrap=True)


def adopt(
    context: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Its name, which is its serial.", show_default=False)],
    batteries: Annotated[
        list[str] | None,
        typer.Option("--battery", "-b", metavar="NAME", help="This battery of it; all that nothing rests on, if none is named."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="ADDR", parser=parse_address, help="Where it is; without it, what it announces.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking; needed with --json.")] = False,
    listen_s: Timeout = None,
    comment: Comment = "",
) -> None:
    """Make stubs of a node's batteries at the asked node: the plan is shown, and applied once you agree."""
    session = session_of(context)
    if not yes and (session.as_json or not sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked: give --yes, too.")
    at = address or _announced_at(session, node, listen_s or BROWSE_S)
    with session.connect() as connection:
        here = connection.call(connection.topology.Get, tpb.GetTopologyRequest())
    if here.node == node:
        message = f"{node} is the asked node itself; ask the one that is to have the stubs, with --target"
        raise Failure(ExitStatus.REFUSED, "BAD_NAME", message, {"name": node})
    with Connection(at, session.timeout_s, session.trust, node=node) as remote:
        there = remote.call(remote.topology.Get, tpb.GetTopologyRequest())
        granted = _granted(remote, f"node:{here.node}")
    if there.node != node:
        raise Failure(ExitStatus.REFUSED, "BAD_NAME", f"node {there.node!r} answers at {at}, not {node}", {"name": node})
    chosen = chosen_of(there, batteries or (), granted, f"node:{here.node}")
    stubs = plan_stubs(tomllib.loads(here.toml), [entry.name for entry in here.entries], there, chosen, address)
    edits = [tpb.TopologyEdit(add=stubs)] if stubs else []
    if not edits:
        session.answer(
            {"revision": here.revision, "planned": False, "changes": [], "warnings": []},
            lambda console: console.print(f"all of {node} that is free and granted has a stub already"),
        )
        return
    plan_and_apply(session, edits, here.revision, comment or f"adopted {node}", yes=yes)


def _granted(remote: Connection, holder: str) -> list[str] | None:
    """Return which of its batteries a node grants `holder`; None where it is reached without certificates, which asks none."""
    if remote.trust.is_plain(remote.target):
        return None
    request = tpb.GetTopologyRequest(granted_to=holder)
    return [entry.name for entry in remote.call(remote.topology.Get, request).entries]


def _announced_at(session: Session, node: str, for_s: float) -> str:
    """Return where a node is whose certificate is the right one. Raises Failure."""
    from clients.bosctl.discovering import probe  # noqa: PLC0415 (see discover)

    found = next((each for each in _browse(for_s, node) if each.said.serial == node), None)
    if found is None:
        message = f"{node} was not announced within {for_s:g} s; name where it is with --address"
        raise Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", message, {"name": node})
    probed = probe(session.trust, node, found.addresses)
    if probed.status != DONE:
        raise Failure(ExitStatus.UNREACHABLE, probed.status, f"{node}: {probed.message}", {"address": probed.address})
    return probed.address
