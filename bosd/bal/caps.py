"""Caps: limits that clamp what flows and refuse nothing (control.md, "Limits over a distance").

Of several caps on a battery the tightest binds. They do not enter an aggregate's C-rate: they cap a member's share, and what it
cannot take goes to the others in proportion, within their limits. Powers and currents are magnitudes.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import GRANTED, Cap
from bosd.bal.in_sight import PERIODS_UNTIL_STALE
from bosd.bal.partition import Partition
from bosd.bal.spec import BatterySpec, PhysicalSpec
from bosd.bal.status import BatteryStatus

Share: TypeAlias = tuple[Battery, float]

LATE_PERIODS = 1.5
"""A sample is late that is older than a period and half of one, which its device may take to answer."""
STEADY = 0.99
"""What runs and is at most a hundredth below a limit in watts stays: in amperes that moves with each sample's voltage."""
MOST_NAMED = 5


class Bound(NamedTuple):
    """The tightest cap in force, and its amperes; without one they are infinite."""

    limit_a: float
    cap: Cap | None


UNBOUND = Bound(math.inf, None)


class Shared(NamedTuple):
    """Shares within all caps, and why they are other ones than asked; empty where no cap binds."""

    shares: list[Share]
    reason: str


def is_late(battery: Battery, status: BatteryStatus, now_s: float) -> bool:
    """Tell whether the oldest sample is older than a period, so that the voltage may be another one by now."""
    age_s = status.age_s(now_s)
    spec = battery.spec
    period_s = spec.refresh_period_s if isinstance(spec, PhysicalSpec) else status.max_staleness_s / PERIODS_UNTIL_STALE
    return age_s is None or age_s > LATE_PERIODS * period_s


def voltage_v(battery: Battery, now_s: float) -> float:
    """Return the voltage that turns watts into amperes, 0 where none is known.

    The largest measured one below, and `voltage_max_v` where a sample is late and that is larger: members of one aggregate
    differ, and their power must be within the limit whoever of them carries it.
    """
    status = battery.status(now_s)
    measured_v = status.voltage_v or 0.0
    below = [source for source in battery.sources if not source.held_out and source.status(now_s).capacity_ah != 0.0]
    if below:
        measured_v = max(voltage_v(source, now_s) for source in below)
    most_v = battery.spec.voltage_max_v
    return max(measured_v, most_v) if most_v is not None and is_late(battery, status, now_s) else measured_v


def own_efficiency(battery: Battery) -> float:
    """Return the efficiency of a battery's own converter; of a stub of the one beside those that its owner counts."""
    return battery.spec.efficiency if isinstance(battery.spec, BatterySpec) else 1.0


def efficiency(battery: Battery, *, discharging: bool) -> float:
    """Return the part of the power that arrives on the other side of all converters of a battery, the worst way below it.

    Charging the least efficient draws most from the grid; discharging the most efficient feeds most into it.
    """
    own = own_efficiency(battery)
    if isinstance(battery, DeviceLeaf):
        own *= battery.far_efficiency(discharging=discharging)
    below = [efficiency(source, discharging=discharging) for source in battery.sources]
    return own * (max(below, default=1.0) if discharging else min(below, default=1.0))


def beside_w(battery: Battery, *, discharging: bool) -> float:
    """Return what flows beside a battery at its meter, of an aggregate without one at its members'; fed in is positive."""
    if isinstance(battery.spec, BatterySpec) and battery.spec.meter is not None:
        return battery.beside_w.discharge_w if discharging else battery.beside_w.charge_w
    if isinstance(battery, Aggregator):
        return math.fsum(beside_w(member, discharging=discharging) for member in battery.sources)
    return 0.0


def left_w(limit_w: float, beside: float, *, discharging: bool) -> float:
    """Return what of a limit at a meter is left for the battery behind it, where `beside` flows there, too."""
    return max(0.0, limit_w - beside if discharging else limit_w + beside)


