"""What the far end of a line is to a simulated device, whatever the medium."""

from pathlib import Path
from typing import Protocol

from bosd.drivers.far_end.memory_line import MemoryLine
from bosd.drivers.far_end.pacing import Hearer, PacedSender
from bosd.drivers.far_end.pty_line import PtyLine
from bosd.drivers.far_end.tcp_line import TcpLine


class FarLine(Protocol):
    """What a device's end is attached to."""

    bytes_refused: int
    sender: PacedSender

    @property
    def plugged(self) -> bool:
        """Whether the line exists."""
        ...

    def open(self) -> None:
        """Bring the line up."""
        ...

    def close(self) -> None:
        """Hang up and forget everything in flight."""
        ...

    def unplug(self, seconds: float) -> None:
        """Vanish for `seconds`."""
        ...

    def reset(self) -> None:
        """Break the connection as a crashed peer would, without vanishing."""
        ...

    def where(self) -> str:
        """Return how people name the medium and the place: `link=/tmp/b1`."""
        ...


def far_line(link: Path | None, tcp: str | None, hearer: Hearer) -> PtyLine | TcpLine | MemoryLine:
    """Return the (still closed) line for a link, an address, or neither; InvalidArgumentError for a bad address."""
    if link is not None:
        return PtyLine(link, hearer)
    return MemoryLine(hearer) if tcp is None else TcpLine(tcp, hearer)
