"""The daemon's end of the pipe to one guard process: nothing here waits, and what the guard does not read is held, bounded."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from bosd.safeguard.device_list import TICK

DAEMONS_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a manager or a terminal sends to all of a group, and means for the daemon."""
_CHUNK_BYTES = 65536


class Post:
    """A guard process at its post.

    Of what it has not read only the line in hand and the newest after it are kept. `unanswered` counts ticks since it read last.
    """

    def __init__(self, process: subprocess.Popen[bytes], pipe: int, echo: int) -> None:
        self.unanswered = 0
        self.heard = False
        self._process = process
        self._pipe = pipe
        self._echo = echo
        self._in_hand = b""
        self._next = b""

    @classmethod
    def man(cls, state_dir: Path, turn: int | None) -> Self:
        """Start a guard of this process, holding its turn. It blocks for milliseconds. Raises OSError.

        It leads a session of its own: a signal for the daemon's group, or the end of its terminal, is none for the guard, which
        knows the daemon by a pidfd: it can mean no other process.
        """
        daemon = os.pidfd_open(os.getpid())
        theirs, pipe = os.pipe()
        echo, their_echo = os.pipe()
        arguments = [sys.executable, "-m", "bosd", "guard", "--state-dir", str(state_dir), "--daemon", str(daemon)]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, DAEMONS_SIGNALS)  # until the guard ignores them
        try:
            process = subprocess.Popen(  # noqa: S603 (our own program)
                arguments,
                stdin=theirs,
                stdout=their_echo,
                pass_fds=[descriptor for descriptor in (daemon, turn) if descriptor is not None],
                start_new_session=True,
            )
        except BaseException:
            os.close(pipe)
            os.close(echo)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(daemon)
            os.close(theirs)
            os.close(their_echo)
        os.set_blocking(pipe, False)
        os.set_blocking(echo, False)
        return cls(process, pipe, echo)

    @property
    def pid(self) -> int:
        """The guard's process."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How the guard ended, None while it lives."""
        return self._process.poll()

    @property
    def idle(self) -> bool:
        """Whether everything was written."""
        return not self._in_hand and not self._next

    def tell(self, line: bytes) -> None:
        """Write a line, as far as the pipe takes it now; the rest goes with the next ticks."""
        self._next = line
        self._push()

    def tick(self) -> None:
        """Give the sign of life, unless bytes of a line are one already; take the guard's answers."""
        self.unanswered += 1
        with contextlib.suppress(OSError):
            if os.read(self._echo, _CHUNK_BYTES):
                self.unanswered, self.heard = 0, True
        if self.idle:
            self._next = TICK
        self._push()

    def _push(self) -> None:
        while not self.idle:
            if not self._in_hand:
                self._in_hand, self._next = self._next, b""
            try:
                written = os.write(self._pipe, self._in_hand)
            except OSError:
                return  # full: it does not read; broken: it is dead, which `status` tells
            self._in_hand = self._in_hand[written:]

    def relieve(self) -> None:
        """End the guard, then let go of the pipe: one that hangs must not see its end and wake up."""
        if self.status is None:
            self._process.send_signal(signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        for descriptor in (self._pipe, self._echo):
            os.close(descriptor)
