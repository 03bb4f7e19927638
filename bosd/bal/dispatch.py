"""Dispatch: from what is asked at the top of the topology to what each leaf is told.

Users come before their sources: each battery's request is clamped to its present limits, an aggregator shares it over its
members, the partitions of a splitter are summed onto their source (control.md, "What is in force on a battery").
"""

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from bosd.bal.aggregator import Aggregator, devices_below
from bosd.bal.battery import Battery, ComputedLeaf, DeviceLeaf
from bosd.bal.caps import clamp_to_caps, share_capped
from bosd.bal.partition import Partition
from bosd.bal.splitter import Splitter
from bosd.bal.status import BatteryStatus

SHARE_MOVE = 0.01
"""Shares are moved when one of them changes by more than this part of the set point (bal.md, "Aggregators")."""
LIMIT_MOVE = 1e-3
"""A virtual battery's limit that binds is followed when it moved by more than this part: it drifts with every charge below."""
SUM_TOLERANCE = 1e-10
BOOKED_PIECE_S, LEAST_PIECE_S = 30.0, 1.0
PART_OF_LONGEST = 0.45
"""Of the longest life that the other end takes, for a piece: it is told up to two of them ahead, and clocks differ."""


class Clamped(NamedTuple):
    """A current after limits, and the reason where they bind."""

    current_a: float
    reason: str


@dataclass(slots=True)
class Plan:
    """What a dispatch would change: applied currents and what is asked, per battery; sources after their users.

    `lost` are the devices that cannot be commanded now: they are told too, but nobody waits for their confirmation.
    Somebody asks for what is `meant`; any other free battery is at its safe value alone.
    `left_over_a` is what aggregators cannot share because it is less than what their members can use at least.
    """

    targets_a: dict[Battery, float] = field(default_factory=dict)
    clamped: dict[Battery, Clamped] = field(default_factory=dict)
    computed: list[tuple[ComputedLeaf, float]] = field(default_factory=list)
    devices: list[tuple[DeviceLeaf, float]] = field(default_factory=list)
    splitters: dict[Splitter, None] = field(default_factory=dict)
    ends_s: dict[Battery, float | None] = field(default_factory=dict)
    lost: set[Battery] = field(default_factory=set)
    left_over_a: dict[Battery, float] = field(default_factory=dict)
    meant: frozenset[Battery] = frozenset()

    def is_meant(self, battery: Battery) -> bool:
        """Return whether somebody asks for a free battery that rests on this one, or for it."""
        above = battery.user
        if above is None:
            return battery in self.meant
        users = above.partitions if isinstance(above, Splitter) else (above,)
        return any(self.is_meant(user) for user in users if isinstance(user, Battery))


def asked_a(battery: Battery) -> float:
    """Return what is asked of a free battery now: its living set point, else its booking, else its safe value."""
    return battery.setpoint.current_a if battery.setpoint is not None else without_setpoint_a(battery)


def without_setpoint_a(battery: Battery) -> float:
    """Return what is in force on a free battery where no set point is: its booking, else its safe value."""
    return battery.booked.current_a if battery.booked is not None else battery.spec.safe_current_a


def told_until_s(battery: Battery, now_s: float) -> float | None:
    """Return the end of what is asked of a free battery, as devices that let go at an end are told it at `now_s`.

    A booking, or a safe value that is not 0, is told in pieces, each 30 to 60 s ahead, or less where less is taken, so that it
    never outlives its owner for long at another node, which keeps nothing without an end.
    """
    if battery.setpoint is not None:
        return battery.setpoint.ends_s
    if not is_told_in_pieces(battery):
        return None
    piece_s = _piece_s(battery)
    ends_s = _after_s(now_s, piece_s) + piece_s
    return ends_s if battery.booked is None else min(battery.booked.ends_s, ends_s)


def is_told_in_pieces(battery: Battery) -> bool:
    """Return whether what is asked of a free battery has no end of its own that devices could be told."""
    return battery.setpoint is None and (battery.booked is not None or battery.spec.safe_current_a != 0.0)


def next_piece_s(battery: Battery, now_s: float) -> float:
    """Return when devices below a free battery are told the next piece of its booking or safe value."""
    return _after_s(now_s, _piece_s(battery))


