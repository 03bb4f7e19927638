"""`device`: what a physical battery's device tells of itself."""

from typing import TYPE_CHECKING

import typer

from clients.bosctl.commands.names import Name
from clients.bosctl.format_json import Document, number, rfc3339
from clients.bosctl.session import session_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from bosd.v1 import device_pb2 as pb

_LATENCIES = ("latency_min_s", "latency_median_s", "latency_p95_s", "latency_max_s")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("device")(device)


def device(context: typer.Context, name: Name) -> None:
    """Show the device of a physical battery: who it is, its limits and their sources, its own counts, and its line's traffic."""
    from bosd.v1 import device_pb2 as pb  # noqa: PLC0415 (this command only)

    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.devices.Get, pb.GetDeviceRequest(name=name), doing=f"reading {name}")
    session.answer(device_document(answer), lambda console: _draw(console, answer))


def device_document(answer: "pb.Device") -> Document:
    """Return a device as one document; latencies are in seconds, limits magnitudes in A."""
    traffic = answer.traffic
    return {
        "name": answer.name,
        "kind": answer.kind,
        "port": answer.port,
        "identity": {each.name: each.text for each in answer.identity},
        "trips": {each.name: each.count for each in answer.trips},
        "flags": {each.name: each.set for each in answer.flags},
        "balancing_cells": list(answer.balancing_cells),
        "limits": [
            {"direction": each.direction, "limit_a": number(each.limit_a), "source": each.source} for each in answer.limits
        ],
        "traffic": {
            "requests": traffic.requests,
            "retries": traffic.retries,
            "replies": traffic.replies,
            "resyncs": traffic.resyncs,
            "rejects": {each.name: each.count for each in traffic.rejects},
            **{key: number(getattr(traffic, key)) if traffic.HasField(key) else None for key in _LATENCIES},
        },
        "notes": list(answer.notes),
        "read_at": rfc3339(answer.read_at) if answer.HasField("read_at") else None,
        "regulator": device_document(answer.regulator) if answer.HasField("regulator") else None,
    }


def _draw(console: "Console", answer: "pb.Device") -> None:
    from rich.table import Table  # noqa: PLC0415 (JSON needs no text)
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in _rows(answer):
        grid.add_row(label, Text(value))
    console.print(f"{answer.name}  {answer.kind}  {answer.port}", style="bold", markup=False)
    console.print(grid)
    if answer.HasField("regulator"):
        _draw(console, answer.regulator)


def _rows(answer: "pb.Device") -> list[tuple[str, str]]:
    traffic = answer.traffic
    rows = [(each.name, each.text) for each in answer.identity]
    rows += [(f"{each.direction} limit", f"{each.limit_a:.2f} A  {each.source}") for each in answer.limits]
    if answer.flags:
        rows.append(("now", ", ".join(each.name for each in answer.flags if each.set) or "nothing set"))
    if answer.balancing_cells:
        rows.append(("balancing", f"cells {', '.join(map(str, answer.balancing_cells))}"))
    if answer.trips:
        rows.append(("has tripped", _counted((each.name, each.count) for each in answer.trips if each.count) or "never"))
    rows.append(
        ("requests", f"{traffic.requests}, retries {traffic.retries}, replies {traffic.replies}, resyncs {traffic.resyncs}")
    )
    rows.append(("rejected", _counted((each.name, each.count) for each in traffic.rejects) or "nothing"))
    if traffic.HasField("latency_median_s"):
        least, median, p95, most = (1000.0 * getattr(traffic, key) for key in _LATENCIES)
        rows.append(("answers after", f"{median:.0f} ms in the middle, {least:.0f} to {most:.0f} ms, 95 % within {p95:.0f} ms"))
    return rows + [("note", each) for each in answer.notes]


def _counted(counts: "Iterable[tuple[str, int]]") -> str:
    return ", ".join(f"{name} {count}" for name, count in counts)
