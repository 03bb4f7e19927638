"""What the demo knows of a node: its batteries and their places, read over gRPC like any other client does."""

import asyncio
import contextlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import grpc
import grpc.aio

from bosd.cancellation import heeding
from bosd.clock import SystemClock
from bosd.errors import BosError
from bosd.rpc.status import from_rpc_error
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from bosd.v1.topology_pb2_grpc import TopologyServiceStub

PERIOD_S = 0.25
DEADLINE_S = 2.0
START_DEADLINE_S = 20.0
HOLDER = (("bosd-client", "demo"),)
_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


class NodeReader:
    """One node: the newest `statuses` and `entries`, and since when it does not answer."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.statuses: Sequence[pb.BatteryStatus] = ()
        self.entries: Sequence[tpb.TopologyEntry] = ()
        self._clock = SystemClock()
        self._heard_s = self._clock.now_s()
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        channel = await self._resources.enter_async_context(grpc.aio.insecure_channel(self.address, options=_OPTIONS))
        self._batteries = BatteryServiceStub(channel)
        self._topology = TopologyServiceStub(channel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    @property
    def silent_s(self) -> float:
        """Seconds since its last answer."""
        return self._clock.now_s() - self._heard_s

    async def read(self, *, starting: bool = False) -> None:
        """Read all batteries and their places; while it starts, wait for it. Raises BosError when it does not answer."""
        deadline_s = START_DEADLINE_S if starting else DEADLINE_S
        try:
            with heeding():
                listing = await self._batteries.ListStatuses(
                    pb.ListStatusesRequest(), timeout=deadline_s, metadata=HOLDER, wait_for_ready=starting
                )
                topology = await self._topology.Get(tpb.GetTopologyRequest(), timeout=DEADLINE_S, metadata=HOLDER)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        self.statuses, self.entries = listing.statuses, topology.entries
        self._heard_s = self._clock.now_s()

    async def follow(self) -> None:
        """Read again and again, through every silence."""
        while True:
            with contextlib.suppress(BosError):  # `silent_s` tells
                await self.read()
            await asyncio.sleep(PERIOD_S)

    async def set_current(self, battery: str, current_a: float, ttl_s: float) -> None:
        """Ask for a current, positive on discharge, for `ttl_s`. Raises BosError with the refusal."""
        request = pb.SetCurrentRequest(name=battery, current_a=current_a, ttl_s=ttl_s)
        try:
            with heeding():
                await self._batteries.SetCurrent(request, timeout=DEADLINE_S, metadata=HOLDER)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