def amperes(cap: Cap, battery: Battery, now_s: float) -> float:
    """Return what a cap on `battery` is in amperes now; 0 A for watts where no voltage is known."""
    if cap.limit_a is not None:
        return cap.limit_a
    limit_w = cap.limit_w or 0.0
    if cap.at_grid:
        limit_w = left_w(limit_w, beside_w(battery, discharging=cap.discharging), discharging=cap.discharging)
        part = efficiency(battery, discharging=cap.discharging)
        limit_w = limit_w / part if cap.discharging else limit_w * part
    at_v = voltage_v(battery, now_s)
    most_a = limit_w / at_v if at_v > 0.0 else 0.0
    running_a = battery.applied_a if cap.discharging else -battery.applied_a
    return running_a if STEADY * most_a <= running_a <= most_a else most_a


def tightest(battery: Battery, now_s: float, *, discharging: bool, ignoring: Collection[str] = ()) -> Bound:
    """Return the cap of a battery itself that binds in a direction; caps of sources in `ignoring`, or GRANTED, are left out."""
    bound = UNBOUND
    for cap in battery.caps:
        if cap.granted and GRANTED in ignoring:
            continue
        if cap.discharging is discharging and cap.source not in ignoring:
            limit_a = amperes(cap, battery, now_s)
            if limit_a < bound.limit_a:
                bound = Bound(limit_a, cap)
    return bound


def clamp_to_caps(battery: Battery, current_a: float, now_s: float) -> tuple[float, str]:
    """Return `current_a` within the battery's own caps, and the reason where one binds."""
    if current_a == 0.0:
        return current_a, ""
    limit_a, cap = tightest(battery, now_s, discharging=current_a > 0.0)
    if cap is None or abs(current_a) <= limit_a:
        return current_a, ""
    return math.copysign(limit_a, current_a) + 0.0, f"clamped to {cap.text}{_at_meter(battery, cap)}"


def _at_meter(battery: Battery, cap: Cap) -> str:
    meter = battery.spec.meter if isinstance(battery.spec, BatterySpec) else None
    if meter is None or not cap.at_grid or cap.limit_w is None:
        return ""
    flows_w = beside_w(battery, discharging=cap.discharging)
    return f" at {meter}, where {abs(flows_w):.0f} W are {'fed in' if flows_w > 0.0 else 'drawn'} beside it"


def caps_below(batteries: Iterable[Battery]) -> bool:
    """Tell whether one of these, or something it rests on, has a cap."""
    return any(each.caps or (each.rank and caps_below(each.sources)) for each in batteries)


def can_take_a(
    battery: Battery,
    now_s: float,
    *,
    discharging: bool,
    ignoring: Collection[str] = (),
    known: dict[Battery, float] | None = None,
) -> float:
    """Return what a battery can take under its own caps and, recursively, those of what it rests on; infinite without any.

    What was found out is put into `known`, for who asks of several at one moment: partitions of one source all rest on it.
    """
    known = {} if known is None else known
    if battery in known:
        return known[battery]
    most_a = tightest(battery, now_s, discharging=discharging, ignoring=ignoring).limit_a
    if isinstance(battery, Partition):
        source = battery.splitter.source
        most_a = min(most_a, can_take_a(source, now_s, discharging=discharging, ignoring=ignoring, known=known))
    elif isinstance(battery, Aggregator) and caps_below(battery.sources):
        parts = (_takes_a(each, now_s, known, discharging=discharging, ignoring=ignoring) for each in battery.sources)
        most_a = min(most_a, math.fsum(parts))
    known[battery] = most_a
    return most_a


