"""A channel that goes on over another connection: an exchanged certificate is shown from then on, and no call is lost.

A connection is who its certificate said when it was made, and the other end ends its streams when that certificate is over. So
the next connection is made beside it, new calls go there, streams are opened anew by whoever reads them, and the old one closes
when its last calls are answered.
"""

# ruff: noqa: ANN401, D102, FBT001, FBT002 (the signatures of grpc.aio.Channel)

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from bosd.errors import UnavailableError

_DECIDED = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
_RETRY_S = 2.0


async def settled(channel: grpc.aio.Channel, within_s: float) -> grpc.ChannelConnectivity | None:
    """Wait until the connection stands or has failed, and return which; None when neither happens in time.

    No call is made before: one that is cancelled while it waits for a connection is kept alive by its own traceback, and
    keeps its channel connecting (grpcio 1.85, grpc/aio/_call.py, `_send_unary_request`).
    """
    try:
        async with asyncio.timeout(within_s):
            while (state := channel.get_state(try_to_connect=True)) not in _DECIDED:
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return None
    return state


class MovingChannel(grpc.aio.Channel):
    """Makes each call over the connection of the moment."""

    def __init__(self, inner: grpc.aio.Channel) -> None:
        self._inner = inner

    async def follow(
        self,
        wanted: asyncio.Event,
        dial: Callable[[], grpc.aio.Channel],
        moved: Callable[[], None],
        *,
        connect_s: float,
        grace_s: float,
    ) -> None:
        """Move whenever it is wanted, until cancelled; `moved` has streams opened anew. What fails is tried again."""
        while True:
            await wanted.wait()
            wanted.clear()
            if not await self._move(dial, moved, connect_s, grace_s):
                await asyncio.sleep(_RETRY_S)
                wanted.set()

    async def _move(
        self, dial: Callable[[], grpc.aio.Channel], moved: Callable[[], None], connect_s: float, grace_s: float
    ) -> bool:
        try:
            unused = dial()
        except UnavailableError:
            return False
        try:
            if await settled(unused, connect_s) is not grpc.ChannelConnectivity.READY:
                return False
            unused, self._inner = self._inner, unused
            moved()
            await unused.close(grace_s)
        finally:
            await unused.close()
        return True

    def _calls(self, kind: str, method: str, serialize: Any, deserialize: Any, registered: bool | None) -> Any:
        made_for: grpc.aio.Channel | None = None
        inner: Any = None

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal made_for, inner
            if made_for is not self._inner:
                made_for = self._inner
                make = getattr(made_for, kind)
                inner = make(
                    method, request_serializer=serialize, response_deserializer=deserialize, _registered_method=registered
                )
            return inner(*arguments, **options)

        return call

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._calls("unary_unary", method, request_serializer, response_deserializer, _registered_method)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._calls("unary_stream", method, request_serializer, response_deserializer, _registered_method)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._calls("stream_unary", method, request_serializer, response_deserializer, _registered_method)

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._calls("stream_stream", method, request_serializer, response_deserializer, _registered_method)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._inner.channel_ready()

    async def close(self, grace: float | None = None) -> None:
        await self._inner.close(grace)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connection of the moment."""
        await self.close()
