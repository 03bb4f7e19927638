"""`limits`: what limits the batteries of a node from outside."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from bosd.v1 import limits_pb2 as pb
from clients.bosctl.commands.limits_eebus import app as eebus_app
from clients.bosctl.commands.names import Name, complete_names
from clients.bosctl.format_json import Document, number, rfc3339
from clients.bosctl.moments import When, parse_when
from clients.bosctl.session import session_of

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Limits on batteries, and who asks for them: the tightest of those in force binds, and clamps what flows.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(eebus_app, name="eebus")
_AMOUNT = re.compile(r"(\d+\.?\d*|\.\d+)\s*(k?W|A)", re.IGNORECASE)
_DIRECTIONS = {"charge": pb.DIRECTION_CHARGE, "discharge": pb.DIRECTION_DISCHARGE}

Source = Annotated[
    str, typer.Option(metavar="SOURCE", help="Who says so: operator, or a name of your own; each has its own limits.")
]
Identity = Annotated[str, typer.Option("--id", metavar="WORD", help="Tells limits of one source, battery and direction apart.")]
Comment = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the audit and the history.")]


def parse_amount(text: str) -> tuple[float | None, float | None]:
    """Read `4200W`, `4.2kW` or `80A` as watts or amperes. Raises typer.BadParameter."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is no limit. Write watts as 4200W or 4.2kW, amperes as 80A; a limit is a magnitude, 0W lets nothing flow. "
            "To end one: bosctl limits rm."
        )
    value, unit = float(found[1]), found[2].lower()
    return (None, value) if unit == "a" else (value * (1000.0 if unit == "kw" else 1.0), None)


def parse_direction(text: str) -> str:
    """Return `charge` or `discharge`. Raises typer.BadParameter."""
    if text not in _DIRECTIONS:
        raise typer.BadParameter(f"{text!r} is no direction: charge or discharge.")
    return text


@app.callback()
def limits(context: typer.Context) -> None:
    """List the limits, where no other command is named."""
    if context.invoked_subcommand is None:
        _list(context, [])


@app.command("ls")
def list_(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME…]", autocompletion=complete_names, help="Of these batteries; else all.", show_default=False
        ),
    ] = None,
) -> None:
    """List limits in force and to come, with what they are in amperes and whether they can be kept."""
    _list(context, names or [])


def _list(context: typer.Context, names: list[str]) -> None:
    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.limits.List, pb.ListLimitsRequest(names=names))
    found = list(answer.limits)
    session.answer([limit_document(each) for each in found], lambda console: _draw(console, found))


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    direction: Annotated[str, typer.Argument(metavar="charge|discharge", parser=parse_direction, show_default=False)],
    amount: Annotated[str, typer.Argument(metavar="LIMIT", help="4200W, 4.2kW or 80A.", show_default=False)],
    *,
    until: Annotated[
        When | None,
        typer.Option(metavar="TIME", parser=parse_when, help="When it ends: +2h, or RFC 3339; without it stays until removed."),
    ] = None,
    start: Annotated[
        When | None, typer.Option("--from", metavar="TIME", parser=parse_when, help="When it begins; without it at once.")
    ] = None,
    source: Source = "operator",
    identity: Identity = "",
    priority: Annotated[int, typer.Option(min=-(2**31), max=2**31 - 1, help="Of equally tight limits the higher is named.")] = 0,
    comment: Comment = "",
) -> None:
    """Limit a battery, with all it rests on, in one direction; in place of the source's last limit there."""
    limit_w, limit_a = parse_amount(amount)
    request = pb.PutLimitRequest(
        battery=name,
        direction=_DIRECTIONS[direction],
        limit_w=limit_w,
        limit_a=limit_a,
        source=source,
        identity=identity,
        priority=priority,
        comment=comment,
    )
    for field, when in (("until", until), ("from", start)):
        if when is not None:
            setattr(request, f"{field}_in_s" if when.utc_s is None else field, when.in_s if when.utc_s is None else when.utc_s)
    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.limits.Put, request, doing=f"limiting {name}").limit
    session.answer(limit_document(answer), lambda console: _draw(console, [answer]))


@app.command("rm")
def remove(
    context: typer.Context,
    name: Name,
    direction: Annotated[
        str, typer.Argument(metavar="[charge|discharge]", help="Of both directions where none is named.", show_default=False)
    ] = "",
    source: Source = "operator",
    identity: Identity = "",
    comment: Comment = "",
) -> None:
    """End the limits of a source on a battery."""
    request = pb.RemoveLimitRequest(battery=name, source=source, identity=identity, comment=comment)
    if direction:
        request.direction = _DIRECTIONS[parse_direction(direction)]
    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.limits.Remove, request, doing=f"ending limits of {name}")
    removed = list(answer.removed)

    def draw(console: "Console") -> None:
        for each in removed:
            console.print(f"removed: {_words(each)}", markup=False)

    session.answer([limit_document(each) for each in removed], draw)


