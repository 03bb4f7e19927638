"""FleetService: convert, ask the fleet, record what a person said, convert."""

from bosd.errors import InvalidArgumentError
from bosd.node.audit import AuditLog
from bosd.rpc.edge import Context, Edge, holder_of, need_finite, need_text
from bosd.rpc.fleet import WITHIN_S, Fleet
from bosd.v1 import fleet_pb2 as pb
from bosd.v1.fleet_pb2_grpc import FleetServiceServicer


class FleetService(FleetServiceServicer):
    """The nodes that one node knows."""

    def __init__(self, fleet: Fleet, edge: Edge, audit: AuditLog | None) -> None:
        self._fleet = fleet
        self._edge = edge
        self._audit = audit

    async def Describe(self, request: pb.DescribeRequest, context: Context) -> pb.NodeFacts:  # noqa: D102, N802
        del request
        return await self._edge.answer(context, self._describe())

    async def _describe(self) -> pb.NodeFacts:
        return self._fleet.about.facts()

    async def ListPeers(self, request: pb.ListPeersRequest, context: Context) -> pb.ListPeersResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._list_peers(request))

    async def _list_peers(self, request: pb.ListPeersRequest) -> pb.ListPeersResponse:
        within_s = need_finite(request.within_s, "within_s") or WITHIN_S
        if not 0.0 < within_s <= WITHIN_S:
            raise InvalidArgumentError(f"within_s is {within_s:g} s: above 0 and at most {WITHIN_S:g} s", field="within_s")
        peers = await self._fleet.peers(within_s)
        state, reason = self._fleet.state()
        response = pb.ListPeersResponse(own=self._fleet.about.facts(), reason=reason, peers=peers)
        response.system_state = state.value  # type: ignore[assignment]  # the numbers are the same
        return response

    async def AssumeSafe(self, request: pb.AssumeSafeRequest, context: Context) -> pb.AssumeSafeResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._assume_safe(request, context), ("assume-safe", ()))

    async def _assume_safe(self, request: pb.AssumeSafeRequest, context: Context) -> pb.AssumeSafeResponse:
        who = holder_of(context)
        done = self._fleet.assume_safe(_need_node(request.node))
        if self._audit is not None:
            before = {"counted_a": done.counted_a, "grants": done.grants, "alone_limits": done.counted_on}
            after = {"node": done.node, "counted_a": 0.0, "grants": [], "alone_limits": []}
            asked = {"node": done.node}
            self._audit.note("assume-safe", who=who, names=list(done.counted_a), asked=asked, before=before, after=after)
        batteries = [pb.AssumedSafe(name=name, counted_a=worst_a) for name, worst_a in done.counted_a.items()]
        return pb.AssumeSafeResponse(
            node=done.node, batteries=batteries, grants=done.grants, alone_limits=done.counted_on, hint=done.hint
        )

    async def Maintenance(self, request: pb.MaintenanceRequest, context: Context) -> pb.MaintenanceResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._maintain(request, context), ("maintenance", ()))

    async def _maintain(self, request: pb.MaintenanceRequest, context: Context) -> pb.MaintenanceResponse:
        who, reason = holder_of(context), need_text(request.reason, "reason")
        for_s = need_finite(request.for_s, "for_s")
        node, before = self._fleet.expect(_need_node(request.node), for_s, reason)
        if self._audit is not None:
            asked = {"node": node, "for_s": for_s}
            self._audit.note("maintenance", who=who, asked=asked, before={"expected_down": before}, comment=reason)
        return pb.MaintenanceResponse(node=node, for_s=for_s, was_expected=before)


def _need_node(node: str) -> str:
    if not node:
        raise InvalidArgumentError("node is empty: name a node", field="node")
    return need_text(node, "node")
