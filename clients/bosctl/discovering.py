"""Nodes that announce themselves, and what their certificates say: an announcement only says where to knock."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bosd.fleet.mdns import Found, Mdns
from bosd.v1 import fleet_pb2 as pb
from clients.bosctl.connection import Connection
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.fleet_rows import DONE, Row, facts_row
from clients.bosctl.trust import Trust

PROBE_S = 2.0
UNTRUSTED = "UNTRUSTED"
_AT_ONCE = 16


def browse(for_s: float, *, until: str = "", progress: Callable[[int], None] = lambda _count: None) -> list[Found]:
    """Return who is announced within `for_s` seconds, by serial; with `until` no longer than until that node is."""
    return asyncio.run(_browse(for_s, until, progress))


async def _browse(for_s: float, until: str, progress: Callable[[int], None]) -> list[Found]:
    mdns = Mdns()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(for_s), asyncio.TaskGroup() as group:
            browsing = group.create_task(mdns.run(), name="mdns")
            while not mdns.addresses(until):
                await mdns.changed.wait()
                mdns.changed.clear()
                progress(len(mdns.found))
            browsing.cancel()
    return sorted(mdns.found.values(), key=lambda found: found.said.serial)


@dataclass(frozen=True, slots=True)
class Probe:
    """What answered at an address: a status word, why, and what the node said of itself, where its certificate is the one."""

    status: str
    message: str
    address: str
    facts: pb.NodeFacts | None = None


def probe(trust: Trust, serial: str, addresses: Sequence[str]) -> Probe:
    """Knock at the addresses of a node at the same time; the certificate that answers decides."""
    if not addresses:
        return Probe("UNAVAILABLE", "it announces no address off loopback", "")
    with ThreadPoolExecutor(len(addresses)) as pool:
        found = list(pool.map(lambda address: _knock(trust, serial, address), addresses))
    return min(found, key=lambda each: (DONE, UNTRUSTED).index(each.status) if each.status in (DONE, UNTRUSTED) else 2)


def _knock(trust: Trust, serial: str, address: str) -> Probe:
    try:
        with Connection(address, PROBE_S, trust, node=serial) as connection:
            facts = connection.call(connection.fleet.Describe, pb.DescribeRequest())
    except Failure as failure:
        if failure.status is ExitStatus.UNREACHABLE:
            cause = failure.metadata.get("cause", "")
            return Probe(UNTRUSTED if cause else failure.reason, cause or failure.message, address)
        if failure.reason == "UNAUTHENTICATED":
            return Probe(failure.reason, failure.message, address)
        return Probe(DONE, failure.message, address)  # refused by a node whose certificate was the right one
    return Probe(DONE, "", address, facts)


def discovered(trust: Trust, found: Sequence[Found], known: pb.ListPeersResponse | None) -> list[Row]:
    """Return a row a node, each probed at the same time; `known` is what the asked node knows, None where it did not answer."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        probes = list(pool.map(lambda each: probe(trust, each.said.serial, each.addresses), found))
    return [_row(each, probed, known) for each, probed in zip(found, probes, strict=True)]


def _row(found: Found, probed: Probe, known: pb.ListPeersResponse | None) -> Row:
    said = found.said
    row = {
        "node": said.serial,
        "host": found.host,
        "target": None,
        "address": probed.address or None,
        "addresses": list(found.addresses),
        "state": "announced",
        "status": probed.status,
        "message": probed.message,
        "verified": probed.status == DONE if probed.status in (DONE, UNTRUSTED) else None,
        "known": None if known is None else _known(said.serial, known),
        "required": False,
        "system": said.system,
        "role": said.role,
        **facts_row(probed.facts, drifted=False),
    }
    if probed.facts is None:  # hints, since nothing proven is there
        row |= {"version": said.version, "batteries": said.batteries}
        row["protocol"] = int(said.protocol) if said.protocol.isascii() and said.protocol.isdecimal() else None
    return row


def _known(serial: str, known: pb.ListPeersResponse) -> str:
    """Return what the asked node has of a node."""
    if known.own.node == serial:
        return "itself"
    peers = [peer for peer in known.peers if serial in (peer.node, peer.target.removeprefix("serial:"))]
    if any(peer.stubs for peer in peers):
        return "adopted"
    return "session" if peers else "no"
