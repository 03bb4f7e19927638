"""One status to a thousand watchers."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpc import aio

from bench.bare import SERVICE
from bench.harness import Rounds, Row
from bench.processes import bare, cpu_s, daemon, free_port, pseudo, reachable, write_config
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

CPU = Row(
    name="one status to 1000 watchers, server CPU for each",
    goal=3.3,
    stretch=2.0,
    scale="us",
    reference="a bare grpcio aio server on uvloop that passes the same message on to 1000 readers, on the same core; the call "
    "that makes the change is in both; the daemon also sends each watcher a beat a second",
)
LAST = Row(
    name="one status to 1000 watchers, until the last has it",
    goal=100.0,
    scale="us",
    reference="the same daemon, until its only watcher has it; server and all watchers share one core",
)
ROWS = (CPU, LAST)
COUNT = 1000
CHANNELS = 10
PAUSE_S = 0.02
OPEN_S = 2.0
"""For a thousand streams to be open at a bare server, which tells later ones nothing of what was."""
ARRIVE_S = 20.0


Change = Callable[[float], Awaitable[object]]


class Crowd:
    """A server and so many watchers of one battery, over ten connections at most."""

    def __init__(self, pid: int, count: int) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self._pid = pid
        self._count = count
        self._step = 0
        self._wanted_v = 0.0
        self._missing = 0
        self._all = asyncio.Event()
        self._change: Change | None = None

    async def open(self, target: str, kind: "Kind", stack: contextlib.AsyncExitStack, group: asyncio.TaskGroup) -> None:
        """Let them watch; return when all have a first change."""
        options = (("grpc.use_local_subchannel_pool", 1),)
        channels = [
            await stack.enter_async_context(aio.insecure_channel(target, options=options))
            for _ in range(min(CHANNELS, self._count))
        ]
        self._change = kind.change(channels[0])
        watches = [kind.watch(channel) for channel in channels]
        self.tasks = [group.create_task(self._watch(watches[number % len(watches)]())) for number in range(self._count)]
        await asyncio.sleep(kind.open_s)
        await self.change()

    async def _watch(self, stream: Any) -> None:  # noqa: ANN401 (grpc's)
        seen_v = 0.0
        async for message in stream:
            for status in message.statuses:
                if status.voltage_v == self._wanted_v != seen_v:
                    seen_v = self._wanted_v
                    self._missing -= 1
                    if not self._missing:
                        self._all.set()

    async def change(self) -> float:
        """Change the battery; return the microseconds until every watcher has seen it."""
        if self._change is None:
            raise RuntimeError("nobody watches yet")
        self._step += 1
        self._wanted_v, self._missing = 40.0 + self._step % 1000 * 0.01, self._count
        self._all.clear()
        started_s = time.perf_counter()
        await self._change(self._wanted_v)
        async with asyncio.timeout(ARRIVE_S):
            await self._all.wait()
        return (time.perf_counter() - started_s) * 1e6

    async def measure(self, changes: int) -> tuple[float, float]:
        """Return the mean microseconds until the last watcher has a change, and the server's for each watcher and change."""
        before_s, taken_us = cpu_s(self._pid), 0.0
        for _ in range(changes):
            taken_us += await self.change()
            await asyncio.sleep(PAUSE_S)
        return taken_us / changes, (cpu_s(self._pid) - before_s) / changes / self._count * 1e6


@dataclass(frozen=True, slots=True)
class Kind:
    """How a server is watched and changed over a channel."""

    watch: Callable[[aio.Channel], Callable[[], Any]]
    change: Callable[[aio.Channel], Change]
    open_s: float = 0.0


def _watch_daemon(channel: aio.Channel) -> Callable[[], Any]:
    watch: Any = BatteryServiceStub(channel).Watch
    return lambda: watch(pb.WatchRequest(names=["p0"]))


def _change_daemon(channel: aio.Channel) -> Change:
    modify: Any = BatteryServiceStub(channel).ModifyPseudo
    return lambda voltage_v: modify(pb.ModifyPseudoRequest(name="p0", voltage_v=voltage_v))


def _bare(message: pb.WatchResponse) -> Kind:
    """Return how a bare relay is watched and changed, with what the daemon's watchers get."""

    def watch(channel: aio.Channel) -> Callable[[], Any]:
        stream: Any = channel.unary_stream(f"/{SERVICE}/Watch", pb.WatchRequest.SerializeToString, pb.WatchResponse.FromString)
        return lambda: stream(pb.WatchRequest())

    def change(channel: aio.Channel) -> Change:
        push: Any = channel.unary_unary(f"/{SERVICE}/Push", pb.WatchResponse.SerializeToString, pb.WatchResponse.FromString)

        def to(voltage_v: float) -> Awaitable[object]:
            message.statuses[0].voltage_v = voltage_v
            asked: Awaitable[object] = push(message)
            return asked

        return to

    return Kind(watch, change, OPEN_S)


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure a daemon and a bare server with a thousand watchers, and a daemon with one, in turn."""
    many, few = (1, 30) if quick else (4, 50)
    results = {row.name: Rounds() for row in ROWS}
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        targets = [f"127.0.0.1:{free_port()}" for _ in range(3)]
        real = Kind(_watch_daemon, _change_daemon)
        crowds: list[Crowd] = []
        for name, target, count in (("one", targets[0], 1), ("many", targets[1], COUNT)):
            process = await stack.enter_async_context(daemon(write_config(directory, pseudo("p0"), [target], name)))
            await reachable(target, "p0")
            crowds.append(Crowd(process.pid, count))
            await crowds[-1].open(target, real, stack, group)
        process = await stack.enter_async_context(bare("relay", targets[2], directory=directory))
        crowds.append(Crowd(process.pid, COUNT))
        await crowds[-1].open(targets[2], _bare(pb.WatchResponse(statuses=[await reachable(targets[0], "p0")])), stack, group)
        one, crowd, readers = crowds
        for number in range(rounds):
            seen = {}
            for each in (one, crowd, readers) if number % 2 else (readers, crowd, one):
                seen[each] = await each.measure(few if each is one else many)
            results[CPU.name].add(seen[crowd][1], seen[readers][1])
            results[LAST.name].add(seen[crowd][0], seen[one][0])
        for task in [task for each in crowds for task in each.tasks]:
            task.cancel()
    return {name: each for name, each in results.items() if name in wanted}
