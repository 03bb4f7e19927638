"""Round trips to another node: what half of one is, and the probe that measures them."""

import asyncio
from collections import deque

import grpc
import grpc.aio

from bosd.cancellation import heeding

_KEPT = 4
_PROBE = "/grpc.health.v1.Health/Check"
_ANSWERED = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND)


class RoundTrips:
    """The last round trips of one connection, in seconds."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_KEPT)

    def clear(self) -> None:
        """Forget them: the connection is another one."""
        self._seconds.clear()

    def note(self, seconds: float) -> None:
        """Take one more."""
        self._seconds.append(seconds)

    def __bool__(self) -> bool:
        return bool(self._seconds)

    @property
    def half_s(self) -> float:
        """Half of the shortest of the last ones; 0 before any."""
        return min(self._seconds, default=0.0) / 2.0

    async def probe(self, channel: grpc.aio.Channel, heard_once: asyncio.Event, *, call_s: float, period_s: float) -> None:
        """Measure, from the first message on, with the smallest call there is; any answer will do."""
        loop = asyncio.get_running_loop()
        check = channel.unary_unary(_PROBE, request_serializer=bytes, response_deserializer=bytes)
        await heard_once.wait()
        while True:
            started_s = loop.time()
            try:
                with heeding():
                    await check(b"", timeout=call_s)
                self.note(loop.time() - started_s)
            except grpc.aio.AioRpcError as error:
                if error.code() in _ANSWERED:
                    self.note(loop.time() - started_s)
            await asyncio.sleep(period_s)
