"""The splitter: one source as several partitions (bal.md, "Splitters").

Charge and capacity are allotted at the source's sample time; present limits among the partitions that can use them. A partition's
meter follows its own set point and its part of the residual, what the hardware does beyond what was asked; it is brought up to
date at steps only, from the source's meter, so reading it changes nothing and the parts always add up to the source.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from bosd.bal.battery import Battery
from bosd.bal.limits import allowed_directions, usable_ah
from bosd.bal.meter import SECONDS_PER_HOUR
from bosd.bal.partition import Partition
from bosd.bal.spec import SplitterSpec
from bosd.bal.spec_rules import fraction_of
from bosd.bal.status import BatteryStatus, Quality


class Allotment(NamedTuple):
    """What each partition gets, top first, and what nobody can take."""

    shares: tuple[float, ...]
    rest: float


class SplitPolicy(Protocol):
    """How an amount that differs from what is expected is shared."""

    name: str

    def allot(self, expected: Sequence[float], maxima: Sequence[float], amount: float) -> Allotment:
        """Share `amount`, each part between 0 and its maximum; order is top first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """One source status, shared: per partition, top first. Meters hold at `made_s` and fall by `rates_a` from there.

    Over a source that is sampled when asked, charges move between partitions although the source stands still: then it is valid at
    `made_s` only.
    """

    source: BatteryStatus
    made_s: float
    valid_until_s: float
    charges_ah: tuple[float, ...] | None
    capacities_ah: tuple[float, ...] | None
    discharges_a: tuple[float, ...]
    charge_limits_a: tuple[float, ...]
    ideal_discharges_a: tuple[float | None, ...]
    ideal_charges_a: tuple[float | None, ...]
    usable_ah: tuple[float, ...] | None
    balanced_ah: tuple[float, ...] | None
    expected_ah: tuple[float, ...] | None
    rates_a: tuple[float, ...]
    currents_a: tuple[float, ...] | None


