"""What rests on what, as indented names: free batteries first, their sources below them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bosd.v1 import topology_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLine:
    """One line: the guides before the name, the battery, and whether its sources stand at its first line above."""

    guides: str
    name: str
    repeated: bool = False

    @property
    def label(self) -> str:
        """The line's first cell."""
        return f"{self.guides}{self.name}{' (above)' if self.repeated else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guides:
    """The strokes of a tree."""

    fork: str
    last: str
    bar: str
    gap: str


UNICODE_GUIDES = Guides(fork="├─ ", last="└─ ", bar="│  ", gap="   ")
ASCII_GUIDES = Guides(fork="|- ", last="`- ", bar="|  ", gap="   ")


def tree_lines(entries: Sequence[pb.TopologyEntry], guides: Guides = UNICODE_GUIDES) -> list[TreeLine]:
    """Return every battery at least once; one with several users is unfolded at the first of them only."""
    by_name = {entry.name: entry for entry in entries}
    unfolded: set[str] = set()
    lines: list[TreeLine] = []
    used = {source for entry in entries for source in entry.sources}
    free = [name for name in by_name if name not in used]
    for name in [*free, *by_name]:
        if name not in unfolded:  # after the free ones, only what a circle holds
            _unfold(name, by_name, unfolded, lines, guides)
    return lines


def _unfold(
    root: str, by_name: Mapping[str, pb.TopologyEntry], unfolded: set[str], lines: list[TreeLine], guides: Guides
) -> None:
    """Append the root and all below it, depth first, without recursion: chains may be long."""
    stack: list[tuple[str, str, str]] = [(root, "", "")]
    while stack:
        name, stroke, indent = stack.pop()
        sources = [source for source in by_name[name].sources if source in by_name] if name in by_name else []
        repeated = name in unfolded
        lines.append(TreeLine(guides=f"{indent}{stroke}", name=name, repeated=repeated and bool(sources)))
        if repeated:
            continue
        unfolded.add(name)
        below = "" if not stroke else indent + (guides.gap if stroke == guides.last else guides.bar)
        for index, source in reversed(list(enumerate(sources))):
            stack.append((source, guides.last if index == len(sources) - 1 else guides.fork, below))
