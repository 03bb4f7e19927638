"""A capture played back as a device: it answers each request with what was answered when it was recorded."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bosd.drivers.capture_file import Capture
from bosd.drivers.far_end.pacing import Transmission
from bosd.errors import InvalidArgumentError

TIMINGS = ("recorded", "paced")
"""Answers in the pieces and at the delays of the record, or byte by byte at the line's pace after a turnaround."""

TURNAROUND_S = 0.015
"""Of the paced timing: the middle of what JBD boards take (10 to 20 ms)."""

GAP_S = 0.1
"""Silence that ends a request; requests of a driver come in one write."""

_SHORTEST_ABSENCE_S, _LONGEST_ABSENCE_S = 0.1, 60.0
_MOST_NAMED = 20


@dataclass(slots=True)
class Exchange:
    """One request of the record and what came until the next: pieces with their delay from it in seconds.

    `lost_for_s` is how long the port was gone when it was lost over this exchange, `lost_after_s` later than the request.
    """

    request: bytes
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    lost_for_s: float | None = None
    lost_after_s: float = 0.0

    @property
    def answer(self) -> bytes:
        """All that came."""
        return b"".join(data for _, data in self.pieces)


@dataclass(slots=True)
class ReplayCounts:
    """What was asked of a replay; `silent` are requests that were not answered in the record either."""

    answered: int = 0
    silent: int = 0
    unknown: int = 0
    over: int = 0
    unknown_requests: Counter[str] = field(default_factory=Counter)


def exchanges_of(capture: Capture) -> list[Exchange]:
    """Return the record as exchanges; bytes that came before any request belong to none."""
    found: list[Exchange] = []
    for part in capture.parts:
        current: Exchange | None = None
        sent_s = lost_s = 0.0
        for record in part.records:
            if record.way == "out":
                current, sent_s = Exchange(record.data), record.at_s
                found.append(current)
            elif record.way == "in" and current is not None:
                current.pieces.append((record.at_s - sent_s, record.data))
            elif record.event == "lost" and current is not None:
                lost_s, current.lost_for_s = record.at_s, _LONGEST_ABSENCE_S
                current.lost_after_s = lost_s - sent_s
            elif record.event == "open" and current is not None and current.lost_for_s is not None:
                current.lost_for_s = min(max(record.at_s - lost_s, _SHORTEST_ABSENCE_S), _LONGEST_ABSENCE_S)
                current = None
    return found


class ReplayDevice:
    """Hears requests and answers them from the record, those of one kind in its order, from the start again after the last.

    `once` is silent after the last instead. A request that is not in the record meets silence, is counted, and named to `say`,
    each kind once. Raises InvalidArgumentError for a record without a request.
    """

    def __init__(
        self, capture: Capture, *, timing: str = "recorded", once: bool = False, say: Callable[[str], None] = lambda _text: None
    ) -> None:
        exchanges = exchanges_of(capture)
        if not exchanges:
            raise InvalidArgumentError(f"{capture.path}: no request is on record, there is nothing to answer", path=capture.path)
        self.byte_s = 10.0 / capture.parts[0].header.baud
        self.counts = ReplayCounts()
        self.unplug: Callable[[float], None] = lambda _seconds: None
        self._paced = timing == "paced"
        self._once = once
        self._say = say
        self._answers: dict[bytes, list[Exchange]] = {}
        for exchange in exchanges:
            self._answers.setdefault(exchange.request, []).append(exchange)
        self._asked: Counter[bytes] = Counter()
        self._heard = bytearray()
        self._begun_s = self._free_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loss: asyncio.TimerHandle | None = None

    def receive(self, data: bytes, started_s: float) -> list[Transmission]:
        """Hear `data` and return the answers to the requests it completes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._heard:
            self._begun_s = started_s
        self._heard += data
        replies: list[Transmission] = []
        while (request := self._known()) is not None:
            del self._heard[: len(request)]
            replies += self._answer(request)
            self._begun_s = started_s
        if self._heard:
            self._timer = asyncio.get_running_loop().call_later(GAP_S, self._give_up)
        return replies

    def close(self) -> None:
        """Stop listening."""
        for timer in (self._timer, self._loss):
            if timer is not None:
                timer.cancel()
        self._timer = self._loss = None
        self._heard.clear()

    def _known(self) -> bytes | None:
        """Return the longest request of the record at the head of what was heard."""
        fitting = [request for request in self._answers if self._heard.startswith(request)]
        return max(fitting, key=len) if fitting else None

    def _give_up(self) -> None:
        """Nothing more comes: what was heard is no request of the record."""
        self._timer = None
        request = self._heard.hex()
        self._heard.clear()
        self.counts.unknown += 1
        if len(self.counts.unknown_requests) < _MOST_NAMED or request in self.counts.unknown_requests:
            if request not in self.counts.unknown_requests:
                self._say(f"not on record, so not answered: {request}")
            self.counts.unknown_requests[request] += 1

    def _answer(self, request: bytes) -> list[Transmission]:
        recorded = self._answers[request]
        place = self._asked[request]
        self._asked[request] += 1
        if self._once and place >= len(recorded):
            self.counts.over += 1
            return []
        exchange = recorded[place % len(recorded)]
        if exchange.lost_for_s is not None:
            at_s = self._begun_s + exchange.lost_after_s
            self._loss = asyncio.get_running_loop().call_at(at_s, self.unplug, exchange.lost_for_s)
        if not exchange.answer:
            self.counts.silent += 1
            return []
        self.counts.answered += 1
        return [self._at_pace(exchange) if self._paced else self._as_recorded(exchange)]

    def _at_pace(self, exchange: Exchange) -> Transmission:
        """Send byte by byte, behind what is on the line."""
        data = exchange.answer
        starts_s = max(asyncio.get_running_loop().time(), self._free_s) + TURNAROUND_S
        deadlines_s = tuple(starts_s + place * self.byte_s for place in range(1, len(data) + 1))
        self._free_s = deadlines_s[-1]
        return Transmission(((starts_s, data),), deadlines_s, self._free_s)

    def _as_recorded(self, exchange: Exchange) -> Transmission:
        """Send each piece as long after the request's start as it came then."""
        pieces = [(self._begun_s + delay_s, data) for delay_s, data in exchange.pieces if data]
        deadlines_s = tuple(at_s for at_s, data in pieces for _ in data)
        return Transmission(tuple(pieces), deadlines_s, deadlines_s[-1])
