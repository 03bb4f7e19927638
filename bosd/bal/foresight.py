"""Foresight: when charges will have moved so far that something follows from it, if all goes on as it does.

Where a source holds something else than its partitions' meters say, a partition's charge does not fall by its own current:
what the policy re-allocates moves with everybody's meter (proportional: whose meter reaches 0 holds nothing, whatever it holds
now). Over computed sources the charges are therefore allotted at instants to come, and the crossing is searched.
"""

import math

from bosd.bal import allocation
from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.limits import DUST_AH, reaches_reserve_s, reserve_ah
from bosd.bal.meter import SECONDS_PER_HOUR
from bosd.bal.partition import Partition
from bosd.bal.spec import AggregatorSpec
from bosd.bal.splitter import Splitter
from bosd.bal.status import BatteryStatus

MOST_DOUBLINGS = 8
RESOLUTION = 1e-12
LEAST_SPREAD_PER_H = 1e-9
PROBE_H = 1.0 / SECONDS_PER_HOUR
BENT_S = 30.0
"""Where charges move along bent lines, what is foreseen is looked at again after this time."""


def ends_s(partition: Partition, now_s: float) -> float:
    """Return the instant at which its charge reaches the reserve or full; infinite at rest, and where that is not in sight."""
    status = partition.status(now_s)
    straight_s = reaches_reserve_s(partition.spec, status, now_s)
    if straight_s == math.inf or status.sampled_to_s != math.inf or _straight(partition, now_s):
        return straight_s
    return now_s + SECONDS_PER_HOUR * _crossing_h(partition, status, now_s, (straight_s - now_s) / SECONDS_PER_HOUR)


def shares_move_s(whole: Aggregator, now_s: float, part: float) -> float:
    """Return when a member's weight will have moved by about `part` of all; infinite when none does.

    Shares by C-rate and by charge follow what is available of each member; members that lose it at different rates change places.
    """
    spec = whole.spec
    assert isinstance(spec, AggregatorSpec)  # noqa: S101 (narrowing: an aggregator has no other)
    sensitivity = {"c_rate": 1.0, "charge": spec.share_exponent}.get(spec.share, 0.0)
    if sensitivity == 0.0:
        return math.inf
    rates_per_h: tuple[list[float], list[float]] = ([], [])
    bent = False
    for member in whole.sources:
        status = member.status(now_s)
        charge_ah, capacity_ah, current_a = status.charge_ah, status.capacity_ah, status.current_a
        if charge_ah is None or not capacity_ah or current_a is None:
            continue
        if status.sampled_to_s == math.inf and not _straight(member, now_s):
            bent = True
            current_a = (charge_ah - _charge_ah(member, now_s, PROBE_H, {})) / PROBE_H
        reserved_ah, ceiling_ah = (0.0, capacity_ah) if spec.share == "c_rate" else reserve_ah(member.spec, capacity_ah)
        if status.max_discharge_current_a > 0.0 and charge_ah - reserved_ah > DUST_AH:
            rates_per_h[0].append(current_a / (charge_ah - reserved_ah))
        if status.max_charge_current_a > 0.0 and ceiling_ah - charge_ah > DUST_AH:
            rates_per_h[1].append(current_a / (ceiling_ah - charge_ah))
    spread_per_h = sensitivity * max((max(each) - min(each) for each in rates_per_h if each), default=0.0)
    move_s = now_s + part / spread_per_h * SECONDS_PER_HOUR if spread_per_h > LEAST_SPREAD_PER_H else math.inf
    return min(move_s, now_s + BENT_S) if bent and (whole.applied_a != 0.0 or spread_per_h > 0.0) else move_s


def _straight(battery: Battery, now_s: float) -> bool:
    """Return whether a charge falls by the battery's own current alone."""
    if isinstance(battery, Partition):
        return not battery.splitter.allocation(now_s).apart and _straight(battery.splitter.source, now_s)
    if isinstance(battery, Aggregator):
        return all(_straight(member, now_s) for member in battery.sources)
    return True


def _crossing_h(partition: Partition, status: BatteryStatus, now_s: float, guess_h: float) -> float:
    """Return how far ahead the charge crosses the bound it moves to, searched around a guess."""
    empty_ah, full_ah = reserve_ah(partition.spec, status.capacity_ah or 0.0)
    sign, bound_ah = (1.0, empty_ah) if (status.current_a or 0.0) > 0.0 else (-1.0, full_ah)

    def inside(ahead_h: float) -> bool:
        return sign * (_charge_ah(partition, now_s, ahead_h, {}) - bound_ah) > DUST_AH

    low_h, high_h = 0.0, max(guess_h, RESOLUTION)
    for _ in range(MOST_DOUBLINGS):
        if not inside(high_h):
            break
        low_h, high_h = high_h, 2.0 * high_h
    else:
        return math.inf
    while high_h - low_h > RESOLUTION * max(1.0, high_h):
        middle_h = 0.5 * (low_h + high_h)
        low_h, high_h = (middle_h, high_h) if inside(middle_h) else (low_h, middle_h)
    return high_h


def _charge_ah(battery: Battery, now_s: float, ahead_h: float, seen: dict[Splitter, tuple[float, ...]]) -> float:
    """Return a charge so far ahead, all currents going on as they are."""
    if isinstance(battery, Partition):
        splitter = battery.splitter
        if splitter not in seen:
            seen[splitter] = _charges_ah(splitter, now_s, ahead_h, seen)
        return seen[splitter][battery.index]
    status = battery.status(now_s)
    charge_ah = status.charge_ah or 0.0
    if isinstance(battery, Aggregator):
        members = [(_charge_ah(member, now_s, ahead_h, seen), member.status(now_s).charge_ah) for member in battery.sources]
        return charge_ah + sum(then_ah - is_ah for then_ah, is_ah in members if is_ah is not None)
    return min(max(0.0, charge_ah - (status.current_a or 0.0) * ahead_h), max(charge_ah, status.capacity_ah or 0.0))


def _charges_ah(splitter: Splitter, now_s: float, ahead_h: float, seen: dict[Splitter, tuple[float, ...]]) -> tuple[float, ...]:
    shared = splitter.allocation(now_s)
    source_ah = _charge_ah(splitter.source, now_s, ahead_h, seen)
    if shared.expected_ah is None or shared.capacities_ah is None:
        return tuple(fraction * source_ah for fraction in splitter.fractions.charge)
    expected_ah = [
        metered_ah + settled_ah - rate_a * ahead_h
        for metered_ah, settled_ah, rate_a in zip(shared.expected_ah, splitter.settled_ah, shared.rates_a, strict=True)
    ]
    return allocation.charges_ah(splitter.policy, expected_ah, shared.capacities_ah, source_ah).shares
