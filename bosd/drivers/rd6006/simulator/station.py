"""The supply at its end of the wire: timed bytes to timed replies. No I/O: instants are arguments."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from bosd.drivers.far_end.pacing import Transmission
from bosd.drivers.rd6006.simulator.device import RegisterBank, Request, crc16, request_bytes
from bosd.drivers.rd6006.simulator.faults import Injector
from bosd.drivers.rd6006.simulator.options import SimulatorOptions

REQUEST_GAP_S = 0.02
"""Silence inside a request after which its beginning is forgotten: 3.5 characters in the standard, more over USB."""
LONGEST_REQUEST_BYTES = 256


@dataclass(slots=True)
class StationCounts:
    """What went over the line since start."""

    bytes_in: int = 0
    bytes_out: int = 0
    requests: int = 0
    bad_requests: int = 0
    replies: int = 0


class Station:
    """Collects requests and times the replies; `silent` is a supply that says nothing, though it goes on as it was."""

    def __init__(self, options: SimulatorOptions, bank: RegisterBank, injector: Injector, rng: random.Random) -> None:
        self.byte_s = 10.0 / options.baud
        self.turnaround_ms = options.turnaround_ms
        self.silent = False
        self.counts = StationCounts()
        self.note: Callable[[dict[str, object]], None] = lambda _entry: None
        self._bank = bank
        self._injector = injector
        self._rng = rng
        self._buffer = bytearray()
        self._heard_s = 0.0
        self._free_s = 0.0

    def receive(self, data: bytes, started_s: float) -> list[Transmission]:
        """Hear `data`, whose first start bit fell at `started_s`; return the replies it brings about."""
        if self._buffer and started_s - self._heard_s > REQUEST_GAP_S:
            self._buffer.clear()
        self.counts.bytes_in += len(data)
        self._buffer += data
        self._heard_s = started_s + len(data) * self.byte_s
        replies = []
        while (size := request_bytes(bytes(self._buffer))) and len(self._buffer) >= size:
            body = bytes(self._buffer[:size])
            del self._buffer[:size]
            replies += self._answer(Request(body, crc16(body[:-2]) == body[-2:]), self._heard_s)
        return replies

    def _answer(self, request: Request, now_s: float) -> list[Transmission]:
        self.counts.requests += 1
        self.counts.bad_requests += not request.intact
        if self.silent:
            return []
        out = self._injector.apply(request, self._bank.answer(request))
        self.note({"event": "request", "at_s": now_s, "request_hex": request.data.hex(), "reply_hex": out.data.hex()})
        if not out.segments:
            return []
        at_s = max(now_s, self._free_s) + self._rng.uniform(*self.turnaround_ms) / 1000.0
        segments: list[tuple[float, bytes]] = []
        deadlines_s: list[float] = []
        for segment in out.segments:
            at_s += segment.pause_s
            segments.append((at_s, segment.data))
            deadlines_s += [at_s + (number + 1) * self.byte_s for number in range(len(segment.data))]
            at_s += len(segment.data) * self.byte_s
        self._free_s = at_s
        self.counts.replies += 1
        self.counts.bytes_out += len(out.data)
        return [Transmission(tuple(segments), tuple(deadlines_s), at_s)]
