"""What a simulated supply's line is made of: a pseudo-terminal or memory, at the line's pace."""

from pathlib import Path
from typing import Any, Protocol, cast

from bosd.drivers.jbd.simulator.line import MemoryLine, PtyLine
from bosd.drivers.jbd.simulator.station import Transmission

__all__ = ["Hearer", "MemoryLine", "PtyLine", "Transmission", "line_of", "transmission"]


class Hearer(Protocol):
    """Who sits at the far end: hears timed bytes and says what comes back."""

    byte_s: float

    def receive(self, data: bytes, started_s: float) -> list[Transmission]:
        """Hear `data`, whose first start bit fell at `started_s`, and return the replies it brings about."""
        ...


def line_of(link: Path | None, hearer: Hearer) -> PtyLine | MemoryLine:
    """Return the (still closed) line at `link`, or one in memory."""
    station = cast("Any", hearer)
    return MemoryLine(station) if link is None else PtyLine(link, station)


def transmission(segments: tuple[tuple[float, bytes], ...], byte_s: float) -> Transmission:
    """Return a reply whose segments begin at these instants and follow the line's pace."""
    last_s, data = segments[-1]
    return Transmission(segments, last_s + len(data) * byte_s)
