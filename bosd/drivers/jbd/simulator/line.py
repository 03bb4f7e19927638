"""A pseudo-terminal at the pace of a serial line.

Bytes are released by deadline: byte i of a reply is due i + 1 byte times after the reply's start, so that lateness never
adds up. The first byte and the last go out alone at their own deadlines, those between in pairs at the later one's: at most one
byte time late, half the wake-ups. If the first is late, the whole reply shifts, so that it never spans less than its bytes take.
"""

import asyncio
import contextlib
import os
import tty
from collections import deque
from pathlib import Path

from bosd.drivers.jbd.simulator.station import Station, Transmission
from bosd.errors import InvalidArgumentError

_BATCH_BYTES = 8
"""Most bytes taken from the pseudo-terminal before the wire would have carried them; the rest waits in the sender's buffer."""


class PtyLine:
    """One pseudo-terminal behind a symlink, bound to the running loop; `open`, `close` and `unplug` may be repeated.

    The slave side stays open here, so that clients can come and go without the line being hung up.
    """

    def __init__(self, link: Path, station: Station) -> None:
        self.link = link
        self.station = station
        self.bytes_refused = 0
        self.shortest_span_error_s: float | None = None
        self._loop = asyncio.get_running_loop()
        self._master = self._slave = -1
        self._wire_free_s = 0.0
        self._receive_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._replug_timer: asyncio.TimerHandle | None = None
        self._queue: deque[Transmission] = deque()
        self._deadlines: list[float] = []
        self._sending = b""
        self._sent = 0
        self._first_sent_s = 0.0

    @property
    def plugged(self) -> bool:
        """Whether the pseudo-terminal exists."""
        return self._master >= 0

    def open(self) -> None:
        """Create the pseudo-terminal and its link; InvalidArgumentError where something else than a link is in the way."""
        check_link(self.link)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        replace_link(self.link, os.ttyname(self._slave))
        self._loop.add_reader(self._master, self._readable)

    def close(self) -> None:
        """Hang up, remove the link and forget everything in flight."""
        self._cancel_timers()
        if not self.plugged:
            return
        self._loop.remove_reader(self._master)
        with contextlib.suppress(OSError):
            if self.link.readlink() == Path(os.ttyname(self._slave)):
                self.link.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self._queue.clear()
        self._sending, self._deadlines, self._sent = b"", [], 0

    def unplug(self, seconds: float) -> None:
        """Vanish for `seconds`: clients see a hang-up, the link is gone, and a new pseudo-terminal takes its place."""
        self.close()
        self._replug_timer = self._loop.call_later(seconds, self.open)

    def _readable(self) -> None:
        """Take what the wire can carry at a time and hear it once it would have arrived."""
        try:
            data = os.read(self._master, _BATCH_BYTES)
        except BlockingIOError:
            return
        started_s = max(self._loop.time(), self._wire_free_s)
        self._wire_free_s = started_s + len(data) * self.station.byte_s
        self._loop.remove_reader(self._master)
        self._receive_timer = self._loop.call_at(self._wire_free_s, self._hear, data, started_s)

    def _hear(self, data: bytes, started_s: float) -> None:
        replies = self.station.receive(data, started_s)
        if not self.plugged:
            return
        self._loop.add_reader(self._master, self._readable)
        self._queue.extend(replies)
        if not self._sending:
            self._begin()

    def _begin(self) -> None:
        """Start on the next reply of the queue."""
        if not self._queue:
            return
        reply, byte_s = self._queue.popleft(), self.station.byte_s
        self._deadlines = [at_s + (index + 1) * byte_s for at_s, data in reply.segments for index in range(len(data))]
        self._sending, self._sent = reply.data, 0
        self._send_timer = self._loop.call_at(self._deadlines[0], self._release)

    def _release(self) -> None:
        """Write every byte that is due and wait for the next."""
        now_s, count = self._loop.time(), len(self._deadlines)
        due = self._sent
        while due < count and self._deadlines[due] <= now_s and (due == 0 or self._sent):
            due += 1
        if due > self._sent:
            self._write(self._sending[self._sent : due])
            if not self._sent:
                self._shift()
        self._sent = due
        if due < count:
            self._send_timer = self._loop.call_at(self._next_release_s(), self._release)
            return
        self._note_span(now_s)
        self._sending, self._send_timer = b"", None
        self._begin()

    def _shift(self) -> None:
        """Count the reply's deadlines from when its first byte really went out."""
        self._first_sent_s = self._loop.time()
        late_s = self._first_sent_s - self._deadlines[0]
        self._deadlines = [deadline_s + late_s for deadline_s in self._deadlines]

    def _next_release_s(self) -> float:
        """Return when to wake: at the second byte from here, or at the first if that is the last or a pause follows it."""
        first_s = self._deadlines[self._sent]
        if not self._sent or self._sent + 1 >= len(self._deadlines) - 1:
            return first_s
        second_s = self._deadlines[self._sent + 1]
        return second_s if second_s - first_s < 1.5 * self.station.byte_s else first_s

    def _write(self, data: bytes) -> None:
        """Put bytes on the line; a client that does not read loses them, as it would at a real port."""
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        self.bytes_refused += len(data) - written

    def _note_span(self, last_sent_s: float) -> None:
        """Remember the smallest excess of a reply's span, first to last byte, over what its deadlines ask for."""
        if len(self._deadlines) > 1:
            error_s = (last_sent_s - self._first_sent_s) - (self._deadlines[-1] - self._deadlines[0])
            known_s = self.shortest_span_error_s
            self.shortest_span_error_s = error_s if known_s is None else min(known_s, error_s)

    def _cancel_timers(self) -> None:
        for timer in (self._receive_timer, self._send_timer, self._replug_timer):
            if timer is not None:
                timer.cancel()
        self._receive_timer = self._send_timer = self._replug_timer = None


def check_link(link: Path) -> None:
    """Raise InvalidArgumentError unless `link` is free, dangling, or leads to a pseudo-terminal."""
    if link.is_symlink():
        if link.exists() and not link.readlink().is_relative_to("/dev/pts"):
            raise InvalidArgumentError(
                f"{link} is a link to {link.readlink()}, not to a pseudo-terminal: not replaced", key="link"
            )
    elif link.exists():
        raise InvalidArgumentError(f"{link} exists and is not a symbolic link: not replaced", key="link")
    elif not link.parent.is_dir():
        raise InvalidArgumentError(f"{link}: the folder {link.parent} does not exist", key="link")


def replace_link(link: Path, target: str) -> None:
    """Make `link` lead to `target` in one step, so that nobody finds it missing."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
