"""What the programs of simulated devices have in common: a precise loop and an end by signal."""

import asyncio
import selectors
import signal
from collections.abc import Iterator
from contextlib import contextmanager


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return what ends a program in an orderly way: also a terminal that is closed, unless `nohup` said to ignore that."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT) if ignored else (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """Give the event that SIGTERM, SIGINT and SIGHUP set while the block runs."""
    stop, loop, numbers = asyncio.Event(), asyncio.get_running_loop(), ending_signals()
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def precise_loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose timers are true to microseconds: epoll would round every wait up to a whole millisecond."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
