import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from rich.markup import render

from clients.bosctl.app import app, hoist_globals


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["status", "--json"], ["--json", "status"]),
        (["status", "b1", "--target", "h:1", "b2"], ["--target", "h:1", "status", "b1", "b2"]),
        (["ls", "--timeout=2s"], ["--timeout=2s", "ls"]),
        (["--json", "ls"], ["--json", "ls"]),
        (["status", "--", "--json"], ["status", "--", "--json"]),
        (["status", "--target"], ["--target", "status"]),
    ],
)
def test_global_options_may_follow_the_command(typed: list[str], expected: list[str]) -> None:
    """They are read first wherever they stand, but not behind `--`."""
    assert hoist_globals(typed) == expected


def test_reading_as_json_draws_nothing() -> None:
    """Start-up stays short: rich is imported only where something is drawn."""
    code = "import sys, clients.bosctl.app; sys.exit(sum(name == 'rich' or name.startswith('rich.') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _helps(command: Any) -> Iterator[str]:
    yield from filter(None, (command.help, *(getattr(each, "help", None) for each in command.params)))
    for each in getattr(command, "commands", {}).values():
        yield from _helps(each)


def test_no_help_loses_a_word_in_brackets() -> None:
    """What stands in brackets is markup to whoever prints it, and is not seen."""
    helps = list(_helps(typer.main.get_command(app)))
    assert len(helps) > 200
    assert [each for each in helps if render(each).plain != each] == []
