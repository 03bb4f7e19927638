"""What time alone does to a free battery: ends of set points, and when to look again."""

import math
from collections.abc import Callable, Iterable

import structlog

from bosd.bal import foresight
from bosd.bal.aggregator import Aggregator, devices_below, members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.dispatch import SHARE_MOVE, is_told_in_pieces, next_piece_s
from bosd.bal.partition import Partition
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.setpoint import SetPoint

SHARE_PAUSE_S = 1.0
"""Shares are moved at most this often (bal.md, "Aggregators")."""
JUST_AFTER_S = 1e-9

_log = structlog.get_logger("control")


LEASE_OVER = "the lease is over"


def end_what_is_over(top: Battery, now_s: float, lease_over: Callable[[str, SetPoint], None]) -> None:
    """End a set point whose time is over, or whose partition ran empty or full; `lease_over` hears of what a lost node asked."""
    setpoint = top.setpoint
    if setpoint is None:
        return
    why = "" if setpoint.over_s > now_s else "expired" if setpoint.ends_s == setpoint.over_s else LEASE_OVER
    if not why and isinstance(top, Partition):
        why = top.exhausted(setpoint.current_a, now_s)
    if why:
        top.setpoint = None
        top.touch()
        _log.info("setpoint_ended", battery=top.name, current_a=setpoint.current_a, holder=setpoint.holder, why=why)
        if why == LEASE_OVER:
            lease_over(top.name, setpoint)


def just_after_s(instant_s: float) -> float:
    """Return when an instant is looked at: a trace later, so that rounding does not make it one that is still to come."""
    return instant_s + max(JUST_AFTER_S, 2.0 * math.ulp(instant_s))


def over_first_s(tops: Iterable[Battery]) -> float:
    """Return when the first of the set points of these batteries is over; infinite where there is none."""
    return min((top.setpoint.over_s for top in tops if top.setpoint is not None), default=math.inf)


def changes_s(top: Battery, now_s: float) -> float:
    """Return when time alone will change what may be asked: something empty or full, a drift judged, shares moved."""
    instants_s = [top.status(now_s).valid_until_s]
    piece_s = next_piece_s(top, now_s) if is_told_in_pieces(top) else math.inf
    for below in members_of(top):
        if isinstance(below, PseudoBattery):
            instants_s.append(below.ends_s())
        elif isinstance(below, Aggregator):
            instants_s += [
                below.judged_s,
                below.ends_s(now_s),
                max(foresight.shares_move_s(below, now_s, SHARE_MOVE), now_s + SHARE_PAUSE_S),
            ]
        elif isinstance(below, Partition):
            instants_s.append(foresight.ends_s(below, now_s))
        elif isinstance(below, DeviceLeaf) and below.expires:
            instants_s.append(piece_s)
    return min((instant_s for instant_s in instants_s if instant_s > now_s), default=math.inf)


def runs_anything(battery: Battery) -> bool:
    """Whether a device below may be running because it was told to."""
    return any(leaf.counts_at_a != 0.0 for leaf in devices_below(battery))


def is_busy(battery: Battery, now_s: float) -> bool:
    """Whether something is asked of a battery, it may run something, or it is held at 0 A to an end still to come."""
    told_s = battery.told_ends_s if isinstance(battery, DeviceLeaf) and battery.expires else None
    held = told_s is not None and told_s > now_s
    return held or bool(battery.setpoint or battery.booked or battery.applied_a or battery.counts_at_a)
