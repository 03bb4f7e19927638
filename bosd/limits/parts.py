"""How a limit is divided over the leaves of what it limits: as they would share it if all of it was used."""

import math
from collections.abc import Collection

from bosd.bal.aggregator import Aggregator, members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.cap import Cap
from bosd.bal.caps import beside_w, efficiency, is_beyond_reach, left_w, own_efficiency, share_capped, voltage_v
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import HEARD
from bosd.limits.meters import meter_of

BUDGET = "budget"
_PASSING = (BUDGET, "ramp")
"""Sources of caps that do not say what a member may have of a limit: its part itself, and what goes by within seconds."""


def is_stub(battery: Battery) -> bool:
    """Tell whether a battery is another node's."""
    return isinstance(battery.spec, NetworkSpec)


def has_stubs(battery: Battery) -> bool:
    """Tell whether a limit on a battery can be divided over other nodes: a stub, or aggregates over one."""
    if isinstance(battery, Aggregator):
        return any(has_stubs(member) for member in battery.sources)
    return is_stub(battery)


def whole_of(cap: Cap, battery: Battery) -> tuple[bool, float]:
    """Return whether a limit is in watts, and what of it is there to be divided, at the grid's side of the leaves.

    At a meter, what flows beside is not.
    """
    if cap.limit_w is None:
        return False, cap.limit_a or 0.0
    if not cap.at_grid or not battery.sources:  # a leaf's cap counts its meter by itself
        return True, cap.limit_w
    whole_w = cap.limit_w
    if meter_of(battery) is not None:
        whole_w = left_w(whole_w, beside_w(battery, discharging=cap.discharging), discharging=cap.discharging)
    part = efficiency_above(battery, discharging=cap.discharging)
    return True, whole_w / part if cap.discharging else whole_w * part


def with_a_part(battery: Battery) -> Collection[Battery]:
    """Return the leaves below that can have a part of a limit: reached through aggregates alone.

    What is reached through a splitter is others', too: a part of it would limit them.
    """
    if isinstance(battery, Aggregator):
        return dict.fromkeys(leaf for member in battery.sources for leaf in with_a_part(member))
    return (battery,)


def efficiency_above(battery: Battery, *, discharging: bool) -> float:
    """Return the efficiency of the converters between a limited battery and its leaves, whose own come on top; the worst way."""
    if not isinstance(battery, Aggregator):
        return 1.0
    below = [efficiency_above(member, discharging=discharging) for member in battery.sources]
    return own_efficiency(battery) * (max(below, default=1.0) if discharging else min(below, default=1.0))


def stubs_below(battery: Battery) -> list[Battery]:
    """Return the stubs that a battery rests on, through whatever."""
    return [each for each in members_of(battery) if is_stub(each)]


def parts_of(battery: Battery, most_a: float, now_s: float, *, discharging: bool) -> dict[Battery, float]:
    """Return which part of a limit of `most_a` falls to each leaf below that can be reached; they add up to 1, or all are 0.

    A partition is a leaf here: what it rests on belongs to others, too.
    """
    shares: dict[Battery, float] = {}
    _divide(battery, most_a if discharging else -most_a, now_s, shares)
    reached = {leaf: abs(share_a) for leaf, share_a in shares.items() if not is_lost(leaf, now_s)}
    total_a = math.fsum(reached.values())
    return {leaf: share_a / total_a if total_a > 0.0 else 0.0 for leaf, share_a in reached.items()}


def is_lost(leaf: Battery, now_s: float) -> bool:
    """Tell whether what a leaf runs cannot be changed now; a stop at a stub is not known to hold before its owner is heard."""
    status = leaf.status(now_s)
    return is_beyond_reach(leaf, status) or (is_stub(leaf) and leaf.stopped and status.link not in HEARD)


