"""`topology graph`: what the picture shows, that boxes and lines do not run into each other, and the three ways to print it."""

import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bosd.v1 import battery_pb2 as bpb
from bosd.v1 import topology_pb2 as pb
from clients.bosctl.graph.dot import dot_of
from clients.bosctl.graph.layout import layout_of
from clients.bosctl.graph.picture import Box, Picture, Use, picture_document, picture_of
from clients.bosctl.graph.svg import svg_of
from clients.bosctl.graph.text import text_of

TOML = """
[[splitter]]
name = "house"
policy = "tranched"
source = "b1"
partitions = [{ name = "ann", fraction = 0.625 }, { name = "bob's", fraction = 0.375, capacity_fraction = 0.25 }]
"""


def topology() -> pb.Topology:
    """Return one pack, split for two."""
    entries = [pb.TopologyEntry(name="b1", kind="jbd", users=["house"])]
    entries += [pb.TopologyEntry(name=name, kind="partition", sources=["b1"], splitter="house") for name in ("ann", "bob's")]
    return pb.Topology(revision=3, toml=TOML, node="home", entries=entries)


def statuses() -> dict[str, bpb.BatteryStatus]:
    """Return a pack that discharges with 12.5 A for ann; of bob's nothing is known."""
    good: dict[str, Any] = {
        "quality": bpb.QUALITY_GOOD,
        "current_a": 12.5,
        "applied_current_a": 12.5,
        "max_discharge_current_a": 40.0,
    }
    return {
        "b1": bpb.BatteryStatus(name="b1", charge_ah=52.0, capacity_ah=100.0, soc=0.52, **good),
        "ann": bpb.BatteryStatus(name="ann", charge_ah=32.5, capacity_ah=62.5, soc=0.52, **good),
        "bob's": bpb.BatteryStatus(name="bob's", quality=bpb.QUALITY_UNAVAILABLE),
    }


def test_what_it_shows() -> None:
    """Kinds, charges, currents, limits, quality; the policy as a box of its own, parts and set points on the lines."""
    picture = picture_of(topology(), statuses())
    assert list(picture.boxes) == ["b1", "ann", "/house", "bob's"]
    assert picture.boxes["b1"].text == ("b1", "jbd", "52.0 of 100.0 Ah, 52.0 %", "+12.50 A, 0/+40.0")
    assert picture.boxes["bob's"].text == ("bob's", "partition, UNAVAILABLE", "- of - Ah", "- A, 0")
    assert picture.boxes["/house"].text == ("house", "tranched")
    assert picture.uses == (
        Use(upper="/house", lower="b1", label="+12.50 A"),
        Use(upper="ann", lower="/house", label="62.5 %"),
        Use(upper="bob's", lower="/house", label="25 %"),
    )
    document = picture_document(picture)
    assert document["boxes"][2] == {"key": "/house", "name": "house", "kind": "splitter", "quality": None, "lines": ["tranched"]}


def test_as_text() -> None:
    """Partitions above their policy, the policy above its source, joined by strokes."""
    text, columns = text_of(picture_of(topology(), statuses()))
    lines = text.splitlines()
    assert columns == max(map(len, lines))
    rows = [next(number for number, line in enumerate(lines) if f"│ {name} " in line) for name in ("ann", "house", "b1")]
    assert rows == sorted(rows)
    assert "62.5 %" in text
    assert text.isascii() is False
    assert text_of(picture_of(topology(), statuses()), unicode=False)[0].isascii()


def test_as_dot() -> None:
    """Every name is quoted, every use an edge."""
    dot = dot_of(picture_of(topology(), statuses()), 'a "title"')
    assert dot.startswith('digraph "a \\"title\\"" {')
    assert '"bob\'s" -> "/house" [label="25 %"];' in dot
    assert dot.count(" -> ") == 3
    assert "color=red3];" in dot


def test_as_svg() -> None:
    """Well-formed XML, within its own size, every box with its name; markup in a name is text."""
    picture = picture_of(topology(), statuses())
    strange = Picture(
        boxes={**picture.boxes, "x": Box(name="<&>", kind="null", lines=("null",), quality="GOOD")}, uses=picture.uses
    )
    root = ET.fromstring(svg_of(strange, "home <3>"))  # noqa: S314 (our own)
    space = "{http://www.w3.org/2000/svg}"
    texts = [element.text for element in root.iter(f"{space}text")]
    assert {"b1", "ann", "bob's", "house", "<&>", "62.5 %", "+12.50 A"} <= set(texts)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for rect in root.iter(f"{space}rect"):
        assert float(rect.attrib.get("x", 0)) + float(rect.attrib["width"]) <= width
        assert float(rect.attrib.get("y", 0)) + float(rect.attrib["height"]) <= height


def test_nothing_to_draw() -> None:
    """An empty topology is an empty picture."""
    picture = Picture(boxes={}, uses=())
    assert text_of(picture) == ("\n", 0)
    assert ET.fromstring(svg_of(picture, "")).tag.endswith("svg")  # noqa: S314 (our own)


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Return up to 14 boxes, each resting on some of those before it."""
    names = [f"n{number}" for number in range(draw(st.integers(1, 14)))]
    boxes = {name: Box(name=name, kind="x", lines=("x" * draw(st.integers(0, 9)),)) for name in names}
    uses = [
        Use(upper=name, lower=lower)
        for number, name in enumerate(names)
        for lower in draw(st.sets(st.sampled_from(names[:number]), max_size=3) if number else st.just(set()))
    ]
    return Picture(boxes=boxes, uses=tuple(uses))


@given(pictures())
def test_nothing_overlaps(picture: Picture) -> None:
    """Users stand in layers above their sources, boxes of a layer apart, a line passes one place in each layer between."""
    gap = 2.0

    def width(key: str) -> float:
        return 4.0 + len(picture.boxes[key].lines[0]) if key in picture.boxes else 1.0

    layout = layout_of(picture, width, gap)
    depths = {key: depth for depth, layer in enumerate(layout.layers) for key in layer}
    assert sorted(key for key in depths if key in picture.boxes) == sorted(picture.boxes)
    for path, use in zip(layout.paths, picture.uses, strict=True):
        assert (path[0], path[-1]) == (use.upper, use.lower)
        assert [depths[key] for key in path] == list(range(depths[use.upper], depths[use.lower] + 1))
    for layer in layout.layers:
        for left, right in pairwise(layer):
            between = layout.centres[right] - layout.centres[left] - (width(left) + width(right)) / 2.0
            assert between == pytest.approx(gap, abs=1e-6) or between > gap
    assert min(centre - width(key) / 2.0 for key, centre in layout.centres.items()) == pytest.approx(0.0, abs=1e-9)


@given(pictures())
def test_all_names_can_be_read_in_text(picture: Picture) -> None:
    """No stroke and no other box is written over a name."""
    text, _ = text_of(picture)
    assert all(f"│ {name} " in text for name in picture.boxes)