class Splitter:
    """A policy, its source and its partitions.

    `_metered_ah` are the partitions' meters as of `_synced_s`, when the source's stood at `_source_ah`; they begin at their
    fractions of the source's first known one. `_residuals_a` is each one's part of what the hardware did beyond what was asked at
    the last sample before `_synced_s`.
    """

    splits: ClassVar[bool] = True

    def __init__(self, spec: SplitterSpec, policy: SplitPolicy, source: Battery) -> None:
        self.spec = spec
        self.name = spec.name
        self.policy = policy
        self.partitions = tuple(Partition(part, self, slot) for slot, part in enumerate(spec.partitions))
        self._charge_fractions = tuple(fraction_of(part, "charge") or 0.0 for part in spec.partitions)
        self._capacity_fractions = tuple(fraction_of(part, "capacity") or 0.0 for part in spec.partitions)
        self._current_fractions = tuple(fraction_of(part, "current") or 0.0 for part in spec.partitions)
        self._metered_ah: list[float] | None = None
        self._synced_s = -math.inf
        self._source_ah = 0.0
        self._residuals_a: list[float] = [0.0] * len(self.partitions)
        self._allocation: Allocation | None = None
        self.source = source
        self.rest_on(source)

    def rest_on(self, source: Battery) -> None:
        """Rest on `source` from now on; meters go on from where they stand."""
        if source is not self.source:
            self.rebase()
        self.source = source
        source.used_by(self, 0)
        for partition in self.partitions:
            partition.rank = source.rank + 1
        self.source_touched(0)

    def rebase(self) -> None:
        """Let the partitions' meters begin anew at their fractions of the source's."""
        self._metered_ah = None
        self._residuals_a = [0.0] * len(self.partitions)

    def source_touched(self, slot: int) -> None:
        """Invalidate every partition."""
        del slot
        self._allocation = None
        for partition in self.partitions:
            partition.touch()

    def allocation(self, now_s: float) -> Allocation:
        """Return how the source is shared at `now_s`; made once per change of the source."""
        source = self.source.status(now_s)
        allocation = self._allocation
        if allocation is None or allocation.source is not source or now_s > allocation.valid_until_s:
            allocation = self._allocation = self._allocate(source, now_s)
        return allocation

    def step(self, now_s: float) -> None:
        """End the partitions' interval at `now_s`, with the set points that were in force up to here."""
        source = self.source.status(now_s)
        self._residuals_a = self._residuals(source)
        expected_ah = source.expected_ah(now_s)
        if expected_ah is None:
            return
        self._metered_ah = self._metered(source, now_s)
        self._synced_s = now_s
        self._source_ah = expected_ah
        self.source_touched(0)

    def _metered(self, source: BatteryStatus, at_s: float) -> list[float] | None:
        """Return the partitions' meters at `at_s`, not before the last step."""
        source_ah = source.expected_ah(at_s)
        if source_ah is None:
            return None
        if self._metered_ah is None:
            self._metered_ah = [fraction * source_ah for fraction in self._charge_fractions]
            self._synced_s, self._source_ah = at_s, source_ah
        elapsed_h = (at_s - self._synced_s) / SECONDS_PER_HOUR
        applied_a = [partition.applied_a for partition in self.partitions]
        beyond_ah = self._source_ah - source_ah - sum(applied_a) * elapsed_h
        weights = self._weights()
        return [
            metered_ah - own_a * elapsed_h - weight * beyond_ah
            for metered_ah, own_a, weight in zip(self._metered_ah, applied_a, weights, strict=True)
        ]

    def _weights(self) -> Sequence[float]:
        """Return how a residual is shared: by the size of the applied set points; when all are 0, by capacity."""
        sizes_a = [abs(partition.applied_a) for partition in self.partitions]
        total_a = sum(sizes_a)
        return [size_a / total_a for size_a in sizes_a] if total_a > 0.0 else self._capacity_fractions

    def _rates(self, source: BatteryStatus) -> tuple[float, ...]:
        """Return the current at which each partition's meter runs on, in A."""
        applied_a = [partition.applied_a for partition in self.partitions]
        beyond_a = source.expected_rate_a - sum(applied_a)
        return tuple([own_a + weight * beyond_a for own_a, weight in zip(applied_a, self._weights(), strict=True)])

    def _residuals(self, source: BatteryStatus) -> list[float]:
        """Return each partition's part of what the hardware did at its last sample beyond what was asked then."""
        if source.current_a is None or source.sampled_to_s is None:
            return [0.0] * len(self.partitions)
        if source.sampled_to_s < self._synced_s:
            return self._residuals_a
        residual_a = source.current_a - sum(partition.applied_a for partition in self.partitions)
        return [weight * residual_a for weight in self._weights()]

    def _allocate(self, source: BatteryStatus, now_s: float) -> Allocation:
        at_s = now_s if source.sampled_to_s is None else max(min(source.sampled_to_s, now_s), self._synced_s)
        rates_a = self._rates(source)
        moves = source.sampled_to_s == math.inf and any(rates_a)
        capacities_ah = charges_ah = None
        if source.capacity_ah is not None:
            expected_ah = [fraction * source.capacity_ah for fraction in self._capacity_fractions]
            capacities_ah = self.policy.allot(expected_ah, [math.inf] * len(expected_ah), source.capacity_ah).shares
        metered_ah = self._metered(source, at_s)
        if capacities_ah is not None and source.charge_ah is not None:
            weights_ah = (
                metered_ah if metered_ah is not None else [fraction * source.charge_ah for fraction in self._charge_fractions]
            )
            charges_ah, _ = self.policy.allot([max(0.0, weight) for weight in weights_ah], capacities_ah, source.charge_ah)
        ideals = [
            [None if limit_a is None else fraction * limit_a for fraction in self._current_fractions]
            for limit_a in _ideals_a(source)
        ]
        discharges, charges = self._able(charges_ah, capacities_ah)
        balanced_ah, used_ah = self._usable(source, charges_ah, capacities_ah)
        residuals_a = self._residuals(source)
        return Allocation(
            source=source,
            made_s=now_s,
            valid_until_s=now_s if moves else source.valid_until_s,
            charges_ah=charges_ah,
            capacities_ah=capacities_ah,
            discharges_a=self._limits(source, 1.0, ideals[0], discharges),
            charge_limits_a=self._limits(source, -1.0, ideals[1], charges),
            ideal_discharges_a=tuple(ideals[0]),
            ideal_charges_a=tuple(ideals[1]),
            usable_ah=used_ah,
            balanced_ah=balanced_ah,
            expected_ah=None if metered_ah is None else tuple(self._metered(source, now_s) or metered_ah),
            rates_a=rates_a,
            currents_a=None
            if source.current_a is None
            else tuple(part.applied_a + residual_a for part, residual_a in zip(self.partitions, residuals_a, strict=True)),
        )

    def _able(self, charges_ah: Sequence[float] | None, capacities_ah: Sequence[float] | None) -> tuple[list[bool], list[bool]]:
        """Return which partitions can use a discharge limit and which a charge limit."""
        if charges_ah is None or capacities_ah is None:
            none = [False] * len(self.partitions)
            return none, none
        able = [
            allowed_directions(part.spec, charge_ah, capacity_ah, None)
            for part, charge_ah, capacity_ah in zip(self.partitions, charges_ah, capacities_ah, strict=True)
        ]
        stopped = [part.stopped for part in self.partitions]
        return (
            [one[0] and not halted for one, halted in zip(able, stopped, strict=True)],
            [one[1] and not halted for one, halted in zip(able, stopped, strict=True)],
        )

    def _limits(
        self, source: BatteryStatus, sign: float, ideals_a: Sequence[float | None], able: Sequence[bool]
    ) -> tuple[float, ...]:
        """Share a present limit among the able partitions, each at most its ideal limit; `sign` is 1 for discharge, -1 for charge.

        Of a stale source, which can do little more than it runs, those that run it come first.
        """
        limit_a = source.max_discharge_current_a if sign > 0.0 else source.max_charge_current_a
        maxima_a = [ideal_a if ideal_a is not None and can else 0.0 for ideal_a, can in zip(ideals_a, able, strict=True)]
        if source.quality is not Quality.STALE:
            return self.policy.allot(maxima_a, maxima_a, limit_a).shares
        runs_a = [max(0.0, min(sign * part.applied_a, most_a)) for part, most_a in zip(self.partitions, maxima_a, strict=True)]
        factor = min(1.0, limit_a / sum(runs_a)) if sum(runs_a) > 0.0 else 0.0
        kept_a = [factor * run_a for run_a in runs_a]
        rooms_a = [most_a - own_a for most_a, own_a in zip(maxima_a, kept_a, strict=True)]
        more_a = self.policy.allot(maxima_a, rooms_a, max(0.0, limit_a - sum(kept_a))).shares
        return tuple([own_a + extra_a for own_a, extra_a in zip(kept_a, more_a, strict=True)])

    def _usable(
        self, source: BatteryStatus, charges_ah: Sequence[float] | None, capacities_ah: Sequence[float] | None
    ) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
        """Return the charge above each reserve, and the part of it that the source can deliver now."""
        if charges_ah is None or capacities_ah is None or source.usable_charge_ah is None:
            return None, None
        balanced_ah = tuple(
            usable_ah(part.spec, charge_ah, capacity_ah)
            for part, charge_ah, capacity_ah in zip(self.partitions, charges_ah, capacities_ah, strict=True)
        )
        total_ah = sum(balanced_ah)
        factor = min(1.0, source.usable_charge_ah / total_ah) if total_ah > 0.0 else 0.0
        return balanced_ah, tuple(
            0.0 if part.stopped else factor * part_ah for part, part_ah in zip(self.partitions, balanced_ah, strict=True)
        )


def _ideals_a(source: BatteryStatus) -> tuple[float | None, float | None]:
    return source.ideal_max_discharge_current_a, source.ideal_max_charge_current_a