def _divide(battery: Battery, current_a: float, now_s: float, shares: dict[Battery, float]) -> None:
    if not isinstance(battery, Aggregator):
        shares[battery] = current_a
        return
    status = battery.status(now_s)
    limit_a = status.max_discharge_current_a if current_a > 0.0 else status.max_charge_current_a
    within_a = math.copysign(min(abs(current_a), limit_a), current_a)
    natural = battery.share(within_a, now_s)
    for member, share_a in share_capped(battery, natural, within_a, now_s, ignoring=_PASSING).shares:
        _divide(member, share_a if share_a * current_a > 0.0 else math.copysign(0.0, current_a), now_s, shares)


def lost_below(battery: Battery, now_s: float) -> list[DeviceLeaf]:
    """Return the stubs below, through aggregates alone, that cannot be reached now."""
    return [leaf for leaf in _lost(battery, now_s) if is_stub(leaf)]


def _lost(battery: Battery, now_s: float) -> list[DeviceLeaf]:
    if isinstance(battery, Aggregator):
        return [leaf for member in battery.sources for leaf in _lost(member, now_s)]
    return [battery] if isinstance(battery, DeviceLeaf) and is_lost(battery, now_s) else []


def held_here(battery: Battery, now_s: float, *, watts: bool, discharging: bool) -> float:
    """Return what devices of this node below, through aggregates alone, may be running that cannot be reached now."""
    here = [leaf for leaf in _lost(battery, now_s) if not is_stub(leaf)]
    return math.fsum(running(leaf, now_s, watts=watts, discharging=discharging) for leaf in here)


def running(leaf: DeviceLeaf, now_s: float, *, watts: bool, discharging: bool) -> float:
    """Return what a leaf may be running in a direction, in the unit of a limit: watts are counted at the grid's side."""
    running_a = max(0.0, leaf.counts_at_a if discharging else -leaf.counts_at_a)
    return at_grid_w(leaf, running_a * voltage_v(leaf, now_s), discharging=discharging) if watts else running_a


def at_grid_w(leaf: Battery, power_w: float, *, discharging: bool) -> float:
    """Return a power at a leaf's cells as it is at the grid's side of all its converters, those at a stub's owner included."""
    part = efficiency(leaf, discharging=discharging)
    return power_w * part if discharging else power_w / part


def to_owner_w(stub: Battery, power_w: float, *, discharging: bool) -> float:
    """Return a power at the grid's side of a stub's own converter as it is behind that, at its owner's grid side."""
    return power_w / own_efficiency(stub) if discharging else power_w * own_efficiency(stub)


def from_owner_w(stub: Battery, power_w: float, *, discharging: bool) -> float:
    """Return a power at the grid side of a stub's owner as it is at the grid's side of the stub's own converter."""
    return power_w * own_efficiency(stub) if discharging else power_w / own_efficiency(stub)


def unreached_behind(leaf: DeviceLeaf, *, watts: bool, discharging: bool) -> float:
    """Return what may run behind a stub's owner, which does not reach it, in the unit of a limit."""
    told = leaf.unreached_behind(discharging=discharging)
    if told is None:
        return 0.0
    return from_owner_w(leaf, told.aside_w, discharging=discharging) if watts else told.aside_a


def beside_uncertain(
    wanted: dict[Battery, float], left: float, now_s: float, *, watts: bool, discharging: bool
) -> dict[Battery, float]:
    """Return the parts that the others have where one may run more than its own: what its node does not reach, say."""
    beyond = {}
    for leaf, amount in wanted.items():
        if not isinstance(leaf, DeviceLeaf):
            continue
        runs = unreached_behind(leaf, watts=watts, discharging=discharging)
        if leaf.unconfirmed_a is not None:
            runs = max(runs, running(leaf, now_s, watts=watts, discharging=discharging))
        if runs > amount:
            beyond[leaf] = runs
    rest = math.fsum(amount for leaf, amount in wanted.items() if leaf not in beyond)
    if not beyond or not rest:
        return wanted
    part = min(1.0, max(0.0, left - math.fsum(beyond.values())) / rest)
    return {leaf: amount if leaf in beyond else amount * part for leaf, amount in wanted.items()}
