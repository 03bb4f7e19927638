"""Stubs for the batteries of another node, as TOML."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bosd.v1 import topology_pb2 as pb
from clients.bosctl.errors import ExitStatus, Failure

NETWORK = "network"


def chosen_of(there: pb.Topology, wanted: Sequence[str], granted: Collection[str] | None, holder: str) -> list[str]:
    """Return which batteries of `there` get a stub: those `wanted`, else those that nothing rests on and that are no stubs.

    Where `granted` is known, what is not among it is left out; `holder` is to whom. Raises Failure for a wanted battery that is
    not there or not granted, and where nothing is left.
    """
    entries = {entry.name: entry for entry in there.entries}
    if unknown := [name for name in wanted if name not in entries]:
        known = ", ".join(entries)
        raise Failure(
            ExitStatus.REFUSED, "BAD_NAME", f"{there.node} has no battery {unknown[0]}; it has {known}", {"name": unknown[0]}
        )
    chosen = list(wanted) or [entry.name for entry in there.entries if not entry.users and entry.kind != NETWORK]
    denied = [] if granted is None else [name for name in chosen if name not in granted]
    if denied and (wanted or len(denied) == len(chosen)):
        names = ", ".join(json.dumps(name) for name in denied)
        remedy = f'name them in its [security.grants], "{holder}" = [{names}], and start it anew'
        message = f"{there.node} does not grant {', '.join(denied)} to {holder}: {remedy}. Nothing was made"
        raise Failure(ExitStatus.REFUSED, "NOT_ALLOWED", message, {"who": holder, "names": ",".join(denied)})
    return [name for name in chosen if name not in denied]


def plan_stubs(
    here: Mapping[str, Any], taken: Collection[str], there: pb.Topology, chosen: Sequence[str], address: str | None
) -> str:
    """Return tables of stubs for batteries of `there`; empty where all have one.

    `here` is the topology they are added to, `taken` the names it has. They name the node by its serial, or by `address` where
    one is given.
    """
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
