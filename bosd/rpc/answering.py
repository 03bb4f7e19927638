"""What another node answers a unary call, or one kind of failure."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import grpc.aio

from bosd.cancellation import asked_to_end, heeding
from bosd.errors import UnavailableError
from bosd.rpc.status import from_rpc_error

T = TypeVar("T")


async def answer_of(call: Awaitable[T], target: str) -> T:
    """Return what the call to `target` answers. Raises BosError as it was refused, UnavailableError when there is no answer."""
    try:
        with heeding():
            return await call
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from None
    except asyncio.CancelledError:
        if asked_to_end():
            raise
        raise UnavailableError(f"{target}: the connection was lost under the call", target=target) from None
