"""What a daemon makes of the `guard.json` of an earlier run: it says what was done, and goes on with what was not."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from bosd.bal.spec import PhysicalSpec
from bosd.errors import BosError
from bosd.safeguard.report import LEFT, NAME, TOLD, left_of, note_told, read_report

_log = structlog.get_logger("daemon")


def take_over(
    state_dir: Path,
    tell: Callable[[str, Mapping[str, Any]], object],
    inherit: Callable[[Sequence[PhysicalSpec]], object],
) -> None:
    """Log a report, give it to `tell` with the audit's outcome, both once, and what was not made safe to `inherit` each time."""
    if (report := read_report(state_dir)) is None:
        return
    if report.get(TOLD) is not True:
        told = {key: value for key, value in report.items() if key != LEFT}
        _log.warning("guard_acted", **{f"guard_{key}": value for key, value in told.items()})
        tell("done" if report.get("confirmed") else "failed", told)
        if LEFT in report:
            note_told(state_dir, report)
    try:
        inherit(left_of(report, str(state_dir / NAME)))
    except BosError as error:
        _log.error("guard_report_not_understood", detail=error.message)
