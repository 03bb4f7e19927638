"""Records of the audit, as JSON documents and as lines for people."""

import json
from collections.abc import Mapping
from typing import Any

from bosd.v1 import audit_pb2 as pb
from clients.bosctl.format_json import Document, rfc3339
from clients.bosctl.format_text import moment
from clients.bosctl.printable import printable

MOST_NAME = 64
"""Letters of a name that are shown; batteries' names have 63 at most."""

MOST_TEXT = 40
"""Letters of a text that a record holds beside its message."""
_SIGNS = {"add": "+", "remove": "-", "replace": "~"}


def record_document(record: pb.AuditRecord) -> Document:
    """Return one record; one that is still being counted has no number and no hash yet."""
    return {
        "number": record.number or None,
        "at": rfc3339(record.at),
        "until": rfc3339(record.until),
        "who": record.who,
        "action": record.action,
        "outcome": record.outcome,
        "names": list(record.names),
        "count": record.count,
        "reason": record.reason or None,
        "message": record.message or None,
        "comment": record.comment or None,
        "asked": values_of(record.asked),
        "before": values_of(record.before),
        "after": values_of(record.after),
        "previous": record.previous or None if record.number else None,
        "hash": record.hash or None if record.number else None,
    }


def verdict_document(answer: pb.VerifyAuditResponse) -> Document:
    """Return what following the chain gave."""
    return {
        "ok": answer.ok,
        "records": answer.records,
        "first_number": answer.first_number or None,
        "last_number": answer.last_number or None,
        "last_hash": answer.last_hash or None,
        "unwritten": answer.unwritten,
        "dropped": answer.dropped,
    }


def values_of(text: str) -> Any:  # noqa: ANN401 (whatever the JSON holds)
    """Return the values a record holds as JSON; None for none, the text itself where it is no JSON."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def what(record: pb.AuditRecord) -> str:
    """Return in one line what was asked and what came of it."""
    asked, before, after = (values_of(text) for text in (record.asked, record.before, record.after))
    if record.outcome != "done":
        parts = [record.reason, _asked(asked), record.message]
    elif record.action in ("set", "force", "renew", "clear"):
        parts = [_current(before, after), record.message]
    elif record.action == "lease-over":
        ended_a = before.get("current_a") if isinstance(before, Mapping) else None
        parts = [f"{_amperes(ended_a)} -> none", record.message]
    elif record.action == "assume-safe":
        parts = [_assumed(before, after)]
    elif record.action == "apply":
        parts = [_edit(after)]
    else:
        parts = [_pairs(after if after is not None else asked)]
    if record.comment:
        parts.append(f"“{record.comment}”")
    return printable("; ".join(part for part in parts if part))


def batteries(record: pb.AuditRecord, most: int = 4) -> str:
    """Return the first few names; a refused one may be any text of any length."""
    names = ", ".join(printable(name if len(name) <= MOST_NAME else f"{name[:MOST_NAME]}…") for name in record.names[:most])
    return names if len(record.names) <= most else f"{names} and {len(record.names) - most} more"


def _asked(asked: object) -> str:
    if isinstance(asked, Mapping) and "current_a" in asked:
        return f"asked {asked['current_a']:g} A"
    return ""


def _assumed(before: object, after: object) -> str:
    """Return what counted of which node until somebody said that it is safe, and which grants and alone limits were forgotten."""
    told = before if isinstance(before, Mapping) else {}
    counted_a, grants, counted_on = (told.get(each) for each in ("counted_a", "grants", "alone_limits"))
    parts = (
        [f"{name} counted at {_amperes(worst_a)}" for name, worst_a in counted_a.items()]
        if isinstance(counted_a, Mapping)
        else []
    )
    parts += [f"granted {grant}" for grant in grants] if isinstance(grants, list) else []
    parts += [f"counted on {limit}" for limit in counted_on] if isinstance(counted_on, list) else []
    node = f"{after['node']}: " if isinstance(after, Mapping) and after.get("node") else ""
    return node + (f"no more: {', '.join(parts)}" if parts else "nothing counted")


def _current(before: object, after: object) -> str:
    old = before.get("requested_current_a") if isinstance(before, Mapping) else None
    new = after.get("requested_current_a") if isinstance(after, Mapping) else None
    applied = after.get("applied_current_a") if isinstance(after, Mapping) else None
    text = f"{_amperes(old)} -> {_amperes(new)}"
    return text if applied == new or new is None else f"{text}, {_amperes(applied)} applied"


def _amperes(value: object) -> str:
    return f"{value:+g} A" if isinstance(value, int | float) and value else "0 A" if value == 0.0 else "none"


def _edit(after: object) -> str:
    if not isinstance(after, Mapping):
        return ""
    changes = after.get("changes") or ()
    named = ", ".join(f"{_SIGNS.get(change['action'], '?')}{change['name']}" for change in changes)
    more = f" and {after['more']} more" if after.get("more") else ""
    return f"revision {after.get('revision')}: {named}{more}" if named else f"revision {after.get('revision')}"


def _pairs(values: object) -> str:
    if not isinstance(values, Mapping):
        return ""
    return ", ".join(
        f"{key.removesuffix('_utc_s')} {_short(moment(value) if _is_moment(key, value) else value)}"
        for key, value in values.items()
        if value not in ([], None)
    )


def _is_moment(key: str, value: object) -> bool:
    return key.endswith("_utc_s") and isinstance(value, float)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(_device(each) if isinstance(each, Mapping) else str(each) for each in value)
    return json.dumps(value) if not isinstance(value, str) else value[:MOST_TEXT]


def _device(outcome: Mapping[str, Any]) -> str:
    """Return what a guard made of one device."""
    said = f"{outcome.get('name', '')}: {outcome.get('result', '')}"
    return said if outcome.get("confirmed") is True else f"{said} (NOT confirmed)"
