"""What a driver sends is looked at again in its turn on a line: it may have waited, and the process may have stood still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOOK: ContextVar[Callable[[], None] | None] = ContextVar("look", default=None)


@contextmanager
def looked_at(look: Callable[[], None]) -> Iterator[None]:
    """Have `look` called before each request that is sent in the block, in its turn; what it raises ends that request."""
    token = _LOOK.set(look)
    try:
        yield
    finally:
        _LOOK.reset(token)


def look_again() -> None:
    """Raise what keeps a request from being sent that has its turn by now; where nobody looks, nothing does."""
    look = _LOOK.get()
    if look is not None:
        look()
