"""Edits of the topology, each one transaction: `add`, `rm`, `replace`, `split`, `merge`; `submit` is for `topology`, too."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bosd.v1 import topology_pb2 as pb
from clients.bosctl.commands.names import Name, Names, complete_names
from clients.bosctl.errors import ExitStatus
from clients.bosctl.format_topology import apply_document, change_line
from clients.bosctl.holding import new_request_id
from clients.bosctl.session import Session, session_of
from clients.bosctl.values import parse_pairs

if TYPE_CHECKING:
    from rich.console import Console

MAX_FILE_BYTES = 2**20
"""A topology file larger than this is a mistake: a thousand batteries take a quarter of it."""

SPLIT_KEYS = ("charge_ah", "capacity_ah", "max_discharge_current_a", "max_charge_current_a", "fraction")

File = Annotated[str, typer.Argument(metavar="FILE", help="A TOML file; - reads standard input.", show_default=False)]
Revision = Annotated[
    int | None, typer.Option("--revision", min=0, metavar="N", help="Only if the topology still is at this revision.")
]
Plan = Annotated[bool, typer.Option("--plan", help="Show what would change; change nothing.")]
Comment = Annotated[str, typer.Option("--comment", "-m", metavar="TEXT", help="Why, for the history.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("add")(add)
    app.command("rm")(remove)
    app.command("replace")(replace)
    app.command("split")(split)
    app.command("merge")(merge)


def add(context: typer.Context, file: File, revision: Revision = None, comment: Comment = "") -> None:
    """Add the batteries and splitters of a file."""
    submit(session_of(context), [pb.TopologyEdit(add=read_toml(file))], revision, comment)


def remove(context: typer.Context, names: Names, revision: Revision = None, comment: Comment = "") -> None:
    """Remove batteries; refused while something uses them. Exit status 1 where a device did not confirm 0 A: it may go on."""
    submit(session_of(context), [pb.TopologyEdit(remove={"name": name}) for name in names], revision, comment)


def replace(context: typer.Context, name: Name, file: File, revision: Revision = None, comment: Comment = "") -> None:
    """Exchange a battery for the one of a file; its name and everything above it stay."""
    edit = pb.TopologyEdit(replace=pb.TopologyEdit.Replace(name=name, toml=read_toml(file)))
    submit(session_of(context), [edit], revision, comment)


def complete_amounts(incomplete: str) -> list[str]:
    """Return the keys of a split that begin so."""
    return [f"{key}=" for key in SPLIT_KEYS if key.startswith(incomplete)]


def split(
    context: typer.Context,
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="The splitter, by its name.", show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new partition.", show_default=False)],
    donor: Annotated[
        str, typer.Option("--from", metavar="DONOR", autocompletion=complete_names, help="The free partition it is split off.")
    ],
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...",
            autocompletion=complete_amounts,
            help=f"What it gets: {', '.join(SPLIT_KEYS)} (of the source's capacity); what is left out follows the capacity.",
            show_default=False,
        ),
    ],
    above: Annotated[
        str, typer.Option("--above", metavar="NAME", autocompletion=complete_names, help="Stand above this one, not last.")
    ] = "",
    *,
    plan: Plan = False,
    revision: Revision = None,
    comment: Comment = "",
) -> None:
    """Split a new partition off a free one; every other one keeps its charge, meter and limits."""
    amounts = parse_pairs(pairs, SPLIT_KEYS)
    edit = pb.TopologyEdit.Split(splitter=policy, name=new, donor=donor, above=above, **amounts)
    submit(session_of(context), [pb.TopologyEdit(split=edit)], revision, comment, plan=plan)


def merge(
    context: typer.Context,
    name: Name,
    into: Annotated[
        str, typer.Option("--into", metavar="NAME", autocompletion=complete_names, help="The partition that gets all of it.")
    ],
    *,
    plan: Plan = False,
    revision: Revision = None,
    comment: Comment = "",
) -> None:
    """Merge a free partition back into another one of the same splitter."""
    submit(session_of(context), [pb.TopologyEdit(merge={"name": name, "into": into})], revision, comment, plan=plan)


def submit(
    session: Session, edits: Sequence[pb.TopologyEdit], revision: int | None, comment: str = "", *, plan: bool = False
) -> None:
    """Apply edits in one transaction, or only try them, and print what changed.

    Exit status 1 where a device of what was taken out did not confirm 0 A: the edit is in force, and a warning names it.
    """
    request = pb.ApplyTopologyRequest(
        edits=edits, expected_revision=revision, comment=comment, request_id="" if plan else new_request_id()
    )
    with session.connect() as connection:
        method = connection.topology.Plan if plan else connection.topology.Apply
        answer = connection.call(method, request, long=True, doing="planning" if plan else "applying")
    session.answer(apply_document(answer, planned=plan), lambda console: draw_apply(console, answer, plan=plan))
    end_where_unconfirmed(answer)


def end_where_unconfirmed(answer: pb.ApplyTopologyResponse) -> None:
    """End with exit status 1 where an edit that is in force took out a device that may go on: a script has to see it."""
    if answer.unconfirmed:
        raise typer.Exit(ExitStatus.REFUSED)


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


def draw_apply(console: "Console", answer: pb.ApplyTopologyResponse, *, plan: bool) -> None:
    """Draw what an edit changed, or would change."""
    from rich.text import Text  # noqa: PLC0415 (JSON needs no text)

    for change in answer.changes:
        line, style = change_line(change)
        console.print(Text(line, style=style))
    if not answer.changes:
        console.print("nothing changes")
    for warning in answer.warnings:
        console.print(Text(f"warning: {warning}", style="bold red" if answer.unconfirmed else "yellow"))
    if plan:
        console.print(f"planned against revision {answer.revision}; apply it with --revision {answer.revision}")
    else:
        console.print(f"revision {answer.revision} is in force")
