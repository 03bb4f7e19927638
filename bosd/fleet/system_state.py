"""Whether the system is whole: derived from how the nodes stand, never a gate (control.md, "Sessions and restarts")."""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

START_S = 30.0
"""How long after its start a node waits for others before it calls them missing (satellites.md 3.2, barrier_timeout)."""
_MOST_NAMED = 8


class SystemState(IntEnum):
    """How this node's system stands."""

    STARTING = 1
    OK = 2
    DEGRADED = 3
    BLOCKED = 4


class Standing(NamedTuple):
    """One other node: whether it is there now, and was in this run."""

    name: str
    present: bool
    was_present: bool
    required: bool


def system_state(nodes: Iterable[Standing], up_s: float) -> tuple[SystemState, str]:
    """Return the state `up_s` seconds after this node's start, and which nodes make it so.

    A node that was not there yet in this run is missing after `START_S`; one that went is missing at once.
    """
    away = [each for each in nodes if not each.present]
    missing = [each for each in away if each.was_present or up_s >= START_S]
    if required := [each.name for each in missing if each.required]:
        return SystemState.BLOCKED, f"required and missing: {_named(required)}"
    if late := [each.name for each in away if each not in missing]:
        return SystemState.STARTING, f"waiting for {_named(late)}"
    if missing:
        return SystemState.DEGRADED, f"missing: {_named([each.name for each in missing])}"
    return SystemState.OK, ""


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
