"""`fleet`: the nodes that a node knows; each command says per node what became of it."""

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Self

import typer

from bosd.clock import SystemClock
from bosd.v1 import fleet_pb2 as pb
from clients.bosctl.commands import fleet_discover
from clients.bosctl.connection import Connection
from clients.bosctl.errors import ExitStatus, Failure, is_passing
from clients.bosctl.fleet_rows import DONE, NOT_ASKED, exit_status, rows, state_word
from clients.bosctl.selecting import KEYS, Row, Selector, parse_selector, select
from clients.bosctl.session import Session, session_of
from clients.bosctl.values import parse_duration_s

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

DEAD_S = 2.0
"""What a dead node may cost (and the node that is asked waits no longer for the others)."""
ANSWER_S = 2.0 * DEAD_S
PERIOD_S = 1.0
_AT_ONCE = 16

app = typer.Typer(help="Many nodes: how they stand, finding them, expecting them to be away.", no_args_is_help=True)
fleet_discover.register(app)

Selectors = Annotated[
    list[str] | None,
    typer.Option(
        "--selector", "-l", metavar="KEY=PATTERN", help=f"Only such nodes; keys: {', '.join(KEYS)}. More than one: all are met."
    ),
]
Nodes = Annotated[list[str] | None, typer.Argument(metavar="[NODE...]", help="Nodes, by name or target.", show_default=False)]


@app.command("ls")
def ls(
    context: typer.Context,
    selector: Selectors = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until interrupted.")] = False,
) -> None:
    """Show the nodes that the asked one knows: link, age, clock, version, certificate, batteries, errors, drift."""
    session, selectors = session_of(context), _selectors(selector)
    with session.connect() as connection:
        if watch:
            _watch(session, connection, selectors)
        answer = _list(connection)
        found = select(rows(answer), selectors)
        session.answer(_document(answer, found), lambda console: console.print(_view(answer, found, console)))
    _end(_failed(found))


def _list(connection: Connection) -> pb.ListPeersResponse:
    answer: pb.ListPeersResponse = connection.call(
        connection.fleet.ListPeers, pb.ListPeersRequest(within_s=DEAD_S), timeout_s=ANSWER_S, doing="asking all nodes"
    )
    return answer


def _document(answer: pb.ListPeersResponse, found: Sequence[Row]) -> dict[str, object]:
    return {"node": answer.own.node, "system_state": state_word(answer), "reason": answer.reason, "nodes": found}


def _view(answer: pb.ListPeersResponse, found: Sequence[Row], console: "Console") -> "RenderableType":
    from clients.bosctl.fleet_table import fleet_view  # noqa: PLC0415 (JSON needs no tables)

    return fleet_view(answer.own.node, state_word(answer), answer.reason, found, console.width)


def _failed(found: Sequence[Row]) -> list[str]:
    """Return the statuses that count: a node in maintenance is expected not to answer."""
    return [row["status"] for row in found if row["maintenance_s"] is None]


def _watch(session: Session, connection: Connection, selectors: Sequence[Selector]) -> NoReturn:
    """Show them for ever, through every loss of the asked node once it has answered."""
    live = sys.stdout.isatty() and not session.as_json
    with _Live() if live else _Lines(session) as view:
        reached = False
        while True:
            began_s = SystemClock().now_s()
            try:
                answer = _list(connection)
            except Failure as failure:
                if not reached or not is_passing(failure):
                    raise
                view.lost(failure)
            else:
                reached = True
                view.show(answer, select(rows(answer), selectors))
            _pause(began_s + PERIOD_S)


def _pause(until_s: float) -> None:
    import threading  # noqa: PLC0415 (a pause that a signal ends, without reading time elsewhere)

    threading.Event().wait(max(0.0, until_s - SystemClock().now_s()))


