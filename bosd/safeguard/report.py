"""`guard.json` in the state directory: what was made safe in the daemon's place, for people and for the next daemon.

It holds the tables of devices that were not made safe, so that whoever comes next can go on with those in no topology any more.
Until there is such a report, `removed.json` has the tables of these (removed.py).
"""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bosd.bal.spec import PhysicalSpec, Topology
from bosd.bal.told import FILE
from bosd.config.topology_toml import format_topology, parse_stored
from bosd.errors import BosError, ConfigError
from bosd.safeguard.device_list import devices_of
from bosd.safeguard.safe_action import Outcome

NAME = "guard.json"
REMOVED = "removed.json"
ODD = "removed.odd.json"
"""A `removed.json` that is not understood, once another had to be written: a person is to look at it."""
LEFT = "unconfirmed_toml"
"""The key of the tables of what was not made safe."""
TOLD = "told"
"""The key that says that a later daemon has told it."""
_LARGEST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Who acted (`guard`, `safe`, or a `daemon` that left something), when (UTC), why, and what became of each device.

    `outcomes` are those of `specs`, in their order.
    """

    by: str
    why: str
    at_utc_s: float
    outcomes: Sequence[Outcome]
    specs: Sequence[PhysicalSpec]

    @property
    def confirmed(self) -> bool:
        """Whether every device's safe action was read back."""
        return all(outcome.confirmed for outcome in self.outcomes)

    @property
    def left(self) -> tuple[PhysicalSpec, ...]:
        """What was not made safe."""
        return tuple(spec for spec, outcome in zip(self.specs, self.outcomes, strict=True) if not outcome.confirmed)


def write_report(state_dir: Path, report: Report) -> str:
    """Write `guard.json` whole or not at all, in place of `removed.json`, too, where that is understood.

    Returns why it could not be written, or nothing.
    """
    document = {
        "at": datetime.fromtimestamp(report.at_utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "by": report.by,
        "why": report.why,
        "confirmed": report.confirmed,
        "devices": [asdict(outcome) for outcome in report.outcomes],
        LEFT: format_topology(Topology(batteries=report.left)),
    }
    if not (unwritten := _write(state_dir, document)):
        _forget_removed(state_dir)
    return unwritten


def forget_told(state_dir: Path, report: Report) -> str:
    """Take out of `told.json` what was made safe: the next daemon need not count it. Returns why it could not be, or nothing."""
    path, places = state_dir / FILE, {spec.commanded_place for spec in report.specs if spec not in report.left}
    try:
        told = json.loads(path.read_bytes())
        if isinstance(told, dict) and not places.isdisjoint(told):
            _replace(path, {place: current_a for place, current_a in told.items() if place not in places})
    except (FileNotFoundError, ValueError, RecursionError):
        return ""  # nothing was told, or a file that nobody understands counts as empty
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def note_told(state_dir: Path, report: Mapping[str, Any]) -> None:
    """Note in `guard.json`, if that can be written, that a daemon has told this report: later ones do not tell it again."""
    _write(state_dir, {**report, TOLD: True})


def write_removed(state_dir: Path, specs: Sequence[PhysicalSpec]) -> None:
    """Write `removed.json` whole or not at all, on the disk when this returns; without any there is no file. Raises OSError.

    One that is not understood makes way (`removed.odd.json`).
    """
    try:
        removed_of(state_dir)
    except BosError:
        (state_dir / REMOVED).replace(state_dir / ODD)
    if specs:
        _replace(state_dir / REMOVED, {LEFT: format_topology(Topology(batteries=tuple(specs)))})
    else:
        (state_dir / REMOVED).unlink(missing_ok=True)
    directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write(state_dir: Path, document: Mapping[str, Any]) -> str:
    try:
        _replace(state_dir / NAME, document)
    except OSError as error:
        return f"{state_dir / NAME}: {error.strerror}"
    return ""


def _replace(path: Path, document: Mapping[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def read_report(state_dir: Path, name: str = NAME) -> dict[str, Any] | None:
    """Return what `guard.json`, or another file, says, None where there is none; one that cannot be read confirms nothing."""
    path = state_dir / name
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_LARGEST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return {"confirmed": False, "why": f"{path} cannot be read: {error}"}
    return document if isinstance(document, dict) else {"confirmed": False, "why": f"{path} holds no report"}


def removed_of(state_dir: Path) -> tuple[PhysicalSpec, ...]:
    """Return what `removed.json` names, nothing where there is none. Raises ConfigError for one that is not understood."""
    document = read_report(state_dir, REMOVED)
    if document is not None and LEFT not in document:
        raise ConfigError(str(document.get("why", f"{state_dir / REMOVED} names no devices")))
    return left_of(document or {}, str(state_dir / REMOVED))


def odd_of(state_dir: Path) -> tuple[PhysicalSpec, ...]:
    """Return nothing. Raises ConfigError while a `removed.json` that was not understood is kept beside."""
    if (state_dir / ODD).exists():
        raise ConfigError(f"{state_dir / ODD} was {REMOVED}, and is not understood")
    return ()


def left_of(report: Mapping[str, Any], place: str) -> tuple[PhysicalSpec, ...]:
    """Return what a report says was not made safe, nothing where it does not say. Raises ConfigError for nonsense."""
    toml = report.get(LEFT, "")
    if not isinstance(toml, str):
        raise ConfigError(f"{place}: {LEFT} holds no text, but {toml!r:.80}")
    return devices_of(parse_stored(toml, f"{place}, {LEFT}").batteries)


def forget_report(state_dir: Path) -> None:
    """Take both files away: a daemon made everything safe by itself since."""
    with contextlib.suppress(OSError):
        (state_dir / NAME).unlink(missing_ok=True)
    _forget_removed(state_dir)


def _forget_removed(state_dir: Path) -> None:
    """Take `removed.json` away; one that is not understood stays: nobody has told what it may name."""
    with contextlib.suppress(OSError, BosError):
        removed_of(state_dir)
        (state_dir / REMOVED).unlink(missing_ok=True)
