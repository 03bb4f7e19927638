"""What a node tells others of a battery before they command it (control.md, "When something dies", "Sessions and restarts")."""

import math
from typing import NamedTuple

from bosd.bal.aggregator import devices_below
from bosd.bal.alone import UNLIMITED, AloneW, alone_w
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.caps import efficiency
from bosd.bal.dispatch import without_setpoint_a
from bosd.bal.may_run import SLACK, may_run_a
from bosd.bal.pseudo import NullBattery
from bosd.bal.spec import NetworkSpec


class Facts(NamedTuple):
    """Of one battery.

    `safe_within_s` is the longest time from the controller's last received reply until all below is safe, None where something
    holds on. `unconfirmed_a` is what may flow although it is not in force, None where all is certain. `unread` says that
    something below was not looked at since the node started; what gave no answer then is counted, as far as it was told before.
    `failsafe_time_s` is the longest from a decision of the battery's own node to the confirmed device. `taken_by` is who took the
    asker's claim by force. The alone limits hold whatever dies, `own_alone` are those that this node is to hold for it, which its
    batteries are configured with.
    `left_a` is what may flow of a set point that has ended, 0.0 while one lives, and where all runs as it is asked without. The
    efficiencies are those of all converters between the grid's side of the battery's node and the cells, the worst way.
    """

    safe_within_s: float | None = None
    unconfirmed_a: float | None = None
    unread: bool = False
    failsafe_time_s: float = 0.0
    taken_by: str = ""
    alone_discharge_limit_w: float | None = None
    alone_charge_limit_w: float | None = None
    left_a: float = 0.0
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0
    own_alone: AloneW = UNLIMITED


NONE_KNOWN = Facts()


def facts_of(battery: Battery, unheard_s: float, now_s: float) -> Facts:
    """Return the facts at `now_s`; `unheard_s` is how long this node may act for a controller it no longer hears."""
    discharge_w, charge_w = (_alone_w(battery, discharging=way) for way in (True, False))
    own = alone_w(battery)
    return Facts(
        safe_within_s=_safe_within_s(battery, unheard_s),
        unconfirmed_a=uncertain_a(battery, now_s),
        unread=any(leaf.is_waited_for(now_s) for leaf in devices_below(battery)),
        failsafe_time_s=max((leaf.command_deadline_s for leaf in devices_below(battery)), default=0.0),
        alone_discharge_limit_w=discharge_w,
        alone_charge_limit_w=charge_w,
        left_a=_left_a(battery, now_s),
        charge_efficiency=efficiency(battery, discharging=False),
        discharge_efficiency=efficiency(battery, discharging=True),
        own_alone=AloneW(None if discharge_w is None else own.discharge_w, None if charge_w is None else own.charge_w),
    )


def uncertain_a(battery: Battery, now_s: float) -> float | None:
    """Return what may flow at `now_s` although it is not in force; None where all that flows is, as far as that is certain."""
    most_a = may_run_a(battery)
    return None if most_a == battery.applied_a and not _left_a(battery, now_s) else most_a


def _left_a(battery: Battery, now_s: float) -> float:
    """Return `left_a` of the facts: a device that did not confirm the end of a set point counts at what it was told before."""
    most_a = may_run_a(battery)
    if battery.setpoint is not None and battery.setpoint.over_s > now_s:
        return 0.0
    asked_a = without_setpoint_a(battery) if battery.user is None else battery.target_a or 0.0
    within = most_a * asked_a > 0.0 and abs(most_a) <= abs(asked_a) * (1.0 + SLACK)
    certain = most_a == battery.applied_a and not any(map(_is_told, devices_below(battery)))
    return 0.0 if within and certain else most_a


def _is_told(leaf: DeviceLeaf) -> bool:
    return leaf.telling_a is not None or leaf.unconfirmed_a is not None


def _alone_w(battery: Battery, *, discharging: bool) -> float | None:
    """Return what a battery runs at most while the asker is not heard; None where nobody can say.

    This node's limit goes as far as it lives and reaches: stubs of which it loses sight are held by their owners' alone.
    """
    own_w = battery.spec.alone_discharge_limit_w if discharging else battery.spec.alone_charge_limit_w
    leaves = tuple(devices_below(battery))
    far_w = [leaf.alone_limit_w(discharging=discharging) for leaf in leaves if isinstance(leaf.spec, NetworkSpec)]
    known_w = [each_w for each_w in far_w if each_w is not None]
    if own_w is None or len(known_w) < len(far_w):
        return None
    return max(own_w, *known_w) if len(leaves) == 1 and known_w else own_w + math.fsum(known_w)


def _safe_within_s(battery: Battery, unheard_s: float) -> float | None:
    let_go_s = [leaf.let_go_s for leaf in devices_below(battery)]
    if isinstance(battery, NullBattery) and battery.left is not None:
        let_go_s.append(battery.left.let_go_s)
    if any(each is None for each in let_go_s):
        return None
    return unheard_s + max((each for each in let_go_s if each is not None), default=0.0)


def unread_below(battery: Battery, now_s: float) -> tuple[DeviceLeaf, ...]:
    """Return the devices and stubs below that were not looked at since they are there: what they run is not known."""
    return tuple(leaf for leaf in devices_below(battery) if leaf.is_unread(now_s))
