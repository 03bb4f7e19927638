"""An event loop whose clock jumps: when nothing is ready, time moves to the next timer instead of passing.

Hours of timers run in milliseconds and in the same order every time. Whatever lives outside the loop (threads, other
processes, gRPC) does not move with it: executors are refused, and sockets are only good for peers on the same loop.
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_ASYNCIO = str(Path(asyncio.__file__).parent)


class DeadlockError(RuntimeError):
    """Nothing is ready and no timer is set: no task of this loop can ever go on."""


class Turns(Protocol):
    """Hears of each turn of a loop: its callbacks run between `begins` and `ends`."""

    def begins(self) -> None:
        """They are about to run."""
        ...

    def ends(self) -> None:
        """They have run."""
        ...


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps: asks its owner to jump where the stock selector would wait."""

    jump: Callable[[float | None], None]
    turns: Turns | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now; if that is nothing, jump `timeout` seconds ahead."""
        if self.turns is not None:
            self.turns.ends()
        ready = super().select(0)
        if not ready:
            self.jump(timeout)
        if self.turns is not None:
            self.turns.begins()
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """A stock event loop on virtual time, which starts at 0.0 s."""

    def __init__(self) -> None:
        self._now_s = 0.0
        selector = _JumpingSelector()
        selector.jump = self._jump
        self._jumping = selector
        super().__init__(selector)

    @property
    def turns(self) -> Turns | None:
        """Who hears of each turn; nobody, unless set."""
        return self._jumping.turns

    @turns.setter
    def turns(self, turns: Turns | None) -> None:
        self._jumping.turns = turns

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now_s

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002
        func: Callable[[*Ts], T],
        *args: *Ts,  # noqa: ARG002
    ) -> asyncio.Future[T]:
        """Refuse: a thread's work takes real time, which this loop would jump over."""
        msg = f"no threads on a loop that jumps: {func}"
        raise RuntimeError(msg)

    def _jump(self, timeout: float | None) -> None:
        if timeout is None:
            raise DeadlockError(self._describe_waiting())
        self._now_s += timeout
        self._clock_resolution = max(1e-9, 2 * math.ulp(self._now_s))  # or timers a year ahead would never count as due

    def _describe_waiting(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        lines = [f"  {task.get_name()} at {_place(task)}" for task in tasks]
        return "\n".join([f"deadlock at {self._now_s} s: nothing is ready, no timer is set; waiting:", *lines])


def _place(task: asyncio.Task[Any]) -> str:
    """Name the innermost line at which `task` is suspended, asyncio's own left out."""
    awaited: Any = task.get_coro()
    place = repr(awaited)
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        if not frame.f_code.co_filename.startswith(_ASYNCIO):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        awaited = awaited.cr_await
    return place


def run_jumping(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on a fresh jumping loop."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)
