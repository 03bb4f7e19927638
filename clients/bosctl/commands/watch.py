"""`watch`: a live table on a terminal, one status a line elsewhere, until interrupted."""

import json
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Annotated, Self

import typer

from bosd.clock import SystemClock
from bosd.v1 import battery_pb2 as pb
from clients.bosctl.commands.names import OptionalNames
from clients.bosctl.connection import DEFAULT_TIMEOUT_S
from clients.bosctl.errors import ExitStatus, Failure, is_passing
from clients.bosctl.feed import Feed
from clients.bosctl.format_json import status_document
from clients.bosctl.format_text import duration, line
from clients.bosctl.session import Session, session_of
from clients.bosctl.values import parse_duration_s
from clients.bosctl.watching import Heard, Lost, Picture, aged_status

TICK_S = 0.5
LOST_LINE_S = 1.0
LIVE_INTERVAL_S = 0.25


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("watch")(watch)


def watch(
    context: typer.Context,
    names: OptionalNames = None,
    interval: Annotated[
        float | None, typer.Option(metavar="TIME", parser=parse_duration_s, help="At most one message in this time.")
    ] = None,
) -> None:
    """Follow batteries until interrupted, through every loss of the connection."""
    session = session_of(context)
    live = sys.stdout.isatty() and not session.as_json
    feed = Feed(session.connect, names or [], interval or (LIVE_INTERVAL_S if live else 0.0))
    view: LiveView | LineView = LiveView(session.target) if live else LineView(session)
    with view:
        feed.start()
        try:
            _follow(feed, view, session.timeout_s or DEFAULT_TIMEOUT_S)
        finally:
            feed.close()


def _follow(feed: Feed, view: "LiveView | LineView", patience_s: float) -> None:
    """Show what comes, for ever. Raises Failure: a refusal, or a node that was never reached."""
    clock = SystemClock()
    picture = Picture()
    began_s = tried_s = clock.now_s()
    while True:
        item = feed.get(TICK_S)
        now_s = clock.now_s()
        if isinstance(item, Heard):
            picture.hear(item)
            view.heard(item, picture, now_s)
            continue
        if isinstance(item, Lost):
            if picture.heard_s is None or not is_passing(item.failure):
                raise item.failure
            tried_s = now_s
            picture.lose(item.failure, now_s)
        elif picture.heard_s is None and now_s - began_s > patience_s:
            raise _silent(patience_s)
        elif picture.silent_too_long(now_s):
            picture.lose(_silent(now_s - (picture.heard_s or now_s)), now_s)
            tried_s = now_s
            feed.drop()
        elif picture.lost_s is not None and now_s - tried_s > patience_s:
            tried_s = now_s
            feed.drop()
        view.waited(picture, now_s)


def _silent(for_s: float) -> Failure:
    return Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", f"no word from the node for {duration(for_s)}")


class LineView(AbstractContextManager["LineView"]):
    """One status a line on stdout, each flushed; what happens to the connection goes to stderr."""

    def __init__(self, session: Session) -> None:
        self._as_json = session.as_json
        self._target = session.target
        self._clock = SystemClock()
        self._lost_s: float | None = None
        self._told_s = 0.0

    def __exit__(self, *_exc: object) -> None:
        """Leave nothing behind."""

    def heard(self, heard: Heard, _picture: Picture, now_s: float) -> None:
        """Print what the message brought."""
        if self._lost_s is not None:
            _note(f"{self._target} is back after {duration(now_s - self._lost_s)}")
            self._lost_s = None
        self._print(aged_status(known, now_s) for known in heard.batteries.values())
        for name in heard.removed:
            _note(f"{name} is gone from the topology")

    def waited(self, picture: Picture, now_s: float) -> None:
        """While the node is lost, print every battery once a second as it must now be judged."""
        if picture.lost_s is None:
            return
        if self._lost_s is None:
            self._lost_s = picture.lost_s
            _note(f"connection lost: {picture.failure.message if picture.failure else ''}; trying again")
        elif now_s - self._told_s < 0.9 * LOST_LINE_S:
            return
        self._told_s = now_s
        self._print(picture.statuses(now_s))

    def _print(self, statuses: Iterable[pb.BatteryStatus]) -> None:
        for status in statuses:
            if self._as_json:
                print(json.dumps(status_document(status), allow_nan=False), flush=True)
            else:
                print(line(status, at_utc_s=self._clock.utc_s()), flush=True)


class LiveView(AbstractContextManager["LiveView"]):
    """A table that redraws itself in place."""

    def __init__(self, target: str) -> None:
        from rich.live import Live  # noqa: PLC0415 (a terminal only)

        from clients.bosctl.console import stdout_console  # noqa: PLC0415

        self._target = target
        self._console = stdout_console()
        self._live = Live(console=self._console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._live.stop()

    def heard(self, _heard: Heard, picture: Picture, now_s: float) -> None:
        """Redraw."""
        self._draw(picture, now_s)

    def waited(self, picture: Picture, now_s: float) -> None:
        """Redraw with grown ages."""
        self._draw(picture, now_s)

    def _draw(self, picture: Picture, now_s: float) -> None:
        from rich.console import Group  # noqa: PLC0415 (a terminal only)
        from rich.text import Text  # noqa: PLC0415

        from clients.bosctl.tables import status_table  # noqa: PLC0415

        foot = Text(f"node {picture.node} at {self._target}, Ctrl-C ends", style="dim")
        if picture.lost_s is not None:
            cause = picture.failure.message if picture.failure else "no connection"
            foot = Text(f"node lost for {duration(now_s - picture.lost_s)} ({cause}), trying again", style="bold red")
        statuses = picture.statuses(now_s)
        self._live.update(
            Group(status_table(statuses, self._console.width, notes=picture.lost_s is None), "", foot), refresh=True
        )


def _note(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
