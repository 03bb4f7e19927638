"""The nodes of a fleet for people: one row a node, what is wrong below. Imports rich."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from clients.bosctl import format_text as text
from clients.bosctl.fleet_rows import DONE, NOT_ASKED
from clients.bosctl.selecting import Row

LATE_DAYS = 30.0
_GAP = 2


@dataclass(frozen=True, slots=True)
class _Column:
    """One column; where there is no room, the one with the largest `rank` goes first."""

    title: str
    cell: Callable[[Row], Text | str]
    unit: str = ""
    right: bool = False
    rank: int = 0


_Filled: TypeAlias = tuple[_Column, list[Text]]
_STYLES = {
    "local": "green",
    "ready": "green",
    "session": "green",
    "stale": "yellow",
    "sync": "yellow",
    "connecting": "yellow",
    "expected_down": "yellow",
    "lost": "bold red",
    "refused": "bold red",
}
_STATE_STYLES = {"OK": "green", "STARTING": "yellow", "DEGRADED": "yellow", "BLOCKED": "bold red"}


def fleet_view(node: str, system_state: str, reason: str, found: Sequence[Row], width: int) -> RenderableType:
    """Return how the system stands and a row a node, in the columns that fit; below, why a node is not whole."""
    head = Text.assemble(f"asked {node}: system ", (system_state, _STATE_STYLES.get(system_state, "")))
    if reason:
        head.append(f", {reason}")
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    shown = _fitting([(column, [_as_text(column.cell(row)) for row in found]) for column in _COLUMNS], width)
    for column, _cells in shown:
        table.add_column(f"{column.title}\n{column.unit}", justify="right" if column.right else "left", no_wrap=True)
    for index in range(len(found)):
        table.add_row(*(cells[index] for _column, cells in shown))
    remarks = [Text.assemble((f"{name(row)}: ", _STYLES.get(row["state"], "")), why) for row in found if (why := remark(row))]
    return Group(head, Text(""), table, *([Text(""), *remarks] if remarks else []))


def _fitting(filled: list[_Filled], width: int) -> list[_Filled]:
    """Return the columns that fit; the one with the largest rank goes first, those of rank 0 stay."""
    shown = list(filled)
    for each in sorted(filled, key=lambda item: -item[0].rank):
        if each[0].rank == 0 or sum(_GAP + _width(*item) for item in shown) - _GAP <= width:
            break
        shown.remove(each)
    return shown


def _width(column: "_Column", cells: Sequence[Text]) -> int:
    return max([len(column.title), len(column.unit), *(cell.cell_len for cell in cells)])


def name(row: Row) -> str:
    """Return how a row is called."""
    return str(row["node"] or row["target"])


def remark(row: Row) -> str:
    """Return why a node is not whole; empty when it is."""
    parts = []
    if row["status"] not in (DONE, NOT_ASKED) or row["state"] not in ("local", "session"):
        parts.append(row["message"])
    if row["maintenance_s"] is not None:
        why = f" ({row['maintenance_reason']})" if row["maintenance_reason"] else ""
        parts.append(f"in maintenance for another {text.duration(row['maintenance_s'])}{why}")
    if row["clock_doubt"]:
        parts.append(f"clock not trusted: {row['clock_doubt']}")
    if row["parted"]:
        parts.append(row["parted"])
    if "changed" in row["drift"]:
        parts.append("its configuration is another one than was agreed on")
    return "; ".join(filter(None, parts))


def _as_text(cell: Text | str) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


def _state(row: Row) -> Text:
    return Text(row["state"], style=_STYLES.get(row["state"], ""))


def _clock(row: Row) -> str:
    if row["state"] == "local":
        return "0.000"
    if row["clock_ahead_s"] is None:
        return text.UNKNOWN
    half_s = (row["round_trip_s"] or 0.0) / 2.0
    ahead_s = round(row["clock_ahead_s"], 3) + 0.0  # no -0.000
    return f"{ahead_s:+.3f} ±{half_s:.3f}"


def _trusted(row: Row) -> Text | str:
    if row["clock_trusted"] is None:
        return text.UNKNOWN
    return "yes" if row["clock_trusted"] else Text("no", style="yellow")


def days_left(row: Row) -> Text | str:
    """Return for how many days a node's certificate is good yet, as shown."""
    days = row["certificate_days_left"]
    if days is None:
        return text.UNKNOWN
    if days <= 0.0:
        return Text("expired", style="bold red")
    return Text(f"{days:.0f}", style="yellow" if days < LATE_DAYS else "")


def _errors(row: Row) -> Text | str:
    return text.UNKNOWN if row["errors"] is None else Text(str(row["errors"]), style="yellow" if row["errors"] else "")


def _drift(row: Row) -> Text | str:
    if row["version"] is None and not row["drift"]:
        return text.UNKNOWN
    return Text(", ".join(row["drift"]), style="yellow") if row["drift"] else "no"


def _plain(key: str) -> Callable[[Row], str]:
    return lambda row: text.UNKNOWN if row[key] is None else str(row[key])


_COLUMNS: Sequence[_Column] = (
    _Column("node", name),
    _Column("link", _state),
    _Column("age", lambda row: text.duration(row["age_s"]), right=True),
    _Column("clock", _clock, unit="s", right=True, rank=3),
    _Column("trusted", _trusted, rank=2),
    _Column("version", _plain("version"), rank=1),
    _Column("cert", days_left, unit="days", right=True, rank=4),
    _Column("batteries", _plain("batteries"), right=True, rank=6),
    _Column("errors", _errors, right=True),
    _Column("drift", _drift, rank=5),
    _Column("required", lambda row: "yes" if row["required"] else "", rank=7),
    _Column("status", _plain("status")),
)
