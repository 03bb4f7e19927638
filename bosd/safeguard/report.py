"""`guard.json` in the state directory: what was made safe in the daemon's place, for people and for the next daemon."""

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bosd.safeguard.safe_action import Outcome

NAME = "guard.json"
_LARGEST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Who acted (`guard`, `safe`, or a `daemon` that left something), when (UTC), why, and what became of each device."""

    by: str
    why: str
    at_utc_s: float
    outcomes: Sequence[Outcome]

    @property
    def confirmed(self) -> bool:
        """Whether every device's safe action was read back."""
        return all(outcome.confirmed for outcome in self.outcomes)


def write_report(state_dir: Path, report: Report) -> str:
    """Write `guard.json` whole or not at all; return why it could not be written, nothing where it was."""
    document = {
        "at": datetime.fromtimestamp(report.at_utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "by": report.by,
        "why": report.why,
        "confirmed": report.confirmed,
        "devices": [asdict(outcome) for outcome in report.outcomes],
    }
    draft = state_dir / f".{NAME}.{os.getpid()}"
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(state_dir / NAME)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        return f"{state_dir / NAME}: {error.strerror}"
    return ""


def read_report(state_dir: Path) -> dict[str, Any] | None:
    """Return what `guard.json` says, None where there is none; one that cannot be read confirms nothing."""
    path = state_dir / NAME
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_LARGEST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return {"confirmed": False, "why": f"{path} cannot be read: {error}"}
    return document if isinstance(document, dict) else {"confirmed": False, "why": f"{path} holds no report"}


def forget_report(state_dir: Path) -> None:
    """Take `guard.json` away: a daemon made everything safe by itself since."""
    with contextlib.suppress(OSError):
        (state_dir / NAME).unlink(missing_ok=True)
