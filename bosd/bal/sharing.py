"""Sharing a set point over sources: what a policy is asked, and the one validator behind all of them.

A policy says what each member weighs. The limit follows from the weights as it does for C-rates (`crate`): the member whose limit
is reached first bounds all, derated ones are left out where that gives more. Shares are in proportion to the weights, each 0 or
between its member's least usable current and its limit; what cannot be placed so is left over and stated.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple, Protocol

from bosd.bal.crate import best_set
from bosd.bal.figures import is_derated
from bosd.bal.spec import BatterySpec, PartitionSpec
from bosd.bal.status import BatteryStatus

SLACK = 1.0 + 1e-9
EXACT_MEMBERS = 10
"""Up to this many members every combination is tried before something is left over; beyond, the likely ones."""


class Candidate(NamedTuple):
    """A member as a policy sees it, for one direction; all are magnitudes.

    `available_ah` is charge on discharge and headroom on charge, `available_soc` how far the ratio is from the member's
    reserve or ceiling; `limit_a` may be asked now, `least_a` is the least the member can use, `ideal_a` is None when unknown.
    """

    name: str
    limit_a: float
    least_a: float
    ideal_a: float | None
    available_ah: float
    capacity_ah: float
    available_soc: float


class SharePolicy(Protocol):
    """How a set point is shared over the sources of an aggregator."""

    name: str

    def weigh(self, candidate: Candidate) -> float:
        """Return what a member's share is in proportion to; 0 for none."""
        ...


class Bounded(NamedTuple):
    """A weight above 0, and the bounds of a share that is not 0."""

    weight: float
    least_a: float
    limit_a: float


class Shared(NamedTuple):
    """Shares in the order of the members, and what none of them can take; together what was asked."""

    shares_a: tuple[float, ...]
    left_over_a: float


class Reach(NamedTuple):
    """How much can be carried, and who is left out for it because it is derated."""

    limit_a: float
    left_out: tuple[str, ...]


def candidate_of(status: BatteryStatus, spec: BatterySpec | PartitionSpec, least_a: float, *, discharging: bool) -> Candidate:
    """Return a member of `status` as policies see it in one direction."""
    charge_ah, capacity_ah = status.charge_ah or 0.0, status.capacity_ah or 0.0
    per_ah = 1.0 / capacity_ah if capacity_ah > 0.0 else 0.0
    if discharging:
        above_ah = status.balanced_usable_charge_ah or 0.0
        return Candidate(
            status.name, status.max_discharge_current_a, least_a, status.ideal_max_discharge_current_a,
            charge_ah, capacity_ah, above_ah * per_ah,
        )  # fmt: skip
    return Candidate(
        status.name, status.max_charge_current_a, least_a, status.ideal_max_charge_current_a,
        capacity_ah - charge_ah, capacity_ah, spec.max_soc - charge_ah * per_ah,
    )  # fmt: skip


def reach(policy: SharePolicy, candidates: Sequence[Candidate]) -> Reach:
    """Return the most that can be shared by `policy`, each share within its bounds."""
    pool = _usable(policy, candidates)
    limit_a, names = _best(pool)
    inside = [bounded for candidate, bounded in pool if candidate.name not in names]
    return Reach(limit_a - share_within(limit_a, inside).left_over_a, names)


def share(policy: SharePolicy, candidates: Sequence[Candidate], amount_a: float) -> Shared:
    """Share `amount_a` >= 0: over all where their common limit allows it, else without the derated ones that bound it."""
    pool = _usable(policy, candidates)
    names: tuple[str, ...] = ()
    if amount_a > _whole_limit_a(pool) * SLACK:
        names = _best(pool)[1]
    inside = [(candidate, bounded) for candidate, bounded in pool if candidate.name not in names]
    shared = share_within(amount_a, [bounded for _, bounded in inside])
    by_name = {candidate.name: share_a for (candidate, _), share_a in zip(inside, shared.shares_a, strict=True)}
    return Shared(tuple([by_name.get(candidate.name, 0.0) for candidate in candidates]), shared.left_over_a)


def share_within(amount_a: float, members: Sequence[Bounded]) -> Shared:
    """Share `amount_a` >= 0 in proportion to the weights, each share 0 or within its member's bounds.

    A member whose part would be below its least current gets nothing and the others more, or its least where they cannot.
    """
    if amount_a <= 0.0 or not members:
        return Shared((0.0,) * len(members), max(0.0, amount_a))
    chosen = _chosen(amount_a, members)
    if chosen is None:
        chosen, carried_a = _searched(amount_a, members)
    else:
        carried_a = amount_a
    shares_a = [0.0] * len(members)
    for slot, share_a in zip(chosen, _filled(carried_a, [members[slot] for slot in chosen]), strict=True):
        shares_a[slot] = share_a
    return Shared(tuple(shares_a), amount_a - carried_a)


