"""Polls of simulated packs on a pseudo-terminal at the pace of its line: one, four and ten on a line, and what a poll costs."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from grpc import aio

from bench.harness import Rounds, Row
from bench.processes import daemon, free_port, program, reachable, write_config
from bosd.clock import SystemClock
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.lines import Lines
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

TURNAROUND_MS = 15.0
BYTES_PER_S = 960.0
BASIC_BYTES, CELLS_BYTES = 7 + (7 + 23 + 2 * 2), 7 + (7 + 4 * 2)
"""Request and reply of 0x03 with 2 sensors, and of 0x04 with 4 cells; with an address each of the four is a byte longer."""
CELLS_EVERY = 8
"""So seldom the driver itself reads cells where polls do not fit into their period: asked for from the begin."""
LIMIT = (
    "computed: {basic} bytes a poll and {cells} for cells in each 8th, at 960 bytes/s, and the simulator's 15 ms to turn round"
)
ALONE = LIMIT.format(basic=BASIC_BYTES, cells=CELLS_BYTES)
ADDRESSED = LIMIT.format(basic=BASIC_BYTES + 2, cells=CELLS_BYTES + 2) + " each time; all packs together"

POLLS = Row(name="polls per second at 9600 baud", goal=0.95, at_least=True, scale="/s", reference=f"{ALONE} each time")
FOUR = Row(name="polls per second at 9600 baud, 4 packs on a line", goal=0.95, at_least=True, scale="/s", reference=ADDRESSED)
TEN = Row(name="polls per second at 9600 baud, 10 packs on a line", goal=0.95, at_least=True, scale="/s", reference=ADDRESSED)
BYTES = Row(
    name="bytes a poll",
    goal=1.02,
    scale="bytes",
    reference=f"computed: {BASIC_BYTES} and {CELLS_BYTES} / 8; the simulator counts those of a daemon that polls",
)
MS = Row(
    name="milliseconds a poll at 9600 baud",
    goal=1.05,
    scale="ms",
    reference=f"computed: {BASIC_BYTES + CELLS_BYTES} bytes with cells at 960 bytes/s, and the simulator's 15 ms twice; "
    "the driver alone, after 100 ms of silence",
)
ROWS = (POLLS, FOUR, TEN, BYTES, MS)
PACKS = {POLLS.name: 1, FOUR.name: 4, TEN.name: 10}
SELDOM = 6
"""Cycles in which a board is also asked who it is, after it is found: not measured."""
READINGS, PAUSE_S = 10, 0.1


def poll_s(packs: int, cells_every: int = CELLS_EVERY) -> float:
    """Return the shortest time of a poll, on average, on a line of so many packs."""
    longer = 2 if packs > 1 else 0
    basic_s, cells_s = ((size + longer) / BYTES_PER_S + TURNAROUND_MS / 1e3 for size in (BASIC_BYTES, CELLS_BYTES))
    return basic_s + cells_s / cells_every


@dataclass(frozen=True, slots=True)
class Far:
    """The simulated packs: their line, and their control socket."""

    link: Path
    control: Path

    async def counted(self) -> dict[str, float]:
        """Return the statistics of the line's first pack."""
        reader, writer = await asyncio.open_unix_connection(str(self.control))
        try:
            writer.write(b'{"op": "stats"}\n')
            stats: dict[str, float] = json.loads(await reader.readline())["stats"]
        finally:
            writer.close()
        return stats


@asynccontextmanager
async def far_end(directory: Path, packs: int) -> AsyncIterator[Far]:
    """Run a simulator with so many packs on one line."""
    far = Far(directory / f"line{packs}", directory / f"control{packs}")
    boards = ("--boards", str(packs)) if packs > 1 else ()
    pack = ("--series", "4", "--ntc-count", "2", "--turnaround-ms", str(TURNAROUND_MS), str(TURNAROUND_MS), *boards)
    where = ("--link", str(far.link), "--control", str(far.control))
    async with program("-m", "bosd", "sim", "jbd", *where, *pack, log=directory / f"simulator{packs}.log", until="ready"):
        yield far


