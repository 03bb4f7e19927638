"""What may not be read is not in an answer: entries of other batteries are left out, their names in texts are covered."""

import re
from collections.abc import Collection
from typing import Any

from bosd.pki.identity import Role
from bosd.v1 import audit_pb2, battery_pb2, errors_pb2, explain_pb2, limits_pb2, schedule_pb2, topology_pb2

COVERED = "(other)"
_EDGE = r"A-Za-z0-9_'"


def veil(message: Any, seen: Collection[str], known: Collection[str], holder: str) -> None:  # noqa: ANN401 (any message)
    """Leave out of a message what an asker may not see; `known` are all names of the node, `holder` is the asker."""
    _drop(message, seen, holder)
    if (hidden := _hidden(seen, known)) is not None:
        _cover(message, hidden, holder)


def veil_status(details: bytes, seen: Collection[str], known: Collection[str]) -> bytes:
    """Return the `google.rpc.Status` of a refusal with names that an asker may not see covered."""
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415 (only refusals need it)

    hidden = _hidden(seen, known)
    if hidden is None:
        return details
    status, info = status_pb2.Status.FromString(details), error_details_pb2.ErrorInfo()
    status.message = hidden.sub(COVERED, status.message)
    for detail in status.details:
        if detail.Unpack(info):
            for key, value in tuple(info.metadata.items()):
                info.metadata[key] = hidden.sub(COVERED, value)
            detail.Pack(info)
    return bytes(status.SerializeToString())


def veil_text(text: str, seen: Collection[str], known: Collection[str]) -> str:
    """Return a text with names that an asker may not see covered."""
    hidden = _hidden(seen, known)
    return text if hidden is None else hidden.sub(COVERED, text)


def _hidden(seen: Collection[str], known: Collection[str]) -> re.Pattern[str] | None:
    names = sorted((name for name in known if name not in seen), key=len, reverse=True)
    return re.compile(f"(?<![{_EDGE}])(?:{'|'.join(map(re.escape, names))})(?![{_EDGE}])") if names else None


def _drop(message: Any, seen: Collection[str], holder: str) -> None:  # noqa: ANN401
    match message:
        case battery_pb2.ListStatusesResponse():
            _keep(message.statuses, seen)
        case battery_pb2.WatchResponse():
            _keep(message.statuses, seen)
            removed = [name for name in message.removed if name in seen]
            del message.removed[:]
            message.removed.extend(removed)
        case battery_pb2.SetCurrentResponse():
            _keep(message.leaves, seen)
        case schedule_pb2.ListScheduleResponse():
            _keep(message.bookings, seen)
        case topology_pb2.Topology():
            _keep(message.entries, seen)
            message.toml = message.parted = ""
        case errors_pb2.ListErrorsResponse() | errors_pb2.WatchErrorsResponse():
            errors = [each for each in message.errors if _is_read(each, message.node, seen, holder)]
            del message.errors[:]
            message.errors.extend(errors)
        case explain_pb2.ExplainResponse():
            for steps in (message.discharge, message.charge):
                kept = [step for step in steps if step.battery in seen]
                del steps[:]
                steps.extend(kept)
        case _:
            _drop_records(message, seen, holder)


def _is_read(error: errors_pb2.NodeError, node: str, seen: Collection[str], holder: str) -> bool:
    """Tell whether a node or a tenant may read an error: a tenant those of its own batteries here, a node also those of none."""
    if Role(holder.partition(":")[0]) is Role.TENANT:
        return error.node == node and error.battery in seen
    return not error.battery or error.battery in seen


def _drop_records(message: Any, seen: Collection[str], holder: str) -> None:  # noqa: ANN401
    match message:
        case limits_pb2.ListLimitsResponse():
            limits = [each for each in message.limits if each.battery in seen]
            del message.limits[:]
            message.limits.extend(limits)
        case limits_pb2.LimitHistoryResponse():
            events = [each for each in message.events if each.limit.battery in seen]
            del message.events[:]
            message.events.extend(events)
        case audit_pb2.ListAuditResponse():
            records = [each for each in message.records if each.who == holder or (each.names and set(each.names) <= set(seen))]
            del message.records[:]
            message.records.extend(records)


def _keep(entries: Any, seen: Collection[str]) -> None:  # noqa: ANN401 (a repeated field)
    kept = [entry for entry in entries if entry.name in seen]
    del entries[:]
    entries.extend(kept)


def _cover(message: Any, hidden: re.Pattern[str], holder: str) -> None:  # noqa: ANN401
    for field, value in message.ListFields():
        if value == holder:
            continue  # who asks may be called as a battery is, and has to know itself
        if isinstance(value, str):
            setattr(message, field.name, hidden.sub(COVERED, value))
        elif field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                _cover(each, hidden, holder)
        elif field.is_repeated and field.type == field.TYPE_STRING:
            value[:] = [hidden.sub(COVERED, each) for each in value]
