"""Statuses for people: a table of many, a card of one, a tree of what rests on what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bosd.v1 import battery_pb2 as pb
from clients.bosctl import format_text as text
from clients.bosctl.format_json import link_word, quality_word, source_word

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


def status_card(status: pb.BatteryStatus) -> RenderableType:
    """Return everything about one battery, top down."""
    head = Text.assemble((status.name, "bold"), f"  {status.kind}  ", quality_text(status), "  age ", age_text(status))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in _card_rows(status):
        grid.add_row(label, Text(value))
    return Group(head, grid)


def _card_rows(status: pb.BatteryStatus) -> list[tuple[str, str]]:
    current_a = text.optional(status, "current_a")
    rows = [
        ("voltage", _measure(status, "voltage_v", "V", 3)),
        ("current", text.with_unit(text.signed(current_a), "A") + _direction(current_a)),
        ("power", text.with_unit(text.signed(text.optional(status, "power_w"), 1), "W")),
        ("charge", _charge(status)),
        ("state of charge", text.with_unit(text.percent(text.optional(status, "soc")), "%")),
        ("usable charge", _pair(status, "usable_charge_ah", "balanced_usable_charge_ah", "balanced")),
        ("expected charge", _measure(status, "expected_charge_ah", "Ah") + _unobserved(status)),
        ("may discharge", _limit(status, "max_discharge_current_a")),
        ("may charge", _limit(status, "max_charge_current_a")),
        ("set point", _setpoint(status)),
        ("commandable", "yes" if status.commandable else "no"),
        ("link", link_word(status.link) or "unknown"),
        ("sampled", _sampled(status)),
    ]
    rows += _physical_rows(status)
    if status.HasField("unallocated_ah"):
        rows.append(("unallocated", _measure(status, "unallocated_ah", "Ah")))
    if len(status.path) > 1:
        rows.append(("path", ", ".join(status.path)))
    if status.reason:
        rows.append(("reason", status.reason))
    return rows


def _physical_rows(status: pb.BatteryStatus) -> list[tuple[str, str]]:
    rows = []
    if status.cells_v:
        spread_v = max(status.cells_v) - min(status.cells_v)
        cells = "  ".join(f"{cell:.3f}" for cell in status.cells_v)
        rows.append(("cells", f"{cells} V, spread {1000.0 * spread_v:.0f} mV"))
    if status.temperatures_c:
        rows.append(("temperatures", "  ".join(f"{value:.1f}" for value in status.temperatures_c) + " °C"))
    if status.HasField("cycles"):
        rows.append(("cycles", str(status.cycles)))
    if status.faults:
        rows.append(("faults", ", ".join(status.faults)))
    elif status.cells_v or status.temperatures_c:
        rows.append(("faults", "none"))
    return rows


def _measure(status: pb.BatteryStatus, field: str, unit: str, digits: int = 2) -> str:
    return text.with_unit(text.fixed(text.optional(status, field), digits), unit)


def _charge(status: pb.BatteryStatus) -> str:
    charge, capacity = (text.fixed(text.optional(status, field)) for field in ("charge_ah", "capacity_ah"))
    return "unknown" if (charge, capacity) == (text.UNKNOWN, text.UNKNOWN) else f"{charge} of {capacity} Ah"


def _pair(status: pb.BatteryStatus, now: str, best: str, label: str) -> str:
    beside = f", {label} {_measure(status, best, 'Ah')}" if status.HasField(best) else ""
    return f"{_measure(status, now, 'Ah')}{beside}"


def _unobserved(status: pb.BatteryStatus) -> str:
    return f", {text.duration(status.unobserved_s)} of it unobserved" if status.unobserved_s else ""


def _remark(status: pb.BatteryStatus) -> Text:
    return Text.assemble((f"{status.name}: ", QUALITY_STYLES[quality_word(status.quality)]), status.reason)


def _direction(current_a: float | None) -> str:
    if current_a is None or current_a == 0.0:
        return ""
    return " (discharging)" if current_a > 0.0 else " (charging)"


def _limit(status: pb.BatteryStatus, field: str) -> str:
    return f"{getattr(status, field):.2f} A now, at best {_measure(status, f'ideal_{field}', 'A')}"


def _setpoint(status: pb.BatteryStatus) -> str:
    if not status.HasField("requested_current_a") and not status.applied_current_a:
        return "none"
    source = source_word(status.setpoint_source)
    until = f", until {text.moment(status.setpoint_ends_at)}" if status.HasField("setpoint_ends_at") else ""
    asked = " asked" if " of " in text.setpoint(status) else ""
    return f"{text.setpoint(status)} A{asked}{f', {source}' if source else ''}{until}"


def _sampled(status: pb.BatteryStatus) -> str:
    if not status.HasField("sampled_from"):
        return "never"
    first, last = text.moment(status.sampled_from), text.moment(status.sampled_to)
    return first if first == last else f"{first} to {last}"


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
