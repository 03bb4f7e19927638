import io

import pytest
from rich.console import Console, RenderableType

from clients.bosctl.card import status_card
from clients.bosctl.console import stderr_console, stdout_console
from clients.bosctl.tables import status_table
from tests.support.bosctl_node import aggregate, physical, stub_of_garage, unreachable

EVERYTHING = [physical("b1"), unreachable("b2"), aggregate(), stub_of_garage()]


def drawn(renderable: RenderableType, width: int, *, terminal: bool = False, no_color: bool = False) -> str:
    """Return what a console of this width prints."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=terminal, no_color=no_color, color_system="standard" if terminal else None
    )
    console.print(renderable)
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_no_width_cuts_a_number_or_a_quality(width: int) -> None:
    """Columns are left out whole where there is no room."""
    lines = drawn(status_table(EVERYTHING, width), width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    assert not any("…" in line for line in lines)
    assert any("UNAVAILABLE" in line for line in lines)


def test_what_matters_most_is_there_at_80_columns() -> None:
    """Name, quality, age, voltage, current, charge, state of charge and limits fit a plain terminal."""
    header, units, first, *_rest = drawn(status_table(EVERYTHING, 80), 80).splitlines()
    assert header.split() == ["name", "quality", "age", "voltage", "current", "charge", "SoC", "limits"]
    assert units.split() == ["V", "A", "Ah", "%", "A"]
    assert first.split() == ["b1", "GOOD", "0.2", "s", "13.20", "+4.00", "52.0", "52.0", "-30.0/+50.0"]


def test_everything_is_there_where_there_is_room() -> None:
    """Links show as soon as one is not local, set points as soon as there is one."""
    header = drawn(status_table(EVERYTHING, 200), 200).splitlines()[0]
    assert all(title in header for title in ("kind", "link", "power", "capacity", "set point"))
    assert "link" not in drawn(status_table([physical("b1")], 200), 200)


def test_a_very_long_name_gives_way_before_the_numbers() -> None:
    """A name of 63 characters, the longest there is, leaves the quality whole at 80 columns."""
    text = drawn(status_table([unreachable("n" * 63)], 80), 80)
    assert "UNAVAILABLE" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_reasons_stand_below_the_table() -> None:
    """A remark is read with the battery's name, whatever the width."""
    text = drawn(status_table(EVERYTHING, 80), 80)
    assert "b2: no answer on /dev/ttyUSB1" in text
    assert "no answer" not in drawn(status_table(EVERYTHING, 80, notes=False), 80)


def test_names_and_reasons_are_not_markup() -> None:
    """Square brackets of a driver's message reach the screen."""
    odd = physical("b1", reason="[red]E5[/red]")
    assert "b1: [red]E5[/red]" in drawn(status_table([odd], 80), 80)
    assert "[red]E5[/red]" in drawn(status_card(odd), 80)


def test_quality_is_coloured_on_a_terminal_only() -> None:
    """Green, yellow and bold red on a terminal; the word alone elsewhere and under NO_COLOR."""
    table = status_table(EVERYTHING, 80)
    coloured = drawn(table, 80, terminal=True)
    assert "\x1b[32mGOOD" in coloured
    assert "\x1b[33mSTALE" in coloured
    assert "\x1b[1;31mUNAVAILABLE" in coloured
    assert "\x1b" not in drawn(table, 80)
    assert "\x1b[32m" not in drawn(table, 80, terminal=True, no_color=True)


def test_a_card_shows_every_cell() -> None:
    """Cells with their spread: 3.301 V - 3.299 V is 2 mV."""
    text = drawn(status_card(physical("b1")), 80)
    assert "3.301  3.299  3.300  3.300 V, spread 2 mV" in text
    assert "+4.00 A (discharging)" in text
    assert "21.5  22.0 °C" in text


def test_a_card_of_an_unknown_battery_says_so() -> None:
    """Unknown is a word, not a number."""
    text = drawn(status_card(unreachable("b2")), 80)
    assert text.count("unknown") >= 5
    assert "never" in text


def test_names_between_colons_stay_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """`home/node:b: silent` is a node called b, and no picture."""
    stdout_console().print("home/node:b: silent", markup=False)
    stderr_console().print("home/node:b: silent", markup=False)
    assert capsys.readouterr() == ("home/node:b: silent\n", "home/node:b: silent\n")
