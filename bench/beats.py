"""What sessions cost: a beat against a call, and a node that keeps sessions at 32 others."""

import asyncio
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from grpc import aio

from bench.calls import Server
from bench.harness import Rounds, Row, alternate
from bench.processes import cpu_s, daemon, free_port, network, program, pseudo, reachable, write_config
from bosd.fleet.owner import PROTOCOL
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import node_pb2 as npb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from bosd.v1.node_pb2_grpc import NodeServiceStub

ROUND = Row(
    name="a beat and its reply, p50",
    goal=0.5,
    scale="us",
    reference="p50 of a GetStatus of the same daemon, by the same client on the same core",
)
NODES = Row(
    name="sessions at 32 nodes, beats each 0.5 s",
    goal=5.0,
    unit="% of a core",
    reference="none: processor time of a real daemon with a stub at each of 32 nodes where nothing changes, watches "
    "included; the nodes are another process on the same core",
)
ROWS = (ROUND, NODES)
COUNT = 32
SETTLE_S = 1.0
METADATA = (("bosd-client", "node:bench"),)


class Session:
    """A session at a daemon, as a node keeps one."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub: Any = NodeServiceStub(channel)
        self._beats: Any = None
        self._own_boot_id = uuid.uuid4().hex  # one run of a node: more than five in a minute would be refused
        self._epoch = 0
        self._boot_id = ""
        self._owner_s = 0.0
        self._number = 0

    async def open(self) -> None:
        """Say hello and agree, then open the stream of beats."""
        stub = self._stub
        hello = npb.HelloRequest(nonce=uuid.uuid4().hex, boot_id=self._own_boot_id, protocol=PROTOCOL)
        told = await stub.Hello(hello, metadata=METADATA, wait_for_ready=True)
        self._boot_id, self._epoch = told.boot_id, told.epoch
        sync = await stub.Sync(npb.SyncRequest(boot_id=self._boot_id, epoch=self._epoch), metadata=METADATA)
        ready = npb.ReadyRequest(boot_id=self._boot_id, epoch=self._epoch, digest=sync.digest, owner_s=sync.owner_s)
        answer = await stub.Ready(ready, metadata=METADATA)
        if not answer.agreed:
            raise RuntimeError("the daemon did not agree")
        self._owner_s = answer.owner_s
        self._beats = stub.Heartbeat(metadata=METADATA)

    async def beat(self) -> None:
        """Beat and wait for the reply, which renews the lease. Raises RuntimeError where it does not."""
        self._number += 1
        beat = npb.Beat(boot_id=self._boot_id, epoch=self._epoch, number=self._number, owner_s=self._owner_s)
        await self._beats.write(beat)
        reply = await self._beats.read()
        if not reply.renewed:
            raise RuntimeError("a beat renewed nothing")
        self._owner_s = reply.owner_s

    async def p50_us(self, beats: int) -> float:
        """Return the p50 of so many rounds in microseconds."""
        taken_s: list[float] = []
        for _ in range(beats):
            started_s = time.perf_counter()
            await self.beat()
            taken_s.append(time.perf_counter() - started_s)
        return statistics.median(taken_s) * 1e6

    def close(self) -> None:
        """End the stream."""
        self._beats.cancel()


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure what is wanted."""
    results = {}
    if ROUND.name in wanted:
        results[ROUND.name] = await _rounds(rounds, 100 if quick else 500)
    if NODES.name in wanted:
        results[NODES.name] = await _nodes(rounds, 1.0 if quick else 1.5)
    return results


async def _rounds(rounds: int, calls: int) -> Rounds:
    """Beat and ask the same daemon in turn."""
    target = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as name:
        running = daemon(write_config(Path(name), pseudo("p0"), [target]))
        async with running as process, aio.insecure_channel(target) as channel:
            request = pb.GetStatusRequest(name="p0")
            get_status: Any = BatteryServiceStub(channel).GetStatus
            server, session = Server(process.pid, lambda: get_status(request)), Session(channel)

            async def asked_us() -> float:
                return (await server.one_by_one(calls))[0]

            async def beaten_us() -> float:
                await session.open()  # anew: its lease was over
                try:
                    return await session.p50_us(calls)
                finally:
                    session.close()

            return await alternate(rounds, asked_us, beaten_us)


async def _nodes(rounds: int, window_s: float) -> Rounds:
    """Look at the processor time of a daemon that follows 32 others, over windows."""
    target, owners = f"127.0.0.1:{free_port()}", [f"127.0.0.1:{free_port()}" for _ in range(COUNT)]
    stubs = "".join(network(f"s{number}", owner, "b0") for number, owner in enumerate(owners))
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        nodes = program("-m", "bench.node", "owners", ",".join(owners), name, log=directory / "owners.log", until="listening")
        async with nodes, daemon(write_config(directory, stubs, [target])) as process:
            await _all_commandable(target)
            await asyncio.sleep(SETTLE_S)
            result = Rounds()
            for _ in range(rounds):
                before_s, started_s = cpu_s(process.pid), time.perf_counter()
                await asyncio.sleep(window_s)
                result.add((cpu_s(process.pid) - before_s) / (time.perf_counter() - started_s) * 100.0)
            await _all_commandable(target)
            return result


async def _all_commandable(target: str) -> None:
    """Wait until the sessions at all nodes are ready."""
    async with asyncio.timeout(30.0):
        for number in range(COUNT):
            while not (await reachable(target, f"s{number}")).commandable:  # noqa: ASYNC110 (of another process)
                await asyncio.sleep(0.05)
