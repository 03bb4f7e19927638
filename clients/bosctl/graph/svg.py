"""A picture as SVG: one file, no script, fonts of the viewer."""

import itertools
from html import escape

from clients.bosctl.graph.layout import Layout, layout_of
from clients.bosctl.graph.picture import SPLITTER, Box, Picture

CHARACTER = 7.3
"""Width of a character of 12 px type, rounded up: viewers have other fonts."""
LINE = 16.0
PADDING = 10.0
GAP = 24.0
LAYER_GAP = 56.0
MARGIN = 16.0

_STROKES = {"GOOD": "#2e7d32", "STALE": "#c77700", "UNAVAILABLE": "#c62828", "": "#546e7a"}
_FILLS = {"GOOD": "#f4faf4", "STALE": "#fff6e5", "UNAVAILABLE": "#fdecea", "": "#eceff1"}


def svg_of(picture: Picture, title: str) -> str:
    """Return the picture as an SVG document."""
    layout = layout_of(picture, lambda key: _width(picture.boxes.get(key)), GAP)
    heights = [max((_height(picture.boxes.get(key)) for key in layer), default=0.0) for layer in layout.layers]
    tops = [MARGIN + sum(heights[:depth]) + LAYER_GAP * depth for depth in range(len(heights))]
    depths = {key: depth for depth, layer in enumerate(layout.layers) for key in layer}
    middles = {key: tops[depth] + heights[depth] / 2.0 for key, depth in depths.items()}
    width = 2 * MARGIN + max(
        (centre + _width(picture.boxes.get(key)) / 2.0 for key, centre in layout.centres.items()), default=0.0
    )
    height = (tops[-1] + heights[-1] if heights else MARGIN) + MARGIN
    body = [*_lines(picture, layout, middles), *(_box(key, picture.boxes[key], layout, middles[key]) for key in picture.boxes)]
    return "\n".join(
        (
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
                f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="12">'
            ),
            f"<title>{escape(title)}</title>",
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
            *body,
            "</svg>\n",
        )
    )


def _width(box: Box | None) -> float:
    return 0.0 if box is None else 2 * PADDING + CHARACTER * max(map(len, box.text))


def _height(box: Box | None) -> float:
    return 0.0 if box is None else 2 * PADDING + LINE * len(box.text) - 4.0


def _lines(picture: Picture, layout: Layout, middles: dict[str, float]) -> list[str]:
    drawn: list[str] = []
    labels: list[str] = []
    for use, path in zip(picture.uses, layout.paths, strict=True):
        points = [(MARGIN + layout.centres[key], middles[key]) for key in path]
        first = points[0][0], points[0][1] + _height(picture.boxes[path[0]]) / 2.0
        last = points[-1][0], points[-1][1] - _height(picture.boxes[path[-1]]) / 2.0
        points = [first, *points[1:-1], last]
        curve = f"M{first[0]:.1f},{first[1]:.1f}"
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            bend = (y1 - y0) / 2.0
            curve += f" C{x0:.1f},{y0 + bend:.1f} {x1:.1f},{y1 - bend:.1f} {x1:.1f},{y1:.1f}"
        drawn.append(f'<path d="{curve}" fill="none" stroke="#78909c" stroke-width="1.4"/>')
        if use.label:
            x, y = (points[0][0] + points[1][0]) / 2.0, (points[0][1] + points[1][1]) / 2.0 + 4.0
            labels.append(
                f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="#37474f" stroke="#ffffff" stroke-width="4" '
                f'paint-order="stroke">{escape(use.label)}</text>'
            )
    return drawn + labels


def _box(key: str, box: Box, layout: Layout, middle: float) -> str:
    width, height = _width(box), _height(box)
    left, top = MARGIN + layout.centres[key] - width / 2.0, middle - height / 2.0
    radius = height / 2.0 if box.kind == SPLITTER else 6.0
    rows = [
        f'<text x="{left + width / 2.0:.1f}" y="{top + PADDING + 10.0 + LINE * number:.1f}" text-anchor="middle"'
        f'{" font-weight=" + chr(34) + "bold" + chr(34) if number == 0 else ""} fill="#212121">{escape(text)}</text>'
        for number, text in enumerate(box.text)
    ]
    stroke, fill = _STROKES.get(box.quality, _STROKES[""]), _FILLS.get(box.quality, _FILLS[""])
    frame = (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="1.6"/>'
    )
    return "\n".join((f"<g>{frame}", *rows, "</g>"))
