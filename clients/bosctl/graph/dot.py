"""A picture in the DOT language, for Graphviz and its kin."""

from clients.bosctl.graph.picture import SPLITTER, Picture

_COLOURS = {"GOOD": "darkgreen", "STALE": "darkorange", "UNAVAILABLE": "red3"}


def dot_of(picture: Picture, title: str) -> str:
    """Return the picture as a directed graph: from each battery to what it rests on."""
    lines = [
        f"digraph {_quoted(title)} {{",
        '    node [shape=box, style=rounded, fontname="Helvetica"];',
        '    edge [fontname="Helvetica", arrowhead=none];',
    ]
    for key, box in picture.boxes.items():
        colour = _COLOURS.get(box.quality, "gray40")
        shape = ", shape=ellipse" if box.kind == SPLITTER else ""
        lines.append(f"    {_quoted(key)} [label={_quoted(chr(10).join(box.text))}, color={colour}{shape}];")
    for use in picture.uses:
        label = f" [label={_quoted(use.label)}]" if use.label else ""
        lines.append(f"    {_quoted(use.upper)} -> {_quoted(use.lower)}{label};")
    return "\n".join((*lines, "}\n"))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
