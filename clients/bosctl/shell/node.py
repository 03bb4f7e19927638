"""The node behind a shell: its services in one word each, and the local one where the shell has its own."""

import contextlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from bosd.bal.spec import JbdSpec, Topology
from bosd.clock import SystemClock
from bosd.config.topology_toml import format_topology, parse_topology
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import clock_pb2 as cpb
from bosd.v1 import ledger_pb2 as lpb
from bosd.v1 import topology_pb2 as tpb
from clients.bosctl.connection import Connection
from clients.bosctl.errors import ExitStatus, Failure, is_passing
from clients.bosctl.holding import new_request_id

FIRST_SAMPLE_S = 10.0
LOOK_S = 0.2
OUTSIDE = frozenset({"jbd", "network"})
"""Kinds of batteries that live by another clock."""


class ShellNode:
    """Calls of one connection. Every method raises Failure with what the node refused."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def statuses(self, names: Iterable[str] = ()) -> list[pb.BatteryStatus]:
        """Return statuses in the order asked, of all batteries when none is named."""
        request = pb.ListStatusesRequest(names=list(names))
        return list(self.connection.call(self.connection.batteries.ListStatuses, request, doing="taking samples").statuses)

    def status(self, name: str) -> pb.BatteryStatus:
        """Return one status."""
        found: pb.BatteryStatus = self.connection.call(self.connection.batteries.GetStatus, pb.GetStatusRequest(name=name))
        return found

    def set_current(self, name: str, current_a: float, ttl_s: float | None) -> pb.SetCurrentResponse:
        """Ask for a current."""
        request = pb.SetCurrentRequest(name=name, current_a=current_a, ttl_s=ttl_s, request_id=new_request_id())
        answer: pb.SetCurrentResponse = self.connection.call(
            self.connection.batteries.SetCurrent, request, doing=f"setting {name}"
        )
        return answer

    def modify(self, name: str, values: dict[str, float]) -> None:
        """Change what a pseudo battery reports."""
        self.connection.call(self.connection.batteries.ModifyPseudo, pb.ModifyPseudoRequest(name=name, **values))

    def refresh(self, name: str) -> None:
        """Take a fresh sample of everything below a battery."""
        request = pb.RefreshRequest(name=name, recursive=True)
        self.connection.call(self.connection.batteries.Refresh, request, long=True, doing=f"refreshing {name}")

    def refresh_devices(self) -> None:
        """Read what lies outside the node's clock again, after that was moved; what does not answer stays as old as it is."""
        for entry in self.topology().entries:
            if entry.kind in OUTSIDE:
                with contextlib.suppress(Failure):
                    self.refresh(entry.name)

    def topology(self) -> tpb.Topology:
        """Return the topology."""
        found: tpb.Topology = self.connection.call(self.connection.topology.Get, tpb.GetTopologyRequest())
        return found

    def edit(self, *edits: tpb.TopologyEdit) -> None:
        """Apply edits in one transaction."""
        request = tpb.ApplyTopologyRequest(edits=edits, request_id=new_request_id(), comment="bosctl shell")
        self.connection.call(self.connection.topology.Apply, request, long=True, doing="applying")

    def add(self, toml: str) -> None:
        """Add batteries."""
        self.edit(tpb.TopologyEdit(add=toml))

    def remove(self, name: str) -> None:
        """Remove a battery or a splitter."""
        self.edit(tpb.TopologyEdit(remove=tpb.TopologyEdit.Remove(name=name)))

    def add_sampled(self, name: str, toml: str) -> None:
        """Add a battery and wait for its first sample; without one in time it is removed again. Raises Failure."""
        self.add(toml)
        clock = SystemClock()
        ends_s = clock.now_s() + FIRST_SAMPLE_S
        while True:
            try:
                self.refresh(name)
                status = self.status(name)
            except Failure as failure:
                if not is_passing(failure):
                    self.remove(name)
                    raise
                why: Failure = failure
            else:
                if status.quality == pb.QUALITY_GOOD:
                    return
                why = _not_good(name, status)
            if clock.now_s() >= ends_s:
                self.remove(name)
                message = f"no first sample of {name} within {FIRST_SAMPLE_S:g} s, so it was not made: {why.message}"
                raise Failure(why.status, "UNAVAILABLE", message, {"name": name})
            threading.Event().wait(LOOK_S)

    def set_refresh(self, name: str, mode: Literal["active", "lazy"]) -> tuple[str, ...]:
        """Have the devices below a battery read in the background (`active`) or when asked (`lazy`); return their names."""
        topology = self.topology()
        below = _below(topology, name)
        self.status(name)  # refused by name where there is none
        specs = [spec for spec in parse_topology(topology.toml).batteries if isinstance(spec, JbdSpec) and spec.name in below]
        changed = [replace(spec, refresh=mode) for spec in specs if spec.refresh != mode]
        edits = [
            tpb.TopologyEdit(replace=tpb.TopologyEdit.Replace(name=spec.name, toml=format_topology(Topology(batteries=(spec,)))))
            for spec in changed
        ]
        if edits:
            self.edit(*edits)
        return tuple(spec.name for spec in specs)

    def split(self, name: str, policy: str, donor: str, amounts: Mapping[str, float]) -> None:
        """Split a partition off another."""
        split = tpb.TopologyEdit.Split(splitter=policy, name=name, donor=donor)
        for field, amount in amounts.items():
            setattr(split, field, amount)
        self.edit(tpb.TopologyEdit(split=split))

    def ledger(self, name: str) -> list[lpb.LedgerEntry]:
        """Return all entries of a battery, a partition or a splitter, oldest first."""
        request = lpb.ListLedgerRequest(name=name)
        entries: list[lpb.LedgerEntry] = []
        while True:
            answer = self.connection.call(self.connection.ledger.List, request, long=True, doing="reading the ledger")
            entries += answer.entries
            if not answer.next_after:
                return entries
            request.after_number = answer.next_after

    def clock(self) -> cpb.ClockState:
        """Return the node's clock."""
        found: cpb.ClockState = self.connection.call(self.connection.clock.Get, cpb.GetClockRequest())
        return found

    def tick(self, duration_s: float) -> cpb.ClockState:
        """Move simulated time on."""
        request = cpb.TickRequest(duration_s=duration_s)
        found: cpb.ClockState = self.connection.call(self.connection.clock.Tick, request, long=True, doing="ticking")
        return found

    def set_clock(self, **fields: Any) -> cpb.ClockState:  # noqa: ANN401 (fields of the message)
        """Choose the clock, or set it."""
        found: cpb.ClockState = self.connection.call(self.connection.clock.Set, cpb.SetClockRequest(**fields))
        return found


def _not_good(name: str, status: pb.BatteryStatus) -> Failure:
    return Failure(ExitStatus.REFUSED, "UNAVAILABLE", status.reason or f"{name} is not GOOD", {"name": name})


def _below(topology: tpb.Topology, name: str) -> set[str]:
    sources = {entry.name: list(entry.sources) for entry in topology.entries}
    found: set[str] = set()
    stack = [name]
    while stack:
        current = stack.pop()
        if current not in found:
            found.add(current)
            stack.extend(sources.get(current, ()))
    return found
