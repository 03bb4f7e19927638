"""The aggregator: many batteries as one, with variable current (bal.md, "Aggregators").

Its limit follows the member that would run out first (`crate`); a set point is shared by charge when discharging and by headroom
when charging, so that all members finish together. Members that are not what they should be are looked at one by one: stale ones
keep the share they run, unavailable ones are in no sum, those outside the voltage tolerance are led out and back in.
"""

import math
from collections.abc import Iterable

from bosd.bal.battery import TOUCHED, Battery, DeviceLeaf
from bosd.bal.block import BLOCK_SIZE, Block
from bosd.bal.crate import BestSet
from bosd.bal.drift import DriftJudge
from bosd.bal.figures import NOTHING, Figures, add_up, is_derated
from bosd.bal.limits import reaches_reserve_s, reserved
from bosd.bal.partition import Partition
from bosd.bal.peculiar import Peculiarities
from bosd.bal.sharing import Candidate, Reach, SharePolicy, candidate_of, reach, share
from bosd.bal.spec import AggregatorSpec
from bosd.bal.status import BatteryStatus, Draft, Quality, frozen
from bosd.bal.status_fields import LimitFields, SampleFields
from bosd.bal.totals import Totals
from bosd.errors import VoltageMismatchError

LIMIT_SLACK = 1.0 + 1e-9
LEAST_STALENESS_S = 1.5


