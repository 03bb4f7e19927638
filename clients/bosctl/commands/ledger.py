"""`ledger` and `meter reset`: who gave charge to whom, and the meters it adds up to."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from clients.bosctl.commands.names import Name
from clients.bosctl.connection import Connection
from clients.bosctl.session import Session, session_of
from clients.bosctl.since import Since, parse_since

if TYPE_CHECKING:
    from rich.console import Console

    from bosd.v1 import ledger_pb2 as pb

CSV_COLUMNS = ("account", "from", "to", "charge_ah", "energy_wh", "start", "end", "open")

meter = typer.Typer(
    help="The expected charge of batteries.", no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ledger")(ledger)
    app.add_typer(meter, name="meter")


@meter.command("reset")
def reset(context: typer.Context, name: Name) -> None:
    """Let a leaf's meter be the charge it holds now, and re-base all that rests on it."""
    from bosd.v1 import ledger_pb2 as pb  # noqa: PLC0415 (these commands only)

    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.ledger.ResetMeter, pb.ResetMeterRequest(name=name), long=True, doing="resetting")

    def draw(console: "Console") -> None:
        console.print(f"{name}: the meter moved by {answer.shift_ah:+.4f} Ah", markup=False)

    session.answer({"name": name, "shift_ah": answer.shift_ah}, draw)


def ledger(
    context: typer.Context,
    name: Name,
    since: Annotated[
        Since | None, typer.Option(metavar="TIME", parser=parse_since, help="From then on: 2h (ago), or 2026-11-21T10:00:00Z.")
    ] = None,
    until: Annotated[Since | None, typer.Option(metavar="TIME", parser=parse_since, help="Up to then.")] = None,
    csv_file: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write CSV to a file, or to - .")] = None,
    statement: Annotated[bool, typer.Option("--statement", help="Sums by counterparty.")] = False,
) -> None:
    """Show who gave charge to whom: of a partition, of a split battery with the transfers inside it, or of any other."""
    if statement and csv_file is not None:
        raise typer.BadParameter("--csv writes entries; leave --statement out")
    session = session_of(context)
    with session.connect() as connection:
        summed = _statement(connection, name, since, until)
        entries = [] if statement else _entries(connection, name, since, until)
    if csv_file is not None:
        _export(session, csv_file, entries)
    elif statement:
        session.answer(statement_document(summed), lambda console: _draw_statement(console, summed))
    else:
        document = {**_accounts(summed), "entries": [entry_document(entry) for entry in entries]}
        session.answer(document, lambda console: _draw(console, summed, entries))


def _statement(connection: Connection, name: str, since: Since | None, until: Since | None) -> "pb.LedgerStatement":
    from bosd.v1 import ledger_pb2 as pb  # noqa: PLC0415 (these commands only)

    begin, end = since or Since(), until or Since()
    request = pb.LedgerStatementRequest(name=name, since=begin.utc_s, ago_s=begin.ago_s, until=end.utc_s, until_ago_s=end.ago_s)
    answer: pb.LedgerStatement = connection.call(connection.ledger.Statement, request, long=True, doing="reading the ledger")
    return answer


def _entries(connection: Connection, name: str, since: Since | None, until: Since | None) -> "list[pb.LedgerEntry]":
    from bosd.v1 import ledger_pb2 as pb  # noqa: PLC0415 (these commands only)

    begin, end = since or Since(), until or Since()
    request = pb.ListLedgerRequest(name=name, since=begin.utc_s, ago_s=begin.ago_s, until=end.utc_s, until_ago_s=end.ago_s)
    entries: list[pb.LedgerEntry] = []
    while True:
        answer = connection.call(connection.ledger.List, request, long=True, doing="reading the ledger")
        entries += answer.entries
        if not answer.next_after:
            return entries
        request.after_number = answer.next_after


def entry_document(entry: "pb.LedgerEntry") -> dict[str, object]:
    """Return an entry as a document."""
    from clients.bosctl.format_json import rfc3339  # noqa: PLC0415 (these commands only)

    return {
        "account": entry.account,
        "from": entry.giver,
        "to": entry.taker,
        "charge_ah": entry.charge_ah,
        "energy_wh": entry.energy_wh if entry.HasField("energy_wh") else None,
        "start": rfc3339(entry.start),
        "end": rfc3339(entry.end),
        "open": entry.number == 0,
    }


def _accounts(statement: "pb.LedgerStatement") -> dict[str, object]:
    known = [key for key in ("expected_charge_ah", "unallocated_ah", "unattributed_ah") if statement.HasField(key)]
    return {"name": statement.name, "unobserved_s": statement.unobserved_s, **{key: getattr(statement, key) for key in known}}


