"""What a picture of a topology shows: a box for each battery and splitter, a line for each use."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bosd.v1 import battery_pb2 as bpb
from bosd.v1 import topology_pb2 as pb
from clients.bosctl.format_json import Document, quality_word
from clients.bosctl.format_text import UNKNOWN, fixed, limits, optional, percent, signed

SPLITTER = "splitter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One battery or splitter; `quality` is the status's word, empty for a splitter."""

    name: str
    kind: str
    lines: tuple[str, ...]
    quality: str = ""

    @property
    def text(self) -> tuple[str, ...]:
        """All it says, name first."""
        return (self.name, *self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """`upper` rests on `lower`; `label` is the part it has of it, or the current that runs."""

    upper: str
    lower: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Boxes in topology order by a key of their own, and what rests on what."""

    boxes: Mapping[str, Box]
    uses: tuple[Use, ...]


def picture_of(topology: pb.Topology, statuses: Mapping[str, bpb.BatteryStatus]) -> Picture:
    """Return the picture of a topology as it is now; a splitter's key begins with `/`, which no name does."""
    splitters = _splitters(topology.toml)
    boxes: dict[str, Box] = {}
    uses: list[Use] = []
    for entry in topology.entries:
        status = statuses.get(entry.name, bpb.BatteryStatus(name=entry.name))
        boxes[entry.name] = _box(entry, status)
        if not entry.splitter:
            uses += [Use(upper=entry.name, lower=lower, label=_share(statuses.get(lower))) for lower in entry.sources]
            continue
        key = f"/{entry.splitter}"
        policy, fractions = splitters.get(entry.splitter, ("", {}))
        if key not in boxes:
            boxes[key] = Box(name=entry.splitter, kind=SPLITTER, lines=(policy or SPLITTER,))
            uses += [Use(upper=key, lower=lower, label=_share(statuses.get(lower))) for lower in entry.sources]
        uses.append(Use(upper=entry.name, lower=key, label=_fraction(fractions.get(entry.name))))
    return Picture(boxes=boxes, uses=tuple(uses))


def picture_document(picture: Picture) -> Document:
    """Return the boxes and lines as they are drawn."""
    return {
        "boxes": [
            {"key": key, "name": box.name, "kind": box.kind, "quality": box.quality or None, "lines": list(box.lines)}
            for key, box in picture.boxes.items()
        ],
        "uses": [{"upper": use.upper, "lower": use.lower, "label": use.label} for use in picture.uses],
    }


def _splitters(toml: str) -> dict[str, tuple[str, dict[str, float]]]:
    """Return the policy and the capacity fractions of each splitter."""
    found: dict[str, tuple[str, dict[str, float]]] = {}
    for splitter in tomllib.loads(toml).get("splitter", []):
        parts: list[dict[str, Any]] = splitter["partitions"]
        fractions = {part["name"]: part.get("capacity_fraction", part.get("fraction")) for part in parts}
        found[splitter["name"]] = splitter["policy"], {name: each for name, each in fractions.items() if each is not None}
    return found


def _box(entry: pb.TopologyEntry, status: bpb.BatteryStatus) -> Box:
    quality = quality_word(status.quality)
    charge_ah, capacity_ah = optional(status, "charge_ah"), optional(status, "capacity_ah")
    soc = percent(optional(status, "soc"))
    lines = [
        entry.kind if quality == "GOOD" else f"{entry.kind}, {quality}",
        f"{fixed(charge_ah, 1)} of {fixed(capacity_ah, 1)} Ah" + ("" if soc == UNKNOWN else f", {soc} %"),
        f"{signed(optional(status, 'current_a'))} A, {limits(status)}",
    ]
    return Box(name=entry.name, kind=entry.kind, lines=tuple(lines), quality=quality)


def _share(status: bpb.BatteryStatus | None) -> str:
    """Return the set point that runs through a line, nothing where there is none."""
    applied_a = None if status is None else optional(status, "applied_current_a")
    return f"{signed(applied_a)} A" if applied_a else ""


def _fraction(fraction: float | None) -> str:
    return "" if fraction is None else f"{100.0 * fraction:.4g} %"
