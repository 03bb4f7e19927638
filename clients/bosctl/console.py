"""Where people's output goes. Imports rich, so import this module only when something is drawn."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from clients.bosctl.printable import printable

KEPT = "\n\t"
PIPE_WIDTH = 160
"""Columns of a table that goes to a file or a pipe, where no terminal says how many there are."""


class PlainConsole(Console):
    """Writes out what a terminal would obey in the texts that it is given; styles are its own."""

    def render_str(self, text: str, **how: Any) -> Text:  # noqa: ANN401 (as the base says)
        """Return a text before it is measured, so that a column has room for what is written out."""
        return super().render_str(printable(text, keep=KEPT), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the pieces that are drawn."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text, keep=KEPT), style, control)


def stdout_console() -> Console:
    """Return the console of standard output; colours only on a terminal, none under NO_COLOR; names stay what they are."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return PlainConsole(width=PIPE_WIDTH if piped else None, highlight=False, soft_wrap=False, emoji=False)


def stderr_console() -> Console:
    """Return the console of standard error."""
    return PlainConsole(stderr=True, highlight=False, emoji=False)
