"""The board at its end of the wire: what it hears when, when it answers, how it sleeps. No I/O: instants are arguments.

Every byte takes 10 bits at the baud rate in either direction (8N1). The line is half duplex, the board answers one request
after the other, and the pause before each answer is drawn from the stated range.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from bosd.drivers.far_end.pacing import Transmission
from bosd.drivers.jbd.simulator.faults import Injector
from bosd.drivers.jbd.simulator.framing import BAD_CHECKSUM, Request, RequestScanner, addressed
from bosd.drivers.jbd.simulator.options import SimulatorOptions
from bosd.drivers.jbd.simulator.outgoing import Outgoing, Segment
from bosd.drivers.jbd.simulator.protocol import Board

REQUEST_GAP_S = 0.1
"""Silence inside a request after which the board forgets its beginning."""

WAKE_QUIET_S = 0.005
"""Silence that ends the burst which woke the board; the whole burst is lost."""

WAKE_CUT_BYTES, WAKE_CUT_PAUSE_S = 7, 0.2
"""Captured wake artefact: the first reply stops after 7 bytes; the remainder follows."""

_WAITING_REPLIES = 4


@dataclass(slots=True)
class StationCounts:
    """What went over the line since start; turnaround in seconds, summed over the replies."""

    bytes_in: int = 0
    bytes_out: int = 0
    bytes_lost: int = 0
    requests: int = 0
    bad_requests: int = 0
    replies: int = 0
    swallowed: int = 0
    overruns: int = 0
    turnaround_total_s: float = 0.0


class Station:
    """Turns timed bytes into timed replies.

    `windows` is when the line is taken by replies; boards on one line share it.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        board: Board,
        injector: Injector,
        rng: random.Random,
        windows: list[tuple[float, float]] | None = None,
    ) -> None:
        self.board = board
        self.injector = injector
        self.byte_s = 10.0 / options.baud
        self.turnaround_ms = options.turnaround_ms
        self.half_duplex = options.half_duplex
        self.sleep_after_s = options.sleep_after_s
        self.wake_artefact = options.wake_artefact
        self.answer_bad_checksum = options.answer_bad_checksum
        self.raw: dict[int, bytes] = {}
        self.counts = StationCounts()
        self.note: Callable[[dict[str, object]], None] = lambda _entry: None
        self.unplug: Callable[[float], None] = lambda _seconds: None
        self.reset: Callable[[], None] = lambda: None
        self._address = options.address
        self._rng = rng
        self._scanner = RequestScanner(options.address)
        self._windows: list[tuple[float, float]] = [] if windows is None else windows
        self._previous = b""
        self._stuck_until_s = 0.0
        self._heard_s: float | None = None
        self._sleeping = self._waking = self._just_woke = False
        self._outbox: list[Transmission] = []

    @property
    def bytes_discarded(self) -> int:
        """Bytes heard that belonged to no request."""
        return self._scanner.discarded

    def asleep(self, now_s: float) -> bool:
        """Whether the board sleeps at `now_s`: told to, or nothing heard for longer than `sleep_after_s`."""
        quiet_s = now_s - self._heard_s if self._heard_s is not None else 0.0
        return self._sleeping or (self.sleep_after_s is not None and quiet_s > self.sleep_after_s)

    def set_asleep(self, asleep: bool, now_s: float) -> None:  # noqa: FBT001 - a state, set as such from outside
        """Put the board to sleep or wake it without a trace on the line."""
        self._sleeping = asleep
        if not asleep:
            self._heard_s = now_s

    def say(self, out: Outgoing, now_s: float) -> list[Transmission]:
        """Do at `now_s` what `out` says without having been asked, and return what goes over the line for it."""
        self._schedule(out, now_s, turnaround_s=0.0)
        self._suffer(out, now_s)
        said, self._outbox = self._outbox, []
        return said

    def stuck(self, now_s: float) -> bool:
        """Whether the board hears and does nothing at `now_s`."""
        return now_s < self._stuck_until_s

    def receive(self, data: bytes, started_s: float) -> list[Transmission]:
        """Hear `data`, whose first start bit fell at `started_s`, and return the replies it brings about."""
        for index, byte in enumerate(data):
            begin_s = started_s + index * self.byte_s
            self._hear(byte, begin_s, begin_s + self.byte_s)
        replies, self._outbox = self._outbox, []
        return replies

    def _hear(self, byte: int, begin_s: float, end_s: float) -> None:
        self.counts.bytes_in += 1
        if self._stuck_until_s and self.stuck(begin_s):
            self.counts.bytes_lost += 1
            return
        quiet_s = begin_s - self._heard_s if self._heard_s is not None else 0.0
        asleep, self._heard_s = self.asleep(begin_s), end_s
        if self._swallows(asleep=asleep, quiet_s=quiet_s):
            return
        if self._windows:
            self._windows[:] = [window for window in self._windows if window[1] > begin_s]
        if self.half_duplex and any(start < end_s for start, _ in self._windows):
            self.counts.bytes_lost += 1
            return
        if quiet_s > REQUEST_GAP_S and self._scanner.pending:
            self._scanner.reset()
        for request in self._scanner.feed(byte):
            self._answer(request, end_s)

    def _swallows(self, *, asleep: bool, quiet_s: float) -> bool:
        """Say whether this byte is lost to waking up: the one that wakes the board, and all that follow without a pause."""
        if asleep:
            self.counts.swallowed += 1
            self._scanner.reset()
            self._sleeping, self._waking, self._just_woke = False, True, True
        elif self._waking and quiet_s > WAKE_QUIET_S:
            self._waking = False
        self.counts.bytes_lost += self._waking
        return self._waking

    def _answer(self, request: Request, now_s: float) -> None:
        self.counts.requests += 1
        if len(self._windows) >= _WAITING_REPLIES:
            self.counts.overruns += 1
            return
        data = self._reply_bytes(request, now_s)
        out = Outgoing([Segment(data)] if data else [], request=request.raw, previous=self._previous)
        self._previous = data
        if out.segments and self._just_woke:
            self._just_woke = False
            self._add_wake_artefact(out)
        self.injector.apply(out, request.register, now_s)
        entry: dict[str, object] = {"event": "request", "at_s": now_s, "register": request.register, "write": request.write}
        self.note(entry | {"payload_hex": request.payload.hex(), "reply_hex": out.data.hex()})
        lowest, highest = self.turnaround_ms
        self._schedule(out, now_s, self._rng.uniform(lowest, highest) / 1000.0)
        self._suffer(out, now_s)

    def _suffer(self, out: Outgoing, now_s: float) -> None:
        """Let the board have what a fault does to it."""
        self._sleeping = self._sleeping or out.sleep
        if out.stuck_s is not None:
            self._stuck_until_s = now_s + out.stuck_s
        if out.unplug_s is not None:
            self.unplug(out.unplug_s)
        if out.reset:
            self.reset()

    def _reply_bytes(self, request: Request, now_s: float) -> bytes:
        """Return what the board answers, empty for nothing; a raw override stands in for the board."""
        if not request.intact:
            self.counts.bad_requests += 1
            return addressed(self.board.refuse(request, BAD_CHECKSUM), self._address) if self.answer_bad_checksum else b""
        if request.register in self.raw:
            self.board.pass_time(now_s)
            return self.raw[request.register]
        return addressed(self.board.answer(request, now_s), self._address)

    def _add_wake_artefact(self, out: Outgoing) -> None:
        data = out.data
        match self.wake_artefact:
            case "zeros":
                out.segments = [Segment(b"\x00\x00" + data)]
            case "ff":
                out.segments = [Segment(b"\xff" + data)]
            case "split":
                out.segments = [Segment(data[:WAKE_CUT_BYTES]), Segment(data[WAKE_CUT_BYTES:], WAKE_CUT_PAUSE_S)]
            case _:
                pass

    def _schedule(self, out: Outgoing, now_s: float, turnaround_s: float) -> None:
        """Put what goes out on the line, behind what is on it already."""
        free_s = max([now_s, *(ends_s for _, ends_s in self._windows)])
        if out.lead:
            free_s = self._transmit([Segment(out.lead)], free_s, self.byte_s)
        if out.segments:
            self._transmit(out.segments, free_s + turnaround_s, self.byte_s * (1.0 + out.slowness))
            self.counts.replies += 1
            self.counts.turnaround_total_s += turnaround_s

    def _transmit(self, segments: list[Segment], at_s: float, byte_s: float) -> float:
        """Send `segments` from `at_s` on and return when they end."""
        timed: list[tuple[float, bytes]] = []
        deadlines_s: list[float] = []
        for segment in segments:
            at_s += segment.pause_s
            ends_s = at_s + len(segment.data) * byte_s
            timed.append((at_s, segment.data))
            self._windows.append((at_s, ends_s))
            deadlines_s += [ends_s if segment.whole else at_s + place * byte_s for place in range(1, len(segment.data) + 1)]
            at_s = ends_s
        self.counts.bytes_out += len(deadlines_s)
        self._outbox.append(Transmission(tuple(timed), tuple(deadlines_s), at_s))
        return at_s
