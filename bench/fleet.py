"""A thousand batteries at 1 Hz in one daemon."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from grpc import aio

from bench.harness import Rounds, Row
from bench.processes import cpu_s, free_port, program
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

FLEET = Row(
    name="1000 batteries at 1 Hz, one watcher at 2 Hz",
    goal=12.0,
    stretch=8.0,
    unit="% of a core",
    reference="none: processor time of a process with the real node and server on uvloop; each poll decodes two JBD frames from "
    "an in-memory line; the watcher is another process",
)
ROWS = (FLEET,)
COUNT = 1000


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Watch all batteries, and look at the processor time over windows of 10 s."""
    del wanted
    window_s = 3.0 if quick else 10.0
    target = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        node = program("-m", "bench.node", "jbd", target, str(COUNT), name, log=directory / "node.log", until="listening")
        async with node as process, aio.insecure_channel(target) as channel, asyncio.TaskGroup() as group:
            seen: dict[str, int] = {}
            watcher = group.create_task(_watch(channel, seen))
            await asyncio.sleep(3.0)
            result = Rounds()
            for _ in range(rounds):
                seen.clear()
                before_s, started_s = cpu_s(process.pid), time.perf_counter()
                await asyncio.sleep(window_s)
                taken_s = time.perf_counter() - started_s
                result.add((cpu_s(process.pid) - before_s) / taken_s * 100.0)
                if len(seen) < COUNT or min(seen.values()) < window_s * 0.8:
                    raise RuntimeError(f"{len(seen)} batteries were seen, the rarest {min(seen.values())} times in {window_s} s")
            watcher.cancel()
    return {FLEET.name: result}


async def _watch(channel: aio.Channel, seen: dict[str, int]) -> None:
    """Count the samples of each battery."""
    last: dict[str, float] = {}
    watch: Any = BatteryServiceStub(channel).Watch(pb.WatchRequest(min_interval_s=0.5))
    async for message in watch:
        for status in message.statuses:
            name, sampled_to = status.name, status.sampled_to
            if sampled_to and last.get(name) != sampled_to:
                last[name] = sampled_to
                seen[name] = seen.get(name, 0) + 1
