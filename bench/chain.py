"""A change at node 1 until node 8 shows it: eight daemons, each following the one before, against eight bare relays."""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from grpc import aio

from bench.bare import SERVICE
from bench.harness import Rounds, Row, alternate
from bench.processes import bare, daemon, free_port, network, pseudo, reachable, write_config
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

CHAIN = Row(
    name="change at node 1 seen at node 8",
    goal=1.5,
    scale="us",
    reference="8 bare grpcio aio processes on uvloop on the same core that pass the same message on, from the call that "
    "changes it to the stream of the 8th",
)
ROWS = (CHAIN,)
LENGTH = 8
PAUSE_S = 0.003

Change = Callable[[float], Awaitable[object]]


async def seen_us(change: Change, read: Callable[[], Awaitable[Any]], changes: int) -> float:
    """Return the p50 of the microseconds from making a change until the stream shows it."""
    taken_s: list[float] = []
    for number in range(changes):
        voltage_v = 48.0 + number % 100 * 0.01
        started_s = time.perf_counter()
        asked = asyncio.ensure_future(change(voltage_v))
        while all(status.voltage_v != voltage_v for status in (await read()).statuses):
            pass
        taken_s.append(time.perf_counter() - started_s)
        await asked
        await asyncio.sleep(PAUSE_S)
    return statistics.median(taken_s) * 1e6


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure both chains in turn; all processes run all the time."""
    del wanted
    changes = 30 if quick else 200
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        daemons = [f"127.0.0.1:{free_port()}" for _ in range(LENGTH)]
        for number, target in enumerate(daemons):
            battery = network("b", daemons[number - 1], "b") if number else pseudo("b")
            await stack.enter_async_context(daemon(write_config(directory, battery, [target], f"n{number}")))
        relays = [f"127.0.0.1:{free_port()}" for _ in range(LENGTH)]
        for number, target in enumerate(relays):
            upstream = [relays[number - 1]] if number else []
            await stack.enter_async_context(bare("relay", target, *upstream, directory=directory, name=f"r{number}"))
        channels = [
            await stack.enter_async_context(aio.insecure_channel(at)) for at in (daemons[0], daemons[-1], relays[0], relays[-1])
        ]
        await _linked(daemons[-1])
        first, last = BatteryServiceStub(channels[0]), BatteryServiceStub(channels[1])
        watch: Any = last.Watch(pb.WatchRequest(name="b"))
        message = await watch.read()
        push = channels[2].unary_unary(f"/{SERVICE}/Push", pb.WatchResponse.SerializeToString, pb.WatchResponse.FromString)
        relayed: Any = channels[3].unary_stream(
            f"/{SERVICE}/Watch", pb.WatchRequest.SerializeToString, pb.WatchResponse.FromString
        )
        stream = relayed(pb.WatchRequest())
        await asyncio.sleep(0.5)

        async def change(voltage_v: float) -> None:
            await first.ModifyPseudo(pb.ModifyPseudoRequest(name="b", voltage_v=voltage_v))

        async def change_bare(voltage_v: float) -> None:
            message.statuses[0].voltage_v = voltage_v
            await push(message)

        return {
            CHAIN.name: await alternate(
                rounds, lambda: seen_us(change_bare, stream.read, changes), lambda: seen_us(change, watch.read, changes)
            )
        }


async def _linked(target: str) -> None:
    """Wait until the last node shows the first one's battery."""
    async with asyncio.timeout(30.0):
        while not (await reachable(target, "b")).HasField("voltage_v"):  # noqa: ASYNC110 (of another process)
            await asyncio.sleep(0.05)
