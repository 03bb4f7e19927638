"""Answers of the topology's service, as JSON documents and as lines for people."""

from collections.abc import Iterable, Mapping

from bosd.v1 import topology_pb2 as pb
from clients.bosctl.format_json import Document, number, rfc3339

_SIGNS = {"add": ("+", "green"), "remove": ("-", "red"), "replace": ("~", "yellow")}


def topology_document(topology: pb.Topology, unallocated_ah: Mapping[str, float]) -> Document:
    """Return the topology in force; entries whose charge no partition can hold say how much."""
    return {
        "node": topology.node,
        "revision": topology.revision,
        "changed_at": rfc3339(topology.changed_at) if topology.changed_at else None,
        "entries": [_entry(entry, unallocated_ah) for entry in topology.entries],
        "toml": topology.toml,
    }


def change_documents(changes: Iterable[pb.TopologyChange]) -> list[Document]:
    """Return the differences of an edit."""
    return [
        {"action": action_word(change), "name": change.name, "kind": change.kind, "detail": change.detail} for change in changes
    ]


def apply_document(answer: pb.ApplyTopologyResponse, *, planned: bool) -> Document:
    """Return the answer to an edit or to its dry run."""
    return {
        "revision": answer.revision,
        "planned": planned,
        "changes": change_documents(answer.changes),
        "warnings": list(answer.warnings),
        "unconfirmed": list(answer.unconfirmed),
    }


def revision_document(revision: pb.TopologyRevision) -> Document:
    """Return one line of the history."""
    return {
        "revision": revision.revision,
        "changed_at": rfc3339(revision.changed_at),
        "who": revision.who,
        "comment": revision.comment,
        "changes": change_documents(revision.changes),
    }


def action_word(change: pb.TopologyChange) -> str:
    """Return `add`, `remove` or `replace`."""
    try:
        return pb.TopologyChange.Action.Name(change.action).removeprefix("ACTION_").lower()
    except ValueError:  # newer than this program
        return "change"


def change_line(change: pb.TopologyChange) -> tuple[str, str]:
    """Return a difference as text with its sign, and its colour."""
    sign, style = _SIGNS.get(action_word(change), ("?", ""))
    detail = f": {change.detail}" if change.detail else ""
    kind = f" ({change.kind})" if change.kind else ""
    return f"{sign} {change.name}{kind}{detail}", style


def change_summary(changes: Iterable[pb.TopologyChange]) -> str:
    """Return `+agg, ~b1`, the differences in one short line."""
    return ", ".join(f"{_SIGNS.get(action_word(change), ('?', ''))[0]}{change.name}" for change in changes)


def _entry(entry: pb.TopologyEntry, unallocated_ah: Mapping[str, float]) -> Document:
    document: Document = {
        "name": entry.name,
        "kind": entry.kind,
        "sources": list(entry.sources),
        "users": list(entry.users),
        "splitter": entry.splitter or None,
    }
    if entry.name in unallocated_ah:
        document["unallocated_ah"] = number(unallocated_ah[entry.name])
    return document
