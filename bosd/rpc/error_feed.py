"""Following the errors of another node over the connection that its batteries are watched by."""

import asyncio
from collections.abc import AsyncIterable

import grpc
import grpc.aio

from bosd.cancellation import heeding
from bosd.node.faults import Faults
from bosd.rpc.error_service import from_error_message
from bosd.v1 import errors_pb2 as pb
from bosd.v1.errors_pb2_grpc import ErrorServiceStub

_PAUSE_S = 1.0


class ErrorFeed:
    """Tells the registry what other nodes tell. What was heard stays with its age while a link is lost."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def follow(self, target: str, channel: grpc.aio.Channel) -> None:
        """Follow the node behind `target` until cancelled; one that knows no errors is left alone."""
        while True:
            try:
                with heeding():
                    await self._read(target, ErrorServiceStub(channel).Watch(pb.WatchErrorsRequest()))
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    return
            await asyncio.sleep(_PAUSE_S)

    async def _read(self, target: str, messages: AsyncIterable[pb.WatchErrorsResponse]) -> None:
        async for message in messages:
            if message.unchanged:
                self._faults.beat(target)
            else:
                told = [from_error_message(each) for each in message.errors]
                self._faults.heard(target, message.node, message.boot_id, told)

    def forget(self, target: str) -> None:
        """Forget a node that no stub points at any more."""
        self._faults.forget(target)
