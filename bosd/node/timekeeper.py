"""The timekeeper: moves simulated time on from one due instant to the next, so that a tick of hours is exact."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog

from bosd.bal.aggregator import Aggregator
from bosd.bal.directory import Directory
from bosd.bal.spec import NetworkSpec, PhysicalSpec, Topology
from bosd.clock import Clock, SteppedClock
from bosd.errors import InvalidArgumentError, UnsupportedError
from bosd.node.api import TimeView

LONGEST_TICK_S = 100.0 * 366.0 * 86400.0
SAME_INSTANT_S = 1e-6
"""What is due this little after the end of a tick belongs to it: an end is computed from charges, and rounded."""
MOST_ROUNDS = 10_000
"""Rounds of attending to one instant after which time moves on all the same."""
INSTANTS_A_TURN = 64
BUSY_DEADLINE_S = 10.0
RATE_STEP_S = 0.05
HIGHEST_RATE = 1e6

_log = structlog.get_logger("clock")


class Timed(Protocol):
    """Something that acts at instants of its own."""

    async def settle(self) -> None:
        """Wait until nothing that was begun goes on in a task."""
        ...

    def due_s(self) -> float:
        """Return the next instant at which something is due; infinite when nothing is."""
        ...

    def attend_due(self) -> None:
        """Do what is due by now."""
        ...

    def stand(self, *, standing: bool) -> None:
        """Know whether time stands still between ticks."""
        ...


class Timekeeper:
    """Reads the node's clock and, where that is stepped, moves it, with all of `timed`."""

    def __init__(self, clock: Clock, directory: Directory, timed: Sequence[Timed]) -> None:
        self._clock = clock
        self._directory = directory
        self._timed = list(timed)
        self._lock = asyncio.Lock()
        self._rate = 0.0
        self._rate_changed = asyncio.Event()
        self._stand()

    def add(self, timed: Timed) -> None:
        """Attend to this as well."""
        self._timed.append(timed)
        self._stand()

    def _stand(self) -> None:
        standing = isinstance(self._clock, SteppedClock) and not self._clock.following
        for each in self._timed:
            each.stand(standing=standing)

    def admit(self, topology: Topology) -> None:
        """Raise UnsupportedError, naming them, for batteries that simulated time cannot move: devices and other nodes'."""
        if not isinstance(self._clock, SteppedClock) or self._clock.switchable:
            return
        outside = [spec.name for spec in topology.batteries if isinstance(spec, PhysicalSpec | NetworkSpec)]
        if outside:
            names = ", ".join(outside[:20]) + (f" and {len(outside) - 20} more" if len(outside) > 20 else "")
            raise UnsupportedError(
                f"on a simulated clock there are no devices and no other nodes, whose time is not ours: {names}", batteries=names
            )

    def view(self, instants: int = 0) -> TimeView:
        """Return what the clock shows."""
        clock = self._clock
        simulated = isinstance(clock, SteppedClock) and not clock.following
        rate = self._rate if simulated else 1.0
        return TimeView(simulated=simulated, utc_s=clock.utc_s(), now_s=clock.now_s(), rate=rate, instants=instants)

    async def tick(self, duration_s: float, *, holder: str = "") -> TimeView:
        """Move time on by `duration_s`; all that is due on the way happens at its own instant.

        Raises UnsupportedError where time is not simulated, InvalidArgumentError outside 0 to `LONGEST_TICK_S`.
        """
        del holder
        if not 0.0 <= duration_s <= LONGEST_TICK_S:
            raise InvalidArgumentError(
                f"duration_s {duration_s:g} is outside 0 to {LONGEST_TICK_S:g} s: time only moves on", field="duration_s"
            )
        async with self._lock:
            clock = self._standing_clock()
            instants = await self._move(clock, clock.now_s() + duration_s)
            return self.view(instants)

    def _standing_clock(self) -> SteppedClock:
        clock = self._clock
        if not isinstance(clock, SteppedClock):
            raise UnsupportedError("this node's clock is the machine's: time moves by itself (bosd run --clock simulated)")
        if clock.following:
            raise UnsupportedError("the clock follows the machine's; set a simulated one first")
        return clock

    async def _move(self, clock: SteppedClock, target_s: float) -> int:
        instants = 0
        while True:
            await self._attend(clock)
            due_s = self._next_s(clock.now_s())
            if due_s > target_s + SAME_INSTANT_S:
                clock.move_to(target_s)
                self._read_all(clock.now_s())
                return instants
            clock.move_to(due_s)
            instants += 1
            if instants % INSTANTS_A_TURN == 0:
                await asyncio.sleep(0.0)

    async def _attend(self, clock: SteppedClock) -> None:
        """Attend to what is due now until nothing is, with what devices do about it."""
        now_s = clock.now_s()
        for _ in range(MOST_ROUNDS):
            self._read_all(now_s)
            due = [each for each in self._timed if each.due_s() <= now_s]
            for each in due:
                each.attend_due()
            if not due or not await self._settled():
                return
        _log.error("never_quiet", now_s=now_s, rounds=MOST_ROUNDS)

    async def _settled(self) -> bool:
        """Wait until devices have done what they were told; False when that takes longer than `BUSY_DEADLINE_S`."""
        try:
            async with asyncio.timeout(BUSY_DEADLINE_S):
                for each in self._timed:
                    await each.settle()
        except TimeoutError:
            _log.warning("devices_busy", after_s=BUSY_DEADLINE_S)
            return False
        return True

    def _read_all(self, now_s: float) -> None:
        """Compute every status, as a reader would: what is judged by time, such as drift, begins and ends now."""
        for battery in self._directory:
            battery.status(now_s)

    def _next_s(self, now_s: float) -> float:
        """Return the next instant after `now_s` at which something acts or a drift is judged."""
        judged = (math.nextafter(each.judged_s, math.inf) for each in self._directory if isinstance(each, Aggregator))
        instants: Iterable[float] = (*(each.due_s() for each in self._timed), *judged)
        return min((instant_s for instant_s in instants if instant_s > now_s), default=math.inf)

    async def adjust(
        self, *, follow: bool | None = None, utc_s: float | None = None, rate: float | None = None, holder: str = ""
    ) -> TimeView:
        """Follow the machine's time or stand; set the wall clock alone; let simulated time run at a rate. None stays.

        Raises UnsupportedError where the clock is the machine's, InvalidArgumentError for a rate outside 0 to `HIGHEST_RATE`.
        """
        del holder
        if rate is not None and not 0.0 <= rate <= HIGHEST_RATE:
            raise InvalidArgumentError(f"rate {rate:g} is outside 0 to {HIGHEST_RATE:g}", field="rate")
        async with self._lock:
            if follow is not None:
                self._follow(follow=follow)
            if utc_s is not None or rate is not None:
                clock = self._standing_clock()
                if utc_s is not None:
                    clock.set_utc(utc_s)
                    await self._attend(clock)
            if rate is not None:
                self._rate = rate
                self._rate_changed.set()
            return self.view()

    def _follow(self, *, follow: bool) -> None:
        clock = self._clock
        if not isinstance(clock, SteppedClock):
            if not follow:
                self._standing_clock()
        elif follow and not clock.switchable:
            raise UnsupportedError("this node was started with a simulated clock: time moves by ticks alone")
        elif follow != clock.following:
            clock.follow(following=follow)
            self._rate = 0.0
            self._stand()

    async def run(self) -> None:
        """Let simulated time run at its rate for ever, in ticks: Z + R * (T - Z), T the loop's time."""
        loop = asyncio.get_running_loop()
        while True:
            self._rate_changed.clear()
            if self._rate == 0.0:
                await self._rate_changed.wait()
            moved_s = loop.time()
            while self._rate > 0.0 and not self._rate_changed.is_set():
                await asyncio.sleep(RATE_STEP_S)
                async with self._lock:
                    clock = self._clock
                    if self._rate > 0.0 and isinstance(clock, SteppedClock):
                        elapsed_s, moved_s = loop.time() - moved_s, loop.time()
                        await self._move(clock, clock.now_s() + self._rate * elapsed_s)