class Aggregator(Battery):
    """Several batteries as one; a set point given to it is shared over the members."""

    kind = AggregatorSpec.kind
    __slots__ = (
        "_blocks",
        "_charge",
        "_charge_reach",
        "_discharge",
        "_discharge_reach",
        "_drift",
        "_least_a",
        "_members",
        "_nested",
        "_peculiarities",
        "_policy",
    )

    def __init__(self, spec: AggregatorSpec, members: tuple[Battery, ...], policy: SharePolicy | None = None) -> None:
        """Share by `policy`; without one, or by C-rate and without least currents, in the quick way of `figures` and `crate`."""
        super().__init__(spec)
        self._least_a = dict(spec.least_current_a)
        self._policy = policy if spec.share != "c_rate" or spec.least_current_a else None
        self._discharge_reach = self._charge_reach = Reach(0.0, ())
        self._drift = DriftJudge(spec)
        self._discharge = self._charge = BestSet(0.0, 0.0, 0.0, 0.0, 0.0)
        self._peculiarities = Peculiarities(Totals(NOTHING, 0.0), 0.0)
        self._members: tuple[Battery, ...] = ()
        self._nested: tuple[Battery, ...] = ()
        self._blocks: list[Block] = []
        self.rest_on(members)

    @property
    def counts_at_a(self) -> float:
        """The current its members may be running because they were told to."""
        return sum(member.counts_at_a for member in self._members)

    def lost_a(self, now_s: float, *, discharging: bool) -> float:
        """Return what counts as running, a magnitude, at members here and below whose current cannot be changed now."""
        self.status(now_s)
        own_a = self._peculiarities.lost_a(discharging=discharging)
        return own_a + sum(self._lost_below(now_s, discharging=discharging).values())

    def _lost_below(self, now_s: float, *, discharging: bool) -> dict[Battery, float]:
        """Return the same of the members that rest on something themselves, where it is anything.

        What no partition of a source runs any more counts once, to the first of them that is a member.
        """
        lost: dict[Battery, float] = {}
        counted: set[Battery] = set()
        for member in self._nested:
            if isinstance(member, Partition) and member.splitter.source in counted:
                lost[member] = member.lost_parts_a(now_s, discharging=discharging)[0]
                continue
            lost[member] = member.lost_a(now_s, discharging=discharging)
            if isinstance(member, Partition):
                counted.add(member.splitter.source)
        return {member: lost_a for member, lost_a in lost.items() if lost_a > 0.0}

    def lost_leaves(self, now_s: float) -> dict[Battery, float]:
        """Return the lost leaves among its members and below them."""
        self.status(now_s)
        return self._peculiarities.lost

    @property
    def judged_s(self) -> float:
        """The last instant before a member's drift is judged, as far as it was looked at; infinite when none drifts."""
        return self._drift.next_s

    @property
    def may_leave_over(self) -> bool:
        """Whether a set point within the limits may not be shared whole: some member has a least current."""
        return self._policy is not None and bool(self._least_a)

    def least_current_a(self, member: Battery) -> float:
        """Return the least current that a member can use, 0 where any will do."""
        return self._least_a.get(member.name, 0.0)

    @property
    def sources(self) -> tuple[Battery, ...]:
        """Its members."""
        return self._members

    def rest_on(self, members: tuple[Battery, ...]) -> None:
        """Rest on these members from now on."""
        self._members = members
        self._nested = tuple(member for member in members if member.sources)
        self._blocks = [Block(members[i : i + BLOCK_SIZE]) for i in range(0, len(members), BLOCK_SIZE)]
        for slot, member in enumerate(members):
            member.used_by(self, slot)
        self._drift.forget_all_but(members)
        self.rank = 1 + max(member.rank for member in members)
        self.touch()

    def source_touched(self, slot: int) -> None:
        """Invalidate the block of member number `slot`."""
        self._blocks[slot // BLOCK_SIZE].valid_until_s = TOUCHED
        self.touch()

    def check_voltages(self, now_s: float) -> None:
        """Raise VoltageMismatchError naming the members whose known voltage lies outside the tolerance."""
        low_v, high_v = self._drift.low_v, self._drift.high_v
        known = [
            (member.name, status.voltage_v) for member in self._members if (status := member.status(now_s)).capacity_ah != 0.0
        ]
        outside = [
            f"{name} at {voltage_v:g} V"
            for name, voltage_v in known
            if voltage_v is not None and not low_v <= voltage_v <= high_v
        ]
        if outside:
            raise VoltageMismatchError(
                f"{self.name} takes members within {low_v:g} to {high_v:g} V; outside: {', '.join(outside)}",
                battery=self.name,
                lower_v=low_v,
                upper_v=high_v,
                outside=", ".join(outside),
            )

    def _fill(self, now_s: float) -> Figures:
        drift = self._drift
        for block in self._blocks:
            if block.valid_until_s < now_s:
                block.fill(now_s, drift.low_v, drift.high_v, any_held_out=drift.any_held_out)
            if block.peculiar and drift.anyone_back(block.peculiar, now_s):
                block.fill(now_s, drift.low_v, drift.high_v, any_held_out=True)
        return add_up([block.figures for block in self._blocks])

    def _compute(self, now_s: float) -> BatteryStatus:
        totals = Totals(self._fill(now_s), now_s)
        peculiar = self._peculiarities = Peculiarities(totals, now_s)
        for block in self._blocks:
            for member, status in block.peculiar:
                peculiar.add(member, status, out=member.held_out)
        for member in self._nested:
            peculiar.add_below(member.lost_leaves(now_s))
        self._drift.settle(block.peculiar for block in self._blocks)
        self._discharge, self._charge = totals.discharge.best(), totals.charge.best()
        self._discharge_reach, self._charge_reach = self._reaches(totals, now_s)
        able = not peculiar.uncontrollable and not self.stopped
        discharge_a = self._discharge_reach.limit_a + peculiar.stale_discharge_a if able else 0.0
        charge_a = self._charge_reach.limit_a + peculiar.stale_charge_a if able else 0.0
        limits: LimitFields = {
            "max_discharge_current_a": discharge_a,
            "max_charge_current_a": charge_a,
            "ideal_max_discharge_current_a": totals.discharge.ideal_a(totals),
            "ideal_max_charge_current_a": totals.charge.ideal_a(totals),
        }
        return self._status_of(totals, peculiar, limits, now_s)

    def _reaches(self, totals: Totals, now_s: float) -> tuple[Reach, Reach]:
        """Return what can be carried on discharge and on charge."""
        if self._policy is not None:
            candidates = (self._candidates(now_s, discharging=discharging) for discharging in (True, False))
            discharge, charge = (reach(self._policy, list(each.values())) for each in candidates)
            return discharge, charge
        pairs = ((totals.discharge, self._discharge), (totals.charge, self._charge))
        discharge, charge = (Reach(best.limit_a, tuple(direction.left_out(best))) for direction, best in pairs)
        return discharge, charge

    def _candidates(self, now_s: float, *, discharging: bool) -> dict[Battery, Candidate]:
        """Return the members that a set point is shared over, stale and lost ones apart."""
        apart = self._peculiarities.set_apart
        return {
            member: candidate_of(member.status(now_s), member.spec, self._least_a.get(member.name, 0.0), discharging=discharging)
            for member in self._members
            if member not in apart
        }

    def rates_per_weight(self, now_s: float, *, discharging: bool) -> dict[Battery, float]:
        """Return the limit per weight of each member in use; the least one bounds the aggregate."""
        self.status(now_s)
        left_out = (self._discharge_reach if discharging else self._charge_reach).left_out
        rates = {}
        for member, candidate in self._candidates(now_s, discharging=discharging).items():
            weight = candidate.available_ah if self._policy is None else self._policy.weigh(candidate)
            if (
                weight > 0.0
                and candidate.limit_a > 0.0
                and candidate.limit_a >= candidate.least_a
                and member.name not in left_out
            ):
                rates[member] = candidate.limit_a / weight
        return rates

    def ends_s(self, now_s: float) -> float:
        """Return the instant at which its charge reaches its own reserve or ceiling; infinite without one."""
        if self.spec.min_soc <= 0.0 and self.spec.max_soc >= 1.0:
            return math.inf
        return reaches_reserve_s(self.spec, self.status(now_s), now_s)

    def _status_of(self, totals: Totals, peculiar: Peculiarities, limits: LimitFields, now_s: float) -> BatteryStatus:
        controllable = not peculiar.uncontrollable
        count, capacity_ah = totals.count, totals.capacity_ah
        known = not peculiar.unknown and not (count == 0 and (peculiar.away or peculiar.left_out))
        usable_ah = 0.0 if self.stopped else totals.usable_ah
        reserve = reserved(self.spec, totals.charge_ah if known else None, capacity_ah, usable_ah, totals.balanced_ah)
        if not reserve.discharges:
            limits["max_discharge_current_a"] = 0.0
        if not reserve.charges:
            limits["max_charge_current_a"] = 0.0
        return frozen(
            Draft(
                name=self.name,
                kind=self.kind,
                voltage_v=totals.voltage_sum_v / count if count else None,
                current_a=totals.current_a if known and not peculiar.current_unknown else None,
                charge_ah=totals.charge_ah if known else None,
                capacity_ah=capacity_ah if known else None,
                soc=totals.charge_ah / capacity_ah if known and capacity_ah > 0.0 else None,
                usable_charge_ah=reserve.usable_ah if known else None,
                balanced_usable_charge_ah=reserve.balanced_ah if known else None,
                expected_charge_ah=None if peculiar.meter_unknown else totals.expected_ah,
                expected_at_s=now_s,
                expected_rate_a=totals.rate_a,
                unobserved_s=totals.unobserved_s,
                quality=self._quality(totals, peculiar),
                commandable=controllable and not self.stopped and count > 0,
                controllable=controllable,
                reason=self._reason(peculiar, reserve.reason),
                path=tuple(peculiar.path),
                hops=peculiar.hops,
                max_staleness_s=max(peculiar.max_staleness_s, LEAST_STALENESS_S),
                valid_until_s=min(self._drift.next_s, *[block.valid_until_s for block in self._blocks]),
                **limits,
                **_sampled(totals),
                **self.setpoint_fields(controllable=controllable),
            )
        )

    @staticmethod
    def _quality(totals: Totals, peculiar: Peculiarities) -> Quality:
        """Return the worst of the members in use; without any it is UNAVAILABLE, unless all are absent on purpose."""
        if totals.sampled or not (peculiar.away or peculiar.left_out):
            return peculiar.quality
        return Quality.UNAVAILABLE

    def _reason(self, peculiar: Peculiarities, by_charge: str) -> str:
        reasons = [self.stopped_text] if self.stopped else []
        if by_charge:
            reasons.append(by_charge)
        reasons += peculiar.reasons()
        for each, verb in ((self._discharge_reach, "discharge"), (self._charge_reach, "charge")):
            if each.left_out:
                reasons.append(f"derated, left out of the {verb} limit: {', '.join(each.left_out)}")
        if self.clamped_by:
            reasons.append(self.clamped_by)
        return "; ".join(reasons)

    def share(self, current_a: float, now_s: float) -> list[tuple[Battery, float]]:
        """Return each member's part of a set point of `current_a`, which must lie within the present limits.

        Stale members keep what they run, unavailable ones what they may run, also below; that is not given to others.
        Where members have least currents the shares may add up to less than asked.
        """
        self.status(now_s)
        discharging = current_a > 0.0
        sign = 1.0 if discharging else -1.0
        below_a = self._lost_below(now_s, discharging=discharging)
        fixed = self._peculiarities.fixed_shares(current_a, sum(below_a.values()))
        free_a = abs(current_a) - sum(share_a * sign for share_a in fixed.values() if share_a * sign > 0.0)
        free_a = max(0.0, free_a - sum(below_a.values()))
        if self._policy is not None:
            shares = self._by_policy(fixed, free_a, now_s, discharging=discharging)
        else:
            shares = self._by_weight(fixed, free_a, now_s, discharging=discharging)
        if below_a and current_a != 0.0:
            shares = [(member, share_a + sign * below_a.get(member, 0.0)) for member, share_a in shares]
        return shares

    def _by_weight(
        self, fixed: dict[Battery, float], free_a: float, now_s: float, *, discharging: bool
    ) -> list[tuple[Battery, float]]:
        without_share = self._peculiarities.without_share
        best = self._discharge if discharging else self._charge
        whole = free_a <= best.all_limit_a * LIMIT_SLACK
        weight_ah, cutoff_per_h = (best.all_weight_ah, 0.0) if whole else (best.weight_ah, best.cutoff_per_h)
        limit_a = best.all_limit_a if whole else best.limit_a
        sign = 1.0 if discharging else -1.0
        factor = sign * min(free_a, limit_a) / weight_ah if weight_ah > 0.0 else 0.0
        shares: list[tuple[Battery, float]] = []
        for member in self._members:
            if fixed and member in fixed:
                share_a = fixed[member]
            elif factor == 0.0 or member in without_share:
                share_a = 0.0
            else:
                share_a = _part(member.status(now_s), factor, cutoff_per_h)
            shares.append((member, share_a))
        return shares

    def _by_policy(
        self, fixed: dict[Battery, float], free_a: float, now_s: float, *, discharging: bool
    ) -> list[tuple[Battery, float]]:
        assert self._policy is not None  # noqa: S101 (narrowing: the caller looked)
        candidates = self._candidates(now_s, discharging=discharging)
        limit_a = (self._discharge_reach if discharging else self._charge_reach).limit_a
        shared = share(self._policy, list(candidates.values()), min(free_a, limit_a))
        shares_a = dict(zip(candidates, shared.shares_a, strict=True))
        sign = 1.0 if discharging else -1.0
        return [(member, fixed[member] if member in fixed else sign * shares_a.get(member, 0.0)) for member in self._members]


def _part(status: BatteryStatus, factor: float, cutoff_per_h: float) -> float:
    """Return a member's share: `factor` times what it weighs, within its limit; 0 for a derated one below the cutoff."""
    charge_ah, capacity_ah = status.charge_ah, status.capacity_ah
    if charge_ah is None or capacity_ah is None:
        return 0.0
    if factor > 0.0:
        limit_a, weight, ideal_a = status.max_discharge_current_a, charge_ah, status.ideal_max_discharge_current_a
    else:
        limit_a, weight, ideal_a = status.max_charge_current_a, capacity_ah - charge_ah, status.ideal_max_charge_current_a
    if limit_a <= 0.0 or weight <= 0.0:
        return 0.0
    if cutoff_per_h and is_derated(limit_a, ideal_a) and limit_a / weight < cutoff_per_h:
        return 0.0
    share_a = factor * weight
    return share_a if -limit_a <= share_a <= limit_a else limit_a if share_a > 0.0 else -limit_a


def _sampled(totals: Totals) -> SampleFields:
    if not totals.sampled:
        return {"sampled_from_s": None, "sampled_to_s": None, "sampled_from": None, "sampled_to": None}
    return {
        "sampled_from_s": totals.from_s,
        "sampled_to_s": totals.to_s,
        "sampled_from": totals.from_utc_s,
        "sampled_to": totals.to_utc_s,
    }


def members_of(battery: Battery) -> Iterable[Battery]:
    """Return a battery and all it rests on, each once, users before sources."""
    seen: set[int] = set()
    stack = [battery]
    while stack:
        current = stack.pop()
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            stack.extend(current.sources)


def devices_below(battery: Battery) -> list[DeviceLeaf]:
    """Return the devices and stubs that a battery rests on, itself if it is one."""
    return [leaf for leaf in members_of(battery) if isinstance(leaf, DeviceLeaf)]
