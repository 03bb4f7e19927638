"""A picture drawn with characters."""

import itertools

from clients.bosctl.graph.layout import layout_of
from clients.bosctl.graph.picture import Box, Picture

GAP = 2
LEFT, RIGHT, UP, DOWN = 1, 2, 4, 8

_STROKES = {
    LEFT: "─", RIGHT: "─", UP: "│", DOWN: "│", LEFT | RIGHT: "─", UP | DOWN: "│",
    RIGHT | DOWN: "┌", LEFT | DOWN: "┐", RIGHT | UP: "└", LEFT | UP: "┘",
    RIGHT | UP | DOWN: "├", LEFT | UP | DOWN: "┤", LEFT | RIGHT | DOWN: "┬", LEFT | RIGHT | UP: "┴",
    LEFT | RIGHT | UP | DOWN: "┼",
}  # fmt: skip
_PLAIN = {"─": "-", "│": "|"}


class Canvas:
    """Strokes and text by row and column; strokes that meet are joined."""

    def __init__(self) -> None:
        self._strokes: dict[tuple[int, int], int] = {}
        self._text: dict[tuple[int, int], str] = {}

    def across(self, row: int, start: int, end: int) -> None:
        """Draw a stroke from column to column."""
        start, end = min(start, end), max(start, end)
        for column in range(start, end + 1):
            self._stroke(row, column, (LEFT if column > start else 0) | (RIGHT if column < end else 0))

    def down(self, column: int, start: int, end: int) -> None:
        """Draw a stroke from row to row below."""
        for row in range(start, end + 1):
            self._stroke(row, column, (UP if row > start else 0) | (DOWN if row < end else 0))

    def write(self, row: int, column: int, text: str) -> None:
        """Write text over whatever is there."""
        self._text.update({(row, column + place): each for place, each in enumerate(text)})

    def _stroke(self, row: int, column: int, directions: int) -> None:
        if directions:
            self._strokes[row, column] = self._strokes.get((row, column), 0) | directions

    def text(self, *, unicode: bool) -> str:
        """Return the rows, without blanks at their ends."""
        cells = {place: _STROKES[directions] for place, directions in self._strokes.items()}
        if not unicode:
            cells = {place: _PLAIN.get(each, "+") for place, each in cells.items()}
        cells |= self._text
        rows: dict[int, dict[int, str]] = {}
        for (row, column), each in cells.items():
            rows.setdefault(row, {})[column] = each
        lines = [
            "".join(rows.get(row, {}).get(column, " ") for column in range(max(rows.get(row, {-1: ""})) + 1))
            for row in range(max(rows, default=-1) + 1)
        ]
        return "\n".join(line.rstrip() for line in lines) + "\n"


def text_of(picture: Picture, *, unicode: bool = True) -> tuple[str, int]:
    """Return the picture as lines of text, and how many columns they need."""
    layout = layout_of(picture, lambda key: _width(picture.boxes.get(key)), GAP)
    columns = {key: round(centre) for key, centre in layout.centres.items()}
    depths = {key: depth for depth, layer in enumerate(layout.layers) for key in layer}
    lanes = _lanes(layout.paths, columns, depths)
    heights = [max((_height(picture.boxes.get(key)) for key in layer), default=0) for layer in layout.layers]
    tops: list[int] = []
    for depth in range(len(heights)):
        lanes_above = 3 + max((lane for (above, _), lane in lanes.items() if above == depth - 1), default=0)
        tops.append(tops[-1] + heights[depth - 1] + lanes_above if tops else 0)
    canvas = Canvas()
    for use, path in zip(picture.uses, layout.paths, strict=True):
        for upper, lower in itertools.pairwise(path):
            start = tops[depths[upper]] + (_height(picture.boxes[upper]) if upper in picture.boxes else 0)
            end = tops[depths[lower]] - (1 if lower in picture.boxes else -heights[depths[lower]])
            bend = tops[depths[upper]] + heights[depths[upper]] + 1 + lanes[depths[upper], upper]
            canvas.down(columns[upper], start, bend)
            canvas.across(bend, columns[upper], columns[lower])
            canvas.down(columns[lower], bend, end)
        if use.label:
            below = use.lower.startswith("/")  # a partition's part stands below it, a source's current above it
            row = tops[depths[use.upper]] + heights[depths[use.upper]] if below else tops[depths[use.lower]] - 1
            canvas.write(row, max(0, columns[use.upper if below else use.lower] - len(use.label) // 2), use.label)
    for key, box in picture.boxes.items():
        _draw(canvas, box, tops[depths[key]], columns[key] - _width(box) // 2)
    text = canvas.text(unicode=unicode)
    return text, max(map(len, text.splitlines()), default=0)


def _lanes(paths: tuple[tuple[str, ...], ...], columns: dict[str, int], depths: dict[str, int]) -> dict[tuple[int, str], int]:
    """Return in which row below its layer each upper key's lines turn sideways; no two strokes overlap."""
    spans: dict[tuple[int, str], list[int]] = {}
    for path in paths:
        for upper, lower in itertools.pairwise(path):
            spans.setdefault((depths[upper], upper), [columns[upper]]).append(columns[lower])
    lanes: dict[tuple[int, str], int] = {}
    taken: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for place, ends in sorted(spans.items(), key=lambda item: (item[0][0], min(item[1]))):
        low, high, lane = min(ends), max(ends), 0
        while low < high and any(low <= right and left <= high for left, right in taken.get((place[0], lane), ())):
            lane += 1
        lanes[place] = lane
        taken.setdefault((place[0], lane), []).append((low, high))
    return lanes


def _width(box: Box | None) -> int:
    return 1 if box is None else 4 + max(map(len, box.text))


def _height(box: Box | None) -> int:
    return 0 if box is None else 2 + len(box.text)


def _draw(canvas: Canvas, box: Box, top: int, left: int) -> None:
    right, bottom = left + _width(box) - 1, top + _height(box) - 1
    for row in (top, bottom):
        canvas.across(row, left, right)
    for column in (left, right):
        canvas.down(column, top, bottom)
    for number, text in enumerate(box.text, 1):
        canvas.write(top + number, left + 2, text)
