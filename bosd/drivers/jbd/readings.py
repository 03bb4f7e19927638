"""A board's live readings, each believed only when it fits the last one or is read twice."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bosd.clock import Clock
from bosd.drivers.jbd.board import Board
from bosd.drivers.jbd.codec import BasicInfo
from bosd.drivers.jbd.continuity import LONG_AGO_S, cells_jumped, changed_kind, jumped, swung
from bosd.errors import DriverError

T = TypeVar("T")

_NOISE_WINDOW_S = 30.0
_NOISE_LEAST = 3


class Noise:
    """How many replies of one board are spoiled, of the last 30 to 60 s.

    Two flipped bits of one weight leave the sum as it was: rare where one reply in hundreds is spoiled; where most are, a sound
    sum says little.
    """

    def __init__(self, counters: Counter[str], clock: Clock) -> None:
        self._counters = counters
        self._clock = clock
        self._marks = [(clock.now_s(), 0, 0)] * 2

    def is_heavy(self) -> bool:
        """Whether at least three replies had a wrong sum, and at least as many as were sound."""
        seen = self._clock.now_s(), self._counters["bad_checksum"], self._counters["replies"]
        if seen[0] >= self._marks[1][0] + _NOISE_WINDOW_S:
            self._marks = [self._marks[1], seen]
        spoiled, sound = seen[1] - self._marks[0][1], seen[2] - self._marks[0][2]
        return spoiled >= max(_NOISE_LEAST, sound)


class Believed(Generic[T]):
    """The last believed value of one register.

    `odd` names what is odd about a value beside one so many seconds older, `other` what makes two readings right after each other
    different ones.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        odd: Callable[[T, T, float], str],
        other: Callable[[T, T], str],
        clock: Clock,
        noise: Noise,
    ) -> None:
        self.last: T | None = None
        self.disbelieved = 0
        self._read = read
        self._odd = odd
        self._other = other
        self._clock = clock
        self._noise = noise
        self._at_s = 0.0

    async def value(self) -> T:
        """Read; what is odd is read again at once, in heavy noise everything is.

        Raises DriverError where both are odd and differ, in noise where they differ at all, and what reading raises.
        """
        first = await self._read()
        noisy = self._noise.is_heavy()
        why = self._odd(self.last, first, self._clock.now_s() - self._at_s) if self.last is not None else ""
        if not why and not noisy:
            return self._believe(first)
        second = await self._read()
        if noisy and second != first:
            self.disbelieved += 1
            raise DriverError("not believed: most replies are spoiled, and two readings differ")
        if self.last is not None and second != first and not self._odd(self.last, second, self._clock.now_s() - self._at_s):
            self.disbelieved += 1
            return self._believe(second)
        if difference := self._other(first, second):
            self.disbelieved += 1
            raise DriverError(f"not believed: {why} since the last reading, and two readings differ: {difference}")
        return self._believe(second)

    def _believe(self, value: T) -> T:
        self.last, self._at_s = value, self._clock.now_s()
        return value


def basic_readings(board: Board, clock: Clock) -> Believed[BasicInfo]:
    """Return register 0x03 as it is believed; a step of the load costs a second look, and is then believed as it is."""

    def odd(before: BasicInfo, now: BasicInfo, elapsed_s: float) -> str:
        if elapsed_s > LONG_AGO_S:
            return "not heard for long"
        found = changed_kind(before, now), jumped(before, now, elapsed_s), swung(before, now)
        return ", ".join(each for each in found if each)

    def other(first: BasicInfo, second: BasicInfo) -> str:
        return ", ".join(each for each in (changed_kind(first, second), jumped(first, second, 1.0)) if each)

    return Believed(board.read_basic, odd, other, clock, Noise(board.line.counters, clock))


def cell_readings(board: Board, clock: Clock) -> Believed[tuple[float, ...]]:
    """Return register 0x04 as it is believed."""
    noise = Noise(board.line.counters, clock)
    return Believed(board.read_cells, lambda before, now, _s: cells_jumped(before, now), cells_jumped, clock, noise)
