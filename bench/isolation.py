"""A battery on one line while another line hangs."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from grpc import aio

from bench.harness import Rounds, Row, alternate, percentile
from bench.processes import daemon, free_port, program, write_config
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

ISOLATION = Row(
    name="p99 of a fast battery while another line hangs for 1 s",
    goal=2.0,
    scale="us",
    reference="the same GetStatus, each with a fresh sample over its own line, while the other device is left alone",
)
ROWS = (ISOLATION,)
HANG_S = 1.0


def battery(name: str, port: int) -> str:
    """Return the table of a pack that is read when asked."""
    return (
        f'[[battery]]\nname = "{name}"\nkind = "jbd"\nport = "tcp://127.0.0.1:{port}"\nrefresh = "lazy"\n'
        "max_discharge_current_a = 50.0\nmax_charge_current_a = 25.0\n\n"
    )


@asynccontextmanager
async def waiting_for(stub: BatteryServiceStub, name: str) -> AsyncIterator[None]:
    """Keep a call for a fresh sample of `name` waiting until the end of the block."""

    async def ask() -> None:
        while True:
            with contextlib.suppress(grpc.RpcError):
                await stub.GetStatus(pb.GetStatusRequest(name=name, max_age_s=0.0), timeout=10.0)

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask())
        await asyncio.sleep(0.1)
        yield
        asking.cancel()


async def p99_us(stub: BatteryServiceStub, calls: int) -> float:
    """Return the p99 of GetStatus with a fresh sample of the fast battery."""
    request = pb.GetStatusRequest(name="fast", max_age_s=0.0)
    taken_s: list[float] = []
    sampled: set[float] = set()
    for _ in range(calls):
        started_s = time.perf_counter()
        status = await stub.GetStatus(request)
        taken_s.append(time.perf_counter() - started_s)
        sampled.add(status.sampled_to)
    if len(sampled) < calls:
        raise RuntimeError(f"{len(sampled)} samples for {calls} calls")
    return percentile(taken_s, 0.99) * 1e6


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure alone and beside the hanging line in turn."""
    del wanted
    calls = 100 if quick else 1000
    target, fast, slow = f"127.0.0.1:{free_port()}", free_port(), free_port()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = write_config(directory, battery("fast", fast) + battery("slow", slow), [target])
        async with (
            program("-m", "bench.device", str(fast), "0", log=directory / "fast.log", until="listening"),
            program("-m", "bench.device", str(slow), str(HANG_S), log=directory / "slow.log", until="listening"),
            daemon(config),
            aio.insecure_channel(target) as channel,
        ):
            stub = BatteryServiceStub(channel)

            async def beside() -> float:
                async with waiting_for(stub, "slow"):
                    return await p99_us(stub, calls)

            return {ISOLATION.name: await alternate(rounds, lambda: p99_us(stub, calls), beside)}
