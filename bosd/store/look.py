"""A look at a store that no daemon has open, by the standard library alone: little is loaded, and nothing is written."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from bosd.errors import StoreError

_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The newest topology as TOML, and its revision."""

    revision: int
    toml: str


def look(database: Path) -> Look | None:
    """Return what a store holds, None where there is no store or no topology in it. Raises StoreError when it cannot be read."""
    if not database.exists():
        return None
    address = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_WAIT_S)) as connection:
            newest = "SELECT revision, toml FROM topology_revision ORDER BY revision DESC LIMIT 1"
            row = connection.execute(newest).fetchone()
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{database}: cannot be read: {error}", path=database) from error
    return None if row is None else Look(revision=int(row[0]), toml=str(row[1]))
