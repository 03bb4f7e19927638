"""The loop of the simulated fleet: nothing in it goes by where things lie in memory."""

import asyncio

from tests.support.fleet.process_loop import run_processes

TASKS = 7


async def _ended_in_order() -> list[int]:
    """Cancel a group of tasks; return in which order they heard of it."""
    ended: list[int] = []
    kept = []

    async def wait(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(TASKS):
                kept.append([bytearray(48 * size) for size in range(number * 13 % 17)])
                group.create_task(wait(number))

    task = asyncio.create_task(together())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait({task})
    return ended


def test_a_group_cancels_its_tasks_in_one_order() -> None:
    """As they began, in each of ten runs: a group has them in a set."""
    assert [run_processes(_ended_in_order()) for _ in range(10)] == [list(range(TASKS))] * 10