def _usable(policy: SharePolicy, candidates: Sequence[Candidate]) -> list[tuple[Candidate, Bounded]]:
    weighed = [(candidate, policy.weigh(candidate)) for candidate in candidates]
    return [
        (candidate, Bounded(weight, candidate.least_a, candidate.limit_a))
        for candidate, weight in weighed
        if weight > 0.0 and candidate.limit_a > 0.0 and candidate.limit_a >= candidate.least_a
    ]


def _whole_limit_a(pool: Sequence[tuple[Candidate, Bounded]]) -> float:
    if not pool:
        return 0.0
    return min(each.limit_a / each.weight for _, each in pool) * sum(each.weight for _, each in pool)


def _best(pool: Sequence[tuple[Candidate, Bounded]]) -> tuple[float, tuple[str, ...]]:
    """Return the greatest limit and the derated members it is reached without."""
    derated = [(each.limit_a / each.weight, each.weight, who.name) for who, each in pool if is_derated(each.limit_a, who.ideal_a)]
    firm = [each for who, each in pool if not is_derated(each.limit_a, who.ideal_a)]
    rate = min((each.limit_a / each.weight for each in firm), default=float("inf"))
    best = best_set(rate, sum(each.weight for each in firm), [(rate, weight) for rate, weight, _ in derated])
    if best.limit_a <= best.all_limit_a:
        return best.all_limit_a, ()
    return best.limit_a, tuple(name for rate, _, name in derated if rate < best.cutoff_per_h)


def _filled(amount_a: float, members: Sequence[Bounded]) -> list[float]:
    """Share `amount_a`, which lies between the sums of the bounds: clamp(level * weight) with the one level that adds up."""
    level = _level(amount_a, members)
    return [min(max(level * each.weight, each.least_a), each.limit_a) for each in members]


def _level(amount_a: float, members: Sequence[Bounded]) -> float:
    """Return the level at which the clamped shares add up to `amount_a`; the sum grows in straight pieces between bounds."""
    steps = sorted(
        [(each.least_a / each.weight, each.weight) for each in members]
        + [(each.limit_a / each.weight, -each.weight) for each in members]
    )
    sum_a, slope, at = sum(each.least_a for each in members), 0.0, 0.0
    for level, change in steps:
        if slope > 0.0 and sum_a + slope * (level - at) >= amount_a:
            return at + (amount_a - sum_a) / slope
        sum_a += slope * (level - at)
        slope, at = slope + change, level
    return at


def _chosen(amount_a: float, members: Sequence[Bounded]) -> list[int] | None:
    """Return who shares: without those furthest below their least currents, as few as need be; None where that cannot be."""
    order = sorted(range(len(members)), key=lambda slot: members[slot].least_a / members[slot].weight, reverse=True)
    limits_a = [0.0]
    for slot in reversed(order):
        limits_a.append(limits_a[-1] + members[slot].limit_a)
    limits_a.reverse()
    most = sum(1 for limit_a in limits_a[1:-1] if limit_a * SLACK >= amount_a)  # so many can be done without
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        rest = [members[slot]._replace(least_a=0.0) for slot in order[middle:]]
        first = members[order[middle]]
        if _level(amount_a, rest) * first.weight * SLACK >= first.least_a:
            high = middle
        else:
            low = middle + 1
    chosen = order[low:]
    least_a = sum(members[slot].least_a for slot in chosen)
    return sorted(chosen) if least_a <= amount_a * SLACK and amount_a <= limits_a[low] * SLACK else None


def _searched(amount_a: float, members: Sequence[Bounded]) -> tuple[list[int], float]:
    """Return the members that carry most of `amount_a`, of these the weightiest, and how much that is."""
    slots = range(len(members))
    by_least = sorted(slots, key=lambda slot: members[slot].least_a)
    tries: list[tuple[int, ...]] = [(slot,) for slot in slots]
    if len(members) <= EXACT_MEMBERS:
        tries = [group for size in range(1, len(members) + 1) for group in combinations(slots, size)]
    else:
        tries += [tuple(by_least[:size]) for size in range(2, len(members) + 1)]
    best: tuple[float, float, tuple[int, ...]] = (0.0, 0.0, ())
    for group in tries:
        if sum(members[slot].least_a for slot in group) <= amount_a:
            carried_a = min(amount_a, sum(members[slot].limit_a for slot in group))
            best = max(best, (carried_a, sum(members[slot].weight for slot in group), group), key=lambda each: each[:2])
    return list(best[2]), best[0]
