"""Statuses for people: many as a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bosd.v1 import battery_pb2 as pb
from clients.bosctl import format_text as text
from clients.bosctl.format_json import link_word, quality_word

QUALITY_STYLES = {"GOOD": "green", "STALE": "yellow", "UNAVAILABLE": "bold red"}


COLUMN_GAP = 2
NARROWEST_NAME = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the status table; where there is no room, the one with the largest `rank` goes first."""

    title: str
    unit: str = ""
    cell: Callable[[pb.BatteryStatus], Text | str]
    rank: int = 0
    right: bool = True
    wanted: Callable[[pb.BatteryStatus], bool] = lambda _status: True


def quality_text(status: pb.BatteryStatus) -> Text:
    """Return the quality as its coloured word."""
    word = quality_word(status.quality)
    return Text(word, style=QUALITY_STYLES[word])


def age_text(status: pb.BatteryStatus) -> Text:
    """Return the age in the colour of the quality it leads to; a good one stays quiet."""
    word = quality_word(status.quality)
    return Text(text.duration(text.optional(status, "age_s")), style="" if word == "GOOD" else QUALITY_STYLES[word])


def status_table(
    statuses: Sequence[pb.BatteryStatus],
    width: int,
    *,
    labels: Sequence[str] | None = None,
    ranks: Mapping[str, int] | None = None,
    notes: bool = True,
) -> RenderableType:
    """Return one row a status, with the columns that fit; reasons follow below.

    `labels` stand in for the names, `ranks` for the rank of the columns named.
    """
    names = [Text(label) for label in labels or [status.name for status in statuses]]
    filled = [
        (
            replace(column, rank=(ranks or {}).get(column.title, column.rank)),
            [_as_text(column.cell(status)) for status in statuses],
        )
        for column in COLUMNS
        if any(column.wanted(status) for status in statuses)
    ]
    shown = _fitting(filled, max([NARROWEST_NAME, *(name.cell_len for name in names)]), width)
    table = Table(box=None, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0), header_style="bold")
    table.add_column("name\n", no_wrap=True, overflow="ellipsis", min_width=NARROWEST_NAME)
    for column, cells in shown:
        title = f"{column.title}\n{column.unit}"
        table.add_column(title, justify="right" if column.right else "left", no_wrap=True, min_width=_width(column, cells))
    for row, name in enumerate(names):
        table.add_row(name, *(cells[row] for _column, cells in shown))
    remarks = [_remark(status) for status in statuses if status.reason] if notes else []
    return Group(table, "", *remarks) if remarks else table


def _fitting(filled: Sequence[tuple[Column, list[Text]]], names_width: int, width: int) -> Sequence[tuple[Column, list[Text]]]:
    """Return the columns that fit beside the names; those of rank 0 stay in any case."""
    shown = list(filled)
    room = width - names_width
    for column, cells in sorted(filled, key=lambda item: -item[0].rank):
        if column.rank == 0 or sum(COLUMN_GAP + _width(*item) for item in shown) <= room:
            break
        shown.remove((column, cells))
    return shown


def _width(column: Column, cells: Sequence[Text]) -> int:
    return max([len(column.title), len(column.unit), *(cell.cell_len for cell in cells)])


def _as_text(cell: Text | str) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


def _remark(status: pb.BatteryStatus) -> Text:
    return Text.assemble((f"{status.name}: ", QUALITY_STYLES[quality_word(status.quality)]), status.reason)


def _number(field: str, digits: int) -> Callable[[pb.BatteryStatus], str]:
    return lambda status: text.fixed(text.optional(status, field), digits)


COLUMNS = (
    Column(title="kind", cell=lambda status: status.kind, rank=6, right=False),
    Column(title="quality", cell=quality_text, right=False),
    Column(title="age", cell=age_text),
    Column(
        title="link",
        cell=lambda status: link_word(status.link) or text.UNKNOWN,
        rank=4,
        right=False,
        wanted=lambda status: link_word(status.link) not in (None, "local"),
    ),
    Column(title="voltage", unit="V", cell=_number("voltage_v", 2)),
    Column(title="current", unit="A", cell=lambda status: text.signed(text.optional(status, "current_a"))),
    Column(title="power", unit="W", cell=lambda status: text.signed(text.optional(status, "power_w"), 0), rank=7),
    Column(title="charge", unit="Ah", cell=_number("charge_ah", 1), rank=1),
    Column(title="capacity", unit="Ah", cell=_number("capacity_ah", 1), rank=5),
    Column(title="SoC", unit="%", cell=lambda status: text.percent(text.optional(status, "soc"))),
    Column(title="limits", unit="A", cell=text.limits, rank=2),
    Column(
        title="set point",
        unit="A",
        cell=text.setpoint,
        rank=3,
        wanted=lambda status: status.HasField("requested_current_a"),
    ),
)
