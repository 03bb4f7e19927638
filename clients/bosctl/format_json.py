"""Messages as JSON documents: what is unknown is null, times are RFC 3339 in UTC."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bosd.v1 import battery_pb2 as pb

Document = dict[str, Any]

_VIRTUAL_KINDS = frozenset({"aggregator", "partition", "network", "pseudo", "null"})
"""All other kinds are devices, those of other packages too."""

_OPTIONAL = frozenset(
    {
        "voltage_v",
        "current_a",
        "charge_ah",
        "capacity_ah",
        "soc",
        "ideal_max_discharge_current_a",
        "ideal_max_charge_current_a",
        "power_w",
        "usable_charge_ah",
        "balanced_usable_charge_ah",
        "expected_charge_ah",
        "requested_current_a",
        "applied_current_a",
        "age_s",
    }
)
_TIMES = frozenset({"setpoint_ends_at", "sampled_from", "sampled_to"})
STATUS_KEYS = (
    "name",
    "kind",
    "voltage_v",
    "current_a",
    "charge_ah",
    "capacity_ah",
    "soc",
    "max_discharge_current_a",
    "max_charge_current_a",
    "ideal_max_discharge_current_a",
    "ideal_max_charge_current_a",
    "power_w",
    "usable_charge_ah",
    "balanced_usable_charge_ah",
    "expected_charge_ah",
    "unobserved_s",
    "requested_current_a",
    "applied_current_a",
    "setpoint_source",
    "setpoint_ends_at",
    "sampled_from",
    "sampled_to",
    "age_s",
    "quality",
    "link",
    "commandable",
    "reason",
)


def status_document(status: pb.BatteryStatus) -> Document:
    """Return a status with the keys of `STATUS_KEYS`, then those its kind has besides."""
    document = {key: _value(status, key) for key in STATUS_KEYS}
    if status.kind not in _VIRTUAL_KINDS:
        sampled = status.HasField("sampled_from")
        document["cells_v"] = [number(cell) for cell in status.cells_v] or None
        document["temperatures_c"] = [number(value) for value in status.temperatures_c] if sampled else None
        document["cycles"] = status.cycles if status.HasField("cycles") else None
        document["faults"] = list(status.faults) if sampled else None
        switches = status.HasField("charge_switch_closed")
        document["balancing_cells"] = list(status.balancing_cells) if switches else None
        document["charge_switch_closed"] = status.charge_switch_closed if switches else None
        document["discharge_switch_closed"] = status.discharge_switch_closed if switches else None
    if status.holder:
        document["holder"] = status.holder
    if status.path:
        document["path"] = list(status.path)
    if status.HasField("unallocated_ah"):
        document["unallocated_ah"] = number(status.unallocated_ah)
    return document


def quality_word(quality: pb.Quality) -> str:
    """Return `GOOD`, `STALE` or `UNAVAILABLE`; what this program does not know is unavailable to it."""
    if quality in (pb.QUALITY_GOOD, pb.QUALITY_STALE):
        return pb.Quality.Name(quality).removeprefix("QUALITY_")
    return "UNAVAILABLE"


def link_word(link: pb.Link) -> str | None:
    """Return the link's state in lower case, None where it is not known."""
    word = _enum_word(pb.Link, link, "LINK_")
    return None if word is None else word.lower()


def source_word(source: pb.SetpointSource) -> str | None:
    """Return what put the current in force, in lower case, None where nothing did."""
    word = _enum_word(pb.SetpointSource, source, "SETPOINT_SOURCE_")
    return None if word is None else word.lower()


def number(value: float) -> float | None:
    """Return a finite number as it is, and None for what JSON cannot hold."""
    return value if math.isfinite(value) else None


def rfc3339(utc_s: float) -> str | None:
    """Return seconds since 1970-01-01 UTC as `2026-01-31T12:00:00.250Z`."""
    try:
        moment = datetime.fromtimestamp(utc_s, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def set_current_document(answer: pb.SetCurrentResponse, *, dry_run: bool) -> Document:
    """Return the answer to a set point; what was asked and its end are null where nothing is asked any more."""
    asked = dry_run or answer.setpoint_ends_at > 0.0
    return {
        "name": answer.name,
        "requested_current_a": number(answer.requested_current_a) if asked else None,
        "applied_current_a": number(answer.applied_current_a),
        "ttl_s": number(answer.ttl_s) if answer.setpoint_ends_at > 0.0 else None,
        "setpoint_ends_at": rfc3339(answer.setpoint_ends_at) if answer.setpoint_ends_at > 0.0 else None,
        "reason": answer.reason,
        "leaves": [
            {
                "name": leaf.name,
                "old_current_a": number(leaf.old_current_a),
                "new_current_a": number(leaf.new_current_a),
                **({"limit_a": number(leaf.limit_a), "reason": leaf.reason} if dry_run else {}),
            }
            for leaf in answer.leaves
        ],
        **({"binds": answer.binds} if dry_run else {}),
        **({"taken_from": answer.taken_from} if answer.taken_from else {}),
        "dry_run": dry_run,
    }


def listing(statuses: Iterable[pb.BatteryStatus]) -> list[Document]:
    """Return several statuses, in their order."""
    return [status_document(status) for status in statuses]


def _value(status: pb.BatteryStatus, key: str) -> object:
    if key in _OPTIONAL:
        return number(getattr(status, key)) if status.HasField(key) else None
    if key in _TIMES:
        return rfc3339(getattr(status, key)) if status.HasField(key) else None
    if key in _WORDS:
        return _WORDS[key](getattr(status, key))
    value = getattr(status, key)
    return number(value) if isinstance(value, float) else value


def _enum_word(enum: Any, value: int, prefix: str) -> str | None:  # noqa: ANN401 (protobuf's enum wrappers share no type)
    if value == 0:
        return None
    try:
        return str(enum.Name(value)).removeprefix(prefix)
    except ValueError:  # newer than this program
        return None


_WORDS: dict[str, Any] = {"quality": quality_word, "link": link_word, "setpoint_source": source_word}
