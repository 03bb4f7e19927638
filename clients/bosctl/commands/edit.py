"""Edits of the topology, each one transaction: `add`, `rm`, `replace`, and what they share with `topology apply`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bosd.v1 import topology_pb2 as pb
from clients.bosctl.commands.names import Name, Names
from clients.bosctl.format_topology import apply_document, change_line
from clients.bosctl.holding import new_request_id
from clients.bosctl.session import Session, session_of

if TYPE_CHECKING:
    from rich.console import Console

MAX_FILE_BYTES = 2**20
"""A topology file larger than this is a mistake: a thousand batteries take a quarter of it."""

File = Annotated[str, typer.Argument(metavar="FILE", help="A TOML file; - reads standard input.", show_default=False)]
Revision = Annotated[
    int | None, typer.Option("--revision", min=0, metavar="N", help="Only if the topology still is at this revision.")
]
Comment = Annotated[str, typer.Option("--comment", "-m", metavar="TEXT", help="Why, for the history.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("add")(add)
    app.command("rm")(remove)
    app.command("replace")(replace)


def add(context: typer.Context, file: File, revision: Revision = None, comment: Comment = "") -> None:
    """Add the batteries and splitters of a file."""
    submit(session_of(context), [pb.TopologyEdit(add=read_toml(file))], revision, comment)


def remove(context: typer.Context, names: Names, revision: Revision = None, comment: Comment = "") -> None:
    """Remove batteries; refused while something uses them."""
    submit(session_of(context), [pb.TopologyEdit(remove={"name": name}) for name in names], revision, comment)


def replace(context: typer.Context, name: Name, file: File, revision: Revision = None, comment: Comment = "") -> None:
    """Exchange a battery for the one of a file; its name and everything above it stay."""
    edit = pb.TopologyEdit(replace=pb.TopologyEdit.Replace(name=name, toml=read_toml(file)))
    submit(session_of(context), [edit], revision, comment)


def submit(
    session: Session, edits: Sequence[pb.TopologyEdit], revision: int | None, comment: str = "", *, plan: bool = False
) -> None:
    """Apply edits in one transaction, or only try them, and print what changed."""
    request = pb.ApplyTopologyRequest(
        edits=edits, expected_revision=revision, comment=comment, request_id="" if plan else new_request_id()
    )
    with session.connect() as connection:
        method = connection.topology.Plan if plan else connection.topology.Apply
        answer = connection.call(method, request, long=True, doing="planning" if plan else "applying")
    session.answer(apply_document(answer, planned=plan), lambda console: _draw(console, answer, plan=plan))


def read_toml(file: str) -> str:
    """Return the text of a file, or of standard input for `-`. Raises typer.BadParameter."""
    try:
        data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if file == "-" else _read_file(Path(file))
        text = data.decode()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {file}: {(error.strerror or str(error)).lower()}.") from None
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}.") from None
    if len(data) > MAX_FILE_BYTES:
        raise typer.BadParameter(f"{file} is larger than {MAX_FILE_BYTES // 2**20} MiB.")
    return text


def _read_file(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_FILE_BYTES + 1)


def _draw(console: "Console", answer: pb.ApplyTopologyResponse, *, plan: bool) -> None:
    from rich.text import Text  # noqa: PLC0415 (JSON needs no text)

    for change in answer.changes:
        line, style = change_line(change)
        console.print(Text(line, style=style))
    if not answer.changes:
        console.print("nothing changes")
    for warning in answer.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    if plan:
        console.print(f"planned against revision {answer.revision}; apply it with --revision {answer.revision}")
    else:
        console.print(f"revision {answer.revision} is in force")
