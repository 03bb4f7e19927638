"""Both directions of a serial line at its pace, on the running loop and without a descriptor.

Bytes are released by deadline: byte i of a reply is due i + 1 byte times after the reply's start, so that lateness never
adds up. The first byte and the last go out alone at their own deadlines, those between in pairs at the later one's: at most one
byte time late, half the wake-ups. If the first is late, the whole reply shifts, so that it never spans less than its bytes take.
Bytes with the same deadline go out together.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Transmission:
    """A reply with its timing: when each segment starts, and by when each of all bytes has arrived, in seconds."""

    segments: tuple[tuple[float, bytes], ...]
    deadlines_s: tuple[float, ...]
    ends_s: float

    @property
    def data(self) -> bytes:
        """All bytes, whatever their timing."""
        return b"".join(data for _, data in self.segments)


class Hearer(Protocol):
    """Who sits at the far end of a line: hears timed bytes and says what comes back."""

    @property
    def byte_s(self) -> float:
        """What one byte takes on the line."""
        ...

    def receive(self, data: bytes, started_s: float) -> list[Transmission]:
        """Hear `data`, whose first start bit fell at `started_s`, and return the replies it brings about."""
        ...


class PacedSender:
    """Sends replies one after the other through `write`, which takes what is due."""

    def __init__(self, loop: asyncio.AbstractEventLoop, byte_s: float, write: Callable[[bytes], None]) -> None:
        self.shortest_span_error_s: float | None = None
        self._loop = loop
        self._byte_s = byte_s
        self._write = write
        self._queue: deque[Transmission] = deque()
        self._deadlines: list[float] = []
        self._sending = b""
        self._sent = 0
        self._first_sent_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def send(self, replies: list[Transmission]) -> None:
        """Send `replies` behind those on their way."""
        self._queue.extend(replies)
        if not self._sending:
            self._begin()

    def clear(self) -> None:
        """Forget everything on its way."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._queue.clear()
        self._sending = b""

    def _begin(self) -> None:
        """Start on the next reply of the queue."""
        if not self._queue:
            return
        reply = self._queue.popleft()
        self._deadlines = list(reply.deadlines_s)
        self._sending, self._sent = reply.data, 0
        self._timer = self._loop.call_at(self._deadlines[0], self._release)

    def _release(self) -> None:
        """Write every byte that is due, the first alone, and wait for the next."""
        now_s, count = self._loop.time(), len(self._deadlines)
        due, first_s = self._sent, self._deadlines[0]
        while due < count and self._deadlines[due] <= now_s and (self._sent or self._deadlines[due] == first_s):
            due += 1
        if due > self._sent:
            self._write(self._sending[self._sent : due])
            if not self._sent:
                self._shift()
        if not self._sending:
            return  # whoever took the bytes closed the line
        self._sent = due
        if due < count:
            self._timer = self._loop.call_at(self._next_release_s(), self._release)
            return
        self._note_span(now_s)
        self._sending, self._timer = b"", None
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
        return second_s if second_s - first_s < 1.5 * self._byte_s else first_s

    def _note_span(self, last_sent_s: float) -> None:
        """Remember the smallest excess of a reply's span, first to last byte, over what its deadlines ask for."""
        if len(self._deadlines) > 1:
            error_s = (last_sent_s - self._first_sent_s) - (self._deadlines[-1] - self._deadlines[0])
            known_s = self.shortest_span_error_s
            self.shortest_span_error_s = error_s if known_s is None else min(known_s, error_s)


class PacedReceiver:
    """Lets the station hear bytes once the wire would have carried them, and hands its replies on.

    One batch at a time: give it the next one from `heard`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, hearer: Hearer, heard: Callable[[list[Transmission]], None]) -> None:
        self._loop = loop
        self._hearer = hearer
        self._heard = heard
        self._free_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, data: bytes) -> None:
        """Put `data` on the wire now, or behind what is on it."""
        started_s = max(self._loop.time(), self._free_s)
        self._free_s = started_s + len(data) * self._hearer.byte_s
        self._timer = self._loop.call_at(self._free_s, self._hear, data, started_s)

    def clear(self) -> None:
        """Forget what is on the wire."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _hear(self, data: bytes, started_s: float) -> None:
        self._timer = None
        self._heard(self._hearer.receive(data, started_s))
