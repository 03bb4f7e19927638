"""`audit`: who did, asked or was refused what."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bosd.v1 import audit_pb2 as pb
from clients.bosctl.commands.names import complete_names
from clients.bosctl.connection import Connection
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.format_audit import batteries, record_document, verdict_document, what
from clients.bosctl.session import Session, print_document, session_of
from clients.bosctl.since import Since, parse_since

if TYPE_CHECKING:
    from rich.console import Console

PAGE = 1000
FOLLOW_PAUSE_S = 1.0
_STYLES = {"refused": "yellow", "failed": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit")(audit)


def audit(  # noqa: PLR0917 (one parameter per option)
    context: typer.Context,
    since: Annotated[
        Since | None, typer.Option(metavar="TIME", parser=parse_since, help="From then on: 2h (ago), or 2026-11-21T10:00:00Z.")
    ] = None,
    until: Annotated[Since | None, typer.Option(metavar="TIME", parser=parse_since, help="Up to then.")] = None,
    battery: Annotated[
        str, typer.Option(metavar="NAME", autocompletion=complete_names, help="Only what names this battery.")
    ] = "",
    who: Annotated[str, typer.Option(metavar="WHO", help="Only what this asker did.")] = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many, the newest.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, oldest first.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Follow the whole chain; fail at a record that was changed.")] = False,
) -> None:
    """Show who did, asked or was refused what, newest first; or prove that no record was changed."""
    session = session_of(context)
    if verify:
        _verify(session)
        return
    request = pb.ListAuditRequest(battery=battery, who=who)
    if since is not None:
        request.MergeFrom(pb.ListAuditRequest(since=since.utc_s, ago_s=since.ago_s))
    if until is not None:
        request.MergeFrom(pb.ListAuditRequest(until=until.utc_s, until_ago_s=until.ago_s))
    with session.connect() as connection:
        answer = _read(connection, request, limit)
        if follow:
            _follow(session, connection, request, answer.records)
        else:
            session.answer([record_document(record) for record in answer.records], lambda console: _draw(console, answer))


def _read(connection: Connection, request: pb.ListAuditRequest, limit: int) -> pb.ListAuditResponse:
    """Return up to `limit` records, however many calls that takes."""
    whole = pb.ListAuditResponse()
    page = pb.ListAuditRequest()
    page.CopyFrom(request)
    while len(whole.records) < limit:
        page.limit = min(PAGE, limit - len(whole.records))
        answer = connection.call(connection.audit.List, page, doing="reading the audit")
        whole.MergeFrom(answer)
        whole.unwritten, whole.dropped = answer.unwritten, answer.dropped
        if not answer.HasField("next_before"):
            break
        page.before_number = answer.next_before
    return whole


def _follow(session: Session, connection: Connection, request: pb.ListAuditRequest, records: Sequence[pb.AuditRecord]) -> None:
    """Print records in the order of their numbers, each when it has one, until interrupted."""
    seen = 0
    pause = threading.Event()
    while True:
        for record in reversed(records):
            if record.number > seen:
                seen = record.number
                _print(session, record)
        pause.wait(FOLLOW_PAUSE_S)
        request.after_number = seen
        records = _read(connection, request, PAGE).records


def _print(session: Session, record: pb.AuditRecord) -> None:
    if session.as_json:
        print_document(record_document(record))
        return
    from clients.bosctl.format_text import moment  # noqa: PLC0415 (JSON needs no text)

    print(
        f"{moment(record.at)}  {record.number}  {record.who}  {_action(record)}  {batteries(record)}  {what(record)}", flush=True
    )


def _action(record: pb.AuditRecord) -> str:
    word = record.action if record.outcome == "done" else f"{record.action} {record.outcome}"
    return word if record.count == 1 else f"{word} x{record.count}"


def _draw(console: "Console", answer: pb.ListAuditResponse) -> None:
    from rich.table import Table  # noqa: PLC0415 (JSON needs no tables)
    from rich.text import Text  # noqa: PLC0415

    from clients.bosctl.format_text import moment  # noqa: PLC0415

    if not answer.records:
        console.print("Nothing was recorded that fits.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("number", justify="right", no_wrap=True)
    for title in ("when", "who", "action"):
        table.add_column(title, no_wrap=True)
    for title in ("batteries", "what"):
        table.add_column(title, overflow="fold")
    for record in answer.records:
        cells = (moment(record.at), record.who, _action(record), batteries(record), what(record))
        style = _STYLES.get(record.outcome, "")
        table.add_row(str(record.number or "…"), *(Text(cell) for cell in cells), style=style)
    console.print(table)
    if answer.dropped:
        console.print(f"\n{answer.unwritten} records wait for the store; {answer.dropped} found no room and are lost.")


def _verify(session: Session) -> None:
    with session.connect() as connection:
        answer = connection.call(connection.audit.Verify, pb.VerifyAuditRequest(), long=True, doing="following the chain")
    if not answer.ok:
        message = f"record {answer.broken_number} of the audit is not as it was written: {answer.why}"
        metadata = {"number": str(answer.broken_number), "why": answer.why}
        raise Failure(ExitStatus.REFUSED, "AUDIT_BROKEN", message, metadata)

    def draw(console: "Console") -> None:
        if not answer.records:
            console.print("The audit is empty.")
            return
        console.print(f"records {answer.first_number} to {answer.last_number} are as they were written")
        console.print(f"the hash of record {answer.last_number} is {answer.last_hash}", soft_wrap=True)
        if answer.unwritten or answer.dropped:
            console.print(f"{answer.unwritten} records wait for the store, {answer.dropped} found no room and are lost")

    session.answer(verdict_document(answer), draw)
