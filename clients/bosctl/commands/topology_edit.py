"""`topology edit`: the topology in an editor, planned, confirmed, applied against the revision it was read at."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bosd.v1 import topology_pb2 as pb
from clients.bosctl.commands.edit import Comment, draw_apply, end_where_unconfirmed, read_toml
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.format_topology import apply_document
from clients.bosctl.holding import new_request_id
from clients.bosctl.session import Session, session_of

FALLBACK_EDITOR = "vi"


def edit(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking; needed with --json.")] = False,
    comment: Comment = "",
) -> None:
    """Edit the topology in $VISUAL or $EDITOR; the plan is shown, and applied once you agree."""
    session = session_of(context)
    if session.as_json and not yes:
        raise typer.BadParameter("--json asks nothing: give --yes, too.")
    with session.connect() as connection:
        topology = connection.call(connection.topology.Get, pb.GetTopologyRequest())
    path = _written(topology)
    kept = False
    try:
        _run_editor(path)
        text = read_toml(str(path))
        if text == topology.toml:
            unchanged = pb.ApplyTopologyResponse(revision=topology.revision)
            session.answer(apply_document(unchanged, planned=False), lambda console: console.print("nothing changes"))
            return
        kept = True  # until it is in force: nobody types it twice
        kept = not plan_and_apply(session, [pb.TopologyEdit(whole=text)], topology.revision, comment, yes=yes)
    finally:
        if kept:
            print(f"your text is kept in {path}", file=sys.stderr)
        else:
            path.unlink(missing_ok=True)


def _written(topology: pb.Topology) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix=f"{topology.node}-topology-", suffix=".toml", delete=False
    ) as file:
        file.write(topology.toml)
    return Path(file.name)


def _run_editor(path: Path) -> None:
    """Have a person edit a file. Raises Failure where the editor cannot be run or fails."""
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or FALLBACK_EDITOR)
    try:
        status = subprocess.run([*words, str(path)], check=False).returncode  # noqa: S603 (the editor this person has chosen)
    except OSError as error:
        message = f"cannot run {words[0]}: {(error.strerror or str(error)).lower()}; set EDITOR"
        raise Failure(ExitStatus.USAGE, "INVALID_ARGUMENT", message) from None
    if status:
        raise Failure(ExitStatus.REFUSED, "INVALID_ARGUMENT", f"{words[0]} ended with status {status}: nothing was applied")


def plan_and_apply(session: Session, edits: Sequence[pb.TopologyEdit], revision: int, comment: str, *, yes: bool) -> bool:
    """Show what would change and apply it if that is agreed to; return whether it is in force."""
    with session.connect() as connection:
        if not yes:
            request = pb.ApplyTopologyRequest(edits=edits, expected_revision=revision)
            planned = connection.call(connection.topology.Plan, request, long=True, doing="planning")
            session.answer(apply_document(planned, planned=True), lambda console: draw_apply(console, planned, plan=True))
            if not planned.changes:
                return True
            if not typer.confirm("Apply this?", err=True):
                return False
        request = pb.ApplyTopologyRequest(edits=edits, expected_revision=revision, comment=comment, request_id=new_request_id())
        answer = connection.call(connection.topology.Apply, request, long=True, doing="applying")
    session.answer(apply_document(answer, planned=False), lambda console: draw_apply(console, answer, plan=False))
    end_where_unconfirmed(answer)
    return True
