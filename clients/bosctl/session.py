"""What every command gets: the node to talk to, and how to answer."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from clients.bosctl.connection import Connection
from clients.bosctl.trust import Trust

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The global options of one invocation; `timeout_s` is None where none was given."""

    target: str
    as_json: bool
    timeout_s: float | None
    trust: Trust = field(default_factory=Trust)

    def connect(self) -> Connection:
        """Return a new connection to the target; nothing is sent yet."""
        return Connection(self.target, self.timeout_s, self.trust)

    def answer(self, document: object, draw: Callable[["Console"], None]) -> None:
        """Print the one document of this command, or draw it for a person."""
        if self.as_json:
            print_document(document)
        else:
            from clients.bosctl.console import stdout_console  # noqa: PLC0415 (JSON needs no tables)

            draw(stdout_console())


def session_of(context: typer.Context) -> Session:
    """Return the session that the global options made."""
    session = context.obj
    if not isinstance(session, Session):
        raise TypeError("the global options have not been read")
    return session


def print_document(document: object) -> None:
    """Print one JSON document: indented on a terminal, on one line elsewhere."""
    print(json.dumps(document, indent=2 if sys.stdout.isatty() else None, allow_nan=False), flush=True)
