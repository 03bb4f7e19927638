"""TopologyService: convert, call the node, convert."""

from collections.abc import Callable, Collection, Iterable
from typing import Literal, TypeAlias

from bosd.bal.edits import Change
from bosd.bal.portions import Merge, Split
from bosd.errors import InvalidArgumentError, NoResourcesError
from bosd.node.api import ApplyResult, Edit, NodeApi, TopologyView
from bosd.rpc.edge import Context, Edge, closing, holder_of, need_name, need_text, storable
from bosd.v1 import topology_pb2 as pb
from bosd.v1.topology_pb2_grpc import TopologyServiceServicer

AmountKey = Literal["fraction", "charge_ah", "capacity_ah", "max_discharge_current_a", "max_charge_current_a"]

MAX_EDITS = 10_000
DEFAULT_HISTORY = 100
MAX_HISTORY = 1000

_AMOUNTS: tuple[AmountKey, ...] = (
    "fraction",
    "charge_ah",
    "capacity_ah",
    "max_discharge_current_a",
    "max_charge_current_a",
)
_ACTIONS = {
    "add": pb.TopologyChange.ACTION_ADD,
    "remove": pb.TopologyChange.ACTION_REMOVE,
    "replace": pb.TopologyChange.ACTION_REPLACE,
}


GrantedTo: TypeAlias = Callable[[str], Collection[str] | None]
"""Returns the batteries that are granted to `ROLE:NAME`; None for all of them."""


class TopologyService(TopologyServiceServicer):
    """The topology of one node: reading and editing it."""

    def __init__(self, node: NodeApi, edge: Edge, granted_to: GrantedTo) -> None:
        self._node = node
        self._edge = edge
        self._granted_to = granted_to

    async def Get(self, request: pb.GetTopologyRequest, context: Context) -> pb.Topology:  # noqa: D102, N802
        return await self._edge.answer(context, self._get(request))

    async def _get(self, request: pb.GetTopologyRequest) -> pb.Topology:
        topology = self._topology(self._node.topology())
        granted = self._granted_to(need_text(request.granted_to, "granted_to")) if request.granted_to else None
        if granted is not None:
            kept = [entry for entry in topology.entries if entry.name in granted]
            del topology.entries[:]
            topology.entries.extend(kept)
        return topology

    async def Plan(self, request: pb.ApplyTopologyRequest, context: Context) -> pb.ApplyTopologyResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._plan(request))

    async def _plan(self, request: pb.ApplyTopologyRequest) -> pb.ApplyTopologyResponse:
        return _applied(await self._node.plan(edits_of(request.edits), expected_revision=_expected(request)))

    async def Apply(self, request: pb.ApplyTopologyRequest, context: Context) -> pb.ApplyTopologyResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._apply(request, context), ("apply", ()))

    async def _apply(self, request: pb.ApplyTopologyRequest, context: Context) -> pb.ApplyTopologyResponse:
        result = await self._node.apply(
            edits_of(request.edits),
            expected_revision=_expected(request),
            holder=holder_of(context),
            comment=need_text(request.comment, "comment"),
            request_id=need_text(request.request_id, "request_id"),
        )
        return _applied(result)

    async def History(self, request: pb.TopologyHistoryRequest, context: Context) -> pb.TopologyHistoryResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._history(request))

    async def _history(self, request: pb.TopologyHistoryRequest) -> pb.TopologyHistoryResponse:
        if request.limit > MAX_HISTORY:
            raise InvalidArgumentError(f"limit is {request.limit}: at most {MAX_HISTORY} revisions", field="limit")
        response = pb.TopologyHistoryResponse()
        for line in await self._node.history(request.limit or DEFAULT_HISTORY):
            response.revisions.add(
                revision=line.revision,
                changed_at=line.changed_utc_s,
                who=line.who,
                comment=line.comment,
                changes=_changes(line.changes),
            )
        return response

    async def GetRevision(self, request: pb.GetRevisionRequest, context: Context) -> pb.Topology:  # noqa: D102, N802
        return await self._edge.answer(context, self._get_revision(request))

    async def _get_revision(self, request: pb.GetRevisionRequest) -> pb.Topology:
        return self._topology(await self._node.stored_topology(storable(request.revision)))

    async def Watch(self, request: pb.WatchTopologyRequest, context: Context) -> None:  # noqa: D102, N802
        del request
        await self._edge.stream(context, self._watch(context))

    async def _watch(self, context: Context) -> None:
        views = self._node.watch_topology()
        async with closing(views):
            async for view in views:
                await context.write(self._topology(view))

    def _topology(self, view: TopologyView) -> pb.Topology:
        topology = pb.Topology(
            revision=view.revision, toml=view.toml, node=self._node.name, changed_at=view.changed_utc_s, parted=view.parted
        )
        for entry in view.entries:
            topology.entries.add(
                name=entry.name, kind=entry.kind, sources=entry.sources, users=entry.users, splitter=entry.splitter
            )
        return topology


def edits_of(messages: Iterable[pb.TopologyEdit]) -> tuple[Edit, ...]:
    """Return the edits of a request; raises InvalidArgumentError naming the first that says nothing."""
    edits = tuple(_edit(message, f"edits[{place}]") for place, message in enumerate(messages))
    if not edits:
        raise InvalidArgumentError("edits is empty: nothing to change", field="edits")
    if len(edits) > MAX_EDITS:
        raise NoResourcesError(f"{len(edits)} edits in one transaction, at most {MAX_EDITS}", field="edits")
    return edits


def _edit(message: pb.TopologyEdit, field: str) -> Edit:
    match message.WhichOneof("edit"):
        case "add":
            return Edit(action="add", toml=message.add)
        case "remove":
            return Edit(action="remove", name=need_name(message.remove.name, f"{field}.remove.name"))
        case "replace":
            name = need_name(message.replace.name, f"{field}.replace.name")
            return Edit(action="replace", name=name, toml=message.replace.toml)
        case "whole":
            return Edit(action="whole", toml=message.whole)
        case "split":
            return Edit(action="recut", name=message.split.name, recut=_split(message.split, f"{field}.split"))
        case "merge":
            merge = message.merge
            names = need_name(merge.name, f"{field}.merge.name"), need_name(merge.into, f"{field}.merge.into")
            return Edit(action="recut", name=names[0], recut=Merge(name=names[0], into=names[1]))
        case _:
            raise InvalidArgumentError(f"{field} is empty or of a kind this node does not know", field=field)


def _split(message: pb.TopologyEdit.Split, field: str) -> Split:
    amounts = {key: getattr(message, key) for key in _AMOUNTS if message.HasField(key)}
    return Split(
        splitter=need_name(message.splitter, f"{field}.splitter"),
        name=need_name(message.name, f"{field}.name"),
        donor=need_name(message.donor, f"{field}.donor"),
        above=need_text(message.above, f"{field}.above"),
        **amounts,
    )


def _expected(request: pb.ApplyTopologyRequest) -> int | None:
    return request.expected_revision if request.HasField("expected_revision") else None


def _applied(result: ApplyResult) -> pb.ApplyTopologyResponse:
    return pb.ApplyTopologyResponse(
        revision=result.revision,
        changes=_changes(result.changes),
        warnings=result.warnings,
        unconfirmed=result.unconfirmed,
    )


def _changes(changes: Iterable[Change]) -> list[pb.TopologyChange]:
    return [
        pb.TopologyChange(action=_ACTIONS[change.action], name=change.name, kind=change.kind, detail=change.detail)
        for change in changes
    ]