class _Lines:
    """One document a line with --json, one table after the other without a terminal."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def show(self, answer: pb.ListPeersResponse, found: Sequence[Row]) -> None:
        """Print what was answered."""
        if self._session.as_json:
            print(json.dumps(_document(answer, found), allow_nan=False), flush=True)
        else:
            self._session.answer(None, lambda console: console.print(_view(answer, found, console)))

    def lost(self, failure: Failure) -> None:
        """Say that the asked node is gone."""
        print(f"node lost: {failure.message}", file=sys.stderr, flush=True)


class _Live:
    """A table that stays in its place."""

    def __init__(self) -> None:
        from rich.live import Live  # noqa: PLC0415 (a terminal only)

        from clients.bosctl.console import stdout_console  # noqa: PLC0415

        self._live = Live(console=stdout_console(), auto_refresh=False)
        self._last: RenderableType = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._live.stop()

    def show(self, answer: pb.ListPeersResponse, found: Sequence[Row]) -> None:
        """Redraw."""
        self._last = _view(answer, found, self._live.console)
        self._live.update(self._last, refresh=True)

    def lost(self, failure: Failure) -> None:
        """Say above the last table that the asked node is gone."""
        from rich.console import Group  # noqa: PLC0415 (a terminal only)
        from rich.text import Text  # noqa: PLC0415

        self._live.update(Group(Text(f"node lost: {failure.message}", style="bold red"), self._last), refresh=True)


@app.command("assume-safe")
def assume_safe(context: typer.Context, nodes: Nodes = None, selector: Selectors = None) -> None:
    """Count no more what is not seen of a lost node, until contact: you say that its batteries do nothing."""

    def send(connection: Connection, node: str) -> Row:
        answer = connection.call(connection.fleet.AssumeSafe, pb.AssumeSafeRequest(node=node), timeout_s=ANSWER_S)
        counted_a = {each.name: each.counted_a for each in answer.batteries}
        words = [f"{name} counts no more, it was at {worst_a:+.2f} A" for name, worst_a in counted_a.items()]
        words += [f"granted no more: {grant}" for grant in answer.grants]
        words += [f"counted on no more: {limit}" for limit in answer.alone_limits]
        return {
            "node": answer.node,
            "counted_a": counted_a,
            "grants": list(answer.grants),
            "alone_limits": list(answer.alone_limits),
            "hint": answer.hint,
            "message": "; ".join([*(words or ["nothing of it was counted"]), *filter(None, [answer.hint])]),
        }

    _for_each(context, nodes, selector, send)


@app.command("maintenance")
def maintenance(
    context: typer.Context,
    nodes: Nodes = None,
    for_s: Annotated[
        float | None,
        typer.Option("--for", metavar="TIME", parser=parse_duration_s, help="How long, such as 2h; a week at most."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit and for who looks.")] = "",
    end: Annotated[bool, typer.Option("--end", help="Expect it again.")] = False,
    selector: Selectors = None,
) -> None:
    """Expect a node to be away for a time: its link shows expected_down, and no LINK_LOST is raised."""
    if end is (for_s is not None):
        raise typer.BadParameter("give one of --for TIME and --end.")

    def send(connection: Connection, node: str) -> Row:
        request = pb.MaintenanceRequest(node=node, for_s=for_s or 0.0, reason=reason)
        answer = connection.call(connection.fleet.Maintenance, request, timeout_s=ANSWER_S)
        message = f"may be away for {answer.for_s:g} s" if answer.for_s else "is expected again"
        if end and not answer.was_expected:
            message = "was not in maintenance"
        return {"node": answer.node, "for_s": answer.for_s, "was_expected": answer.was_expected, "message": message}

    _for_each(context, nodes, selector, send)


def _for_each(
    context: typer.Context, nodes: list[str] | None, selector: list[str] | None, send: Callable[[Connection, str], Row]
) -> None:
    """Do something for each node that is named or selected, at the same time; print a status for each.

    Where the selectors choose none nothing is done: refused.
    """
    session, selectors = session_of(context), _selectors(selector)
    if not nodes and not selectors:
        raise typer.BadParameter("name nodes, or choose them with --selector.")
    with session.connect() as connection:
        wanted = list(dict.fromkeys(nodes or ()))
        if selectors:
            others = [row for row in rows(_list(connection)) if row["state"] != "local"]
            chosen = [str(row["node"] or row["target"]) for row in select(others, selectors)]
            wanted = [each for each in dict.fromkeys(chosen) if not wanted or each in wanted]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(partial(_status, connection, send), wanted))
    session.answer({"nodes": found}, lambda console: _draw(console, found))
    if not found:
        raise typer.Exit(int(ExitStatus.REFUSED))
    _end([row["status"] for row in found])


def _status(connection: Connection, send: Callable[[Connection, str], Row], node: str) -> Row:
    try:
        return {"status": DONE, **send(connection, node)}
    except Failure as failure:
        return {"status": failure.reason, "node": node, "message": failure.message}


def _draw(console: "Console", found: Sequence[Row]) -> None:
    if not found:
        console.print("no such node: nothing was done; `bosctl fleet ls` shows those that are known", markup=False)
    for row in found:
        word = "" if row["status"] == DONE else f"{row['status']}: "
        style = "" if row["status"] == DONE else "bold red"
        console.print(f"{row['node']}: {word}{row['message']}", style=style, markup=False, soft_wrap=True)


def _selectors(texts: list[str] | None) -> list[Selector]:
    return [parse_selector(text) for text in texts or ()]


def _end(statuses: Sequence[Any]) -> None:
    status = exit_status(each for each in statuses if each != NOT_ASKED)
    if status is not ExitStatus.DONE:
        raise typer.Exit(int(status))
