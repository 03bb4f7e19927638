"""grpc.health.v1 computed on demand: `""` is the node, `battery/NAME` a battery, which serves while its quality is GOOD."""

import asyncio

from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthServicer

from bosd.bal.status import Quality
from bosd.errors import BadNameError
from bosd.node.api import NodeApi
from bosd.rpc.edge import Context, Edge

PREFIX = "battery/"
POLL_S = 1.0
"""How often a watched health is computed anew: a local read without I/O."""


class HealthService(HealthServicer):  # type: ignore[misc]
    """Health of a node and its batteries."""

    def __init__(self, node: NodeApi, edge: Edge, *, poll_s: float = POLL_S) -> None:
        self._node = node
        self._edge = edge
        self._poll_s = poll_s
        self.stopping = False

    async def Check(self, request: pb.HealthCheckRequest, context: Context) -> pb.HealthCheckResponse:  # noqa: D102, N802
        return await self._edge.answer(context, self._check(request.service))

    async def _check(self, service: str) -> pb.HealthCheckResponse:
        serving = self._serving(service)
        if serving == pb.HealthCheckResponse.SERVICE_UNKNOWN:
            raise BadNameError(f"no service {service!r}: the node is '', a battery is {PREFIX}NAME", service=service)
        return pb.HealthCheckResponse(status=serving)

    async def Watch(self, request: pb.HealthCheckRequest, context: Context) -> None:  # noqa: D102, N802
        await self._edge.stream(context, self._watch(request.service, context))

    async def _watch(self, service: str, context: Context) -> None:
        told = None
        while True:
            serving = self._serving(service)
            if serving != told:
                await context.write(pb.HealthCheckResponse(status=serving))
                told = serving
            await asyncio.sleep(self._poll_s)

    def _serving(self, service: str) -> int:
        response = pb.HealthCheckResponse
        if service == "":
            good = not self.stopping
        elif not service.startswith(PREFIX):
            return int(response.SERVICE_UNKNOWN)
        else:
            try:
                good = self._node.status(service.removeprefix(PREFIX)).quality is Quality.GOOD
            except BadNameError:
                return int(response.SERVICE_UNKNOWN)
        return int(response.SERVING if good and not self.stopping else response.NOT_SERVING)
