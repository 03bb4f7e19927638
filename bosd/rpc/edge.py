"""What surrounds every call: a deadline, the error table, the asker's identity, checked arguments."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio

from bosd.errors import BosError, InvalidArgumentError, NoResourcesError, ShuttingDownError, UnavailableError
from bosd.rpc.status import abort

T = TypeVar("T")
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
BugSink: TypeAlias = Callable[[BaseException], None]
Command: TypeAlias = tuple[str, Sequence[str]]
"""What the audit calls a command, and the batteries it names."""

DEFAULT_DEADLINE_S = 10.0
LONGEST_DEADLINE_S = 60.0
MAX_WATCHERS = 1000
CLIENT_KEY = "bosd-client"
MAX_NAMES = 10_000
_MAX_HOLDER = 128
_MAX_TEXT = 1024
_LONGEST_S = 366 * 86400.0
_DEADLINE_KEY = "deadline_s"


class Edge:
    """Runs calls for the servicers.

    A call without a deadline of its caller's gets `DEFAULT_DEADLINE_S`; none runs longer than `LONGEST_DEADLINE_S`. Streams
    have no deadline and are bounded in number. What is no BosError is a programming error: the caller learns INTERNAL and no
    more, `on_bug` gets the exception.
    """

    def __init__(
        self, on_bug: BugSink, *, default_deadline_s: float = DEFAULT_DEADLINE_S, max_watchers: int = MAX_WATCHERS
    ) -> None:
        self._on_bug = on_bug
        self._default_deadline_s = default_deadline_s
        self._max_watchers = max_watchers
        self._streams: set[asyncio.Task[object]] = set()
        self._shutting = False
        self.refused: Callable[[str, BosError, str, Sequence[str]], None] = lambda *_: None
        """Gets commands that are refused before the node hears of them: action, error, who, batteries."""

    @property
    def watchers(self) -> int:
        """How many streams run."""
        return len(self._streams)

    def shut(self) -> None:
        """End all streams with SHUTTING_DOWN: they would outlast any grace."""
        self._shutting = True
        for task in tuple(self._streams):
            task.cancel()

    async def answer(self, context: Context, call: Coroutine[Any, Any, T], command: Command | None = None) -> T:
        """Return what `call` returns, or end the RPC with the status of what it raises; a refused command is recorded."""
        try:
            try:
                first = call.send(None)  # most calls wait for nothing: they are answered here, and need no deadline
            except StopIteration as done:
                answer: T = done.value
                return answer
            return await self._bounded(context, _Begun(call, first))
        except BosError as error:
            if command is not None and not error.audited and not _is_late(error):
                self.refused(command[0], error, _asker(context), command[1])
            await abort(context, error, grpc.StatusCode.DEADLINE_EXCEEDED if _is_late(error) else None)
        except Exception as bug:  # noqa: BLE001 (reported, and never answered with its text)
            self._on_bug(bug)
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")

    async def _bounded(self, context: Context, call: Awaitable[T]) -> T:
        remaining_s: float | None = context.time_remaining()
        if remaining_s is not None and remaining_s <= LONGEST_DEADLINE_S:
            return await call  # gRPC itself ends the call at the caller's deadline
        limit_s = self._default_deadline_s if remaining_s is None else LONGEST_DEADLINE_S
        deadline = asyncio.timeout(limit_s)
        try:
            async with deadline:
                return await call
        except TimeoutError:
            if not deadline.expired():
                raise
            raise UnavailableError(f"no answer within {limit_s:g} s", **{_DEADLINE_KEY: limit_s}) from None

    async def stream(self, context: Context, call: Awaitable[None]) -> None:
        """Run a streaming call, counted among the watchers. Ends with NO_RESOURCES when there are too many."""
        if self.watchers >= self._max_watchers:
            _close(call)
            await abort(context, NoResourcesError("too many watchers", watchers=self.watchers))
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (gRPC runs every handler in one)
        self._streams.add(task)
        try:
            await call
        except asyncio.CancelledError:
            if not self._shutting:
                raise  # the peer is gone
            task.uncancel()
            await abort(context, ShuttingDownError("the node is shutting down"))
        except BosError as error:
            await abort(context, error)
        except grpc.aio.BaseError:
            return  # the stream ended under a write: the peer is gone
        except Exception as bug:  # noqa: BLE001 (see answer)
            self._on_bug(bug)
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")
        finally:
            self._streams.discard(task)


class _Begun(Awaitable[T]):
    """A coroutine that was begun and waits for `first`; awaiting it goes on from there."""

    def __init__(self, call: Coroutine[Any, Any, T], first: object) -> None:
        self._call = call
        self._first = first

    def __await__(self) -> Generator[Any, Any, T]:
        """Pass on what the coroutine waits for, and what the loop answers."""
        waited_for = self._first
        try:
            while True:
                try:
                    value = yield waited_for
                except BaseException as error:  # noqa: BLE001 (a cancellation belongs to the coroutine, as any error does)
                    waited_for = self._call.throw(error)
                else:
                    waited_for = self._call.send(value)
        except StopIteration as done:
            answer: T = done.value
            return answer


def _is_late(error: BosError) -> bool:
    """Whether a call did not answer within the deadline the server gave it."""
    return isinstance(error, UnavailableError) and _DEADLINE_KEY in error.metadata


def _close(call: Awaitable[None]) -> None:
    if asyncio.iscoroutine(call):
        call.close()


@asynccontextmanager
async def closing(batches: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Yield an iterator and close it at the end of the block, however that ends."""
    try:
        yield batches
    finally:
        close = getattr(batches, "aclose", None)
        if close is not None:
            await close()


