"""The loop whose clock jumps, as tests get it."""

import asyncio
from collections.abc import Callable, Mapping

from bosd.jumping_loop import DeadlockError, JumpingLoop, run_jumping

__all__ = ["DeadlockError", "JumpingLoop", "loop_factories", "run_jumping"]


def loop_factories(*, jumping: bool) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the one loop a test runs on, in the form pytest-asyncio asks for."""
    return {"jumping": JumpingLoop} if jumping else {"stock": asyncio.new_event_loop}
