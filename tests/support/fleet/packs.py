"""Packs as they are in truth: they outlive their boards; and the driver by which a process reaches one.

A pack `expires` (it lets go of a set point that is not written again) or `holds` (it goes on, whatever died).
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bosd.bal.device import Sample
from bosd.clock import Clock
from bosd.drivers.sending import look_again
from bosd.errors import DriverError, UnavailableError
from tests.support.fleet.process_loop import context_of

NOISE_A = 1e-6
ANSWER_S = 1.0
"""How long a driver waits for an answer."""


@dataclass(eq=False)
class Pack:
    """One pack: `true_a` is what flows (positive discharges), `held_a` what its regulator was told; `changed` hears of changes.

    `deaf` answers nothing and hears nothing; `mute` hears and answers nothing; `blocks` lets no current flow; `frozen` answers
    with old values under new times, `stuck` confirms new set points and goes on with the one before. One that `refuses` answers a
    set point with that error and goes on as before; where it `lowers` it takes what is less. `waits` for its turn: its driver has
    one request under way, and gives it its time from then on, as a line does.
    """

    name: str
    loop: asyncio.AbstractEventLoop
    chance: random.Random
    hold_s: float | None
    limit_a: float
    voltage_v: float = 48.0
    capacity_ah: float = 100.0
    charge_ah: float = 50.0
    held_a: float = 0.0
    deaf: bool = False
    mute: bool = False
    blocks: bool = False
    frozen: Sample | None = None
    stuck: bool = False
    refuses: type[DriverError] | None = None
    lowers: bool = False
    waits: bool = False
    writes: int = 0
    latency_s: tuple[float, float] = (0.05, 0.25)
    changed: Callable[["Pack"], None] = lambda _: None
    _expiry: asyncio.TimerHandle | None = None
    _free_s: float = 0.0
    _since_s: float = field(default=0.0)

    @property
    def holds(self) -> bool:
        """Whether it goes on with a set point, whatever died."""
        return self.hold_s is None

    @property
    def true_a(self) -> float:
        """What flows now."""
        return 0.0 if self.blocks else self.held_a

    def _meter(self) -> None:
        now_s = self.loop.time()
        self.charge_ah -= self.true_a * (now_s - self._since_s) / 3600.0
        self._since_s = now_s

    def change(self, **values: object) -> None:
        """Change what it is; the meter's interval ends."""
        self._meter()
        for key, value in values.items():
            setattr(self, key, value)
        self.changed(self)

    def write(self, current_a: float) -> None:
        """Follow a set point from now on, for as long as it holds one."""
        self.writes += 1
        if self.stuck:
            return
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self.hold_s is not None and current_a != 0.0:
            self._expiry = self.loop.call_later(self.hold_s, self._let_go, context=context_of(None))
        self.change(held_a=current_a)

    def takes(self, current_a: float) -> bool:
        """Tell whether it takes a set point; what it refuses changes nothing."""
        less = current_a * self.held_a >= 0.0 and abs(current_a) <= abs(self.held_a)
        return self.refuses is None or (self.lowers and less)

    def _let_go(self) -> None:
        self._expiry = None
        self.change(held_a=0.0)

    def turn_s(self) -> float:
        """Return when a request sent now is carried out: one after the other on its line."""
        self._free_s = max(self._free_s, self.loop.time()) + self.chance.uniform(*self.latency_s)
        return self._free_s


class PackDriver:
    """The device of a pack for one process; what was sent is carried out whether the process lives or not."""

    def __init__(self, pack: Pack, clock: Clock) -> None:
        self.pack = pack
        self._clock = clock
        self.hold_s = pack.hold_s
        self._turn = asyncio.Lock()

    async def _ask(self, do: Callable[[], object]) -> None:
        if not self.pack.waits:
            return await self._send(do)
        async with self._turn:
            look_again()  # as `Line` does
            return await self._send(do)

    async def _send(self, do: Callable[[], object]) -> None:
        pack = self.pack
        answered: asyncio.Future[None] = pack.loop.create_future()

        def carry_out() -> None:
            if pack.deaf:
                return
            do()
            if not pack.mute:
                pack.loop.call_later(0.01, answer, context=context_of(None))

        def answer() -> None:
            if not answered.done():
                answered.set_result(None)

        pack.loop.call_at(pack.turn_s(), carry_out, context=context_of(None))
        try:
            async with asyncio.timeout(ANSWER_S):
                await answered
        except TimeoutError:
            raise UnavailableError(f"{pack.name}: no answer within {ANSWER_S:g} s", battery=pack.name) from None

    async def read(self) -> Sample:
        seen: list[Sample] = []
        await self._ask(lambda: seen.append(self._sample()))
        return seen[0]

    def _sample(self) -> Sample:
        pack = self.pack
        pack.change()
        measured_a = pack.true_a + (pack.chance.uniform(-NOISE_A, NOISE_A) if pack.true_a else 0.0)
        allowed, charge_ah = not pack.blocks, min(max(pack.charge_ah, 0.0), pack.capacity_ah)
        sample = Sample(
            sampled_s=self._clock.now_s(), sampled_utc_s=self._clock.utc_s(), voltage_v=pack.voltage_v, current_a=measured_a,
            charge_ah=charge_ah, capacity_ah=pack.capacity_ah, soc=charge_ah / pack.capacity_ah,
            discharge_allowed=allowed, charge_allowed=allowed, blocked_by=() if allowed else ("protection",),
        )  # fmt: skip
        if pack.frozen is None:
            return sample
        old = pack.frozen
        return Sample(
            sampled_s=sample.sampled_s, sampled_utc_s=sample.sampled_utc_s, voltage_v=old.voltage_v, current_a=old.current_a,
            charge_ah=old.charge_ah, capacity_ah=old.capacity_ah, soc=old.soc,
        )  # fmt: skip

    async def set_current(self, current_a: float) -> None:
        refused: list[DriverError] = []

        def write() -> None:
            if self.pack.takes(current_a):
                self.pack.write(current_a)
            elif self.pack.refuses is not None:
                refused.append(self.pack.refuses(f"{self.pack.name} refuses {current_a:g} A", battery=self.pack.name))

        await self._ask(write)
        if refused:
            raise refused[0]

    async def held_current_a(self) -> float | None:
        seen: list[float] = []
        await self._ask(lambda: seen.append(self.pack.held_a))
        return seen[0]

    async def make_safe(self) -> str:
        await self.set_current(0.0)
        return "regulator at 0 A"

    async def close(self) -> None:
        """Nothing is held open."""
