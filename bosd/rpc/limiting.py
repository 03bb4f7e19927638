"""Limits put together with a node: its batteries, its store, its clock, and the way to other nodes."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import Grant
from bosd.bal.spec import NetworkSpec
from bosd.errors import UnsupportedError
from bosd.fleet.owner import OwnerSessions
from bosd.limits.service import NOT_PROVABLE, Limits
from bosd.node.audit import AuditLog
from bosd.node.clock_trust import ClockTrust
from bosd.node.faults import Severity
from bosd.node.links import NetworkLeaf
from bosd.node.node import Node
from bosd.node.noticed import Noticed
from bosd.store.alone import AloneTable
from bosd.store.store import Store

__all__ = ["Limits", "go_by_sessions", "limits_of"]


async def limits_of(node: Node, store: Store, trust: ClockTrust, audit: AuditLog | None = None) -> Limits:
    """Return the limits of a node that is loaded, those of an earlier run in force. Raises StoreError."""

    def stub_beside(spec: NetworkSpec) -> tuple[DeviceLeaf, Callable[[], None]]:
        """Return a stub that is no battery of the node, and what lets go of its link."""
        stub = node.make_remote(spec)
        return stub, stub.close

    limits = Limits(node.directory, node.clock, store, trust.doubt, node.look_again, (_send, stub_beside, _owner_run), _granted)
    if audit is not None:
        limits.book.note = audit.note
    await limits.load()
    node.alone.limiters = limits.granted_by
    node.followers.append(limits.topology_changed)
    node.parts.append(limits.start)
    node.time.add(limits.book)
    node.notices.sources.append(lambda: noticed(limits))
    return limits


async def go_by_sessions(node: Node, limits: Limits, sessions: OwnerSessions, store: Store) -> None:
    """Have limits, and alone limits, go by the sessions of a node, and by what earlier runs told others. Raises StoreError."""
    node.alone.peers, limits.is_heard = sessions, sessions.is_heard
    await sessions.load(AloneTable(store), node.alone.configured)
    node.parts.append(sessions.told.start)


async def _send(stub: Battery, grant: Grant) -> None:
    if not isinstance(stub, NetworkLeaf):
        raise UnsupportedError(f"{stub.name} is no other node's battery", battery=stub.name)
    await stub.grant(grant)


async def _granted(stub: Battery) -> Mapping[str, Sequence[Grant]]:
    return await stub.granted() if isinstance(stub, NetworkLeaf) else {}


def _owner_run(stub: Battery) -> str:
    return stub.owner_run() if isinstance(stub, NetworkLeaf) else ""


def noticed(limits: Limits) -> Iterator[Noticed]:
    """Yield limits that are in force and not recorded, and those of which nobody can prove that they are kept."""
    count, failure = limits.book.failure
    if count and failure:
        yield Noticed("STORE_FAILED", Severity.HIGH, f"{count} limits are in force and not recorded: {failure}", "limits")
    shown: set[str] = set()
    for view in limits.views():
        limit = view.standing.limit
        if view.standing.in_force and NOT_PROVABLE in view.reason and limit.battery not in shown:
            shown.add(limit.battery)
            yield Noticed(NOT_PROVABLE, Severity.MEDIUM, view.reason, "limits", limit.battery)
