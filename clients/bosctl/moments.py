"""Times as people type them: RFC 3339 with an offset, or relative to when the node hears of it."""

import re
from dataclasses import dataclass
from datetime import datetime

import typer

from clients.bosctl.values import parse_duration_s

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """An instant in seconds since 1970-01-01 UTC, or, without one, `in_s` seconds from when the node hears of it."""

    utc_s: float | None = None
    in_s: float = 0.0


def parse_when(text: str) -> When:
    """Read `now`, `+10m` or `2026-01-31T12:00:00+01:00`. Raises typer.BadParameter."""
    if text == "now" or re.fullmatch(r"\+0+(\.0*)?\s*[a-z]*", text):
        return When()
    if text.startswith("+"):
        return When(in_s=parse_duration_s(text[1:]))
    found = _RFC3339.fullmatch(text)
    try:
        moment = datetime.fromisoformat(text.upper()) if found else None
    except ValueError:
        moment = None
    if found is None or moment is None:
        raise typer.BadParameter(f"{text!r} is no time. Write now, +10m, or RFC 3339 as 2026-01-31T12:00:00Z.")
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no offset: add Z for UTC, or one like +01:00.")
    return When(utc_s=moment.timestamp())
