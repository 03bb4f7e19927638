"""Stubs for the batteries of another node, as TOML."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bosd.v1 import topology_pb2 as pb
from clients.bosctl.errors import ExitStatus, Failure

NETWORK = "network"


def plan_stubs(
    here: Mapping[str, Any], taken: Collection[str], there: pb.Topology, wanted: Sequence[str], address: str | None
) -> str:
    """Return tables of stubs for batteries of `there`; empty where all have one.

    `here` is the topology they are added to, `taken` the names it has, `wanted` the batteries (those that nothing rests on and
    that are no stubs themselves, if none is named). They name the node by its serial, or by `address` where one is given.
    Raises Failure for a battery that is not there.
    """
    entries = {entry.name: entry for entry in there.entries}
    if unknown := [name for name in wanted if name not in entries]:
        known = ", ".join(entries)
        raise Failure(
            ExitStatus.REFUSED, "BAD_NAME", f"{there.node} has no battery {unknown[0]}; it has {known}", {"name": unknown[0]}
        )
    chosen = list(wanted) or [entry.name for entry in there.entries if not entry.users and entry.kind != NETWORK]
    have = {
        battery.get("remote_name")
        for battery in here.get("battery", ())
        if battery.get("kind") == NETWORK
        and (battery.get("node") == there.node or (address and battery.get("target") == address))
    }
    names = set(taken)
    tables = []
    for remote_name in dict.fromkeys(chosen):
        if remote_name in have:
            continue
        name = remote_name if remote_name not in names else f"{there.node}-{remote_name}"
        names.add(name)
        where = {"target": address} if address else {"node": there.node}
        keys = {"name": name, "kind": NETWORK, **where, "remote_name": remote_name}
        tables.append("[[battery]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
    return "\n".join(tables)
