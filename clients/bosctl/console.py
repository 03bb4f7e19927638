"""Where people's output goes. Imports rich, so import this module only when something is drawn."""

import os
import sys

from rich.console import Console

PIPE_WIDTH = 160
"""Columns of a table that goes to a file or a pipe, where no terminal says how many there are."""


def stdout_console() -> Console:
    """Return the console of standard output; colours only on a terminal, none under NO_COLOR; names stay what they are."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=PIPE_WIDTH if piped else None, highlight=False, soft_wrap=False, emoji=False)


def stderr_console() -> Console:
    """Return the console of standard error."""
    return Console(stderr=True, highlight=False, emoji=False)
