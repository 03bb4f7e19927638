"""Small calls on a connection that was idle, on each transport."""

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

from grpc import aio

from bench.harness import Rounds, Row
from bench.processes import daemon, free_port, pseudo, reachable, write_config
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

LIMIT_MS = 20.0
WHAT = (
    "none: the slowest of 100 calls, each after 20 ms of silence on its connection (delayed acknowledgements would show as 40 ms)"
)
TCP = Row(name="slowest of 100 small calls on an idle connection, TCP", goal=LIMIT_MS, unit="ms", reference=WHAT)
UNIX = Row(name="slowest of 100 small calls on an idle connection, unix socket", goal=LIMIT_MS, unit="ms", reference=WHAT)
ROWS = (TCP, UNIX)
CALLS = 100
SILENCE_S = 0.02


async def slowest_ms(stub: BatteryServiceStub) -> float:
    """Return the slowest of `CALLS` calls in milliseconds."""
    request, slowest_s = pb.GetStatusRequest(name="p0"), 0.0
    for _ in range(CALLS):
        await asyncio.sleep(SILENCE_S)
        started_s = time.perf_counter()
        await stub.GetStatus(request)
        slowest_s = max(slowest_s, time.perf_counter() - started_s)
    return slowest_s * 1e3


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure both transports of one daemon in turn."""
    del quick
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        targets = {TCP.name: f"127.0.0.1:{free_port()}", UNIX.name: f"unix:{directory}/socket"}
        await stack.enter_async_context(daemon(write_config(directory, pseudo("p0"), list(targets.values()))))
        results: dict[str, Rounds] = {}
        stubs: dict[str, BatteryServiceStub] = {}
        for name, target in targets.items():
            if name in wanted:
                await reachable(target, "p0")
                stubs[name] = BatteryServiceStub(await stack.enter_async_context(aio.insecure_channel(target)))
                await stubs[name].GetStatus(pb.GetStatusRequest(name="p0"))
                results[name] = Rounds()
        for _ in range(rounds):
            for name, stub in stubs.items():
                results[name].add(await slowest_ms(stub))
        return results
