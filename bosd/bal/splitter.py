"""The splitter: one source as several partitions (bal.md, "Splitters").

Charge and capacity are allotted at the source's sample time; present limits among the partitions that can use them. A partition's
meter follows its own set point and its part of the residual, what the hardware does beyond what was asked; it is brought up to
date at steps only, from the source's meter, so reading it changes nothing and the parts always add up to the source.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

from bosd.bal import allocation
from bosd.bal.allocation import Allocation, Fractions, SplitPolicy
from bosd.bal.battery import Battery
from bosd.bal.meter import SECONDS_PER_HOUR
from bosd.bal.partition import Partition
from bosd.bal.spec import SplitterSpec
from bosd.bal.status import BatteryStatus


class Splitter:
    """A policy, its source and its partitions.

    `_metered_ah` are the partitions' meters as of `_synced_s`, when the source's stood at `_source_ah`; they begin at their
    fractions of the source's first known one. `base_ah` is the source's capacity when the splitter was made or re-based, None
    until it is known; `settled_ah` is how far each charge was from its meter at the last split or merge. `_residuals_a` is each
    one's part of what the hardware did beyond what was asked at the last sample before `_synced_s`.
    """

    splits: ClassVar[bool] = True

    def __init__(self, spec: SplitterSpec, policy: SplitPolicy, source: Battery) -> None:
        self.spec = spec
        self.name = spec.name
        self.policy = policy
        self.partitions = tuple(Partition(part, self, slot) for slot, part in enumerate(spec.partitions))
        self.fractions = Fractions.of(spec.partitions)
        self.base_ah: float | None = None
        self.settled_ah: list[float] = [0.0] * len(self.partitions)
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
        self.settled_ah = [0.0] * len(self.partitions)

    def recut(self, spec: SplitterSpec, follow: Callable[[Sequence[float]], list[float]], now_s: float) -> None:
        """Be what a split or a merge makes of it: capacities re-based to what they are, amounts to where they belong.

        `follow` gives amounts by the new partitions from those by the old ones. A partition that stays is the same object.
        """
        shared = self.allocation(now_s)
        self.step(now_s)
        metered_ah = self._metered(shared.source, now_s)
        self._metered_ah = None if metered_ah is None else follow(metered_ah)
        self.settled_ah = follow(self.settled_ah if shared.deviations_ah is None else shared.deviations_ah)
        self._residuals_a = follow(self._residuals_a)
        self.base_ah = shared.source.capacity_ah or self.base_ah
        before = {partition.name: partition for partition in self.partitions}
        self.partitions = tuple(before.get(part.name) or Partition(part, self, 0) for part in spec.partitions)
        for slot, (partition, part) in enumerate(zip(self.partitions, spec.partitions, strict=True)):
            partition.index, partition.spec, partition.rank = slot, part, self.source.rank + 1
        self.spec = spec
        self.fractions = Fractions.of(spec.partitions)
        self.source_touched(0)

    def source_touched(self, slot: int) -> None:
        """Invalidate every partition."""
        del slot
        self._allocation = None
        for partition in self.partitions:
            partition.touch()

    def allocation(self, now_s: float) -> Allocation:
        """Return how the source is shared at `now_s`; made once per change of the source."""
        source = self.source.status(now_s)
        shared = self._allocation
        if shared is None or shared.source is not source or now_s > shared.valid_until_s:
            shared = self._allocation = self._allocate(source, now_s)
        return shared

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
            self._metered_ah = [fraction * source_ah for fraction in self.fractions.charge]
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
        return [size_a / total_a for size_a in sizes_a] if total_a > 0.0 else self.fractions.capacity

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
        capacities_ah = charges_ah = deviations_ah = None
        if source.capacity_ah is not None:
            capacities_ah = allocation.capacities_ah(self.policy, self.fractions.capacity, self.base_ah, source.capacity_ah)
        metered_ah = self._metered(source, at_s)
        if source.capacity_ah and self.base_ah is None and metered_ah is not None:
            self.base_ah = source.capacity_ah
        if capacities_ah is not None and source.charge_ah is not None:
            charges_ah = self._charges(metered_ah, capacities_ah, source.charge_ah)
            if metered_ah is not None:
                deviations_ah = tuple(held - metered for held, metered in zip(charges_ah, metered_ah, strict=True))
        discharge_ideals_a, charge_ideals_a = self.fractions.ideals_a(source)
        discharges, charges = allocation.able(self.partitions, charges_ah, capacities_ah)
        balanced_ah, used_ah = allocation.usable(source, self.partitions, charges_ah, capacities_ah)
        residuals_a = self._residuals(source)
        return Allocation(
            source=source,
            made_s=now_s,
            valid_until_s=now_s if moves else source.valid_until_s,
            charges_ah=charges_ah,
            deviations_ah=deviations_ah,
            capacities_ah=capacities_ah,
            discharges_a=allocation.limits_a(self.policy, source, self.partitions, 1.0, discharge_ideals_a, discharges),
            charge_limits_a=allocation.limits_a(self.policy, source, self.partitions, -1.0, charge_ideals_a, charges),
            ideal_discharges_a=discharge_ideals_a,
            ideal_charges_a=charge_ideals_a,
            usable_ah=used_ah,
            balanced_ah=balanced_ah,
            expected_ah=None if metered_ah is None else tuple(self._metered(source, now_s) or metered_ah),
            rates_a=rates_a,
            currents_a=None
            if source.current_a is None
            else tuple(part.applied_a + residual_a for part, residual_a in zip(self.partitions, residuals_a, strict=True)),
        )

    def _charges(self, metered_ah: Sequence[float] | None, capacities_ah: Sequence[float], charge_ah: float) -> tuple[float, ...]:
        """Share the source's charge; expected is what the meters say, with what was settled at the last split or merge."""
        if metered_ah is None:
            expected_ah = [fraction * charge_ah for fraction in self.fractions.charge]
        else:
            expected_ah = [each_ah + settled_ah for each_ah, settled_ah in zip(metered_ah, self.settled_ah, strict=True)]
        return allocation.charges_ah(self.policy, expected_ah, capacities_ah, charge_ah).shares
