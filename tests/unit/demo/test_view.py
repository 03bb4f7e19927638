"""The demo's table."""

import io

import pytest
from rich.console import Console

from bosd.demo.reading import NodeReader
from bosd.demo.view import View, gauge, rests_on, top_down
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb
from tests.unit.demo.test_checks import entry, garage, house


def drawn(width: int) -> str:
    """Return the picture of both nodes as text."""
    nodes = []
    for name, view in (("garage", garage(reason="b1 is old", quality=pb.QUALITY_STALE)), ("house", house())):
        reader = NodeReader(name, "127.0.0.1:4004")
        reader.statuses, reader.entries = view.statuses, view.entries
        nodes.append(reader)
    console = Console(width=width, file=io.StringIO(), record=True, legacy_windows=False)
    console.print(View(nodes, ["bosctl ls"]).draw(console, elapsed_s=7.0, told="b1 is cut", refusal=""))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 120])
def test_every_battery_has_its_line(width: int) -> None:
    """Names, what they rest on, qualities and ages at both widths; no line is longer than the terminal."""
    text = drawn(width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    for words in (
        "workshop  part of pack",
        "lent      part of pack",
        "pack      b1 + b2",
        "b1        JBD pack",
        "garage    garage/lent",
    ):
        assert words in text
    assert text.count("GOOD") == 5
    assert text.count("STALE") == 1
    assert "pack: b1 is old" in text
    assert ("limits A" in text) == (width == 120)


def test_a_tall_terminal_is_not_needed() -> None:
    """Six batteries and everything around them leave room for four more batteries on 24 lines."""
    assert len(drawn(80).splitlines()) <= 20


def test_everything_stands_above_what_it_rests_on() -> None:
    """Parts of one source side by side, then the source, then its members."""
    assert top_down(garage().entries) == ["workshop", "lent", "pack", "b1", "b2"]


def test_what_a_battery_rests_on_in_words() -> None:
    """An unknown remote and an unknown kind have words too."""
    assert rests_on(entry("r", "network"), pb.BatteryStatus(name="r", kind="network")) == "another node"
    assert rests_on(tpb.TopologyEntry(name="n", kind="null"), pb.BatteryStatus(name="n", kind="null")) == "null"


def test_gauges() -> None:
    """Whole cells and eighths; nothing where nothing is known."""
    assert gauge(0.5, 4).plain == "██  "
    assert gauge(0.53125, 4).plain == "██▏ "
    assert gauge(1.0, 4).plain == "████"
    assert gauge(None, 4).plain == "    "
    assert gauge(0.5, 4, unicode=False).plain == "##  "
