"""A partition: one part of a split source, which behaves like a battery and forwards every question to its splitter."""

from typing import TYPE_CHECKING

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.limits import allowed_directions
from bosd.bal.spec import PartitionSpec
from bosd.bal.status import BatteryStatus, Draft, Quality, frozen

if TYPE_CHECKING:
    from bosd.bal.splitter import Splitter


class Partition(Battery):
    """Partition number `index` of a splitter, top first."""

    kind = "partition"
    __slots__ = ("index", "splitter")

    def __init__(self, spec: PartitionSpec, splitter: "Splitter", index: int) -> None:
        super().__init__(spec)
        self.splitter = splitter
        self.index = index

    @property
    def sources(self) -> tuple[Battery, ...]:
        """The splitter's source."""
        return (self.splitter.source,)

    def lost_a(self, now_s: float, *, discharging: bool) -> float:
        """Return its part of what counts below the source at what cannot be told another current; see Battery.lost_a."""
        return sum(self.lost_parts_a(now_s, discharging=discharging))

    def lost_parts_a(self, now_s: float, *, discharging: bool) -> tuple[float, float]:
        """Return the same as what it runs of that itself, and what no partition runs there any more.

        The latter counts to each partition; to several together it counts once.
        """
        source, sign = self.splitter.source, 1.0 if discharging else -1.0
        status = source.status(now_s)
        if isinstance(source, DeviceLeaf):
            lost_a = 0.0 if status.commandable or source.stopped else max(0.0, sign * source.counts_at_a)
        else:
            lost_a = source.lost_a(now_s, discharging=discharging)
        if lost_a == 0.0:
            return 0.0, 0.0
        all_a = sum(part_a for part in self.splitter.partitions if (part_a := sign * part.applied_a) > 0.0)
        return max(0.0, sign * self.applied_a) * min(1.0, lost_a / all_a if all_a else 1.0), max(0.0, lost_a - all_a)

    def lost_leaves(self, now_s: float) -> dict[Battery, float]:
        """Return the lost leaves that the source is, or rests on."""
        source = self.splitter.source
        if not isinstance(source, DeviceLeaf):
            return source.lost_leaves(now_s)
        lost = not source.status(now_s).commandable and not source.stopped and source.counts_at_a != 0.0
        return {source: source.counts_at_a} if lost else {}

    def latch(self, *, stopped: bool) -> None:
        """Note that the partition is stopped, or released: the source is shared anew, its siblings' limits included."""
        self.stopped = stopped
        self.splitter.source_touched(0)

    def _compute(self, now_s: float) -> BatteryStatus:
        shared = self.splitter.allocation(now_s)
        source, i = shared.source, self.index
        charge_ah = None if shared.charges_ah is None else shared.charges_ah[i]
        capacity_ah = None if shared.capacities_ah is None else shared.capacities_ah[i]
        current_a = None if shared.currents_a is None else shared.currents_a[i]
        return frozen(
            Draft(
                name=self.name,
                kind=self.kind,
                voltage_v=source.voltage_v,
                current_a=current_a,
                charge_ah=charge_ah,
                capacity_ah=capacity_ah,
                soc=charge_ah / capacity_ah if charge_ah is not None and capacity_ah else None,
                max_discharge_current_a=shared.discharges_a[i],
                max_charge_current_a=shared.charge_limits_a[i],
                ideal_max_discharge_current_a=shared.ideal_discharges_a[i],
                ideal_max_charge_current_a=shared.ideal_charges_a[i],
                usable_charge_ah=None if shared.usable_ah is None else shared.usable_ah[i],
                balanced_usable_charge_ah=None if shared.balanced_ah is None else shared.balanced_ah[i],
                expected_charge_ah=None if shared.expected_ah is None else shared.expected_ah[i],
                expected_at_s=shared.made_s,
                expected_rate_a=shared.rates_a[i],
                unobserved_s=source.unobserved_s,
                sampled_from_s=source.sampled_from_s,
                sampled_to_s=source.sampled_to_s,
                sampled_from=source.sampled_from,
                sampled_to=source.sampled_to,
                quality=source.quality,
                commandable=source.commandable and not self.stopped,
                controllable=source.controllable,
                reason=self._reason(source, charge_ah, capacity_ah),
                path=source.path,
                hops=source.hops,
                max_staleness_s=source.max_staleness_s,
                valid_until_s=shared.valid_until_s,
                **self.setpoint_fields(controllable=source.controllable),
            )
        )

    def exhausted(self, current_a: float, now_s: float) -> str:
        """Return `empty` or `full` where its own charge ends a set point of `current_a`, else nothing."""
        status = self.status(now_s)
        discharges, charges, reason = allowed_directions(self.spec, status.charge_ah, status.capacity_ah, None)
        return reason if (current_a > 0.0 and not discharges) or (current_a < 0.0 and not charges) else ""

    def _reason(self, source: BatteryStatus, charge_ah: float | None, capacity_ah: float | None) -> str:
        reasons = [self.stopped_text] if self.stopped else []
        if source.quality is not Quality.GOOD or not source.commandable:
            reasons.append(f"{source.name}: {source.reason}" if source.reason else f"{source.name} {source.quality.name.lower()}")
        by_charge = allowed_directions(self.spec, charge_ah, capacity_ah, None)[2]
        if by_charge and not self.stopped:
            reasons.append(by_charge)
        if self.clamped_by:
            reasons.append(self.clamped_by)
        return "; ".join(reasons)
