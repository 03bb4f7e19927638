"""`doctor`: is the node there, and what does it need."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import typer

from bosd.clock import SystemClock
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb
from clients.bosctl.connection import DEFAULT_TIMEOUT_S, Connection
from clients.bosctl.devices import DeviceCheck, is_local, look_at_devices
from clients.bosctl.errors import from_rpc
from clients.bosctl.format_json import Document, link_word, quality_word
from clients.bosctl.session import session_of

if TYPE_CHECKING:
    from rich.console import Console

CLOCK_TOLERANCE_S = 2.0
"""Clocks further apart than this are named wherever they show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """The first message of a watch, and how far the node's wall clock is ahead of ours, +- half the round trip."""

    message: pb.WatchResponse
    clock_ahead_s: float
    uncertainty_s: float


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(context: typer.Context) -> None:
    """Check the node: reachable, revision, batteries and their devices, clocks; say what to do next."""
    session = session_of(context)
    with session.connect() as connection:
        topology = connection.call(connection.topology.Get, tpb.GetTopologyRequest())
        greeting = _greet(connection)
    statuses = greeting.message.statuses
    devices = look_at_devices(topology.toml, list(statuses), here=is_local(session.target))
    counts = {"GOOD": 0, "STALE": 0, "UNAVAILABLE": 0}
    for status in statuses:
        counts[quality_word(status.quality)] += 1
    document: Document = {
        "target": session.target,
        "node": greeting.message.node or topology.node,
        "revision": topology.revision,
        "batteries": counts,
        "devices": [device.as_json() for device in devices],
        "clock_difference_s": round(greeting.clock_ahead_s, 3),
        "clock_uncertainty_s": round(greeting.uncertainty_s, 3),
        "advice": [*_topology_advice(topology), *_clock_advice(greeting), *_battery_advice(list(statuses), devices)],
    }
    session.answer(document, lambda console: _draw(console, document))


def _greet(connection: Connection) -> Greeting:
    clock = SystemClock()
    timeout_s = connection.timeout_s or DEFAULT_TIMEOUT_S
    sent_s, sent_utc_s = clock.now_s(), clock.utc_s()
    call = connection.batteries.Watch(pb.WatchRequest(), timeout=timeout_s, metadata=connection.metadata)
    try:
        message = next(call)
    except grpc.RpcError as error:
        raise from_rpc(error, connection.target, timeout_s) from None
    except StopIteration:
        message = pb.WatchResponse()
    finally:
        call.cancel()
    half_s = (clock.now_s() - sent_s) / 2.0
    ahead_s = message.sent_at - (sent_utc_s + half_s) if message.sent_at else 0.0
    return Greeting(message=message, clock_ahead_s=ahead_s, uncertainty_s=half_s)


def _topology_advice(topology: tpb.Topology) -> list[str]:
    return [f"{topology.parted[:1].upper()}{topology.parted[1:]}."] if topology.parted else []


def _clock_advice(greeting: Greeting) -> list[str]:
    if abs(greeting.clock_ahead_s) <= CLOCK_TOLERANCE_S + greeting.uncertainty_s:
        return []
    side = "ahead of" if greeting.clock_ahead_s > 0.0 else "behind"
    difference = f"The node's clock is {abs(greeting.clock_ahead_s):.1f} s {side} this machine's"
    return [f"{difference}: check time synchronisation on both. Ages and set points do not depend on it, times of day do."]


def _battery_advice(statuses: list[pb.BatteryStatus], devices: list[DeviceCheck]) -> list[str]:
    if not statuses:
        return ["The node has no batteries: add some with `bosctl add FILE` or `bosctl topology apply FILE`."]
    steps = {device.battery: device.next_step() for device in devices}
    return [line for status in statuses for line in _advice_for(status, steps.get(status.name, ""))]


def _advice_for(status: pb.BatteryStatus, step: str) -> list[str]:
    advice = []
    word = quality_word(status.quality)
    if word != "GOOD":
        reason = f": {status.reason}" if status.reason else ""
        remote = link_word(status.link) not in (None, "local")
        then = (
            "look at the other node and the network between"
            if remote
            else step or f"try `bosctl refresh {status.name}`, look at cable and device"
        )
        advice.append(f"{status.name} is {word}{reason}; {then}.")
    if status.faults:
        advice.append(f"{status.name} reports {', '.join(status.faults)}.")
    return advice


def _draw(console: "Console", document: Document) -> None:
    counts = ", ".join(f"{count} {word}" for word, count in document["batteries"].items() if count) or "none"
    console.print(f"reachable   {document['target']}, node {document['node']}", markup=False)
    console.print(f"topology    revision {document['revision']}")
    console.print(f"batteries   {counts}")
    console.print(
        f"clock       {document['clock_difference_s']:+.3f} s against this machine's, +- {document['clock_uncertainty_s']:.3f} s"
    )
    for device in document["devices"]:
        here = f", {device['port_here']}" if device["port_here"] else ""
        age = "never read" if device["age_s"] is None else f"read {device['age_s']:.1f} s ago"
        said = f", {device['error']}" if device["error"] else ""
        console.print(f"device      {device['battery']} on {device['port']}: {age}{here}{said}", markup=False, soft_wrap=True)
    for advice in document["advice"]:
        console.print(f"\n{advice}", style="yellow", markup=False)
    if not document["advice"]:
        console.print("\nNothing to do.", style="green")
