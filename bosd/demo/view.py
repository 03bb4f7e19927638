"""The demo's live table: all batteries of both nodes, what just happened, and what can be typed beside it."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bosd.demo.reading import PERIOD_S, NodeReader
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb
from clients.bosctl import format_text as text
from clients.bosctl.tables import age_text, quality_text

SILENT_S = 2.0 + 2.0 * PERIOD_S
"""A node that has not answered for this long is said to be silent."""
WIDE = 100
"""Columns from which limits, set points and a longer gauge fit."""
GAUGE_CELLS = {False: 5, True: 12}
_EIGHTHS = " ▏▎▍▌▋▊▉"


def gauge(ratio: float | None, cells: int, *, unicode: bool = True) -> Text:
    """Return a bar of `cells` for a ratio 0 to 1, an empty one where it is not known; red below 0.15, yellow below 0.3."""
    if ratio is None:
        return Text(" " * cells)
    filled = min(1.0, max(0.0, ratio)) * cells
    whole = int(filled)
    bar = ("█" if unicode else "#") * whole
    if unicode and whole < cells:
        bar += _EIGHTHS[int((filled - whole) * 8)]
    style = "red" if ratio < 0.15 else "yellow" if ratio < 0.3 else "green"
    return Text(bar.ljust(cells), style=f"{style} on grey23" if unicode else style)


def rests_on(entry: tpb.TopologyEntry | None, status: pb.BatteryStatus) -> str:
    """Return in a few words what a battery is made of: `b1 + b2`, `part of pack`, `garage/lent`, `JBD pack`."""
    if status.kind == "network":
        return status.path[1] if len(status.path) > 1 else "another node"
    if entry is None or not entry.sources:
        return {"jbd": "JBD pack"}.get(status.kind, status.kind)
    if entry.kind == "partition":
        return f"part of {entry.sources[0]}"
    return " + ".join(entry.sources)


def top_down(entries: Sequence[tpb.TopologyEntry]) -> list[str]:
    """Return the names in an order in which everything stands above what it rests on, parts of one source together."""
    by_name = {entry.name: entry for entry in entries}
    height: dict[str, int] = {}

    def measure(name: str) -> int:
        if name not in height:
            height[name] = 0  # a circle cannot be, and would end here
            height[name] = max((1 + measure(source) for source in by_name[name].sources if source in by_name), default=0)
        return height[name]

    return sorted(by_name, key=lambda name: -measure(name))


class View:
    """Draws the nodes; `commands` are shown below the table."""

    def __init__(self, nodes: Sequence[NodeReader], commands: Sequence[str]) -> None:
        self._nodes = nodes
        self._commands = commands

    def draw(self, console: Console, *, elapsed_s: float, told: str, refusal: str) -> RenderableType:
        """Return the whole picture for this console's width."""
        head = Text.assemble(("bosd demo", "bold"), "  two nodes, three simulated packs, discharge positive")
        head.append(f"{elapsed_s:6.0f} s".rjust(max(0, min(console.width, WIDE + 20) - head.cell_len)), style="dim")
        note = Text.assemble(("▸ " if _is_unicode(console) else "> ", "bold cyan"), told)
        trouble = Text(refusal or self._trouble(), style="yellow", no_wrap=True, overflow="ellipsis")
        lines = [Text(f"  {command}", no_wrap=True, overflow="ellipsis") for command in self._commands]
        title = Text("In a second terminal (Ctrl-C here ends the demo):", style="dim")
        return Group(head, "", self._table(console), "", note, trouble, title, *lines)

    def _table(self, console: Console) -> Table:
        wide, unicode = console.width >= WIDE, _is_unicode(console)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("battery", no_wrap=True, min_width=8)
        table.add_column("rests on", no_wrap=True, overflow="ellipsis", min_width=12, style="dim")
        table.add_column("quality", no_wrap=True, min_width=11)
        numbers = ["age", "V", "A", "Ah", "SoC %"]
        for title, least in zip(numbers, (5, 5, 6, 6, 5), strict=True):
            table.add_column(title, justify="right", no_wrap=True, min_width=least)
        table.add_column("", no_wrap=True)
        if wide:
            table.add_column("limits A", justify="right", no_wrap=True, min_width=12)
            table.add_column("set point A", justify="right", no_wrap=True, min_width=11)
        for node in self._nodes:
            self._add_node(table, node, wide=wide, unicode=unicode)
        return table

    def _add_node(self, table: Table, node: NodeReader, *, wide: bool, unicode: bool) -> None:
        silent = node.silent_s > SILENT_S
        note = Text(f"silent {text.duration(node.silent_s)}", style="bold red") if silent else Text("")
        table.add_row(Text(node.name, style="bold cyan"), Text(f"port {node.address.rpartition(':')[2]}", style="cyan"), note)
        entries = {entry.name: entry for entry in node.entries}
        statuses = {status.name: status for status in node.statuses}
        for name in top_down(node.entries):
            if name in statuses:
                row = _row(statuses[name], entries[name], wide=wide, unicode=unicode)
                if silent:  # nobody knows more than that they are older now
                    row[2:4] = ["", text.duration(statuses[name].age_s + node.silent_s)]
                table.add_row(*row, style="dim" if silent else None)

    def _trouble(self) -> str:
        """Return why the first battery that is not good is not, or nothing."""
        for node in self._nodes:
            for status in node.statuses:
                if status.quality != pb.QUALITY_GOOD and status.reason:
                    return f"  {status.name}: {status.reason}"
        return ""


def _row(status: pb.BatteryStatus, entry: tpb.TopologyEntry, *, wide: bool, unicode: bool) -> list[Text | str]:
    soc = text.optional(status, "soc")
    cells: list[Text | str] = [
        f" {status.name}",
        rests_on(entry, status),
        quality_text(status),
        age_text(status),
        text.fixed(text.optional(status, "voltage_v")),
        _current(status),
        text.fixed(text.optional(status, "charge_ah")),
        text.percent(soc),
        gauge(soc, GAUGE_CELLS[wide], unicode=unicode),
    ]
    if wide:
        cells += [text.limits(status), text.setpoint(status) if status.HasField("requested_current_a") else ""]
    return cells


def _current(status: pb.BatteryStatus) -> Text:
    """Return the current, in a colour of its own for each direction."""
    value = text.optional(status, "current_a")
    style = "" if not value else "magenta" if value > 0.0 else "bright_blue"
    return Text(text.signed(value), style=style)


def _is_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")
