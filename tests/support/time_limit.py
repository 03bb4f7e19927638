"""The end of a test that takes too long, also where it strikes inside a task.

What pytest-timeout raises is an exception like any other to asyncio: a task keeps it for whoever awaits it, and a simulated fleet
that lost one task can go on for ever, on all the memory there is. An interrupt is what no loop keeps to itself.
"""

import resource
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import pytest

AGAIN_S = 20.0
"""What cleans up after the first strike has so long."""
MOST_BYTES = 6 * 2**30
"""What one process of a test may take: twenty times what any has needed, less than makes the kernel choose a victim."""


class TookTooLongError(KeyboardInterrupt):
    """Ends the loop it strikes in; becomes a failure of the test outside."""


def set_timer(item: pytest.Item, timeout_s: float) -> None:
    """Strike in `timeout_s`, and again until the test is over."""

    def strike(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TookTooLongError(f"not done within {timeout_s:g} s")

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel  # type: ignore[attr-defined]  # where pytest-timeout looks for it
    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, timeout_s, AGAIN_S)


@contextmanager
def as_failure() -> Generator[None]:
    """Make a strike within a failure of the test, not of the run."""
    try:
        yield
    except TookTooLongError as late:
        pytest.fail(str(late))


def bound_memory() -> None:
    """Have this process, and those it starts, fail for memory before the machine does."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MOST_BYTES if hard == resource.RLIM_INFINITY else min(MOST_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
