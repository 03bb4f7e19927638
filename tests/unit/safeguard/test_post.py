"""The daemon's end of the pipe: it never waits, and what is not read is bounded."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from bosd.safeguard.device_list import TICK
from bosd.safeguard.post import Post


class Deaf:
    """A post whose guard does not read unless the test does."""

    def __init__(self) -> None:
        self.reads, pipe = os.pipe()
        echo, self.answers = os.pipe()
        for descriptor in (pipe, echo, self.reads):
            os.set_blocking(descriptor, False)
        self.process = subprocess.Popen(["sleep", "60"])
        self.post = Post(self.process, pipe, echo)

    def read(self) -> bytes:
        """Take what is in the pipe."""
        try:
            return os.read(self.reads, 1 << 20)
        except BlockingIOError:
            return b""


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    """A guard that does not read."""
    deaf = Deaf()
    yield deaf
    deaf.post.relieve()
    assert deaf.process.returncode is not None
    os.close(deaf.reads)
    os.close(deaf.answers)


def test_a_long_list_goes_in_pieces(deaf: Deaf) -> None:
    """More than a pipe holds arrives whole, with a piece at each tick, and no tick within it."""
    line = bytes(range(32, 120)) * 5000 + b"\n"
    deaf.post.tell(line)
    heard = b""
    while not deaf.post.idle:
        heard += deaf.read()
        deaf.post.tick()
    heard += deaf.read()
    assert heard == line or heard == line + TICK
    deaf.post.tick()
    assert deaf.read() == TICK


def test_the_newest_list_waits(deaf: Deaf) -> None:
    """While one list is half written, of those that follow only the newest is kept."""
    first = b"1" * 200_000 + b"\n"
    deaf.post.tell(first)
    for number in range(1000):
        deaf.post.tell(b"%d\n" % number)
    heard = b""
    while not deaf.post.idle or not heard:
        heard += deaf.read()
        deaf.post.tick()
    assert (heard + deaf.read()).rstrip(b"\n") == first + b"999"


def test_ticks_that_nobody_answers_are_counted(deaf: Deaf) -> None:
    """An answer ends the count; a full pipe stops nothing."""
    for _ in range(100_000):
        deaf.post.tick()
    assert deaf.post.unanswered == 100_000
    assert not deaf.post.heard
    os.write(deaf.answers, b"..")
    deaf.post.tick()
    assert (deaf.post.unanswered, deaf.post.heard) == (0, True)


def test_a_dead_guard_is_seen(deaf: Deaf) -> None:
    """Writing to it raises nothing; its status says how it ended."""
    deaf.process.kill()
    deaf.process.wait()
    os.close(deaf.reads)
    deaf.post.tell(b"x\n")
    deaf.post.tick()
    assert deaf.post.status == -9
    deaf.reads = os.open(os.devnull, os.O_RDONLY)
