"""An operation cancelled at one of the places where it waits."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NotCancelledError(RuntimeError):
    """An operation went on, or ended in a way of its own, although it was cancelled."""


@coroutine
def _stepped(steps: Coroutine[Any, Any, T], at: int, reached: Callable[[], None]) -> Generator[Any, None, T]:
    """Run `steps` and call `reached` when it waits for the time `at`, counted from 0."""
    thrown: BaseException | None = None
    waits = 0
    while True:
        try:
            waited = steps.send(None) if thrown is None else steps.throw(thrown)
        except StopIteration as end:
            done: T = end.value
            return done
        if waits == at:
            reached()
        waits += 1
        thrown = None
        try:
            yield waited
        except BaseException as error:  # noqa: BLE001 (whatever comes belongs to the one that waits)
            thrown = error


async def cancelled_at(operation: Coroutine[Any, Any, T], at: int) -> bool:
    """Run `operation` in a task of its own, cancelled where it waits for the time `at`; return whether it got so far.

    Raises what the operation raises when it ends before, NotCancelledError when it ends otherwise than cancelled.
    """
    reached = False
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        nonlocal reached
        reached = True
        loop.call_soon(task.cancel)

    async def run() -> Exception | None:
        try:
            await _stepped(operation, at, cancel)
        except Exception as error:  # noqa: BLE001 (handed on)
            return error
        return None

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(), name=f"cancelled at {at}")
        await asyncio.wait([task])
    if task.cancelled():
        return reached
    error = task.result()
    if reached:
        became = "it went on" if error is None else f"it became {type(error).__name__}: {error}"
        raise NotCancelledError(f"{became}; CancelledError has to come out") from error
    if error is not None:
        raise error
    return reached