def _takes_a(
    member: Battery, now_s: float, known: dict[Battery, float], *, discharging: bool, ignoring: Collection[str]
) -> float:
    """Return what a member adds to what its aggregate can take."""
    status = member.status(now_s)
    if is_beyond_reach(member, status):
        return max(0.0, member.counts_at_a if discharging else -member.counts_at_a)
    limit_a = status.max_discharge_current_a if discharging else status.max_charge_current_a
    lost_a = member.lost_a(now_s, discharging=discharging)
    can_a = can_take_a(member, now_s, discharging=discharging, ignoring=ignoring, known=known)
    return max(lost_a, min(limit_a + lost_a, can_a))


def is_beyond_reach(battery: Battery, status: BatteryStatus) -> bool:
    """Tell whether what a device runs cannot be changed now: its share is what counts, whatever its caps say."""
    return isinstance(battery, DeviceLeaf) and not status.commandable and not battery.stopped


def share_capped(
    whole: Aggregator, shares: Sequence[Share], current_a: float, now_s: float, *, ignoring: Collection[str] = ()
) -> Shared:
    """Return the shares of `current_a` within all caps of the members and below them, and whose caps bind.

    What one cannot take goes to the others in proportion to their shares, within their limits; what is left flows nowhere.
    """
    with_it = [(member, abs(share_a)) for member, share_a in shares if share_a * current_a > 0.0]
    if not caps_below(member for member, _ in with_it):
        return Shared(list(shares), "")
    discharging = current_a > 0.0
    bound: list[Battery] = []
    free: list[tuple[Battery, float, float]] = []
    known: dict[Battery, float] = {}
    for member, share_a in with_it:
        status = member.status(now_s)
        if is_beyond_reach(member, status):
            continue
        limit_a = status.max_discharge_current_a if discharging else status.max_charge_current_a
        lost_a = member.lost_a(now_s, discharging=discharging)
        limit_a += lost_a
        can_a = can_take_a(member, now_s, discharging=discharging, ignoring=ignoring, known=known)
        takes_a = max(lost_a, can_a)  # whatever caps say
        if takes_a < share_a:
            bound.append(member)
        most_a = min(takes_a, max(share_a, limit_a))
        free.append((member, share_a, most_a if most_a >= whole.least_current_a(member) else 0.0))
    if not bound:
        return Shared(list(shares), "")
    level = _level([(share_a, most_a) for _, share_a, most_a in free])
    now = {member: math.copysign(min(most_a, level * share_a), current_a) for member, share_a, most_a in free}
    reason = _reason(bound, now_s, discharging=discharging, ignoring=ignoring)
    return Shared([(member, now.get(member, share_a)) for member, share_a in shares], reason)


def _level(parts: Sequence[tuple[float, float]]) -> float:
    """Return by how much shares are to grow so that, each within its most, they add up to what they did; else as far as they can.

    `parts` are pairs of a share and the most it may be; the result is continuous in all of them.
    """
    left_a = weight_a = math.fsum(share_a for share_a, _ in parts)
    level = math.inf
    for share_a, most_a in sorted(parts, key=lambda part: part[1] / part[0]):
        level = left_a / weight_a if weight_a > 0.0 else math.inf
        if most_a >= level * share_a:
            return level
        left_a -= most_a
        weight_a -= share_a
    return max((most_a / share_a for share_a, most_a in parts), default=0.0)


def _reason(bound: Sequence[Battery], now_s: float, *, discharging: bool, ignoring: Collection[str]) -> str:
    caps = [tightest(member, now_s, discharging=discharging, ignoring=ignoring).cap for member in bound]
    names = ", ".join(member.name for member in bound[:MOST_NAMED])
    more = f" and {len(bound) - MOST_NAMED} more" if len(bound) > MOST_NAMED else ""
    if all(cap is not None and cap.source == "alone" for cap in caps):
        return f"clamped to the alone limits of {names}{more}"
    texts = dict.fromkeys(cap.text if cap is not None else "limits below" for cap in caps)
    return f"clamped to the limits of {names}{more}: {', '.join(list(texts)[:MOST_NAMED])}"
