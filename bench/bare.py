"""What the technology can do: bare grpcio aio servers without options, on uvloop as the daemon is.

`python -m bench.bare echo ADDRESS`: returns the BatteryStatus it gets. `stream ADDRESS N`: streams N statuses a message without
pause, each built from a dataclass.
`relay ADDRESS [UPSTREAM]`: passes on what UPSTREAM streams; without one, what `Push` is called with.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import uvloop
from grpc import aio

from bosd.v1 import battery_pb2 as pb

SERVICE = "bosd.bench.Bare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A status as a bare server holds it: the fields a pseudo battery's message carries."""

    name: str
    kind: str = "pseudo"
    voltage_v: float = 48.3
    current_a: float = 1.5
    power_w: float = 72.45
    charge_ah: float = 51.25
    capacity_ah: float = 100.0
    soc: float = 0.5125
    max_discharge_current_a: float = 50.0
    max_charge_current_a: float = 25.0
    ideal_max_discharge_current_a: float = 50.0
    ideal_max_charge_current_a: float = 25.0
    usable_charge_ah: float = 51.25
    balanced_usable_charge_ah: float = 51.25
    expected_charge_ah: float = 51.25
    unobserved_s: float = 0.5
    requested_current_a: float = 1.5
    applied_current_a: float = 1.5
    setpoint_source: int = 3
    sampled_from: float = 1.8e9
    sampled_to: float = 1.8e9
    age_s: float = 0.25
    quality: int = 1
    link: int = 1
    commandable: bool = True
    reason: str = ""
    path: tuple[str, ...] = ("home/p0",)
    hops: int = 0
    controllable: bool = True
    max_staleness_s: float = 1.5


def message_of(add: Any, values: Values) -> None:  # noqa: ANN401 (the generated `add`)
    """Build one message in place."""
    v = values
    add(
        name=v.name,
        kind=v.kind,
        voltage_v=v.voltage_v,
        current_a=v.current_a,
        power_w=v.power_w,
        charge_ah=v.charge_ah,
        capacity_ah=v.capacity_ah,
        soc=v.soc,
        max_discharge_current_a=v.max_discharge_current_a,
        max_charge_current_a=v.max_charge_current_a,
        ideal_max_discharge_current_a=v.ideal_max_discharge_current_a,
        ideal_max_charge_current_a=v.ideal_max_charge_current_a,
        usable_charge_ah=v.usable_charge_ah,
        balanced_usable_charge_ah=v.balanced_usable_charge_ah,
        expected_charge_ah=v.expected_charge_ah,
        unobserved_s=v.unobserved_s,
        requested_current_a=v.requested_current_a,
        applied_current_a=v.applied_current_a,
        setpoint_source=v.setpoint_source,
        sampled_from=v.sampled_from,
        sampled_to=v.sampled_to,
        age_s=v.age_s,
        quality=v.quality,
        link=v.link,
        commandable=v.commandable,
        reason=v.reason,
        path=v.path,
        hops=v.hops,
        controllable=v.controllable,
        max_staleness_s=v.max_staleness_s,
    )


async def echo(request: pb.BatteryStatus, context: Any) -> pb.BatteryStatus:  # noqa: ANN401 (grpc's)
    """Return the message."""
    del context
    return request


class Stream:
    """Streams batches without pause."""

    def __init__(self, count: int) -> None:
        self._values = [Values(name=f"p{number}") for number in range(count)]

    async def watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:  # noqa: ANN401 (grpc's)
        """Yield batch after batch."""
        del request, context
        while True:
            response = pb.WatchResponse(node="home", sent_at=1.8e9, beat_s=1.0)
            add = response.statuses.add
            for values in self._values:
                message_of(add, values)
            yield response


class Relay:
    """One node of a push chain: every reader gets every message."""

    def __init__(self) -> None:
        self._readers: list[asyncio.Queue[pb.WatchResponse]] = []

    async def push(self, request: pb.WatchResponse, context: Any) -> pb.WatchResponse:  # noqa: ANN401 (grpc's)
        """Pass a message on and return it."""
        del context
        self.pass_on(request)
        return request

    def pass_on(self, message: pb.WatchResponse) -> None:
        """Give a message to every reader."""
        for reader in self._readers:
            reader.put_nowait(message)

    async def watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:  # noqa: ANN401 (grpc's)
        """Yield what comes."""
        del request, context
        queue: asyncio.Queue[pb.WatchResponse] = asyncio.Queue()
        self._readers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._readers.remove(queue)

    async def follow(self, upstream: str) -> None:
        """Pass on what `upstream` streams."""
        async with aio.insecure_channel(upstream) as channel:
            watch = channel.unary_stream(f"/{SERVICE}/Watch", pb.WatchRequest.SerializeToString, pb.WatchResponse.FromString)
            async for message in watch(pb.WatchRequest(), wait_for_ready=True):
                self.pass_on(message)


def _handlers(mode: str, arguments: list[str], relay: Relay) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    if mode == "echo":
        unary = grpc.unary_unary_rpc_method_handler(echo, pb.BatteryStatus.FromString, pb.BatteryStatus.SerializeToString)
        return {"Status": unary}
    watch = Stream(int(arguments[0])).watch if mode == "stream" else relay.watch
    stream = grpc.unary_stream_rpc_method_handler(watch, pb.WatchRequest.FromString, pb.WatchResponse.SerializeToString)
    push = grpc.unary_unary_rpc_method_handler(relay.push, pb.WatchResponse.FromString, pb.WatchResponse.SerializeToString)
    return {"Watch": stream, "Push": push}


async def serve(mode: str, address: str, *arguments: str) -> None:
    """Serve until the process is ended."""
    server = aio.server()
    relay = Relay()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, _handlers(mode, list(arguments), relay)),))
    server.add_insecure_port(address)
    await server.start()
    sys.stdout.write(f"listening on {address}\n")
    sys.stdout.flush()
    if mode == "relay" and arguments:
        await relay.follow(arguments[0])
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:]))
