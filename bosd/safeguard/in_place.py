"""`in_place.json` in the state directory: what null batteries stand in place of and say may still run, over restarts.

It is written with `removed.json` (removed.py). Where neither that nor `guard.json` names the device any more it means nothing.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path

import structlog

from bosd.bal.pseudo import InPlace
from bosd.pki.files import write_file

FILE = "in_place.json"

_log = structlog.get_logger("daemon")


def write_in_place(state_dir: Path, stand_ins: Iterable[InPlace]) -> None:
    """Write the file whole or not at all; without any there is none. Raises OSError."""
    path, rows = state_dir / FILE, [each._asdict() for each in stand_ins]
    if rows:
        write_file(path, (json.dumps(rows, indent=1) + "\n").encode(), 0o600)
    else:
        path.unlink(missing_ok=True)


def in_place_of(state_dir: Path) -> tuple[InPlace, ...]:
    """Return what the file says; one that is not understood is named in the log and says nothing."""
    path = state_dir / FILE
    try:
        return tuple(map(_entry, json.loads(path.read_bytes())))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        _log.error("in_place_not_understood", path=str(path), detail=str(error))
        return ()


def _entry(row: dict[str, object]) -> InPlace:
    current_a = row["may_run_a"]
    if not isinstance(current_a, int | float) or not math.isfinite(current_a):
        raise ValueError(f"{current_a!r:.80} is no current")
    return InPlace(str(row["name"]), str(row["place"]), float(current_a))
