"""What the long run adds to the random worlds of `tests.property.test_bal_invariants`.

All three split policies with fractions of their own by kind, all sharing policies, bookings against a wall clock that steps,
splits, merges, splitters written anew, members that fall silent and come back.
"""

import contextlib
import random
from dataclasses import replace
from typing import Literal

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.edits import EditOperation, Replace, apply_edits
from bosd.bal.physical import PhysicalBattery
from bosd.bal.portions import Merge, Recuts, Split
from bosd.bal.schedule import Booking, Schedule
from bosd.bal.setpoint import Booked
from bosd.bal.spec import AggregatorSpec, BatterySpec, PartitionSpec, SplitterSpec, Topology
from bosd.errors import BosError
from bosd.policy.registry import POLICY_NAMES, policy
from bosd.policy.sharing import sharing
from tests.property.test_bal_invariants import MOST_BATTERIES, World, check_aggregators, check_splitters
from tests.support.bal_makers import physical

EPOCH_UTC_S = 1_800_000_000.0
LENGTHS_S = (1.0, 30.0, 600.0, 3600.0)


class LongWorld(World):
    """A world in which everything a topology may have occurs."""

    def __init__(self, chance: random.Random) -> None:
        self.silent: set[str] = set()
        self.schedules: dict[str, Schedule] = {}
        self.utc_offset_s = EPOCH_UTC_S
        self.bookings = 0
        super().__init__(chance)
        topology = self.directory.topology
        self.directory = Directory(lambda spec: physical(spec.name, 30.0), policy, sharing)
        self.directory.change(replace(topology, batteries=tuple(map(self._shared, topology.batteries))), self.now_s)

    def _shared(self, spec: BatterySpec) -> BatterySpec:
        """Give an aggregator one of the ways to share."""
        if not isinstance(spec, AggregatorSpec) or self.chance.random() < 0.4:
            return spec
        share: Literal["charge", "allowed", "ratio"] = self.chance.choice(["charge", "allowed", "ratio"])
        ratios = tuple((name, float(self.chance.randint(1, 9))) for name in spec.sources) if share == "ratio" else ()
        exponent = self.chance.choice([0.5, 1.0, 2.0]) if share == "charge" else 1.0
        return replace(spec, share=share, share_ratios=ratios, share_exponent=exponent)

    def _random_splitter(self, source: str) -> SplitterSpec:
        spec = super()._random_splitter(source)
        return replace(spec, policy=self.chance.choice(sorted(POLICY_NAMES)), partitions=self._own_fractions(spec.partitions))

    def _own_fractions(self, parts: tuple[PartitionSpec, ...]) -> tuple[PartitionSpec, ...]:
        if self.chance.random() < 0.5:
            return parts
        reserve = self.chance.choice([0.0, 0.0, 0.1])
        own = zip(*(self._fractions(len(parts)) for _ in range(5)), strict=True)
        return tuple(
            replace(
                part,
                fraction=fraction,
                charge_fraction=charge,
                capacity_fraction=capacity,
                current_fraction=current,
                charge_current_fraction=charging,
                min_soc=reserve,
            )
            for part, (fraction, charge, capacity, current, charging) in zip(parts, own, strict=True)
        )

    def _fractions(self, count: int) -> list[float]:
        """Return fractions of a kind of its own, some of nothing; their sum is 1."""
        weights = [self.chance.choice([0, 0, 1, 2, 3, 9]) for _ in range(count)]
        weights[self.chance.randrange(count)] += 1
        return [weight / sum(weights) for weight in weights]

    def step(self) -> None:
        """Let something happen, an event of the usual world or one of this one's own."""
        if self.chance.random() < 0.6:
            super().step()
            return
        self.chance.choice(
            [self._split, self._merge, self._rewrite, self._book, self._book, self._cancel, self._clock, self._lose, self._return]
        )()
        self.settle()

    def check(self) -> None:
        """Hold the six invariants."""
        check_splitters(self)
        check_aggregators(self)

    @property
    def utc_s(self) -> float:
        """What the wall clock says."""
        return self.utc_offset_s + self.now_s

    def settle(self) -> None:
        """Put in force what is asked and what is booked."""
        self._follow_bookings()
        super().settle()

    def _sample(self) -> None:
        battery = self._pick(PhysicalBattery)
        if battery is not None and battery.name not in self.silent:
            super()._sample()

    def _edits(self, *edits: EditOperation) -> None:
        recuts = Recuts(lambda splitter: self.directory.portions(splitter, self.now_s))
        with contextlib.suppress(BosError):
            topology = apply_edits(self.directory.topology, edits, POLICY_NAMES, recuts)
            self.directory.change(topology, self.now_s, recuts.steps())
            self.apart_ah.clear()

    def _some_splitter(self) -> SplitterSpec | None:
        splitters = self.directory.topology.splitters
        return self.chance.choice(splitters) if splitters else None

    def _split(self) -> None:
        splitter = self._some_splitter()
        if splitter is None or len(self.directory.batteries) >= MOST_BATTERIES:
            return
        donor = self.chance.choice(splitter.partitions).name
        above = self.chance.choice(["", donor])
        ratio = self.chance.choice([0.0, 0.1, 0.3])
        asked = Split(splitter=splitter.name, name=self._name(), donor=donor, above=above, fraction=ratio)
        if self.chance.random() < 0.3:
            asked = replace(asked, charge_ah=self.chance.choice([0.0, 1.0, 10.0]))
        self._idle(donor)
        self._edits(asked)

    def _merge(self) -> None:
        splitter = self._some_splitter()
        if splitter is not None and len(splitter.partitions) > 1:
            name, into = self.chance.sample([part.name for part in splitter.partitions], 2)
            self._idle(name, into)
            self._edits(Merge(name=name, into=into))

    def _rewrite(self) -> None:
        """Write a splitter anew under its name and with its partitions' names."""
        splitter = self._some_splitter()
        if splitter is None:
            return
        weights = [self.chance.randint(1, 9) for _ in splitter.partitions]
        parts = tuple(
            PartitionSpec(name=part.name, fraction=weight / sum(weights))
            for part, weight in zip(splitter.partitions, weights, strict=True)
        )
        anew = replace(splitter, policy=self.chance.choice(sorted(POLICY_NAMES)), partitions=self._own_fractions(parts))
        self._edits(Replace(splitter.name, Topology(splitters=(anew,))))

    def _idle(self, *names: str) -> None:
        """End what is asked of batteries, so that they may be split and merged."""
        for name in names:
            battery = self.directory[name]
            battery.setpoint = None
            self.schedules.pop(name, None)
            battery.touch()
        self.settle()

    def _book(self) -> None:
        """Book free batteries, often several of them from one instant on."""
        free = [battery for battery in self.directory if battery.user is None]
        start_s = self.utc_s + self.chance.choice([0.0, *LENGTHS_S])
        for battery in self.chance.sample(free, min(len(free), self.chance.choice([1, 1, 2, 4]))):
            self._book_from(battery, start_s)

    def _book_from(self, battery: Battery, start_s: float) -> None:
        status = battery.status(self.now_s)
        ideal_a = self.chance.choice([status.ideal_max_discharge_current_a, status.ideal_max_charge_current_a])
        self.bookings += 1
        booking = Booking(
            number=self.bookings,
            battery=battery.name,
            current_a=(ideal_a or 0.0) * self.chance.choice([1.0, 0.5, -0.5, -1.0]),
            start_utc_s=start_s,
            end_utc_s=start_s + self.chance.choice(LENGTHS_S),
        )
        self.schedules[battery.name] = self.schedules.get(battery.name, Schedule()).plus(booking)

    def _cancel(self) -> None:
        if self.schedules:
            name = self.chance.choice(sorted(self.schedules))
            schedule = self.schedules[name]
            self.schedules[name] = schedule.minus(self.chance.choice(schedule.bookings).number)

    def _clock(self) -> None:
        self.utc_offset_s += self.chance.choice([-3600.0, -1.0, 1.0, 3600.0, 86400.0])

    def _lose(self) -> None:
        battery = self._pick(PhysicalBattery)
        if battery is not None:
            self.silent.add(battery.name)

    def _return(self) -> None:
        self.silent.clear()

    def _follow_bookings(self) -> None:
        """Ask what is booked of free batteries now; forget what is over and what is gone."""
        for name, schedule in list(self.schedules.items()):
            over = schedule.over(self.utc_s)
            rest = Schedule(booking for booking in schedule.bookings if booking not in over)
            if rest and name in self.directory.batteries:
                self.schedules[name] = rest
            else:
                del self.schedules[name]
        for battery in self.directory:
            self._follow(battery)

    def _follow(self, battery: Battery) -> None:
        schedule = self.schedules.get(battery.name)
        segment = schedule.at(self.utc_s) if schedule is not None and battery.user is None else None
        booked = None
        if segment is not None:
            ends_s = self.now_s + segment.end_utc_s - self.utc_s
            booked = Booked(number=segment.booking.number, current_a=segment.booking.current_a, ends_s=ends_s)
        if booked != battery.booked:
            battery.booked = booked
            battery.touch()
