"""Calls of the external service: channels that do not slow each other down, a deadline each, one kind of failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from bosd.cancellation import heeding

_BACKOFF_MS = 200
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.enable_http_proxy", 0),  # the service is on this machine
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, without the waiting of the last one
    ("grpc.initial_reconnect_backoff_ms", _BACKOFF_MS),
    ("grpc.min_reconnect_backoff_ms", _BACKOFF_MS),
    ("grpc.max_reconnect_backoff_ms", _BACKOFF_MS),
)


class Lost(Exception):  # noqa: N818 (what happens to connections; nobody is refused by it)
    """The service cannot be used now."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CallFailed(Lost):
    """A call that was not answered, or refused; `code` is gRPC's."""

    def __init__(self, method: str, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{method}: {code.name}: {details or 'no more is said'}")
        self.code = code
        self.details = details


async def call(method: Any, request: Any, deadline_s: float, name: str = "") -> Any:  # noqa: ANN401 (stubs ship no types)
    """Return the answer of a unary call, whose `name` is needed where the request's does not say it. Raises CallFailed."""
    try:
        with heeding():
            return await method(request, timeout=deadline_s)
    except grpc.aio.AioRpcError as error:
        raise failed(name or type(request).__name__.removesuffix("Request"), error) from None


def failed(method: str, error: grpc.aio.AioRpcError) -> CallFailed:
    """Return a failure in our words."""
    return CallFailed(method, error.code(), error.details() or "")


@asynccontextmanager
async def connected(target: str, deadline_s: float, *, patient: bool) -> AsyncIterator[grpc.aio.Channel]:
    """Yield a channel that is connected, closed at the end of the block. Raises Lost.

    Who is `patient` waits for a service that is about to start until the deadline; otherwise the first refusal is one.
    """
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        try:
            async with asyncio.timeout(deadline_s):
                await _ready(channel, target, patient=patient)
        except TimeoutError:
            raise Lost(f"nothing answers at {target} within {deadline_s:g} s") from None
        yield channel


async def _ready(channel: grpc.aio.Channel, target: str, *, patient: bool) -> None:
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE and not patient:
            raise Lost(f"nothing listens at {target}")
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
