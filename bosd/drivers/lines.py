"""The lines of a node: one for each port, however many devices stand on it."""

from collections import Counter, deque
from collections.abc import Callable
from typing import TypeVar

from bosd.drivers.line import LATENCIES_KEPT, Line, ReplyReader
from bosd.drivers.transport import ByteTransport, open_transport
from bosd.errors import BosError, ConfigError, UnavailableError

T = TypeVar("T")


class Lines:
    """The lines in use, by port; `open_transport` makes the transport of a new one."""

    def __init__(self, open_transport: Callable[[str, int], ByteTransport] = open_transport) -> None:
        self._open_transport = open_transport
        self._lines: dict[str, tuple[int, Line, set[LinePart]]] = {}

    def line(self, port: str, baud: int = 9600) -> "LinePart":
        """Return one device's part in the line of `port`, joined at its first request. Raises ConfigError for a bad port."""
        self._open_transport(port, baud)
        return LinePart(self, port, baud)

    def join(self, part: "LinePart", port: str, baud: int) -> Line:
        """Return the line of `port` with `part` on it. Raises ConfigError where it runs at another speed."""
        if port not in self._lines:
            self._lines[port] = (baud, Line(self._open_transport(port, baud)), set())
        present, line, parts = self._lines[port]
        if present != baud:
            raise ConfigError(f"{port}: is open at {present} baud, asked for {baud}; one line has one speed", port=port)
        if part not in parts:
            parts.add(part)
            line.share()
        return line

    def leave(self, part: "LinePart", port: str) -> None:
        """Take `part` off; the last one closes the port."""
        entry = self._lines.get(port)
        if entry is None or part not in entry[2]:
            return
        entry[2].discard(part)
        entry[1].close()
        if not entry[2]:
            del self._lines[port]


class LinePart:
    """One device's part in a line. `counters` holds its own `requests`, `attempts`, `replies`, `resyncs` and rejects by reason.

    A device that did not answer is asked once a request from then on, until it answers: it must not take the others' time.
    """

    def __init__(self, lines: Lines, port: str, baud: int) -> None:
        self.port = port
        self.counters: Counter[str] = Counter()
        self.latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._lines = lines
        self._baud = baud
        self._silent = False
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
        probing = self._silent and not urgent
        try:
            reply = await line.exchange(request, reader, reply_bytes, self.counters, urgent=urgent, probing=probing)
        except BosError:
            self._silent = True
            raise
        self._silent = False
        self.latencies_s.append(line.latencies_s[-1])
        return reply
