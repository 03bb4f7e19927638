"""Alone limits: what may flow while the node that commands a battery is not heard (control.md, "Limits over a distance").

They clamp set points, bookings and safe values, and refuse nothing. Powers are magnitudes in watts, at the battery.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

from bosd.bal.battery import Battery
from bosd.bal.physical import PERIODS_UNTIL_STALE
from bosd.bal.spec import PhysicalSpec
from bosd.bal.status import BatteryStatus

Share: TypeAlias = tuple[Battery, float]

ANY_NODE = "any node"
"""Who is not heard where nobody commanded since the start."""
LATE_PERIODS = 1.5
"""A sample is late that is older than a period and half of one, which its device may take to answer."""
STEADY = 0.99
"""What runs and is at most a hundredth below the limit stays: the limit in amperes moves with each sample's voltage."""


def has_alone_limit(battery: Battery) -> bool:
    """Tell whether the battery is limited while it is alone."""
    return battery.spec.alone_discharge_limit_w is not None or battery.spec.alone_charge_limit_w is not None


def is_late(battery: Battery, status: BatteryStatus, now_s: float) -> bool:
    """Tell whether the oldest sample is older than a period, so that the voltage may be another one by now."""
    age_s = status.age_s(now_s)
    spec = battery.spec
    period_s = spec.refresh_period_s if isinstance(spec, PhysicalSpec) else status.max_staleness_s / PERIODS_UNTIL_STALE
    return age_s is None or age_s > LATE_PERIODS * period_s


def limit_a(battery: Battery, now_s: float, *, discharging: bool) -> float:
    """Return the limit in amperes that is in force, infinite where none is.

    Watts over the larger of the measured voltage and, where the sample is late, `voltage_max_v`; 0 A where neither is known.
    """
    spec = battery.spec
    limit_w = spec.alone_discharge_limit_w if discharging else spec.alone_charge_limit_w
    if not battery.alone or limit_w is None:
        return math.inf
    status = battery.status(now_s)
    voltage_v = status.voltage_v or 0.0
    if spec.voltage_max_v is not None and is_late(battery, status, now_s):
        voltage_v = max(voltage_v, spec.voltage_max_v)
    most_a = limit_w / voltage_v if voltage_v > 0.0 else 0.0
    running_a = battery.applied_a if discharging else -battery.applied_a
    return running_a if STEADY * most_a <= running_a <= most_a else most_a


def clamp_alone(battery: Battery, current_a: float, now_s: float) -> tuple[float, str]:
    """Return `current_a` within the limit in force, and the reason where that binds."""
    if not battery.alone or current_a == 0.0:
        return current_a, ""
    discharging = current_a > 0.0
    most_a = limit_a(battery, now_s, discharging=discharging)
    if abs(current_a) <= most_a:
        return current_a, ""
    limit_w = battery.spec.alone_discharge_limit_w if discharging else battery.spec.alone_charge_limit_w
    reason = f"clamped to the alone {'discharge' if discharging else 'charge'} limit {limit_w:g} W"
    return math.copysign(most_a, current_a), reason


def share_alone(shares: Sequence[Share], current_a: float, now_s: float) -> tuple[list[Share], tuple[str, ...]]:
    """Return the shares of `current_a` within their limits, and whose limits bind.

    What one cannot take goes to the others in proportion to their shares, within their limits; what is left flows nowhere.
    """
    bound: dict[Battery, None] = {}
    now = dict(shares)
    with_it = [member for member, share_a in shares if share_a * current_a > 0.0]
    for _ in with_it:
        left_a = 0.0
        for member in with_it:
            most_a, _reason = clamp_alone(member, now[member], now_s)
            if most_a != now[member]:
                left_a += now[member] - most_a
                now[member] = most_a
                bound[member] = None
        room_a = {member: _room_a(member, now[member], now_s) for member in with_it if member not in bound}
        takers = [member for member, room in room_a.items() if room > 0.0]
        total_a = sum(now[member] for member in takers)
        if left_a == 0.0 or total_a == 0.0:
            break
        for member in takers:
            more_a = left_a * now[member] / total_a
            now[member] += math.copysign(min(abs(more_a), room_a[member]), more_a)
    return list(now.items()), tuple(member.name for member in bound)


def _room_a(member: Battery, current_a: float, now_s: float) -> float:
    """Return how much more a member may be asked in the direction of its current."""
    status = member.status(now_s)
    may_a = status.max_discharge_current_a if current_a > 0.0 else status.max_charge_current_a
    return may_a - abs(current_a)
