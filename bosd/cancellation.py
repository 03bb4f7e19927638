"""Whether a task is asked to end, which it may never hear from gRPC."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


def asked_to_end() -> bool:
    """Whether somebody has cancelled this task, and waits for it."""
    return _requests() > 0


@contextmanager
def heeding() -> Iterator[None]:
    """Raise CancelledError at the end of the block, whatever came of it, if this task was cancelled meanwhile.

    A call that has failed already answers a cancellation with its failure (grpcio 1.85.1, grpc/aio/_call.py: the tasks that begin
    a call catch what is meant for whoever waits for it): a loop that goes on after failures would go on for ever.
    """
    before = _requests()
    try:
        yield
    except Exception:
        if _requests() > before:
            raise asyncio.CancelledError from None
        raise
    if _requests() > before:
        raise asyncio.CancelledError


def _requests() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