def statement_document(statement: "pb.LedgerStatement") -> dict[str, object]:
    """Return a statement as a document."""
    return {
        **_accounts(statement),
        "in_ah": sum(each.in_ah for each in statement.counterparties),
        "in_wh": sum(each.in_wh for each in statement.counterparties),
        "out_ah": sum(each.out_ah for each in statement.counterparties),
        "out_wh": sum(each.out_wh for each in statement.counterparties),
        "counterparties": [
            {"name": each.name, "in_ah": each.in_ah, "in_wh": each.in_wh, "out_ah": each.out_ah, "out_wh": each.out_wh}
            for each in statement.counterparties
        ],
        "transfers": [
            {"from": row.giver, "to": row.taker, "charge_ah": row.charge_ah, "energy_wh": row.energy_wh}
            for row in statement.transfers
        ],
        "unpriced_ah": statement.unpriced_ah,
    }


def _export(session: Session, place: str, entries: "list[pb.LedgerEntry]") -> None:
    if place == "-":
        _write_csv(sys.stdout, entries)
        return
    try:
        with Path(place).open("w", encoding="utf-8", newline="") as file:
            _write_csv(file, entries)
    except OSError as error:
        raise typer.BadParameter(f"{place}: cannot be written: {error.strerror}", param_hint="--csv") from None
    session.answer(
        {"file": place, "entries": len(entries)},
        lambda console: console.print(f"{len(entries)} entries in {place}", markup=False),
    )


def _write_csv(file: TextIO, entries: "list[pb.LedgerEntry]") -> None:
    writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        document = entry_document(entry)
        document["open"] = "yes" if document["open"] else "no"
        writer.writerow(document)


def _draw(console: "Console", statement: "pb.LedgerStatement", entries: "list[pb.LedgerEntry]") -> None:
    from clients.bosctl.format_text import moment  # noqa: PLC0415 (JSON needs no text)

    rows = [
        (
            entry.giver,
            entry.taker,
            f"{entry.charge_ah:.4f}",
            f"{entry.energy_wh:.2f}" if entry.HasField("energy_wh") else "?",
            moment(entry.start),
            moment(entry.end) if entry.number else f"{moment(entry.end)} (open)",
        )
        for entry in entries
    ]
    if rows:
        _table(console, ("from", "to", "Ah", "Wh", "start", "end"), rows)
    else:
        console.print("Nothing flowed.")
    _draw_accounts(console, statement)


def _draw_statement(console: "Console", statement: "pb.LedgerStatement") -> None:
    rows = [
        (each.name, f"{each.in_ah:.4f}", f"{each.in_wh:.2f}", f"{each.out_ah:.4f}", f"{each.out_wh:.2f}")
        for each in statement.counterparties
    ]
    if len(rows) > 1:
        sums = [sum(getattr(each, key) for each in statement.counterparties) for key in ("in_ah", "in_wh", "out_ah", "out_wh")]
        rows.append(("together", f"{sums[0]:.4f}", f"{sums[1]:.2f}", f"{sums[2]:.4f}", f"{sums[3]:.2f}"))
    if rows:
        _table(console, ("with", "in Ah", "in Wh", "out Ah", "out Wh"), rows)
    transfers = [(row.giver, row.taker, f"{row.charge_ah:.4f}", f"{row.energy_wh:.2f}") for row in statement.transfers]
    if transfers:
        _table(console, ("from", "to", "Ah", "Wh"), transfers)
    if not rows and not transfers:
        console.print("Nothing flowed.")
    if statement.unpriced_ah > 0.0:
        console.print(f"{statement.unpriced_ah:.4f} Ah flowed while the voltage was not known: in no energy", markup=False)
    _draw_accounts(console, statement)


def _draw_accounts(console: "Console", statement: "pb.LedgerStatement") -> None:
    if statement.HasField("expected_charge_ah"):
        console.print(f"meter of {statement.name}: {round(statement.expected_charge_ah, 4) + 0.0:.4f} Ah", markup=False)
    if statement.unobserved_s > 0.0:
        console.print(f"{statement.unobserved_s:.0f} s were not observed", markup=False)
    if statement.HasField("unallocated_ah"):
        console.print(f"{statement.unallocated_ah:.4f} Ah unallocated: no partition can hold them", markup=False)
    if statement.HasField("unattributed_ah") and statement.unattributed_ah:
        console.print(f"{statement.unattributed_ah:+.4f} Ah unattributed: no partition could be charged with them", markup=False)


def _table(console: "Console", titles: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.table import Table  # noqa: PLC0415 (JSON needs no tables)
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, justify="right" if title.endswith("h") and title != "with" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
