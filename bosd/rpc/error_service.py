"""ErrorService: the errors of a node, and those of other nodes that it follows."""

import math
from collections.abc import Iterable

from bosd.node.faults import MAX_ACTIVE, Fault, Faults, State
from bosd.rpc.edge import Context, Edge, closing
from bosd.v1 import errors_pb2 as pb
from bosd.v1.errors_pb2_grpc import ErrorServiceServicer

MAX_SENT = 2 * MAX_ACTIVE
"""The most severe come first, so what is left out is the least."""


class ErrorService(ErrorServiceServicer):
    """Lists and streams what is active."""

    def __init__(self, faults: Faults, edge: Edge) -> None:
        self._faults = faults
        self._edge = edge

    async def List(self, request: pb.ListErrorsRequest, context: Context) -> pb.ListErrorsResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._list(request))

    async def _list(self, request: pb.ListErrorsRequest) -> pb.ListErrorsResponse:
        faults = self._faults
        found = faults.active()[:MAX_SENT] + (faults.recent() if request.cleared else [])
        return pb.ListErrorsResponse(errors=self._messages(found), node=faults.node, boot_id=faults.boot_id)

    async def Watch(self, request: pb.WatchErrorsRequest, context: Context) -> None:  # noqa: D102, N802
        del request
        await self._edge.stream(context, self._watch(context))

    async def _watch(self, context: Context) -> None:
        faults = self._faults
        async with closing(faults.watch()) as changes:
            async for active in changes:
                errors = () if active is None else self._messages(active[:MAX_SENT])
                message = pb.WatchErrorsResponse(
                    unchanged=active is None, errors=errors, node=faults.node, boot_id=faults.boot_id
                )
                await context.write(message)

    def _messages(self, found: Iterable[Fault]) -> list[pb.NodeError]:
        return [to_error_message(fault, self._faults.age_s(fault)) for fault in found]


def to_error_message(fault: Fault, age_s: float) -> pb.NodeError:
    """Return an error as it is sent."""
    message = pb.NodeError(
        id=fault.id,
        type=fault.type,
        sub_type=fault.sub_type,
        message=fault.message,
        node=fault.node,
        module=fault.module,
        battery=fault.battery,
        raised_at=fault.raised_utc_s,
        boot_id=fault.boot_id,
        repeats=fault.repeats,
        age_s=age_s,
        via=fault.via,
    )
    message.severity = fault.severity  # type: ignore[assignment]  # a newer node's number is passed on as it is
    message.state = fault.state.value  # type: ignore[assignment]
    return message


def from_error_message(message: pb.NodeError) -> Fault:
    """Return an active error that another node tells; what this version does not know is kept as it is."""
    return Fault(
        id=message.id,
        type=message.type,
        sub_type=message.sub_type,
        severity=message.severity,
        message=message.message,
        node=message.node,
        module=message.module,
        battery=message.battery,
        raised_utc_s=message.raised_at,
        boot_id=message.boot_id,
        state=State.ACTIVE,
        repeats=message.repeats,
        via=tuple(message.via),
        aged_s=message.age_s if 0.0 <= message.age_s < math.inf else 0.0,
    )
