"""Polls of one simulated pack on a pseudo-terminal at the pace of its line."""

import tempfile
import time
from pathlib import Path

from grpc import aio

from bench.harness import Rounds, Row
from bench.processes import daemon, free_port, program, reachable, write_config
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

POLLS = Row(
    name="polls per second at 9600 baud",
    goal=0.95,
    at_least=True,
    scale="/s",
    reference="computed: 63 bytes a poll (two requests of 7, replies of 34 and 15 for 4 cells and 2 sensors) at 960 bytes/s, "
    "and the simulator's turnaround of 15 ms twice",
)
ROWS = (POLLS,)
TURNAROUND_MS = 15.0
POLL_BYTES = 7 + (7 + 23 + 2 * 2) + 7 + (7 + 4 * 2)
POLL_S = POLL_BYTES / 960.0 + 2.0 * TURNAROUND_MS / 1000.0


async def polls_per_s(stub: BatteryServiceStub, seconds: float) -> float:
    """Return how many samples a second a watcher sees, by the daemon's own sample times."""
    watch = stub.Watch(pb.WatchRequest(name="pack"))
    times: set[float] = set()
    ends_s = time.perf_counter() + seconds
    async for message in watch:
        times.update(status.sampled_to for status in message.statuses)
        if time.perf_counter() >= ends_s:
            break
    watch.cancel()
    return (len(times) - 1) / (max(times) - min(times))


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Let a daemon poll as fast as the line goes."""
    del wanted
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        target, link = f"127.0.0.1:{free_port()}", directory / "pack"
        turnaround = ("--turnaround-ms", str(TURNAROUND_MS), str(TURNAROUND_MS))
        simulator = ("-m", "bosd", "sim", "jbd", "--link", str(link), "--series", "4", "--ntc-count", "2", *turnaround)
        battery = (
            f'[[battery]]\nname = "pack"\nkind = "jbd"\nport = "{link}"\nrefresh_period_s = 0.01\n'
            "max_discharge_current_a = 50.0\nmax_charge_current_a = 25.0\n\n"
        )
        async with (
            program(*simulator, log=directory / "simulator.log", until="ready"),
            daemon(write_config(directory, battery, [target])),
            aio.insecure_channel(target) as channel,
        ):
            await reachable(target, "pack")
            stub = BatteryServiceStub(channel)
            await polls_per_s(stub, 1.0)
            result = Rounds()
            for _ in range(rounds):
                result.add(await polls_per_s(stub, 1.0 if quick else 5.0), 1.0 / POLL_S)
            return {POLLS.name: result}
