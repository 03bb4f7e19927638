"""Links between hosts: ways that delay, reorder, lose and are cut, each direction for itself, all from one chance.

What is sent into a cut waits there, as TCP's retransmissions do, and arrives late when it is healed. A lost packet of a stream
delays it and all after it; a lost call that stands for itself is lost.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.fleet.process_loop import context_of

RETRANSMIT_S = (0.2, 1.2)
MOST_WAITING = 10_000
_WORLD = context_of(None)


@dataclass(slots=True)
class Pipe:
    """Messages that keep their order: one direction of one stream."""

    last_s: float = 0.0


@dataclass(slots=True)
class Parcel:
    """One message under way."""

    arrive: Callable[[], None]
    pipe: Pipe | None
    label: str


@dataclass(slots=True)
class Way:
    """One direction between two hosts: how late and how lossy, and what waits at its cut."""

    delay_s: tuple[float, float] = (0.001, 0.004)
    loss: float = 0.0
    cut: bool = False
    cut_at_s: float = 0.0
    waiting: list[Parcel] = field(default_factory=list)


class Trace:
    """A running hash of what arrived when."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.events = 0

    def note(self, now_s: float, what: str) -> None:
        """Take one event."""
        self.events += 1
        self._hash.update(f"{now_s:.9f} {what}\n".encode())

    def hexdigest(self) -> str:
        """Return the hash of all so far."""
        return self._hash.hexdigest()


class Wires:
    """All ways between hosts, by the names of both ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self.loop = loop
        self.trace = Trace()
        self._chance = chance
        self._ways: dict[tuple[str, str], Way] = {}
        self.over = False
        """Nothing is sent any more, and nothing arrives."""

    def way(self, source: str, target: str) -> Way:
        """Return the way from one host to another."""
        return self._ways.setdefault((source, target), Way())

    def send(self, source: str, target: str, label: str, arrive: Callable[[], None], pipe: Pipe | None = None) -> None:
        """Send something that does `arrive` when, and if, it arrives."""
        way = self.way(source, target)
        parcel = Parcel(arrive, pipe, f"{source}>{target} {label}")
        if self.over:
            return
        if way.cut:
            self._wait(way, parcel)
            return
        delay_s = self._chance.uniform(*way.delay_s)
        if way.loss and self._chance.random() < way.loss:
            if pipe is None:
                self.trace.note(self.loop.time(), f"lost {parcel.label}")
                return
            delay_s += self._chance.uniform(*RETRANSMIT_S)
        at_s = self.loop.time() + delay_s
        if pipe is not None:
            at_s = pipe.last_s = max(at_s, pipe.last_s + 1e-6)
        self.loop.call_at(at_s, self._arrive, way, parcel, context=_WORLD)

    @staticmethod
    def _wait(way: Way, parcel: Parcel) -> None:
        if len(way.waiting) >= MOST_WAITING:
            msg = f"more than {MOST_WAITING} messages wait at a cut: {parcel.label}"
            raise AssertionError(msg)
        way.waiting.append(parcel)

    def _arrive(self, way: Way, parcel: Parcel) -> None:
        if self.over:
            return
        if way.cut:
            self._wait(way, parcel)
            return
        self.trace.note(self.loop.time(), parcel.label)
        parcel.arrive()

    def cut(self, source: str, target: str) -> None:
        """Let nothing through from `source` to `target`."""
        way = self.way(source, target)
        if not way.cut:
            way.cut, way.cut_at_s = True, self.loop.time()
            self.trace.note(self.loop.time(), f"cut {source}>{target}")

    def heal(self, source: str, target: str) -> None:
        """Let everything through again; what waited arrives now, late."""
        way = self.way(source, target)
        if way.cut:
            way.cut = False
            self.trace.note(self.loop.time(), f"heal {source}>{target}")
            waiting, way.waiting = way.waiting, []
            for parcel in waiting:
                at_s = self.loop.time() + self._chance.uniform(*way.delay_s)
                if parcel.pipe is not None:
                    at_s = parcel.pipe.last_s = max(at_s, parcel.pipe.last_s + 1e-6)
                self.loop.call_at(at_s, self._arrive, way, parcel, context=_WORLD)

    def silent_s(self, one: str, other: str) -> float:
        """Return for how long nothing came through in at least one direction."""
        cuts = [way.cut_at_s for way in (self.way(one, other), self.way(other, one)) if way.cut]
        return self.loop.time() - min(cuts) if cuts else 0.0
