"""The lines of a node: one for each port, however many devices stand on it."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bosd.drivers.capture import CaptureTo, CaptureTransport
from bosd.drivers.line import LATENCIES_KEPT, SILENT, Line, ReplyReader
from bosd.drivers.transport import ByteTransport, Greeted, Greeting, open_transport
from bosd.errors import BosError, ConfigError, UnavailableError

PATIENT_EVERY = 10
"""So many attempts at a silent device have one that waits as long as for the slowest bridge: it may be slower than the others."""

T = TypeVar("T")


class Lines:
    """The lines in use, by port; `open_transport` makes the transport of a new one."""

    def __init__(self, open_transport: Callable[[str, int], ByteTransport] = open_transport) -> None:
        self._open_transport = open_transport
        self._lines: dict[str, _Shared] = {}

    def line(
        self, port: str, baud: int = 9600, *, greeting: Greeting | None = None, capture: CaptureTo | None = None
    ) -> "LinePart":
        """Return one device's part in the line of `port`, joined at its first request. Raises ConfigError for a bad port.

        `greeting` unlocks a Bluetooth module; `capture` records the line while the part is on it. Of several devices' on one line
        the first is kept.
        """
        self._open_transport(port, baud)
        return LinePart(self, port, baud, greeting, capture)

    def join(self, part: "LinePart", port: str, baud: int) -> Line:
        """Return the line of `port` with `part` on it. Raises ConfigError where it runs at another speed."""
        shared = self._lines.get(port)
        if shared is None:
            below = self._open_transport(port, baud)
            if isinstance(below, Greeted):
                below.greeting = part.greeting
            transport = CaptureTransport(below)
            shared = self._lines[port] = _Shared(baud, transport, Line(transport))
        if shared.baud != baud:
            message = f"{port}: is open at {shared.baud} baud, asked for {baud}; one line has one speed"
            raise ConfigError(message, port=port)
        if part not in shared.parts:
            shared.parts.add(part)
            shared.line.share()
            if part.capture is not None and shared.transport.writer is None:
                shared.transport.writer = part.capture.start(port, baud)
                shared.recorder = part
        return shared.line

    def leave(self, part: "LinePart", port: str) -> None:
        """Take `part` off; the last one closes the port."""
        shared = self._lines.get(port)
        if shared is None or part not in shared.parts:
            return
        shared.parts.discard(part)
        shared.line.close()
        if shared.recorder is part and shared.transport.writer is not None:
            shared.transport.writer.close()
            shared.transport.writer = shared.recorder = None
        if not shared.parts:
            del self._lines[port]


class CapturedLines(Lines):
    """The lines of a node as one battery's driver gets them: what it opens is recorded. `used` says whether it opened any."""

    def __init__(self, lines: Lines, capture: CaptureTo) -> None:
        super().__init__()
        self.used = False
        self._of_node = lines
        self._capture = capture

    def line(
        self, port: str, baud: int = 9600, *, greeting: Greeting | None = None, capture: CaptureTo | None = None
    ) -> "LinePart":
        """Return a part in the node's line of `port`, recorded."""
        self.used = True
        return self._of_node.line(port, baud, greeting=greeting, capture=capture or self._capture)


@dataclass(slots=True)
class _Shared:
    """One line in use: its parts, and the one that records it."""

    baud: int
    transport: CaptureTransport
    line: Line
    parts: set["LinePart"] = field(default_factory=set)
    recorder: "LinePart | None" = None


class LinePart:
    """One device's part in a line. `counters` holds its own `requests`, `attempts`, `replies`, `resyncs` and rejects by reason.

    A device that did not answer is asked once a request from then on, until it answers: it must not take the others' time. On a
    line with others, requests that come sooner than its share of the line allows (`Line.rest_s`) fail without being sent.
    """

    def __init__(
        self, lines: Lines, port: str, baud: int, greeting: Greeting | None = None, capture: CaptureTo | None = None
    ) -> None:
        self.port = port
        self.greeting = greeting
        self.capture = capture
        self.counters: Counter[str] = Counter()
        self.latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._lines = lines
        self._baud = baud
        self._silent = False
        self._probes = 0
        self._again_s = 0.0
        self._closed = False

    def share(self) -> None:
        """Nothing to count: a part is one device's."""

    def close(self) -> None:
        """Leave the line; idempotent."""
        self._closed = True
        self._lines.leave(self, self.port)

    async def transact(self, request: bytes, reader: ReplyReader[T], reply_bytes: int, *, urgent: bool = False) -> T:
        """Do as `Line.transact`; what is urgent gets all its attempts, whatever the device did before."""
        if self._closed:
            raise UnavailableError(f"{self.port}: closed", port=self.port)
        line = self._lines.join(self, self.port, self._baud)
        loop = asyncio.get_running_loop()
        probing = self._silent and not urgent
        begin_s = line.probe_s(request, patient=self._probes % PATIENT_EVERY == PATIENT_EVERY - 1) if probing else None
        if probing and line.shared and line.is_open and loop.time() < self._again_s:
            raise UnavailableError(f"{self.port}: no answer in 1 attempt", port=self.port)
        try:
            self._probes += probing
            reply = await line.exchange(request, reader, reply_bytes, self.counters, urgent=urgent, begin_s=begin_s)
        except BosError as error:
            self._silent = True
            if error.metadata.get("cause") == SILENT:
                self._again_s = loop.time() + line.rest_s(begin_s or line.probe_s(request, patient=True))
            raise
        self._silent, self._probes = False, 0
        self.latencies_s.append(line.latencies_s[-1])
        return reply
