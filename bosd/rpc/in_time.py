"""A command that its owner was too busy to look at in time, and refused for its age, is sent again with a newer stamp."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bosd.errors import FencedError
from bosd.rpc.session import PeerSession
from bosd.v1 import battery_pb2 as pb

T = TypeVar("T")

PAUSE_S = 0.1
"""Between two tries: where beats do not come through the stamp grows no newer, and each would be refused at once."""


async def in_time(
    send: Callable[[pb.SetCurrentRequest, float], Awaitable[T]],
    request: pb.SetCurrentRequest,
    session: PeerSession,
    within_s: float,
    still_newest: Callable[[], bool],
) -> T:
    """Return what `send` does of the request, which gets its fence, and of how long it may take: `within_s` for all.

    It is sent again while nothing newer was, it lives, and the session is the same. Raises what the last one is refused with.
    """
    began_s, passed_s = session.clock.now_s(), 0.0
    ttl_s = request.ttl_s if request.HasField("ttl_s") else None
    least_s = within_s if ttl_s is None else min(within_s, ttl_s)
    request.fence.CopyFrom(session.fence())
    while True:
        if ttl_s is not None:
            request.ttl_s = ttl_s - passed_s
        try:
            return await send(request, within_s - passed_s)
        except FencedError as error:
            if error.metadata.get("check") != "AGE":
                raise
            await asyncio.sleep(PAUSE_S)
            before, fence = request.fence, session.fence()
            same = (before.boot_id, before.epoch) == (fence.boot_id, fence.epoch)
            passed_s = session.clock.now_s() - began_s
            if not same or not still_newest() or passed_s >= least_s:
                raise
            request.fence.CopyFrom(fence)