def _after_s(now_s: float, piece_s: float) -> float:
    return (now_s // piece_s + 1.0) * piece_s


def _piece_s(battery: Battery) -> float:
    longest_s = min((leaf.longest_told_s for leaf in devices_below(battery)), default=math.inf)
    return max(LEAST_PIECE_S, min(BOOKED_PIECE_S, PART_OF_LONGEST * longest_s))


def clamp(current_a: float, battery: Battery, status: BatteryStatus, now_s: float) -> Clamped:
    """Return `current_a` within the present limits of `status`; beside them stands what lost members below count at."""
    discharging = current_a > 0.0
    limit_a = status.max_discharge_current_a if discharging else status.max_charge_current_a
    if abs(current_a) <= limit_a:
        return Clamped(current_a, "")
    lost_a = 0.0 if battery.stopped else battery.lost_a(now_s, discharging=discharging)
    if abs(current_a) <= limit_a + lost_a:
        return Clamped(current_a, "")
    reason = f"clamped to the present {'discharge' if discharging else 'charge'} limit {limit_a:g} A"
    if lost_a:
        reason += f" and the {lost_a:g} A that are not reached"
    return Clamped(math.copysign(limit_a + lost_a, current_a) + 0.0, reason)


def _steadily(current_a: float, battery: Battery, status: BatteryStatus, now_s: float) -> Clamped:
    """Return `current_a` within the present limits; a virtual battery's limit that moved by a trifle moves nothing.

    Such a limit follows the charges and currents below: each sample would move it, and what runs, to and fro for ever. The
    limits of the devices below hold exactly all the same.
    """
    clamped = clamp(current_a, battery, status, now_s)
    if clamped.reason and not isinstance(battery, ComputedLeaf | DeviceLeaf):
        slack_a = LIMIT_MOVE * abs(clamped.current_a)
        if abs(current_a - clamped.current_a) <= slack_a:
            return Clamped(current_a, "")
        if abs(battery.applied_a - clamped.current_a) <= slack_a:
            return Clamped(battery.applied_a, clamped.reason)
    return clamped


def plan(
    asked: Mapping[Battery, float], now_s: float, *, move_shares: bool = True, ends_s: Mapping[Battery, float] | None = None
) -> Plan:
    """Return what follows from asking `asked` of free batteries at `now_s`; `ends_s` are the ends of requests still to come.

    With `move_shares` False, members of an aggregator whose set point did not change keep their shares unless a limit binds.
    """
    requested = ends_s or {}
    meant = frozenset(each for each in asked if each in requested or each.setpoint is not None or each.booked is not None)
    result = Plan(targets_a=dict(asked), meant=meant)
    order = count()  # of two batteries of one rank the earlier comes first; batteries themselves have no order
    queue = [(-battery.rank, next(order), battery) for battery in asked]
    heapq.heapify(queue)
    for battery in asked:
        result.ends_s[battery] = told_until_s(battery, now_s)
    result.ends_s.update(requested)
    while queue:
        battery = heapq.heappop(queue)[2]
        for source in _resolve(result, battery, now_s, move_shares=move_shares):
            heapq.heappush(queue, (-source.rank, next(order), source))
    return result


def _resolve(result: Plan, battery: Battery, now_s: float, *, move_shares: bool) -> Iterable[Battery]:
    """Settle one battery's applied current; return the virtual sources that follow."""
    if isinstance(battery.user, Splitter):
        result.targets_a[battery] = _sum_of_partitions(result, battery.user, now_s)
    wanted_a = result.targets_a[battery]
    status = battery.status(now_s)
    clamped = result.clamped[battery] = _steadily(wanted_a, battery, status, now_s)
    if battery.caps:
        clamped = _capped(result, battery, clamped, now_s)
    if isinstance(battery, Aggregator):
        return _share(result, battery, clamped.current_a, now_s, move_shares=move_shares)
    if isinstance(battery, Partition):
        return _sum(result, battery)
    if isinstance(battery, ComputedLeaf):
        if battery.applied_a != clamped.current_a:
            result.computed.append((battery, clamped.current_a))
    elif isinstance(battery, DeviceLeaf):
        result.devices.append((battery, clamped.current_a))
        if not status.commandable:
            result.clamped[battery] = Clamped(clamped.current_a, "")  # why it may do nothing stands in its reason already
        if not status.commandable and not battery.stopped:
            result.lost.add(battery)
    return ()


def _share(result: Plan, battery: Aggregator, current_a: float, now_s: float, *, move_shares: bool) -> list[Battery]:
    shares = battery.share(current_a, now_s)
    if battery.may_leave_over:
        current_a = _carried(result, battery, current_a, sum(share_a for _, share_a in shares))
    capped = share_capped(battery, shares, current_a, now_s)
    carried_a = sum(share_a for _, share_a in capped.shares) if capped.reason else current_a
    kept = _kept(capped.shares, carried_a, now_s, move_shares=move_shares) if _is_same(carried_a, battery.applied_a) else None
    if kept is not None:
        shares = kept
    else:
        exact = clamp(current_a, battery, battery.status(now_s), now_s)
        if exact.reason:  # shares that move anyway move to what the limit is now
            _do_with_less(result, battery, current_a, exact)
            current_a = exact.current_a
            capped = share_capped(battery, battery.share(current_a, now_s), current_a, now_s)
        shares = capped.shares
    if capped.reason:
        _do_with_less(result, battery, current_a, Clamped(sum(share_a for _, share_a in shares), capped.reason))
    followers: list[Battery] = []
    ends_s = result.ends_s[battery]
    computed, clamped, targets_a = result.computed, result.clamped, result.targets_a
    for member, share_a in shares:
        targets_a[member] = share_a
        if isinstance(member, ComputedLeaf):
            if member.applied_a != share_a:
                computed.append((member, share_a))
            clamped[member] = Clamped(share_a, "")
        else:
            result.ends_s[member] = ends_s
            followers.append(member)
    return followers


def _carried(result: Plan, battery: Aggregator, current_a: float, carried_a: float) -> float:
    """Return what of a set point is shared; note what is left over, and have the partitions above do with less."""
    left_a = current_a - carried_a
    if abs(left_a) <= SUM_TOLERANCE * max(1.0, abs(current_a)):
        return current_a
    reason = f"{abs(left_a):g} A left over: less than its members can use at least"
    result.left_over_a[battery] = left_a
    _do_with_less(result, battery, current_a, Clamped(carried_a, reason))
    return carried_a


def _capped(result: Plan, battery: Battery, clamped: Clamped, now_s: float) -> Clamped:
    """Return what is left under the battery's own caps."""
    current_a, reason = clamp_to_caps(battery, clamped.current_a, now_s)
    if reason:
        _do_with_less(result, battery, clamped.current_a, Clamped(current_a, reason))
    return result.clamped[battery]


def _do_with_less(result: Plan, battery: Battery, wanted_a: float, carried: Clamped) -> None:
    """Note what is carried of `wanted_a`; the partitions, and the aggregate, above have that much less."""
    left_a = wanted_a - carried.current_a
    result.clamped[battery] = carried
    if isinstance(battery.user, Aggregator) and left_a != 0.0 and battery.user in result.clamped:
        above_a = result.clamped[battery.user].current_a
        _do_with_less(result, battery.user, above_a, Clamped(above_a - left_a, f"{battery.name}: {carried.reason}"))
    if isinstance(battery.user, Splitter):
        planned = [part for part in battery.user.partitions if part in result.clamped]
        same = [part for part in planned if result.clamped[part].current_a * left_a > 0.0]
        total_a = sum(result.clamped[part].current_a for part in same)
        for part in same:
            part_a = result.clamped[part].current_a
            result.clamped[part] = Clamped(part_a - left_a * part_a / total_a, f"{battery.name}: {carried.reason}")


def _is_same(one_a: float, other_a: float) -> bool:
    return one_a == other_a or abs(one_a - other_a) <= SUM_TOLERANCE * abs(other_a)


def _kept(
    shares: list[tuple[Battery, float]], current_a: float, now_s: float, *, move_shares: bool
) -> list[tuple[Battery, float]] | None:
    """Return what members run, where they may keep it: it adds up, no limit binds, and no part moved enough. Else None.

    Who cannot be commanded runs what it is counted at, whatever it was told last.
    """
    kept: list[tuple[Battery, float]] = []
    least_a = SHARE_MOVE * abs(current_a) if move_shares else abs(current_a) * (1.0 + SHARE_MOVE)
    for member, share_a in shares:
        kept_a = member.applied_a
        if kept_a != share_a:
            status = member.status(now_s)
            if not status.commandable:
                kept_a = share_a
            elif abs(share_a - kept_a) > least_a or clamp(kept_a, member, status, now_s).reason:
                return None
        if member.caps and clamp_to_caps(member, kept_a, now_s)[1]:
            return None
        kept.append((member, kept_a))
    total_a = sum(kept_a for _, kept_a in kept)
    return kept if abs(total_a - current_a) <= SUM_TOLERANCE * max(1.0, abs(current_a)) else None


def _sum(result: Plan, partition: Partition) -> list[Battery]:
    splitter = partition.splitter
    if splitter in result.splitters:
        return []
    result.splitters[splitter] = None
    result.targets_a[splitter.source] = 0.0
    return [splitter.source]


def _sum_of_partitions(result: Plan, splitter: Splitter, now_s: float) -> float:
    """Return what the partitions ask of their source together; its set point lives as long as the first of theirs to end."""
    total_a = 0.0
    ends: list[float] = []
    for part in splitter.partitions:
        current_a = result.clamped[part].current_a if part in result.clamped else part.applied_a
        total_a += current_a
        ends_s = result.ends_s[part] if part in result.ends_s else told_until_s(part, now_s)
        if current_a != 0.0 and ends_s is not None:
            ends.append(ends_s)
    result.ends_s[splitter.source] = min(ends, default=None)
    return total_a
