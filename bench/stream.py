"""Statuses a second over one Watch of a thousand batteries that all change."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from grpc import aio

from bench.bare import SERVICE
from bench.harness import Rounds, Row, alternate
from bench.processes import bare, free_port, program
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

STREAM = Row(
    name="statuses over one Watch of 1000 changing batteries",
    goal=0.5,
    at_least=True,
    scale="/s",
    reference="a bare grpcio aio stream on uvloop that builds each of 1000 messages a batch from a dataclass; its client, on the "
    "same core, reads every field, as the candidate's does; the candidate's batteries change without pause",
)
ROWS = (STREAM,)
COUNT = 1000

FIELDS = tuple(field.name for field in pb.BatteryStatus.DESCRIPTOR.fields)


def read_fields(message: Any) -> None:  # noqa: ANN401 (every field, whatever its type)
    """Read every field."""
    m = message
    _ = (
        m.name, m.kind, m.voltage_v, m.current_a, m.power_w, m.charge_ah, m.capacity_ah, m.soc, m.max_discharge_current_a,
        m.max_charge_current_a, m.ideal_max_discharge_current_a, m.ideal_max_charge_current_a, m.usable_charge_ah,
        m.balanced_usable_charge_ah, m.expected_charge_ah, m.unobserved_s, m.requested_current_a, m.applied_current_a,
        m.setpoint_source, m.setpoint_ends_at, m.sampled_from, m.sampled_to, m.age_s, m.quality, m.link, m.commandable, m.reason,
        m.cells_v, m.temperatures_c, m.cycles, m.faults, m.path, m.hops, m.controllable, m.max_staleness_s, m.unallocated_ah,
    )  # fmt: skip


async def rate(open_stream: Callable[[], AsyncIterator[pb.WatchResponse]], seconds: float) -> float:
    """Return statuses per second over a stream of its own, which ends with the measurement."""
    stream: Any = open_stream()
    count, started_s = 0, 0.0
    async for message in stream:
        if not started_s:
            started_s = time.perf_counter()
            continue
        for status in message.statuses:
            read_fields(status)
        count += len(message.statuses)
        taken_s = time.perf_counter() - started_s
        if taken_s >= seconds:
            break
    else:
        raise RuntimeError("the stream ended")
    stream.cancel()
    await asyncio.sleep(0.1)
    return count / taken_s


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure both streams in turn; only the one that is read has work to do."""
    del wanted
    seconds = 0.5 if quick else 2.0
    target, bare_target = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        node = program("-m", "bench.node", "pseudo", target, str(COUNT), name, log=directory / "node.log", until="listening")
        async with (
            node,
            bare("stream", bare_target, str(COUNT), directory=directory),
            aio.insecure_channel(target) as channel,
            aio.insecure_channel(bare_target) as bare_channel,
        ):
            stub = BatteryServiceStub(channel)
            watch: Any = bare_channel.unary_stream(
                f"/{SERVICE}/Watch", pb.WatchRequest.SerializeToString, pb.WatchResponse.FromString
            )
            return {
                STREAM.name: await alternate(
                    rounds,
                    lambda: rate(lambda: watch(pb.WatchRequest()), seconds),
                    lambda: rate(lambda: stub.Watch(pb.WatchRequest()), seconds),
                )
            }
