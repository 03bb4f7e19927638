"""A jumping loop on which every callback belongs to a process: one that is frozen runs later, one that is dead never again.

A process is known by a context variable, which tasks and timers inherit. That makes `kill -9` exact: not a line of a dead
process runs, no `finally`, no handler of a cancellation.
"""

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeAlias, TypeVar, TypeVarTuple

from tests.support.jumping_loop import JumpingLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Work: TypeAlias = Generator[Any, None, T] | Coroutine[Any, Any, T]


class Life:
    """Whether the code of one process runs: it may be frozen and thawed, and it may end, once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frozen = False
        self.dead = False
        self._held: list[asyncio.Handle] = []

    @property
    def runs(self) -> bool:
        """Whether its code runs now."""
        return not (self.frozen or self.dead)

    def hold(self, handle: asyncio.Handle) -> None:
        """Keep a callback until the process is thawed, or buried."""
        self._held.append(handle)

    def freeze(self) -> None:
        """Run nothing from now on, as after SIGSTOP; what falls due waits."""
        self.frozen = True

    def thaw(self, loop: "ProcessLoop") -> None:
        """Go on with what has fallen due, in its order."""
        self.frozen = False
        held, self._held = self._held, []
        loop.again(held)

    def end(self) -> None:
        """Run nothing any more, as after SIGKILL."""
        self.dead = True

    def bury(self, loop: "ProcessLoop") -> None:
        """Let what is left of it end, when the world is over: tasks are no garbage while they wait."""
        self.dead = False
        self.thaw(loop)


LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)
"""The process whose code runs; None for the world outside."""


def context_of(life: Life | None) -> contextvars.Context:
    """Return a fresh context in which code belongs to `life`."""
    context = contextvars.Context()
    context.run(LIFE.set, life)
    return context


class _OfLife(asyncio.Handle):
    """What runs if its process does; else the process holds it."""

    __slots__ = ()
    life: Life | None

    def _run(self) -> None:
        if self.life is None or self.life.runs:
            super()._run()
        else:
            self.life.hold(self)


class _Handle(_OfLife):
    __slots__ = ("life",)


class _TimerHandle(_OfLife, asyncio.TimerHandle):
    __slots__ = ("life",)


class _Task(asyncio.Task[T]):
    """A task that sets have by when it began, not by where it lies: groups cancel theirs in that order, in every run."""

    def __init__(self, work: Work[T], loop: "ProcessLoop", name: str | None, context: contextvars.Context | None) -> None:
        self._number = loop.next_number()
        super().__init__(work, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self._number


class ProcessLoop(JumpingLoop):
    """See the module."""

    _tasks_begun = 0

    def next_number(self) -> int:
        """Return how many tasks began before one that begins."""
        self._tasks_begun += 1
        return self._tasks_begun

    def create_task(self, coro: Work[T], *, name: object = None, context: contextvars.Context | None = None) -> asyncio.Task[T]:
        """Begin a task."""
        return _Task(coro, self, None if name is None else str(name), context)

    def _call_soon(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        handle.life = handle._context.get(LIFE)  # type: ignore[attr-defined]
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` at `when`, if its process runs then."""
        handle = _TimerHandle(when, callback, args, self, context)
        handle.life = handle._context.get(LIFE)  # type: ignore[attr-defined]
        heapq.heappush(self._scheduled, handle)  # type: ignore[attr-defined]
        handle._scheduled = True  # type: ignore[attr-defined]
        return handle

    def again(self, handles: list[asyncio.Handle]) -> None:
        """Run handles that were held, those not cancelled in the meantime."""
        self._ready.extend(handle for handle in handles if not handle.cancelled())  # type: ignore[attr-defined]


def run_processes(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on a fresh loop of processes."""
    with asyncio.Runner(loop_factory=ProcessLoop) as runner:
        return runner.run(main)


def this_loop() -> ProcessLoop:
    """Return the loop of processes that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ProcessLoop), "no loop of processes runs"
    return loop
