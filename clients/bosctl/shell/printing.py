"""What commands print: text for people, with `--json` one document a line; each line at once."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class Printer:
    """Writes to standard output; `note` to standard error, and only for people."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console: Console | None = None

    def document(self, document: object) -> None:
        """Print one JSON document on one line."""
        print(json.dumps(document, allow_nan=False), flush=True)

    def show(self, document: object, text: str) -> None:
        """Print a document, or its text for people."""
        if self.as_json:
            self.document(document)
        else:
            print(text, flush=True)

    def draw(self, document: object, draw: Callable[["Console"], None]) -> None:
        """Print a document, or draw it for people."""
        if self.as_json:
            self.document(document)
            return
        if self._console is None:
            from clients.bosctl.console import stdout_console  # noqa: PLC0415 (JSON needs no tables)

            self._console = stdout_console()
        draw(self._console)
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Tell a person something that is no answer."""
        if not self.as_json:
            print(text, file=sys.stderr, flush=True)
