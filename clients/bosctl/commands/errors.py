"""`errors`: what is wrong at a node and at the nodes it follows, one line a cause."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import grpc
import typer

from bosd.v1 import errors_pb2 as pb
from clients.bosctl.errors import from_rpc
from clients.bosctl.session import Session, session_of

if TYPE_CHECKING:
    from rich.console import Console

REMEDIES = {
    "STORE_FAILED": "is the disk of that node full or read-only? Free some space; what is unwritten is kept and tried again",
    "AUDIT_UNWRITTEN": "is the disk of that node full or read-only? Free some space; the records are kept and tried again",
    "DEVICE_UNREACHABLE": "check the battery's cable, port and power",
    "DEVICE_FAULT": "`bosctl doctor` says what helps",
    "GUARD_LOST": "devices are not made safe if that daemon dies: its log says why (guard_lost); is its memory used up?",
    "CLOCK_NOT_TRUSTED": "set the clock of that node (NTP), or trust_clock = true under [node]",
    "NOT_FOLLOWED": "it may run more than it was told: look at its regulator, switches and meter; in need switch it off there",
    "NOT_PROVABLE": "bring back what is not heard, or give those batteries alone limits at their nodes: bosctl limits",
    "NOT_IN_FORCE": "mend what it says at the node of that battery, or ask for something else: bosctl explain NAME",
    "ADDRESS_MISSING": "is the network cable in, and has that machine this address? It is listened on as soon as it has",
    "CERTIFICATE_EXPIRES": "let the node with the authority follow it, or bosctl ca renew node:NAME, and there bosctl ca install",
    "CERTIFICATE_REVOKED": "issue it another one, bosctl ca issue --node NAME, and there bosctl ca install",
    "CERTIFICATE_NOT_RENEWED": "mend what it says, or bosctl ca renew node:NAME, and there bosctl ca install",
    "REVOCATIONS_NOT_TAKEN": "mend what it says: who is revoked is still let in there; or copy revoked.crl of the CA there",
    "LINK_LOST": "is that node up, and the network between? Expected: bosctl fleet maintenance NODE --for 2h",
    "LINK_STALE": "is the network between slow, or that machine overloaded? It is lost after one lease",
    "LINK_REFUSED": "mend what it says: the certificate there or here (bosctl ca ls), its [security.grants], or the stubs' names",
    "MIXED_VERSIONS": "give both nodes the same version of bosd",
    "FAILSAFE_ACTIVE": "bring back the node that is not heard, or command the battery from another one",
    "EEBUS_CONFIG": "mend [eebus] in that node's configuration (bosd check names every fault), then restart it",
    "EEBUS_NOT_ENFORCED": "is [eebus] battery the name of a battery of that node? bosctl ls",
    "EEBUS_LOST": "does the EEBUS service run, on that port? bosctl limits eebus",
    "EEBUS_FAILSAFE": "is the grid operator's box on, and the network to it? bosctl limits eebus",
    "EEBUS_UNWRITTEN": "is the disk of that node full or read-only? Free some space; the limits are kept and tried again",
    "CONFLICT": "which address has it: bosctl fleet discover; end what speaks in its name, or give one of the two another name",
    "INCOMPATIBLE": "give both nodes the same major version",
    "SAME_NODE": "give all stubs of that node the same target (or node), then apply the topology",
    "CRASH_LOOP": "read that node's log: journalctl -u bosd",
    "IDENTITY_MOVED": "two nodes have one name or certificate: stop one, and give it its own (bosctl ca issue --node NAME)",
    "LOOP_LAG": "is that machine overloaded? Leases of its batteries may end",
    "OVERFLOW": "clear the causes listed first; the others show when there is room",
}
_STATES = {1: "ACTIVE", 2: "CLEARED", 3: "CLEARED_BY_REBOOT"}
_SEVERITIES = {1: "LOW", 2: "MEDIUM", 3: "HIGH"}
_STYLES = {2: "yellow", 3: "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("errors")(errors)


def errors(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Go on with each change.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also what was cleared lately.")] = False,
) -> None:
    """Show what is wrong here and at the nodes that are followed, most severe first."""
    if watch and everything:
        raise typer.BadParameter("give one of --watch and --all.")
    session = session_of(context)
    with session.connect() as connection:
        if not watch:
            answer = connection.call(connection.errors.List, pb.ListErrorsRequest(cleared=everything), doing="reading errors")
            _show(session, answer.errors)
            return
        try:
            for message in connection.errors.Watch(pb.WatchErrorsRequest(), metadata=connection.metadata):
                if not message.unchanged:
                    _show(session, message.errors)
        except grpc.RpcError as error:
            raise from_rpc(error, connection.target, 0.0) from None


def _show(session: Session, found: Sequence[pb.NodeError]) -> None:
    session.answer([error_document(each) for each in found], lambda console: _draw(console, found))


def error_document(error: pb.NodeError) -> dict[str, object]:
    """Return an error as JSON shows it."""
    return {
        "id": error.id,
        "type": error.type,
        "sub_type": error.sub_type,
        "severity": _SEVERITIES.get(error.severity, str(error.severity)),
        "message": error.message,
        "node": error.node,
        "module": error.module,
        "battery": error.battery,
        "raised_at_utc_s": error.raised_at,
        "boot_id": error.boot_id,
        "state": _STATES.get(error.state, str(error.state)),
        "repeats": error.repeats,
        "age_s": error.age_s,
        "via": list(error.via),
        "remedy": REMEDIES.get(error.type),
    }


def line(error: pb.NodeError) -> str:
    """Return an error as one line: how bad, what, where, why, how old its news is, and what helps."""
    kind = f"{error.type}/{error.sub_type}" if error.sub_type else error.type
    where = "/".join(filter(None, (error.node, error.battery or error.module)))
    parts = [f"{_SEVERITIES.get(error.severity, str(error.severity)):6}  {kind}  {where}"]
    if error.message:
        parts.append(f": {' '.join(error.message.split())}")
    if error.repeats:
        parts.append(f" (again {error.repeats} times)")
    if error.via:
        parts.append(f" [heard {error.age_s:.0f} s ago through {', '.join(error.via)}]")
    if error.state != pb.ERROR_STATE_ACTIVE:
        parts.append(f" [{_STATES.get(error.state, str(error.state)).lower().replace('_', ' ')}]")
    elif remedy := REMEDIES.get(error.type):
        parts.append(f" -> {remedy}")
    return "".join(parts)


def _draw(console: "Console", found: Sequence[pb.NodeError]) -> None:
    if not found:
        console.print("no errors")
    for error in found:
        console.print(line(error), style=_STYLES.get(error.severity, ""), markup=False, highlight=False, soft_wrap=True)
