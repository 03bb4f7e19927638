"""Bookings at random, and who judges them: executed once, for as long as they were booked, begun by no clock in doubt."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bosd.bal.schedule import Booking, Moment
from bosd.errors import BosError
from tests.support.fleet.fleet import Host
from tests.support.fleet.judges import Request, ViolationError

if TYPE_CHECKING:
    from tests.support.fleet.random_faults import RandomFaults

RIVAL = "x"
"""The second controller; its stubs are named by it and the pack."""
DURATIONS_S = (3.0, 10.0, 30.0)
AHEAD_S = 20.0
LOOK_S = 0.5
LATE_S = 8.0
"""How late an owner may see that a clock is in doubt, or a booking over: its looks, 1 s apart, and a stall of 6 s."""
UNDER_WAY_S = 25.0
MOST_S = 90.0


@dataclass(slots=True)
class _Watched:
    """A booking at its owner, known by its current; when it was seen to begin, and when a look last found it not running."""

    host: Host
    battery: str
    current_a: float
    lasts_s: float
    begun_s: float | None = None
    idle_s: float = 0.0

    def kept(self) -> Booking | None:
        """Return it as the running owner keeps it. Raises BosError where none serves."""
        scheduler = self.host.up.node._scheduler
        schedule = scheduler._schedules.get(self.battery)
        return next((each for each in (schedule.bookings if schedule else ()) if each.current_a == self.current_a), None)

    def runs(self) -> bool:
        """Tell whether it is in force."""
        battery = self.host.up.node.directory.batteries.get(self.battery)
        return battery is not None and battery.booked is not None and battery.booked.current_a == self.current_a


class Booker:
    """Books batteries at their owners, through stubs, and what is added up; cancels some."""

    def __init__(self, world: "RandomFaults", chance: random.Random, done: Counter[str]) -> None:
        self._world = world
        self._fleet = world.fleet
        self._chance = chance
        self._done = done
        self._doubted_s: dict[str, float] = {}

    def doubted(self, host: Host) -> None:
        """Note that the clock of a host is not trusted from now on."""
        self._doubted_s[host.name] = self._fleet.loop.time()

    def trusted(self, host: Host) -> None:
        """Note that it is trusted again."""
        self._doubted_s.pop(host.name, None)

    async def book_pack(self) -> None:
        """Book a battery, at its owner or from the second controller."""
        pack = self._chance.choice(list(self._fleet.packs.values()))
        owner = self._world.owner_of(pack.name)
        at = [(owner, each.name) for each in owner.topology.batteries if each.name in (pack.name, "own")]
        rival = self._fleet.hosts[RIVAL]
        at += [(rival, each.name) for each in rival.topology.batteries if each.name == RIVAL + pack.name]
        host, name = self._chance.choice(at)
        current_a = self._chance.uniform(-1.0, 1.0) * pack.limit_a
        request = self._world.others.asks(pack, current_a)
        await self.book(host, name, owner, at[0][1], current_a, [request])

    async def book_top(self) -> None:
        """Book what a person commands, too."""
        top = self._chance.choice(self._world.tops)
        if top.host.process is None or not top.host.process.serving:
            return
        status = top.host.process.node.status(top.name)
        most_a, least_a = status.ideal_max_discharge_current_a, status.ideal_max_charge_current_a
        if most_a is None or least_a is None:
            return
        current_a = self._chance.uniform(-least_a, most_a)
        request = Request(current_a)
        top.booked.append(request)
        await self.book(top.host, top.name, top.host, top.name, current_a, [request])

    async def book(
        self, host: Host, name: str, owner: Host, at_owner: str, current_a: float, requests: Sequence[Request]
    ) -> None:
        begins_s, lasts_s = self._chance.uniform(0.0, AHEAD_S), self._chance.choice(DURATIONS_S)
        watched = _Watched(owner, at_owner, current_a, lasts_s)
        asked_s = self._fleet.loop.time()
        if host.process is not None and host.process.serving:
            start, end = Moment(in_s=begins_s), Moment(in_s=begins_s + lasts_s)
            try:
                await self._fleet.within(host, host.process.node.book(name, current_a, start, end, holder="other"))
                self._done["bookings"] += 1
            except (BosError, TimeoutError):
                pass
            gives_up_s = asked_s + (MOST_S if self._chance.random() < 0.7 else self._chance.uniform(0.0, AHEAD_S))
            await self._until_over(watched, asked_s + UNDER_WAY_S, gives_up_s)
        for request in requests:
            self._world.others.over(request)

    async def _until_over(self, watched: _Watched, sure_s: float, gives_up_s: float) -> None:
        """Look at a booking until it is gone for sure; cancel it when it is time to."""
        while True:
            now_s = self._fleet.loop.time()
            process = watched.host.process
            if process is not None and process.serving and process.life.runs:
                self._look(watched, now_s)
                kept = watched.kept()
                if kept is None and now_s > sure_s:
                    return
                if kept is not None and now_s > gives_up_s:
                    await self._cancel(watched, kept)
            await asyncio.sleep(LOOK_S)

    async def _cancel(self, watched: _Watched, kept: Booking) -> None:
        try:
            await self._fleet.within(watched.host, watched.host.up.node.cancel_booking(str(kept.number), holder="other"))
            self._done["bookings cancelled"] += 1
        except (BosError, TimeoutError):
            pass

    def _look(self, watched: _Watched, now_s: float) -> None:
        """Judge a booking."""
        doubted_s = self._doubted_s.get(watched.host.name)
        what = f"booking of {watched.current_a} A on {watched.host.name}/{watched.battery}"
        if not watched.runs():
            watched.idle_s = now_s
            return
        if watched.begun_s is None:
            watched.begun_s = now_s
            self._done["bookings run"] += 1
            if doubted_s is not None and watched.idle_s > doubted_s + LATE_S:
                raise ViolationError(f"{now_s:.3f}: {what} began by a clock in doubt since {doubted_s:.3f}")
        if now_s > watched.begun_s + watched.lasts_s + LATE_S:
            raise ViolationError(
                f"{now_s:.3f}: {what} runs since {watched.begun_s:.3f}, or again, and is for {watched.lasts_s:g} s"
            )
