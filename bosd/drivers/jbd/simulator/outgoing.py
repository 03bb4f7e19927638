"""A reply on its way out, in the form that faults work on: segments of bytes, each with a pause before it."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Segment:
    """Bytes sent without a break, after `pause_s` of silence; `whole` ones arrive all at once, when the last one is due."""

    data: bytes
    pause_s: float = 0.0
    whole: bool = False


@dataclass(slots=True)
class Held:
    """A reply kept back until the next one: it goes out first, `gap_s` apart, or in one piece with it."""

    segments: list[Segment]
    gap_s: float = 0.0
    glued: bool = False


@dataclass(slots=True)
class Outgoing:
    """A reply on its way, what it answers, and what happens to the board with it.

    `request` are the bytes heard, `previous` the reply before this one. `lead` goes out at once, before the turnaround.
    `slowness` is how much longer than nominal each byte takes: 0.02 for 2 %.
    """

    segments: list[Segment]
    request: bytes = b""
    previous: bytes = b""
    lead: bytes = b""
    slowness: float = 0.0
    held: list[Held] = field(default_factory=list)
    sleep: bool = False
    stuck_s: float | None = None
    unplug_s: float | None = None
    reset: bool = False

    @property
    def data(self) -> bytes:
        """All bytes of all segments."""
        return b"".join(segment.data for segment in self.segments)

    def replace(self, data: bytes | bytearray) -> None:
        """Send `data` in one piece, after the pause the reply had."""
        pause_s = self.segments[0].pause_s if self.segments else 0.0
        self.segments = [Segment(bytes(data), pause_s)] if data else []

    def release(self, waiting: list[Held]) -> None:
        """Put the replies of `waiting` in front."""
        for one in reversed(waiting):
            if not self.segments:
                self.segments = list(one.segments)
            elif one.glued:
                data = b"".join(segment.data for segment in one.segments) + self.segments[0].data
                self.segments[0] = Segment(data, self.segments[0].pause_s, whole=True)
            else:
                self.segments[0].pause_s += one.gap_s
                self.segments[:0] = one.segments
