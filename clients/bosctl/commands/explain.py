"""`explain`: which chain of limits binds a battery, and what is in force on it."""

from typing import TYPE_CHECKING

import typer

from bosd.v1 import explain_pb2 as pb
from clients.bosctl.commands.names import Name
from clients.bosctl.format_json import Document, number, rfc3339
from clients.bosctl.session import session_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(context: typer.Context, name: Name) -> None:
    """Show what binds a battery's limits, from the cell upwards, and what is in force on it until when."""
    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.batteries.Explain, pb.ExplainRequest(name=name), doing=f"explaining {name}")
    session.answer(explain_document(answer), lambda console: _draw(console, answer))


def explain_document(answer: pb.ExplainResponse) -> Document:
    """Return an explanation as one document; each chain begins at what binds and ends with the battery itself."""
    force = answer.in_force
    return {
        "name": answer.name,
        "node": answer.node,
        "discharge": _chain_document(answer.discharge, answer.discharge_summary),
        "charge": _chain_document(answer.charge, answer.charge_summary),
        "in_force": {
            "source": force.source or None,
            "requested_current_a": number(force.requested_current_a) if force.HasField("requested_current_a") else None,
            "applied_current_a": number(force.applied_current_a) if force.HasField("applied_current_a") else None,
            "holder": force.holder or None,
            "ends_in_s": number(force.ends_in_s) if force.HasField("ends_in_s") else None,
            "ends_at": rfc3339(force.ends_at) if force.HasField("ends_at") else None,
            "limited_by": force.limited_by,
            "text": force.text,
        },
        "time_to_empty_s": number(answer.time_to_empty_s) if answer.HasField("time_to_empty_s") else None,
        "time_to_full_s": number(answer.time_to_full_s) if answer.HasField("time_to_full_s") else None,
        "safe_within_s": number(answer.safe_within_s) if answer.HasField("safe_within_s") else None,
        "failsafe_time_s": number(answer.failsafe_time_s),
        "notes": list(answer.notes),
    }


def _chain_document(steps: "Sequence[pb.ExplainStep]", summary: str) -> Document:
    chain = [
        {
            "battery": step.battery,
            "kind": step.kind,
            "node": step.node or None,
            "depth": step.depth,
            "limit_a": number(step.limit_a),
            "ideal_limit_a": number(step.ideal_limit_a) if step.HasField("ideal_limit_a") else None,
            "cause": step.cause,
            "by": list(step.by),
            "left_out": step.left_out,
            "text": step.text,
        }
        for step in steps
    ]
    return {"limit_a": chain[-1]["limit_a"] if chain else None, "summary": summary, "chain": chain}


def _draw(console: "Console", answer: pb.ExplainResponse) -> None:
    from clients.bosctl.format_text import duration  # noqa: PLC0415 (JSON needs no text)

    for title, steps in (("discharge", answer.discharge), ("charge", answer.charge)):
        limit = f"{steps[-1].limit_a:.2f} A now" if steps else "unknown"
        console.print(f"{title:<9}  {limit}", style="bold", markup=False)
        for number_, step in enumerate(steps):
            lead = "  " if number_ == 0 or step.left_out else "  so "
            where = "" if step.node in ("", answer.node) else f"  [{step.node}]"
            console.print(f"{lead}{step.text}{where}", style="dim" if step.left_out else None, markup=False)
    console.print(f"in force   {answer.in_force.text}", markup=False)
    if answer.HasField("time_to_empty_s"):
        console.print(f"empty in   {duration(answer.time_to_empty_s)}, at the present current")
    if answer.HasField("time_to_full_s"):
        console.print(f"full in    {duration(answer.time_to_full_s)}, at the present current")
    if answer.HasField("safe_within_s"):
        console.print(f"silence    safe by itself {answer.safe_within_s:.2f} s after the last sign of a node that commands it")
    else:
        console.print("silence    not known to be safe by itself: hardware below holds what it was told, or was not heard yet")
    for note in answer.notes:
        console.print(note, style="yellow", markup=False)