def batteries(link: Path, packs: int) -> str:
    """Return the tables of so many packs on a line, each read as fast as it goes."""
    return "".join(
        f'[[battery]]\nname = "pack{number}"\nkind = "jbd"\nport = "{link}"\nrefresh_period_s = 0.01\n'
        f"cells_every = {CELLS_EVERY}\n"
        + (f"address = {number}\n" if packs > 1 else "")
        + "max_discharge_current_a = 50.0\nmax_charge_current_a = 25.0\n\n"
        for number in range(1, packs + 1)
    )


async def seen(stub: BatteryServiceStub, name: str, seconds: float) -> set[float]:
    """Return the sample times of one pack that a watcher sees, by the daemon's own clock."""
    watch = stub.Watch(pb.WatchRequest(name=name))
    times: set[float] = set()
    ends_s = time.perf_counter() + seconds
    async for message in watch:
        times.update(status.sampled_to for status in message.statuses)
        if time.perf_counter() >= ends_s:
            break
    watch.cancel()
    return times


async def polls_per_s(stub: BatteryServiceStub, packs: int, seconds: float) -> float:
    """Return how many samples of all packs come in a second."""
    each = await asyncio.gather(*(seen(stub, f"pack{number}", seconds) for number in range(1, packs + 1)))
    times = sorted(at_s for times in each for at_s in times)
    return (len(times) - 1) / (times[-1] - times[0])


async def of_daemon(directory: Path, packs: int, rounds: int, seconds: float) -> tuple[Rounds, Rounds]:
    """Let a daemon poll as fast as the line goes; return its polls per second, and the bytes of a poll of the first pack."""
    polls, size = Rounds(), Rounds()
    target = f"127.0.0.1:{free_port()}"
    async with (
        far_end(directory, packs) as far,
        daemon(write_config(directory, batteries(far.link, packs), [target], name=f"home{packs}")),
        aio.insecure_channel(target) as channel,
    ):
        await reachable(target, "pack1")
        stub = BatteryServiceStub(channel)
        await polls_per_s(stub, packs, 2.0 * SELDOM * packs * poll_s(packs))
        for _ in range(rounds):
            before = await far.counted()
            polls.add(await polls_per_s(stub, packs, seconds), 1.0 / poll_s(packs))
            after = await far.counted()
            counted = {key: after[key] - before[key] for key in ("bytes_in", "bytes_out", "replies")}
            replies = counted["replies"] * CELLS_EVERY / (CELLS_EVERY + 1)
            size.add((counted["bytes_in"] + counted["bytes_out"]) / replies, BASIC_BYTES + CELLS_BYTES / CELLS_EVERY)
    return polls, size


async def of_driver(directory: Path, rounds: int) -> Rounds:
    """Let the driver read a pack on a line that is free; return the milliseconds of a reading."""
    result = Rounds()
    async with far_end(directory, 1) as far:
        driver = JbdDriver(Lines().line(str(far.link)), SystemClock(), name="pack")
        for _ in range(1 + SELDOM):
            await driver.read()
        for _ in range(rounds):
            took_s = 0.0
            for _ in range(READINGS):
                await asyncio.sleep(PAUSE_S)
                started_s = time.perf_counter()
                await driver.read()
                took_s += time.perf_counter() - started_s
            result.add(took_s / READINGS * 1e3, poll_s(1, cells_every=1) * 1e3)
        await driver.close()
    return result


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure one line after the other: they would share the processor."""
    found: dict[str, Rounds] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for row, packs in PACKS.items():
            if row in wanted or (packs == 1 and BYTES.name in wanted):
                polls, size = await of_daemon(directory, packs, rounds, 1.0 if quick else 5.0)
                found[row] = polls
                if packs == 1:
                    found[BYTES.name] = size
        if MS.name in wanted:
            found[MS.name] = await of_driver(directory, rounds)
    return {row: each for row, each in found.items() if row in wanted}
