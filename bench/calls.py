"""One call: GetStatus against a bare echo, its processor time, 64 in flight, and reading a stub without any call."""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from grpc import aio

from bench.harness import Rounds, Row
from bench.processes import STATUS, bare, cpu_s, daemon, free_port, pseudo, reachable, write_config
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import BatteryStatus, Link
from bosd.clock import SystemClock
from bosd.rpc.client import RemotePool
from bosd.rpc.remote_battery import RemoteBattery
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

ECHO = "a bare grpcio aio server on uvloop returns the very message that bosd answered with; same client, same core"
LATENCY = Row(name="remote GetStatus, p50", goal=1.2, scale="us", reference=ECHO)
PROCESSOR = Row(name="remote GetStatus, server CPU per call", goal=1.25, scale="us", reference=ECHO)
IN_FLIGHT = Row(name="64 GetStatus in flight, rate", goal=0.8, at_least=True, scale="/s", reference=f"{ECHO}, 64 in flight")
LOCAL = Row(
    name="read of a networked battery",
    goal=0.02,
    scale="us",
    reference="p50 of one bare echo; the candidate reads the stub in the process that holds it, all in one turn of the loop",
)
ROWS = (LATENCY, PROCESSOR, IN_FLIGHT, LOCAL)
WIDTH = 64
READS = 20_000

Call = Callable[[], Awaitable[object]]


class Server:
    """One of the two servers: its process and the call made to it."""

    def __init__(self, pid: int, call: Call) -> None:
        self.pid = pid
        self.call = call

    async def one_by_one(self, calls: int) -> tuple[float, float]:
        """Return the p50 and the server's processor time per call, both in microseconds."""
        call, clock = self.call, time.perf_counter
        for _ in range(50):
            await call()
        taken_s: list[float] = []
        before_s = cpu_s(self.pid)
        for _ in range(calls):
            started_s = clock()
            await call()
            taken_s.append(clock() - started_s)
        return statistics.median(taken_s) * 1e6, (cpu_s(self.pid) - before_s) / calls * 1e6

    async def at_once(self, calls: int) -> float:
        """Return calls per second with `WIDTH` in flight."""

        async def lane() -> None:
            for _ in range(calls // WIDTH):
                await self.call()

        started_s = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(WIDTH)))
        return calls // WIDTH * WIDTH / (time.perf_counter() - started_s)


class Stub:
    """A networked battery, held in this process by what the daemon holds it by."""

    def __init__(self, target: str, group: asyncio.TaskGroup) -> None:
        self._clock = SystemClock()
        self._pool = RemotePool("bench", self._clock)
        self._battery = RemoteBattery(NetworkSpec(name="stub", target=target, remote_name="p0"), self._pool)
        self._task = group.create_task(self._pool.run())

    def read(self) -> BatteryStatus:
        """Return the status now."""
        return self._battery.status(self._clock.now_s())

    async def ready(self) -> None:
        """Wait until it is fed."""
        while self.read().link is not Link.READY:  # noqa: ASYNC110 (a status is read, not waited for)
            await asyncio.sleep(0.01)

    def reads_us(self, reads: int) -> float:
        """Return the microseconds of one read; the loop gets no turn in between, so none of them can wait for anything."""
        read = self.read
        started_s = time.perf_counter()
        for _ in range(reads):
            read()
        return (time.perf_counter() - started_s) / reads * 1e6

    def close(self) -> None:
        """End the feed."""
        self._task.cancel()


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure all rows against two servers, new ones each round: where a process lies in memory is worth some percent."""
    results = {row.name: Rounds() for row in ROWS}
    for number in range(rounds):
        await _round(results, 200 if quick else 2000, candidate_first=number % 2 == 1)
    return {name: each for name, each in results.items() if name in wanted}


async def _round(results: dict[str, Rounds], calls: int, *, candidate_first: bool) -> None:
    target, echo_target = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = await stack.enter_async_context(daemon(write_config(directory, pseudo("p0"), [target])))
        echo = await stack.enter_async_context(bare("echo", echo_target, directory=directory))
        channel = await stack.enter_async_context(aio.insecure_channel(target))
        echo_channel = await stack.enter_async_context(aio.insecure_channel(echo_target))
        message = await reachable(target, "p0")
        request = pb.GetStatusRequest(name="p0")
        get_status = BatteryServiceStub(channel).GetStatus
        send_back = echo_channel.unary_unary(STATUS, pb.BatteryStatus.SerializeToString, pb.BatteryStatus.FromString)
        candidate = Server(home.pid, lambda: get_status(request))
        reference = Server(echo.pid, lambda: send_back(message))
        async with asyncio.TaskGroup() as group:
            stub = Stub(target, group)
            await stub.ready()
            order = (candidate, reference) if candidate_first else (reference, candidate)
            singles = {server: await server.one_by_one(calls) for server in order}
            rates = {server: await server.at_once(calls * 2) for server in order}
            results[LATENCY.name].add(singles[candidate][0], singles[reference][0])
            results[PROCESSOR.name].add(singles[candidate][1], singles[reference][1])
            results[IN_FLIGHT.name].add(rates[candidate], rates[reference])
            results[LOCAL.name].add(stub.reads_us(READS), singles[reference][0])
            stub.close()