@app.command("history")
def history(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", autocompletion=complete_names, help="Of one battery.", show_default=False)
    ] = "",
    source: Annotated[str, typer.Option(metavar="SOURCE", help="Of one source.")] = "",
    most: Annotated[int, typer.Option("--limit", min=1, max=10000, help="The newest so many.")] = 1000,
) -> None:
    """List what was put, removed and ended, oldest first."""
    session = session_of(context)
    with session.connect() as connection:
        request = pb.LimitHistoryRequest(battery=name, source=source, limit=most)
        answer = connection.call(connection.limits.History, request)
    events = list(answer.events)

    def draw(console: "Console") -> None:
        from clients.bosctl.format_text import moment  # noqa: PLC0415 (JSON needs no text)

        for each in events:
            console.print(f"{moment(each.at)}  {each.event:8}  {_words(each.limit)}", markup=False)

    session.answer([event_document(each) for each in events], draw)


def direction_word(direction: pb.Direction) -> str | None:
    """Return `charge` or `discharge`."""
    return next((word for word, value in _DIRECTIONS.items() if value == direction), None)


def _kept(limit: pb.Limit) -> Document:
    begins = getattr(limit, "from")
    return {
        "source": limit.source,
        "battery": limit.battery,
        "direction": direction_word(limit.direction),
        "limit_w": number(limit.limit_w) if limit.HasField("limit_w") else None,
        "limit_a": number(limit.limit_a) if limit.HasField("limit_a") else None,
        "identity": limit.identity,
        "priority": limit.priority,
        "from": rfc3339(begins) if limit.HasField("from") else None,
        "until": rfc3339(limit.until) if limit.HasField("until") else None,
        "who": limit.who,
        "comment": limit.comment,
        "put_at": rfc3339(limit.put_at),
    }


def limit_document(limit: pb.Limit) -> Document:
    """Return a limit as it stands; `applied` is what is applied to its battery, positive on discharge."""
    return {
        **_kept(limit),
        "in_force": limit.in_force,
        "restored": limit.restored,
        "applied": number(limit.applied_current_a) if limit.HasField("applied_current_a") else None,
        "enforceable": limit.enforceable,
        "provable": limit.provable,
        "bound_s": number(limit.bound_s) if limit.HasField("bound_s") else None,
        "reason": limit.reason,
    }


def event_document(event: pb.LimitEvent) -> Document:
    """Return one line of the history."""
    return {"at": rfc3339(event.at), "event": event.event, **_kept(event.limit)}


def _amount(limit: pb.Limit) -> str:
    if not limit.HasField("limit_w"):
        return f"{limit.limit_a:g} A" if limit.HasField("limit_a") else "none"
    if limit.in_amperes:
        return f"{limit.limit_w:g} W and {limit.limit_a:g} A"
    in_a = f" ({limit.limit_a:.3g} A)" if limit.HasField("limit_a") else ""
    return f"{limit.limit_w:g} W{in_a}"


def _words(limit: pb.Limit) -> str:
    from clients.bosctl.format_text import moment  # noqa: PLC0415 (JSON needs no text)

    until = f" until {moment(limit.until)}" if limit.HasField("until") else ""
    return f"{limit.battery} {direction_word(limit.direction)} {_amount(limit)} by {limit.source}{until}"


def _draw(console: "Console", found: list[pb.Limit]) -> None:
    from rich.table import Table  # noqa: PLC0415 (JSON needs no tables)
    from rich.text import Text  # noqa: PLC0415

    from clients.bosctl.format_text import moment, signed  # noqa: PLC0415

    if not found:
        console.print("no limits")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("battery", "direction", "limit", "source", "until", "applied A", "kept within", "reason"):
        table.add_column(title, justify="right" if title == "applied A" else "left", overflow="fold")
    for each in found:
        within = f"{each.bound_s:g} s" if each.HasField("bound_s") else "not enforceable" if not each.enforceable else "?"
        cells = (
            each.battery,
            direction_word(each.direction) or "",
            _amount(each) if each.in_force else f"{_amount(each)}, not yet",
            each.source,
            moment(each.until) if each.HasField("until") else "",
            signed(each.applied_current_a) if each.HasField("applied_current_a") else "",
            within,
            each.reason,
        )
        table.add_row(*map(Text, cells))
    console.print(table)