def holder_of(context: Context) -> str:
    """Return who asks: what the caller calls itself in the metadata, else the transport's peer without its port."""
    for key, value in context.invocation_metadata() or ():
        if key == CLIENT_KEY:
            if not isinstance(value, str) or not 0 < len(value) <= _MAX_HOLDER or not value.isprintable():
                raise InvalidArgumentError(f"{CLIENT_KEY}: 1 to {_MAX_HOLDER} printable characters", field=CLIENT_KEY)
            return value
    peer = context.peer()
    host = peer if peer.startswith("unix:") else peer.rpartition(":")[0]
    return f"peer:{host or peer}"


def _asker(context: Context) -> str:
    try:
        return holder_of(context)
    except InvalidArgumentError:
        return f"peer:{context.peer()}"


def need_name(name: str, field: str = "name") -> str:
    """Return `name`; raises InvalidArgumentError if it is empty."""
    if not name:
        raise InvalidArgumentError(f"{field} is empty: name a battery", field=field)
    return name


def need_names(names: list[str], field: str = "names") -> tuple[str, ...]:
    """Return `names`, each once; raises InvalidArgumentError if one is empty, NoResourcesError if there are too many."""
    if len(names) > MAX_NAMES:
        raise NoResourcesError(f"{field} holds {len(names)} names, at most {MAX_NAMES}", field=field)
    for name in names:
        need_name(name, field)
    return tuple(dict.fromkeys(names))


def need_finite(value: float, field: str) -> float:
    """Return `value`; raises InvalidArgumentError for NaN and infinities."""
    if not math.isfinite(value):
        raise InvalidArgumentError(f"{field} is {value}: a finite number is needed", field=field)
    return value


def need_duration(value: float, field: str, *, positive: bool = False) -> float:
    """Return `value` in seconds; raises InvalidArgumentError if it is no duration (0 is one unless `positive`)."""
    need_finite(value, field)
    if value < 0.0 or (positive and value == 0.0) or value > _LONGEST_S:
        least = "above 0" if positive else "0 or more"
        raise InvalidArgumentError(f"{field} is {value:g} s: {least} and at most {_LONGEST_S:g} s", field=field)
    return value


def storable(number: int) -> int:
    """Return a number of a record as the store can compare it: SQLite's integers have 63 bits, and no record has that one."""
    return min(number, 2**63 - 1)


def need_text(value: str, field: str) -> str:
    """Return a free text; raises InvalidArgumentError if it is longer than a record holds."""
    if len(value) > _MAX_TEXT:
        raise InvalidArgumentError(f"{field} has {len(value)} characters, at most {_MAX_TEXT}", field=field)
    return value
