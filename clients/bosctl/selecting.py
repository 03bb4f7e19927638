"""Which nodes a fleet command is for: `--selector KEY=PATTERN`, patterns as in file names, all of them to be met."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import typer

from clients.bosctl.values import suggest

Row = Mapping[str, Any]
"""A node as `fleet ls --json` shows it."""


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _truth(value: object) -> str:
    return "yes" if value else "no"


_KEYS: Mapping[str, Callable[[Row], str]] = {
    "name": lambda row: _text(row["node"]),
    "state": lambda row: _text(row["state"]),
    "status": lambda row: _text(row["status"]),
    "target": lambda row: _text(row["target"]),
    "version": lambda row: _text(row["version"]),
    "required": lambda row: _truth(row["required"]),
    "drift": lambda row: _truth(row["drift"]),
    "errors": lambda row: _truth(row["errors"]),
    "trusted": lambda row: _truth(row["clock_trusted"]),
}
KEYS = tuple(_KEYS)
_COLUMNS = {"link": "state", "node": "name"}
"""Headings of `fleet ls` that are called otherwise as keys."""


@dataclass(frozen=True, slots=True)
class Selector:
    """One condition; `met` says whether a row meets it."""

    key: str
    pattern: str
    negated: bool = False

    def met(self, row: Row) -> bool:
        """Tell whether a node meets it."""
        return fnmatchcase(_KEYS[self.key](row), self.pattern) is not self.negated


def parse_selector(text: str) -> Selector:
    """Read `state=lost`, `name=hut*` or `version!=0.2.*`. Raises typer.BadParameter, naming the keys there are."""
    key, equals, pattern = text.partition("=")
    negated = key.endswith("!")
    key = key.removesuffix("!")
    if not equals or not pattern:
        raise typer.BadParameter(f"{text!r} is no selector. Write KEY=PATTERN or KEY!=PATTERN, such as state=lost or name=hut*.")
    key = _COLUMNS.get(key, key)
    if key not in _KEYS:
        raise typer.BadParameter(f"unknown key {key!r} in {text!r}. {suggest(key, KEYS)}")
    return Selector(key, pattern, negated)


def select(rows: Sequence[Row], selectors: Sequence[Selector]) -> list[Row]:
    """Return the rows that meet all of them."""
    return [row for row in rows if all(each.met(row) for each in selectors)]
