"""What must hold of the demo's batteries: every one GOOD, and every sum right."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb

SUMMED = ("charge_ah", "capacity_ah", "current_a")
TOLERANCE = 1e-6
SAME_SAMPLE_S = 0.2
"""Two nodes date one sample alike up to half a round trip; samples are a second apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node at one instant."""

    name: str
    statuses: Sequence[pb.BatteryStatus]
    entries: Sequence[tpb.TopologyEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold; `detail` says what was found."""

    name: str
    ok: bool
    detail: str


def check(nodes: Sequence[NodeView]) -> list[Check]:
    """Return what was checked, in the order of the batteries."""
    everywhere = {f"{node.name}/{status.name}": status for node in nodes for status in node.statuses}
    found: list[Check] = []
    for node in nodes:
        here = {status.name: status for status in node.statuses}
        found += [_good(node.name, status) for status in node.statuses]
        entries = [entry for entry in node.entries if entry.name in here]  # an edit may fall between two reads
        for entry in entries:
            if entry.kind == "aggregator":
                members = [here[name] for name in entry.sources if name in here]
                found += _sums(f"{node.name}/{entry.name}", " + ".join(entry.sources), here[entry.name], members)
        for source, parts in _splits(entries).items():
            title = f"{' + '.join(parts)} = {source}"
            if source in here:
                found += _sums(f"{node.name}/{source}", title, here[source], [here[name] for name in parts])
        for status in node.statuses:
            if status.kind == "network" and (remote := _remote(status, everywhere)) is not None:
                found += _sums(f"{node.name}/{status.name}", status.path[1], status, [remote])
    return found


def is_coherent(nodes: Sequence[NodeView]) -> bool:
    """Tell whether every battery shows the same samples as what it rests on: only then must sums agree to the last digit."""
    everywhere = {f"{node.name}/{status.name}": status for node in nodes for status in node.statuses}
    for node in nodes:
        here = {status.name: status for status in node.statuses}
        for entry in node.entries:
            if entry.name not in here:
                return False
            below = [here[name] for name in entry.sources if name in here]
            if entry.kind == "network":
                remote = _remote(here[entry.name], everywhere)
                below = [] if remote is None else [remote]
            slack_s = SAME_SAMPLE_S if entry.kind == "network" else TOLERANCE
            if below and not _same_span(here[entry.name], below, slack_s):
                return False
    return True


def _good(node: str, status: pb.BatteryStatus) -> Check:
    word = pb.Quality.Name(status.quality).removeprefix("QUALITY_")
    detail = f"{word}: {status.reason}" if status.reason else word
    return Check(name=f"{node}/{status.name} is GOOD", ok=status.quality == pb.QUALITY_GOOD, detail=detail)


def _sums(name: str, title: str, whole: pb.BatteryStatus, parts: Iterable[pb.BatteryStatus]) -> list[Check]:
    parts = list(parts)
    found = []
    for field in SUMMED:
        known = all(each.HasField(field) for each in (whole, *parts))
        value, total = getattr(whole, field), sum(getattr(part, field) for part in parts)
        if field == "charge_ah" and parts and parts[0].kind == "partition":
            total += max(part.unallocated_ah for part in parts)
        ok = known and math.isclose(value, total, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        found.append(
            Check(name=f"{name} {field} ({title})", ok=ok, detail=f"{value:.6f} and {total:.6f}" if known else "unknown")
        )
    return found


def _splits(entries: Iterable[tpb.TopologyEntry]) -> dict[str, list[str]]:
    """Return each split source with its partitions."""
    splits: dict[str, list[str]] = {}
    for entry in entries:
        if entry.kind == "partition":
            splits.setdefault(entry.sources[0], []).append(entry.name)
    return splits


def _remote(stub: pb.BatteryStatus, everywhere: Mapping[str, pb.BatteryStatus]) -> pb.BatteryStatus | None:
    return everywhere.get(stub.path[1]) if len(stub.path) > 1 else None


def _same_span(upper: pb.BatteryStatus, below: Sequence[pb.BatteryStatus], slack_s: float) -> bool:
    oldest, newest = min(each.sampled_from for each in below), max(each.sampled_to for each in below)
    return abs(upper.sampled_from - oldest) <= slack_s and abs(upper.sampled_to - newest) <= slack_s
