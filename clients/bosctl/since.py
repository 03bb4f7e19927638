"""Times of the past as people type them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import typer

from clients.bosctl.values import MINUS_SIGN, parse_duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """An instant in seconds since 1970-01-01 UTC, or seconds ago by the node's clock."""

    utc_s: float | None = None
    ago_s: float | None = None


def parse_since(text: str) -> Since:
    """Read `2h` or `-2h` (ago), `2026-11-21T10:00:00Z` or `2026-11-21`; without a zone it is UTC. Raises typer.BadParameter."""
    plain = text.strip().replace(MINUS_SIGN, "-")
    if re.match(r"\d{4}-", plain):
        try:
            moment = datetime.fromisoformat(plain)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is no time. Write 2026-11-21T10:00:00Z, or 2h for two hours ago.") from None
        return Since(utc_s=(moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    try:
        return Since(ago_s=parse_duration_s(plain.removeprefix("-")))
    except typer.BadParameter:
        raise typer.BadParameter(f"{text!r} is no time. Write 2h for two hours ago, or 2026-11-21T10:00:00Z.") from None
