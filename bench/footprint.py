"""Memory of a daemon, and its cold start."""

import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path

from grpc import aio

from bench.harness import Rounds, Row, alternate
from bench.processes import REPOSITORY, STATUS, daemon, free_port, pseudo, reachable, resident_mib, write_config
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

MEMORY = "none: VmRSS of the daemon after its first GetStatus, store in use"
ONE = Row(name="resident memory with 1 battery", goal=75.0, stretch=60.0, unit="MiB", reference=MEMORY)
THOUSAND = Row(name="resident memory with 1000 batteries", goal=95.0, stretch=80.0, unit="MiB", reference=MEMORY)
START = Row(
    name="cold start to the first answer, 1000 batteries",
    goal=6.0,
    stretch=4.0,
    scale="ms",
    reference="a bare grpcio aio echo server on uvloop: from exec to its first answer; the daemon's topology is stored",
)
ROWS = (ONE, THOUSAND, START)


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Start daemons again and again."""
    del quick
    results: dict[str, Rounds] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        target = f"127.0.0.1:{free_port()}"
        one = write_config(directory, pseudo("p0"), [target], "one")
        thousand = write_config(directory, "".join(pseudo(f"p{number}", number) for number in range(1000)), [target], "thousand")
        for row, config in ((ONE, one), (THOUSAND, thousand)):
            if row.name in wanted:
                results[row.name] = Rounds()
                for _ in range(rounds):
                    results[row.name].add(await _memory_mib(config, target))
        if START.name in wanted:
            await _memory_mib(thousand, target)  # the first start stores the topology
            bare = ("-m", "bench.bare", "echo", target)
            bosd = ("-m", "bosd", "run", "--config", str(thousand), "--log-format", "json")
            results[START.name] = await alternate(rounds, lambda: _start_ms(bare, target), lambda: _start_ms(bosd, target))
    return results


async def _memory_mib(config: Path, target: str) -> float:
    async with daemon(config) as process:
        await reachable(target, "p0")
        return resident_mib(process.pid)


async def _start_ms(arguments: tuple[str, ...], target: str) -> float:
    """Return the milliseconds from exec to the first answer; a caller tries a new connection each millisecond."""
    started_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=REPOSITORY, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _listening(target)
        async with aio.insecure_channel(target) as channel:
            if "bench.bare" in arguments:
                call = channel.unary_unary(STATUS, pb.BatteryStatus.SerializeToString, pb.BatteryStatus.FromString)
                await call(pb.BatteryStatus(name="p0"))
            else:
                await BatteryServiceStub(channel).GetStatus(pb.GetStatusRequest(name="p0"))
            return (time.perf_counter() - started_s) * 1e3
    finally:
        process.kill()
        await process.wait()


async def _listening(target: str) -> None:
    """Wait until somebody listens: gRPC's own pauses between attempts would be longer than what is measured."""
    host, _, port = target.rpartition(":")
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return
        await asyncio.sleep(0.001)
