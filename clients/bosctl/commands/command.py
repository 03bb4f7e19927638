"""Commanding: `set`, `stop`, `release`, `pseudo`."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from bosd.v1 import battery_pb2 as pb
from clients.bosctl.commands.names import Name, Names, OptionalNames
from clients.bosctl.connection import COMMAND_TIMEOUT_S, Connection
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.format_json import set_current_document, status_document
from clients.bosctl.holding import ask, new_request_id
from clients.bosctl.holding import hold as hold_current
from clients.bosctl.printable import printable
from clients.bosctl.session import Session, session_of
from clients.bosctl.values import PSEUDO_KEYS, SetPoint, parse_duration_s, parse_pairs, parse_setpoint

if TYPE_CHECKING:
    from rich.console import Console


_EXAMPLES = (
    "`bosctl set flat-2 8 --hold` runs until Ctrl-C and gives the set point back then; "
    "`bosctl set flat-2 0 --force` takes over what somebody else holds."
)


def register(app: typer.Typer, numbers_allowed: type[TyperCommand]) -> None:
    """Add the commanding commands; `set` takes negative numbers."""
    app.command("set", cls=numbers_allowed, epilog=_EXAMPLES)(set_current)
    app.command("stop")(stop)
    app.command("release")(release)
    app.command("pseudo")(pseudo)


def set_current(
    context: typer.Context,
    name: Name,
    amps: Annotated[
        SetPoint,
        typer.Argument(
            metavar="AMPS",
            parser=parse_setpoint,
            help="4 or 4A discharges, -2.5 charges; 500W by the present voltage; none ends your own set point.",
            show_default=False,
        ),
    ],
    ttl: Annotated[
        float | None, typer.Option(metavar="TIME", parser=parse_duration_s, help="How long it holds, such as 30s, 8m, 2h.")
    ] = None,
    hold: Annotated[
        bool, typer.Option("--hold", help="Ask again, before it ends, until interrupted; then give it back.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take over another holder's claim, once the battery is at its safe value (admins).")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show what would be done; change nothing.")] = False,
) -> None:
    """Ask a battery for a current, for a time."""
    session = session_of(context)
    if amps == SetPoint():
        if dry_run or hold or force or ttl is not None:
            message = "none ends your own set point now: it takes neither --ttl, --hold, --force (0 does) nor --dry-run."
            raise typer.BadParameter(message)
        with session.connect() as connection:
            answer = connection.call(
                connection.batteries.ClearCurrent, pb.ClearCurrentRequest(name=name), timeout_s=COMMAND_TIMEOUT_S
            )
        _show_set(session, answer, dry_run=False)
        return
    if hold and dry_run:
        raise typer.BadParameter("--dry-run changes nothing, so there is nothing to --hold.")
    with session.connect() as connection:
        request = pb.SetCurrentRequest(
            name=name,
            current_a=_amperes(connection, name, amps),
            ttl_s=ttl,
            dry_run=dry_run,
            request_id=new_request_id(),
            force=force,
        )
        if hold:
            hold_current(session, connection, request, lambda told: _show_set(session, told, dry_run=False))
            return
        answer = ask(connection, request)
    _show_set(session, answer, dry_run=dry_run)


def stop(
    context: typer.Context,
    names: OptionalNames = None,
    node: Annotated[bool, typer.Option("--node", help="All batteries this node owns.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those it reaches.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the record.")] = "",
) -> None:
    """Stop batteries: 0 A at their owner, latched above everything until `release`.

    Exit status 3 where an owner was not reached, 1 where a device did not confirm or a name is no battery's: what is latched
    stays so, and nothing keeps the others running.
    """
    if (bool(names), node, everything).count(True) != 1:
        raise typer.BadParameter("name batteries, or give one of --node and --all.")
    session = session_of(context)
    request = pb.StopRequest(names=names or [], node=node, all=everything, reason=reason)
    with session.connect() as connection:
        answer = connection.call(connection.batteries.Stop, request, doing="stopping")

    unconfirmed = _unconfirmed(answer)
    document: dict[str, object] = {"stopped": list(answer.stopped), "unconfirmed": list(answer.unconfirmed)}
    if answer.not_at_owner:
        document["not_at_owner"] = [{"name": each.name, "reason": each.reason} for each in answer.not_at_owner]
    if answer.unrecorded:
        document["unrecorded"] = list(answer.unrecorded)
    if answer.unknown:
        document["unknown"] = list(answer.unknown)
    session.answer(document, partial(draw_stopped, answer))
    if answer.not_at_owner or unconfirmed or answer.unknown:
        raise typer.Exit(ExitStatus.UNREACHABLE if answer.not_at_owner else ExitStatus.REFUSED)


def _unconfirmed(answer: pb.StopResponse) -> list[str]:
    missed = {each.name for each in answer.not_at_owner}
    return [name for name in answer.unconfirmed if name not in missed]


def draw_stopped(answer: pb.StopResponse, console: "Console") -> None:
    """Say of each battery whether it is stopped, and what to do where it is not for sure."""
    for name in answer.stopped:
        if name not in answer.unconfirmed:
            console.print(f"{name}: stopped", markup=False)
    for name in _unconfirmed(answer):
        what = "latched, but its device did not confirm: it may go on"
        if name not in answer.stopped:
            what = f"did not confirm 0 A: it may go on. It is told until it does; `bosctl stop {name}` latches it, too"
        console.print(f"{name}: {what}", style="bold red", markup=False)
    for each in answer.not_at_owner:
        text = (
            f"{each.name}: NOT stopped at its owner ({each.reason}): it may go on. This node commands it no more, and tells its "
            "owner as soon as it can; do not wait for that: `bosctl stop` at the owner itself"
        )
        console.print(text, style="bold red", markup=False)
    for name in answer.unknown:
        text = f"{printable(name)}: NOT stopped: no battery is called so; `bosctl ls` shows the names this node knows"
        console.print(text, style="bold red", markup=False)
    if answer.unrecorded:
        text = f"not recorded yet, so that a restart would forget it: {', '.join(answer.unrecorded)}; see `bosctl errors`"
        console.print(text, style="yellow", markup=False)
    if not answer.stopped and not answer.unconfirmed and not answer.not_at_owner:
        console.print("nothing to stop")


def release(context: typer.Context, names: Names) -> None:
    """End stops; says what was asked before and flows again.

    Those that cannot be ended are named, and keep none of the others. Exit status 1 where there is one.
    """
    session = session_of(context)
    with session.connect() as connection:
        answer = connection.call(connection.batteries.Release, pb.ReleaseRequest(names=names))
    released = list(answer.released)

    refused = [{"name": each.name, "reason": each.reason, "message": each.message} for each in answer.not_released]

    def draw(console: "Console") -> None:
        if released or not refused:
            console.print(f"released: {', '.join(released)}" if released else "nothing was stopped", markup=False)
        for each in answer.asked_again:
            who = f"asked by {each.holder}" if each.holder else "by its booking"
            console.print(f"{each.name}: {each.current_a:g} A {who} is in force now", style="bold", markup=False)
        for each in refused:
            console.print(f"{each['name']}: NOT released ({each['reason']}): {each['message']}", style="bold red", markup=False)

    document: dict[str, object] = {"released": released}
    if answer.asked_again:
        keys = ("name", "current_a", "holder")
        document["asked_again"] = [{key: getattr(each, key) for key in keys} for each in answer.asked_again]
    session.answer(document | ({"not_released": refused} if refused else {}), draw)
    if refused:
        raise typer.Exit(ExitStatus.REFUSED)


def complete_keys(incomplete: str) -> list[str]:
    """Return the keys of a pseudo battery that begin so."""
    return [f"{key}=" for key in PSEUDO_KEYS if key.startswith(incomplete)]


def pseudo(
    context: typer.Context,
    name: Name,
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...", autocompletion=complete_keys, help=f"Keys: {', '.join(PSEUDO_KEYS)}.", show_default=False
        ),
    ],
) -> None:
    """Change what a pseudo battery reports; other keys stay."""
    session = session_of(context)
    values = parse_pairs(pairs)
    with session.connect() as connection:
        status = connection.call(connection.batteries.ModifyPseudo, pb.ModifyPseudoRequest(name=name, **values))

    def draw(console: "Console") -> None:
        from clients.bosctl.card import status_card  # noqa: PLC0415 (JSON needs no tables)

        console.print(status_card(status))

    session.answer(status_document(status), draw)


def _amperes(connection: Connection, name: str, wish: SetPoint) -> float:
    """Return the wish in amperes; watts at the voltage the battery has now. Raises Failure."""
    if wish.power_w is None:
        return wish.current_a or 0.0
    status = connection.call(connection.batteries.GetStatus, pb.GetStatusRequest(name=name))
    if status.quality != pb.QUALITY_GOOD or not status.voltage_v > 0.0:
        message = f"the voltage of {name} is not known now, so watts cannot be turned into amperes; ask for amperes"
        raise Failure(ExitStatus.REFUSED, "UNAVAILABLE", message, {"name": name})
    return float(wish.power_w / status.voltage_v)


def _show_set(session: Session, answer: pb.SetCurrentResponse, *, dry_run: bool) -> None:
    session.answer(set_current_document(answer, dry_run=dry_run), lambda console: _draw_set(console, answer, dry_run=dry_run))


def _draw_set(console: "Console", answer: pb.SetCurrentResponse, *, dry_run: bool) -> None:
    from clients.bosctl.format_text import duration, moment, signed  # noqa: PLC0415 (JSON needs no text)

    requested_a, applied_a = answer.requested_current_a, answer.applied_current_a
    ends = answer.setpoint_ends_at > 0.0
    if ends or dry_run:
        lead = "would apply" if dry_run else "applied"
        asked = "" if requested_a == applied_a else f" of {signed(requested_a)} A asked"
        until = f", for {duration(answer.ttl_s)}, until {moment(answer.setpoint_ends_at)}" if ends else ""
        console.print(f"{answer.name}: {lead} {signed(applied_a)} A{asked}{until}", markup=False)
    else:
        console.print(f"{answer.name}: your set point has ended, {signed(applied_a)} A in force", markup=False)
    if answer.taken_from:
        console.print(f"  {'would be ' if dry_run else ''}taken over from {answer.taken_from}", style="yellow", markup=False)
    if answer.reason:
        console.print(f"  {answer.reason}", style="yellow", markup=False)
    for leaf in answer.leaves:
        change = f"{signed(leaf.old_current_a)} A to {signed(leaf.new_current_a)} A"
        of = f", may {leaf.limit_a:.2f} A" if dry_run else ""
        console.print(f"  {leaf.name}: {change}{of}{f' ({leaf.reason})' if leaf.reason else ''}", markup=False)
    if answer.binds:
        console.print(f"  bounded by: {answer.binds}", markup=False)
