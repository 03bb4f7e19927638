"""A set point over a thousand batteries."""

import asyncio
import gc
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.harness import Rounds, Row
from bosd.bal.battery import Battery
from bosd.bal.spec import AggregatorSpec, PseudoSpec, Topology
from bosd.clock import SystemClock
from bosd.node.node import Node
from bosd.store.store import Store

SET_CURRENT = Row(
    name="set_current over an aggregate of 1000",
    goal=12.0,
    scale="us",
    reference="one plain pass over the same batteries while they run: read the status of each at that instant (charge, limit), "
    "compute its share, check it, store it; the candidate is Node.set_current from check to command, in one turn of the loop, "
    "without a task per member or a device read",
)
ROWS = (SET_CURRENT,)
MEMBERS = 1000


def topology() -> Topology:
    """Return 1000 pseudo batteries under one aggregator."""
    members = tuple(
        PseudoSpec(
            name=f"p{number}",
            voltage_v=48.0,
            charge_ah=40.0 + number % 20,
            capacity_ah=100.0,
            max_discharge_current_a=50.0,
            max_charge_current_a=25.0,
        )
        for number in range(MEMBERS)
    )
    names = tuple(each.name for each in members)
    return Topology(batteries=(*members, AggregatorSpec(name="agg", sources=names, voltage_v=48.0, voltage_tolerance_v=2.0)))


def plain_pass(members: tuple[Battery, ...], now_s: float, current_a: float) -> dict[str, float]:
    """Share `current_a` by charge over `members`, each within its limit at `now_s`."""
    statuses: list[Any] = [member.status(now_s) for member in members]
    total_ah = 0.0
    for status in statuses:
        total_ah += status.charge_ah
    factor = current_a / total_ah
    shares: dict[str, float] = {}
    for member, status in zip(members, statuses, strict=True):
        share_a = factor * status.charge_ah
        if not -status.max_charge_current_a <= share_a <= status.max_discharge_current_a:
            raise ValueError(f"{member.name}: {share_a} A")
        shares[member.name] = share_a
    return shares


class Counter:
    """Counts what the loop does: tasks that are made, turns that are taken."""

    def __init__(self) -> None:
        self.tasks = 0
        self.turns = 0

    def make_task(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":  # noqa: ANN401 (asyncio's)
        """Make a task and count it."""
        self.tasks += 1
        return asyncio.Task(work, loop=loop, **options)

    def turn(self) -> None:
        """Count a turn."""
        self.turns += 1


async def measure(wanted: set[str], rounds: int, *, quick: bool) -> dict[str, Rounds]:
    """Measure on a running node with its store, controller and all."""
    del wanted
    with tempfile.TemporaryDirectory() as directory:
        store = await Store.open(Path(directory))
        try:
            node = Node(
                name="bench", clock=SystemClock(), store=store, make_remote=_no_remote, default_ttl_s=60.0, longest_ttl_s=3600.0
            )
            await node.load(topology())
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_run(node))]
                await asyncio.sleep(0.1)
                result = await _rounds(node, rounds, 10 if quick else 50)
                for task in tasks:
                    task.cancel()
        finally:
            await store.close()
    return {SET_CURRENT.name: result}


def _no_remote(spec: object) -> Any:  # noqa: ANN401 (never made)
    raise TypeError(f"no stubs here: {spec}")


async def _run(node: Node) -> None:
    async with asyncio.TaskGroup() as group:
        node.start(group)
        await asyncio.Event().wait()


async def _rounds(node: Node, rounds: int, repeats: int) -> Rounds:
    result = Rounds()
    await _command_us(node, repeats)
    for _ in range(rounds):
        plain_us = _plain_us(node, repeats)
        result.add(await _command_us(node, repeats), plain_us)
    return result


def _plain_us(node: Node, repeats: int) -> float:
    members = node.directory["agg"].sources
    gc.collect()
    started_s = time.perf_counter()
    for number in range(repeats):
        plain_pass(members, node.clock.now_s(), 100.0 + number % 2)
    return (time.perf_counter() - started_s) / repeats * 1e6


async def _command_us(node: Node, repeats: int) -> float:
    loop = asyncio.get_running_loop()
    counter = Counter()
    taken_s = 0.0
    gc.collect()
    loop.set_task_factory(counter.make_task)
    try:
        for number in range(repeats):
            loop.call_soon(counter.turn)
            started_s = time.perf_counter()
            result = await node.set_current("agg", 100.0 + number % 2, ttl_s=60.0, holder="bench")
            taken_s += time.perf_counter() - started_s
            if counter.turns != number or counter.tasks:
                raise RuntimeError(f"{counter.turns - number} turns of the loop and {counter.tasks} tasks for one command")
            if result.applied_current_a != 100.0 + number % 2:
                raise RuntimeError(f"applied {result.applied_current_a} A")
            await asyncio.sleep(0.0)
    finally:
        loop.set_task_factory(None)
    return taken_s / repeats * 1e6
