"""`fleet discover` and `fleet adopt`: nodes that announce themselves, and what their certificates say."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    del app
