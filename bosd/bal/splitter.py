"""The splitter: one source as several partitions (bal.md, "Splitters").

Charge and capacity are allotted at the source's sample time; present limits among the partitions that can use them. Meters and
what is beyond the set points are `accounts`.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

from bosd.bal import allocation
from bosd.bal.accounts import Accounts
from bosd.bal.allocation import Allocation, Fractions, SplitPolicy
from bosd.bal.battery import Battery
from bosd.bal.limits import DUST_AH, allowed_directions
from bosd.bal.partition import Partition
from bosd.bal.spec import SplitterSpec
from bosd.bal.status import BatteryStatus


class Splitter:
    """A policy, its source and its partitions.

    `base_ah` is the source's capacity when the splitter was made or re-based, None until it is known; `settled_ah` is how far
    each charge was from its meter at the last split or merge.
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
        names = [part.name for part in spec.partitions]
        self.accounts = Accounts(names, self.fractions.charge, self.fractions.capacity)
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
        self.accounts.rebase()
        self.settled_ah = [0.0] * len(self.partitions)

    def recut(self, spec: SplitterSpec, follow: Callable[[Sequence[float]], list[float]], now_s: float) -> None:
        """Be what a split or a merge makes of it: capacities re-based to what they are, amounts to where they belong.

        `follow` gives amounts by the new partitions from those by the old ones. A partition that stays is the same object.
        """
        shared = self.allocation(now_s)
        self.step(now_s)
        self.settled_ah = follow(self.settled_ah if shared.deviations_ah is None else shared.deviations_ah)
        self.base_ah = shared.source.capacity_ah or self.base_ah
        before = {partition.name: partition for partition in self.partitions}
        self.partitions = tuple(before.get(part.name) or Partition(part, self, 0) for part in spec.partitions)
        for slot, (partition, part) in enumerate(zip(self.partitions, spec.partitions, strict=True)):
            partition.index, partition.spec, partition.rank = slot, part, self.source.rank + 1
        self.spec = spec
        self.fractions = Fractions.of(spec.partitions)
        names = [part.name for part in spec.partitions]
        self.accounts.recut(names, self.fractions.charge, self.fractions.capacity, follow, shared.source.voltage_v)
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
        self.sampled(now_s)
        source = self.source.status(now_s)
        self.accounts.settle(source, now_s, self._applied_a())
        self.accounts.book.close(now_s)
        self.source_touched(0)

    def sampled(self, now_s: float) -> None:
        """End the interval at the source's newest sample, unless that is done; a computed source is sampled at `now_s`."""
        source = self.source.status(now_s)
        if source.sampled_to_s is None:
            return
        at_s = min(source.sampled_to_s, now_s)
        if at_s <= self.accounts.synced_s:
            return
        shared = self.allocation(now_s)
        self.accounts.settle(source, at_s, self._applied_a())
        if shared.charges_ah is None or shared.capacities_ah is None or self.accounts.synced_s != at_s:
            return
        able = [
            allowed_directions(part.spec, charge_ah, capacity_ah, None)
            for part, charge_ah, capacity_ah in zip(self.partitions, shared.charges_ah, shared.capacities_ah, strict=True)
        ]
        if self.accounts.found(source, shared.charges_ah, ([one[0] for one in able], [one[1] for one in able])):
            self.source_touched(0)

    def _applied_a(self) -> list[float]:
        return [partition.applied_a for partition in self.partitions]

    def _allocate(self, source: BatteryStatus, now_s: float) -> Allocation:
        at_s = now_s if source.sampled_to_s is None else max(min(source.sampled_to_s, now_s), self.accounts.synced_s)
        applied_a = self._applied_a()
        rates_a = self.accounts.rates_a(source, applied_a)
        moves = source.sampled_to_s == math.inf and any(rates_a)
        capacities_ah = charges_ah = deviations_ah = None
        if source.capacity_ah is not None:
            capacities_ah = allocation.capacities_ah(self.policy, self.fractions.capacity, self.base_ah, source.capacity_ah)
        if self.accounts.metered_ah is None and self.accounts.restored is None:
            self.settled_ah = [0.0] * len(self.partitions)
        metered_ah = self.accounts.metered(source, at_s, applied_a)
        if source.capacity_ah and self.base_ah is None and metered_ah is not None:
            self.base_ah = source.capacity_ah
        if capacities_ah is not None and source.charge_ah is not None:
            charges_ah = self._charges(metered_ah, capacities_ah, source.charge_ah)
            if metered_ah is not None:
                deviations_ah = tuple(held - metered for held, metered in zip(charges_ah, metered_ah, strict=True))
        discharge_ideals_a, charge_ideals_a = self.fractions.ideals_a(source)
        discharges, charges = allocation.able(self.partitions, charges_ah, capacities_ah)
        balanced_ah, used_ah = allocation.usable(source, self.partitions, charges_ah, capacities_ah)
        residuals_a = self.accounts.residuals_a(source, applied_a)
        return Allocation(
            source=source,
            made_s=now_s,
            valid_until_s=now_s if moves else source.valid_until_s,
            charges_ah=charges_ah,
            deviations_ah=deviations_ah,
            apart=deviations_ah is not None and self._apart(deviations_ah),
            capacities_ah=capacities_ah,
            discharges_a=allocation.limits_a(self.policy, source, self.partitions, 1.0, discharge_ideals_a, discharges),
            charge_limits_a=allocation.limits_a(self.policy, source, self.partitions, -1.0, charge_ideals_a, charges),
            ideal_discharges_a=discharge_ideals_a,
            ideal_charges_a=charge_ideals_a,
            usable_ah=used_ah,
            balanced_ah=balanced_ah,
            expected_ah=None if metered_ah is None else tuple(self.accounts.metered(source, now_s, applied_a) or metered_ah),
            rates_a=rates_a,
            currents_a=None
            if source.current_a is None
            else tuple(own_a + residual_a for own_a, residual_a in zip(applied_a, residuals_a, strict=True)),
        )

    def _apart(self, deviations_ah: Sequence[float]) -> bool:
        """Return whether a charge is another than expected by more than rounding."""
        return any(
            abs(deviation_ah - settled_ah) > DUST_AH
            for deviation_ah, settled_ah in zip(deviations_ah, self.settled_ah, strict=True)
        )

    def _charges(self, metered_ah: Sequence[float] | None, capacities_ah: Sequence[float], charge_ah: float) -> tuple[float, ...]:
        """Share the source's charge; expected is what the meters say, with what was settled at the last split or merge."""
        if metered_ah is None:
            expected_ah = [fraction * charge_ah for fraction in self.fractions.charge]
        else:
            expected_ah = [each_ah + settled_ah for each_ah, settled_ah in zip(metered_ah, self.settled_ah, strict=True)]
        return allocation.charges_ah(self.policy, expected_ah, capacities_ah, charge_ah).shares
