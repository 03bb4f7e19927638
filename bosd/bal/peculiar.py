"""Members of an aggregator that are not simply good: stale, away, held out, uncontrollable, remote, or not fully known."""

import math
from collections.abc import Mapping

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.status import BatteryStatus, Link, Quality
from bosd.bal.totals import Totals

MOST_NAMES = 8
MOST_PATH = 256


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown


def _is_lost(member: Battery, status: BatteryStatus) -> bool:
    """Tell whether a member is a leaf that cannot be told another current now."""
    return isinstance(member, DeviceLeaf) and not status.commandable and not member.stopped


class Peculiarities:
    """What the peculiar members add to an aggregate's sums, limits and reason."""

    def __init__(self, totals: Totals, now_s: float) -> None:
        self._totals = totals
        self._now_s = now_s
        self.quality = Quality.GOOD
        self.current_unknown = False
        self.left_out = False
        self.meter_unknown = False
        self.stale_discharge_a = 0.0
        self.stale_charge_a = 0.0
        self.hops = 0
        self.path: dict[str, None] = {}
        self.max_staleness_s = totals.staleness_s
        self.uncontrollable: list[str] = []
        self.stopped: list[str] = []
        self.away: list[str] = []
        self.unknown: list[str] = []
        self.without_share: set[Battery] = set()
        self._stale: list[tuple[Battery, float]] = []
        self._lost: list[tuple[Battery, float]] = []
        self._below: dict[Battery, float] = {}
        self._remarks: list[str] = []

    def add(self, member: Battery, status: BatteryStatus, *, out: bool) -> None:
        """Count one member; `out` says that its voltage keeps it out."""
        self.meter_unknown |= not self._totals.add_meter(status, self._now_s)
        if status.capacity_ah == 0.0 and status.quality is not Quality.UNAVAILABLE:
            self.without_share.add(member)
            if _is_lost(member, status):  # what was there before, and is absent on purpose by now, may run on
                self._count_lost(member)
            return
        self._add_origin(member, status)
        if status.stopped:
            self.stopped.append(member.name)
        if not status.controllable:
            self.uncontrollable.append(member.name)
        if status.quality is Quality.UNAVAILABLE:
            self._add_away(member, status)
        elif out:
            self._add_held_out(member, status)
        else:
            self._add_sums(member, status)
            self._add_limits(member, status)
        self._totals.add_ideal(status)

    def _add_origin(self, member: Battery, status: BatteryStatus) -> None:
        self.max_staleness_s = max(self.max_staleness_s, status.max_staleness_s)
        self.hops = max(self.hops, status.hops)
        if len(self.path) < MOST_PATH:
            self.path.update(dict.fromkeys(status.path))
        if status.link not in (Link.LOCAL, Link.READY):
            self._remarks.append(f"link to {member.name} {status.link.name.lower()}")

    def _add_away(self, member: Battery, status: BatteryStatus) -> None:
        self.away.append(f"{member.name} ({status.reason})" if status.reason else member.name)
        self.without_share.add(member)
        if member.sources:
            running_a = max(self._lost_below_a(member, out=True), self._lost_below_a(member, out=False))
        else:
            running_a = self._count_lost(member)
        self.current_unknown |= running_a != 0.0

    def _lost_below_a(self, member: Battery, *, out: bool) -> float:
        return member.lost_a(self._now_s, discharging=out)

    def _count_lost(self, leaf: Battery) -> float:
        """Set apart what a leaf counts at that cannot be told another current; return that."""
        running_a = leaf.counts_at_a
        if running_a != 0.0:
            self._lost.append((leaf, running_a))
        return running_a

    def _add_held_out(self, member: Battery, status: BatteryStatus) -> None:
        self.left_out = True
        self.without_share.add(member)
        self._remarks.append(
            f"{member.name} left out at {status.voltage_v:g} V" if status.voltage_v is not None else f"{member.name} left out"
        )
        if member.applied_a != 0.0:
            self._totals.current_a += status.current_a or 0.0
            self.current_unknown |= status.current_a is None
        if _is_lost(member, status):
            self._count_lost(member)

    def _add_sums(self, member: Battery, status: BatteryStatus) -> None:
        if status.quality is Quality.STALE:
            self.quality = Quality.STALE
        if not self._totals.add(status):
            self.unknown.append(member.name)
            self.without_share.add(member)
            return
        self.current_unknown |= status.current_a is None

    def _add_limits(self, member: Battery, status: BatteryStatus) -> None:
        if _is_lost(member, status):
            self._count_lost(member)
            return
        if status.quality is not Quality.STALE:
            self._totals.add_limits(status)
            return
        lost_a = math.copysign(self._lost_below_a(member, out=member.applied_a > 0.0), member.applied_a)
        seen_a = member.applied_a - lost_a if abs(member.applied_a) > abs(lost_a) else 0.0
        kept_a = max(-status.max_charge_current_a, min(status.max_discharge_current_a, seen_a))
        self._remarks.append(f"{member.name} stale, keeps {kept_a + lost_a:g} A")
        self._stale.append((member, kept_a))
        if kept_a > 0.0:
            self.stale_discharge_a += kept_a
        else:
            self.stale_charge_a -= kept_a

    def add_below(self, lost: Mapping[Battery, float]) -> None:
        """Know the leaves below a member that cannot be told another current now, and what they count at."""
        self._below.update(lost)

    @property
    def lost(self) -> dict[Battery, float]:
        """The leaves among the members and below them that cannot be told another current now, and what they count at."""
        return {**dict(self._lost), **self._below}

    @property
    def set_apart(self) -> set[Battery]:
        """The members that no set point is shared over anew."""
        return self.without_share.union((member for member, _ in self._lost), (member for member, _ in self._stale))

    def lost_a(self, *, discharging: bool) -> float:
        """Return what lost leaves among the members count at together in a direction, a magnitude."""
        sign = 1.0 if discharging else -1.0
        return sum(share_a * sign for _, share_a in self._lost if share_a * sign > 0.0)

    def fixed_shares(self, current_a: float, below_a: float) -> dict[Battery, float]:
        """Return the shares that a set point of `current_a` cannot move: those of stale and of lost members.

        What is lost below members, `below_a` in its direction, is none of these shares and comes to them.
        Stale members give way in proportion when less than they run is asked, or another direction.
        """
        fixed = dict(self._lost)
        same = [(member, share_a) for member, share_a in self._stale if share_a * current_a > 0.0]
        lost_a = below_a + sum(abs(share_a) for _, share_a in self._lost if share_a * current_a > 0.0)
        left_a = max(0.0, abs(current_a) - lost_a)
        running_a = sum(abs(share_a) for _, share_a in same)
        factor = min(1.0, left_a / running_a) if running_a > 0.0 else 0.0
        fixed.update((member, 0.0) for member, _ in self._stale)
        fixed.update((member, share_a * factor) for member, share_a in same)
        return fixed

    def reasons(self) -> list[str]:
        """Return what a person should know, worst first."""
        reasons = []
        if self.uncontrollable:
            reasons.append(f"no current control: {_listed(self.uncontrollable)}")
        if self.stopped:
            reasons.append(f"stopped: {_listed(self.stopped)}")
        if self.away:
            reasons.append(f"left out, unavailable: {_listed(self.away)}")
        if lost := [f"{leaf.name} up to {abs(current_a):g} A" for leaf, current_a in self.lost.items()]:
            reasons.append(f"may still run: {_listed(lost)}")
        if self.current_unknown:
            reasons.append(f"current of the others {self._totals.current_a:g} A")
        if self.unknown:
            reasons.append(f"charge or voltage unknown: {_listed(self.unknown)}")
        return reasons + self._remarks[:MOST_NAMES]
