"""Statuses for people: a table of many, a card of one, a tree of what rests on what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bosd.v1 import battery_pb2 as pb
from clients.bosctl import format_text as text
from clients.bosctl.format_json import link_word, quality_word

QUALITY_STYLES = {"GOOD": "green", "STALE": "yellow", "UNAVAILABLE": "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the status table; `from_width` is the console width from which it is shown."""

    title: str
    cell: Callable[[pb.BatteryStatus], Text | str]
    from_width: int = 0
    right: bool = True


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
    notes: bool = True,
) -> RenderableType:
    """Return one row a status, with the columns that fit; `labels` stand in for the names, reasons follow below."""
    linked = any(link_word(status.link) not in (None, "local") for status in statuses)
    columns = [column for column in _COLUMNS if column.from_width <= width and (column.title != "link" or linked)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    table.add_column("name\n", no_wrap=True, overflow="ellipsis", min_width=6)
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    for label, status in zip(labels or [status.name for status in statuses], statuses, strict=True):
        table.add_row(Text(label), *(column.cell(status) for column in columns))
    remarks = [_remark(status) for status in statuses if status.reason] if notes else []
    return Group(table, *(["", *remarks] if remarks else []))


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
    field = _reader(status)
    rows = [
        ("voltage", f"{text.fixed(field('voltage_v'), 3)} V"),
        ("current", f"{text.signed(field('current_a'))} A{_direction(field('current_a'))}"),
        ("power", f"{text.signed(field('power_w'), 1)} W"),
        ("charge", f"{text.fixed(field('charge_ah'))} of {text.fixed(field('capacity_ah'))} Ah"),
        ("state of charge", f"{text.percent(field('soc'))} %"),
        ("usable charge", f"{text.fixed(field('usable_charge_ah'))} Ah, balanced {text.fixed(field('balanced_usable_charge_ah'))} Ah"),
        ("expected charge", f"{text.fixed(field('expected_charge_ah'))} Ah, unobserved {text.duration(status.unobserved_s)}"),
        ("may discharge", _limit(status.max_discharge_current_a, field("ideal_max_discharge_current_a"))),
        ("may charge", _limit(status.max_charge_current_a, field("ideal_max_charge_current_a"))),
        ("set point", _setpoint(status)),
        ("commandable", "yes" if status.commandable else "no"),
        ("link", link_word(status.link) or text.UNKNOWN),
        ("sampled", _sampled(status)),
    ]
    rows += _physical_rows(status)
    if status.HasField("unallocated_ah"):
        rows.append(("unallocated", f"{text.fixed(field('unallocated_ah'))} Ah"))
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


def _reader(status: pb.BatteryStatus) -> Callable[[str], float | None]:
    return lambda name: text.optional(status, name)


def _remark(status: pb.BatteryStatus) -> Text:
    return Text.assemble((f"{status.name}: ", QUALITY_STYLES[quality_word(status.quality)]), status.reason)


def _direction(current_a: float | None) -> str:
    if current_a is None or current_a == 0.0:
        return ""
    return " (discharging)" if current_a > 0.0 else " (charging)"


def _limit(present_a: float, ideal_a: float | None) -> str:
    return f"{present_a:.2f} A now, {text.fixed(ideal_a)} A at best"


def _setpoint(status: pb.BatteryStatus) -> str:
    if not status.HasField("requested_current_a") and not status.HasField("applied_current_a"):
        return "none"
    source = pb.SetpointSource.Name(status.setpoint_source).removeprefix("SETPOINT_SOURCE_").lower() if status.setpoint_source else ""
    until = f", until {text.moment(status.setpoint_ends_at)}" if status.HasField("setpoint_ends_at") else ""
    return f"{text.setpoint(status)} A{f', {source}' if source else ''}{until}"


def _sampled(status: pb.BatteryStatus) -> str:
    if not status.HasField("sampled_from"):
        return "never"
    first, last = text.moment(status.sampled_from), text.moment(status.sampled_to)
    return first if first == last else f"{first} to {last}"


def _number(field: str, digits: int) -> Callable[[pb.BatteryStatus], str]:
    return lambda status: text.fixed(text.optional(status, field), digits)


_COLUMNS = (
    Column(title="kind\n", cell=lambda status: status.kind, from_width=95, right=False),
    Column(title="quality\n", cell=quality_text, right=False),
    Column(title="age\n", cell=age_text),
    Column(title="link", cell=lambda status: link_word(status.link) or text.UNKNOWN, from_width=105, right=False),
    Column(title="voltage\nV", cell=_number("voltage_v", 2)),
    Column(title="current\nA", cell=lambda status: text.signed(text.optional(status, "current_a"))),
    Column(title="power\nW", cell=lambda status: text.signed(text.optional(status, "power_w"), 0), from_width=140),
    Column(title="charge\nAh", cell=_number("charge_ah", 1)),
    Column(title="capacity\nAh", cell=_number("capacity_ah", 1), from_width=105),
    Column(title="SoC\n%", cell=lambda status: text.percent(text.optional(status, "soc"))),
    Column(title="may disch.\nA", cell=lambda status: f"{status.max_discharge_current_a:.1f}", from_width=80),
    Column(title="may charge\nA", cell=lambda status: f"{status.max_charge_current_a:.1f}", from_width=80),
    Column(title="set point\nA", cell=text.setpoint, from_width=120),
)
