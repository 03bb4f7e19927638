"""A session that another node keeps, spoken by hand over gRPC: what a command carries is said by the test."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from bosd.errors import BosError
from bosd.fleet.owner import PROTOCOL
from bosd.rpc.status import from_rpc_error
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import node_pb2 as npb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from bosd.v1.node_pb2_grpc import NodeServiceStub

BEAT_S = 0.1
CALL_S = 10.0


class RawSession:
    """One peer's session over `channel`; `stamps` are the owner's as they came, the newest last."""

    def __init__(self, channel: grpc.aio.Channel, who: str) -> None:
        self.nodes: Any = NodeServiceStub(channel)
        self.batteries: Any = BatteryServiceStub(channel)
        self.metadata = (("bosd-client", who),)
        self.own_boot_id = uuid.uuid4().hex
        self.boot_id = ""
        self.epoch = 0
        self.sequence = 0
        self.stamps: list[float] = []
        self.ended: BosError | None = None
        """Why the owner takes no more beats."""
        self._number = 0
        self._answered = asyncio.Event()

    async def hello(self) -> None:
        """Say Hello alone."""
        hello = npb.HelloRequest(nonce=uuid.uuid4().hex, boot_id=self.own_boot_id, protocol=PROTOCOL, version="by hand")
        opened = await self.nodes.Hello(hello, timeout=CALL_S, metadata=self.metadata)
        self.boot_id, self.epoch = opened.boot_id, opened.epoch
        self.stamps.append(opened.owner_s)

    async def open(self) -> None:
        """Say Hello, Sync and Ready; go on with what is in force."""
        await self.hello()
        sync = npb.SyncRequest(boot_id=self.boot_id, epoch=self.epoch)
        told = await self.nodes.Sync(sync, timeout=CALL_S, metadata=self.metadata)
        ready = npb.ReadyRequest(
            boot_id=self.boot_id, epoch=self.epoch, digest=told.digest, claims=told.claims, owner_s=told.owner_s
        )
        agreed = await self.nodes.Ready(ready, timeout=CALL_S, metadata=self.metadata)
        assert agreed.agreed
        self.stamps.append(agreed.owner_s)

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Keep the session alive while the block runs."""
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    async def _beat(self) -> None:
        stream = self.nodes.Heartbeat(metadata=self.metadata)
        try:
            while True:
                self._number += 1
                beat = npb.Beat(boot_id=self.boot_id, epoch=self.epoch, number=self._number, owner_s=self.stamps[-1])
                await stream.write(beat)
                self.stamps.append((await stream.read()).owner_s)
                self._answered.set()
                await asyncio.sleep(BEAT_S)
        except grpc.aio.AioRpcError as error:
            self.ended = from_rpc_error(error)

    async def newer_than(self, stamp_s: float) -> None:
        """Wait until the owner's clock, as its beats tell it, is past `stamp_s`."""
        while self.stamps[-1] <= stamp_s:
            await self._next_answer()

    async def fresh(self) -> npb.Fence:
        """Return what the next command carries, with a stamp that has just come."""
        await self._next_answer()
        return self.fence()

    async def _next_answer(self) -> None:
        self._answered.clear()
        async with asyncio.timeout(CALL_S):
            await self._answered.wait()

    def fence(self, **other: Any) -> npb.Fence:
        """Return what the next command carries, with what is to be otherwise."""
        self.sequence += 1
        right = {"boot_id": self.boot_id, "epoch": self.epoch, "sequence": self.sequence, "owner_s": self.stamps[-1]}
        return npb.Fence(**{**right, **other})

    async def set(
        self, name: str, current_a: float, fence: npb.Fence | None, *, request_id: str = "", who: str = ""
    ) -> pb.SetCurrentResponse:
        """Ask for a current, `who` in the metadata if given. Raises grpc.aio.AioRpcError."""
        request = pb.SetCurrentRequest(name=name, current_a=current_a, ttl_s=60.0, request_id=request_id, fence=fence)
        metadata = (("bosd-client", who),) if who else self.metadata
        answer: pb.SetCurrentResponse = await self.batteries.SetCurrent(request, timeout=CALL_S, metadata=metadata)
        return answer

    async def clear(self, name: str, fence: npb.Fence | None) -> pb.SetCurrentResponse:
        """Give a set point back. Raises grpc.aio.AioRpcError."""
        request = pb.ClearCurrentRequest(name=name, fence=fence)
        answer: pb.SetCurrentResponse = await self.batteries.ClearCurrent(request, timeout=CALL_S, metadata=self.metadata)
        return answer

    async def refused(
        self, name: str, current_a: float, fence: npb.Fence | None, *, who: str = ""
    ) -> tuple[grpc.StatusCode, BosError]:
        """Ask for a current that has to be refused; return the code and the error."""
        try:
            answer = await self.set(name, current_a, fence, who=who)
        except grpc.aio.AioRpcError as refused:
            return refused.code(), from_rpc_error(refused)
        raise AssertionError(f"it was done: {answer}")
