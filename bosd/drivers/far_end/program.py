"""What the programs of simulated devices have in common: a precise loop and an end by signal."""

import asyncio
import selectors
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """Give the event that SIGTERM, SIGINT and SIGHUP set while the block runs."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _ENDING:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in _ENDING:
            loop.remove_signal_handler(number)


def precise_loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose timers are true to microseconds: epoll would round every wait up to a whole millisecond."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
