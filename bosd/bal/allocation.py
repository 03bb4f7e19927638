"""How a splitter's source is allotted: capacity, charge and limits, each by the policy (bal.md, "Splitters").

Values in, values out. What is expected is the caller's: fractions of what the source was when the splitter was made or re-based.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from bosd.bal.limits import allowed_directions, usable_ah
from bosd.bal.spec import BatterySpec, PartitionSpec
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


class Part(Protocol):
    """What an allocation asks of a partition."""

    @property
    def spec(self) -> BatterySpec | PartitionSpec:
        """Its specification."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether it is latched at 0 A."""
        ...

    @property
    def applied_a(self) -> float:
        """The set point applied to it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fractions:
    """The partitions' parts of the source by kind, top first."""

    charge: tuple[float, ...]
    capacity: tuple[float, ...]
    discharge: tuple[float, ...]
    charging: tuple[float, ...]

    @classmethod
    def of(cls, specs: Sequence[PartitionSpec]) -> Self:
        """Return the fractions that specifications give."""
        return cls(
            charge=tuple(fraction_of(spec, "charge") or 0.0 for spec in specs),
            capacity=tuple(fraction_of(spec, "capacity") or 0.0 for spec in specs),
            discharge=tuple(fraction_of(spec, "current") or 0.0 for spec in specs),
            charging=tuple(fraction_of(spec, "charge_current") or 0.0 for spec in specs),
        )

    def ideals_a(self, source: BatteryStatus) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
        """Return ideal discharge and charge limits: the source's by fraction, exactly."""
        limits_a = source.ideal_max_discharge_current_a, source.ideal_max_charge_current_a
        discharge_a, charge_a = (
            tuple(None if limit_a is None else fraction * limit_a for fraction in fractions)
            for limit_a, fractions in zip(limits_a, (self.discharge, self.charging), strict=True)
        )
        return discharge_a, charge_a


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """One source status, shared: per partition, top first.

    Meters hold at `made_s` and fall by `rates_a` from there; `deviations_ah` are charges minus meters at the source's sample,
    `apart` whether a charge is another than expected by more than rounding.
    Over a source that is sampled when asked, charges move between partitions although the source stands still: then it is valid
    at `made_s` only.
    """

    source: BatteryStatus
    made_s: float
    valid_until_s: float
    charges_ah: tuple[float, ...] | None
    deviations_ah: tuple[float, ...] | None
    apart: bool
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


def capacities_ah(policy: SplitPolicy, fractions: Sequence[float], base_ah: float | None, now_ah: float) -> tuple[float, ...]:
    """Share a capacity of `now_ah` where `base_ah` is expected (None: what there is); a part has no maximum of its own."""
    expected_ah = base_ah or now_ah
    return policy.allot([fraction * expected_ah for fraction in fractions], [math.inf] * len(fractions), now_ah).shares


def charges_ah(policy: SplitPolicy, expected_ah: Sequence[float], capacities_ah: Sequence[float], now_ah: float) -> Allotment:
    """Share a charge of `now_ah`, each part between 0 and the capacity allotted to it."""
    return policy.allot([max(0.0, each_ah) for each_ah in expected_ah], capacities_ah, now_ah)


def able(
    parts: Sequence[Part], charges_ah: Sequence[float] | None, capacities_ah: Sequence[float] | None
) -> tuple[list[bool], list[bool]]:
    """Return which partitions can use a discharge limit and which a charge limit."""
    if charges_ah is None or capacities_ah is None:
        none = [False] * len(parts)
        return none, none
    can = [
        allowed_directions(part.spec, charge_ah, capacity_ah, None)
        for part, charge_ah, capacity_ah in zip(parts, charges_ah, capacities_ah, strict=True)
    ]
    return (
        [one[0] and not part.stopped for one, part in zip(can, parts, strict=True)],
        [one[1] and not part.stopped for one, part in zip(can, parts, strict=True)],
    )


def limits_a(
    policy: SplitPolicy,
    source: BatteryStatus,
    parts: Sequence[Part],
    sign: float,
    ideals_a: Sequence[float | None],
    can: Sequence[bool],
) -> tuple[float, ...]:
    """Share a present limit among the partitions that `can` use it, each at most its ideal; `sign` is 1 for discharge, else -1.

    Of a stale source, which can do little more than it runs, those that run it come first.
    """
    limit_a = source.max_discharge_current_a if sign > 0.0 else source.max_charge_current_a
    maxima_a = [ideal_a if ideal_a is not None and may else 0.0 for ideal_a, may in zip(ideals_a, can, strict=True)]
    if source.quality is not Quality.STALE:
        return policy.allot(maxima_a, maxima_a, limit_a).shares
    runs_a = [max(0.0, min(sign * part.applied_a, most_a)) for part, most_a in zip(parts, maxima_a, strict=True)]
    factor = min(1.0, limit_a / sum(runs_a)) if sum(runs_a) > 0.0 else 0.0
    kept_a = [factor * run_a for run_a in runs_a]
    rooms_a = [most_a - own_a for most_a, own_a in zip(maxima_a, kept_a, strict=True)]
    more_a = policy.allot(maxima_a, rooms_a, max(0.0, limit_a - sum(kept_a))).shares
    return tuple([own_a + extra_a for own_a, extra_a in zip(kept_a, more_a, strict=True)])


def usable(
    source: BatteryStatus, parts: Sequence[Part], charges_ah: Sequence[float] | None, capacities_ah: Sequence[float] | None
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return each one's charge above its reserve, of it what the source could deliver balanced and what it can deliver now."""
    if charges_ah is None or capacities_ah is None or source.usable_charge_ah is None:
        return None, None
    above_ah = [
        usable_ah(part.spec, charge_ah, capacity_ah)
        for part, charge_ah, capacity_ah in zip(parts, charges_ah, capacities_ah, strict=True)
    ]
    best_ah = source.usable_charge_ah if source.balanced_usable_charge_ah is None else source.balanced_usable_charge_ah
    total_ah = sum(above_ah)
    best, now = (min(1.0, each_ah / total_ah) if total_ah > 0.0 else 0.0 for each_ah in (best_ah, source.usable_charge_ah))
    return (
        tuple([best * part_ah for part_ah in above_ah]),
        tuple([0.0 if part.stopped else now * part_ah for part, part_ah in zip(parts, above_ah, strict=True)]),
    )
