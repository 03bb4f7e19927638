"""A physical battery: the newest sample of a device, what its age is worth, and what its device may be asked."""

import math

from bosd.bal.battery import DeviceLeaf
from bosd.bal.device import Device, Sample
from bosd.bal.follow import Deviation
from bosd.bal.in_sight import LONGEST_UNSEEN_S, PERIODS_UNTIL_STALE
from bosd.bal.limits import allowed_directions, usable_ah
from bosd.bal.meter import Meter, RestoredMeter
from bosd.bal.spec import PhysicalSpec
from bosd.bal.status import BatteryStatus, Draft, Quality, frozen
from bosd.bal.status_fields import LimitFields
from bosd.bal.told import Told
from bosd.errors import UnavailableError

LEAST_STALENESS_S = 1.5
UNAVAILABLE_FACTOR = 3.0
GATE_DEADLINE_S = 8.0


class PhysicalBattery(DeviceLeaf):
    """A battery behind a device.

    Quality is age alone: GOOD to `max_staleness_s` (default three refresh periods, at least 1.5 s), STALE to
    `unavailable_after_s` (default three times that), then UNAVAILABLE with the last voltage, charge and capacity
    (control.md, "Quality, link and commandability"), after a minute at most
    where a regulator charges it unseen. `told` says that this node has commanded its device, `unowned` that the
    device runs what nobody here asked for. `commanded_a` is what it was told last, followed or not; `deviation` stands while its
    device does something else. Nothing may be raised then, and one that holds more than it was told may do nothing.
    `left_a` is what an earlier run of this node told the device: it counts while a device that holds gives no answer.
    It was `looked` at once it answered that, or failed to.
    """

    __slots__ = (
        "_asked",
        "_place",
        "commanded_a",
        "deviation",
        "device",
        "fault",
        "kind",
        "lazy",
        "left_a",
        "looked",
        "max_staleness_s",
        "meter",
        "restored",
        "sample",
        "told",
        "told_book",
        "unavailable_after_s",
        "unowned",
    )

    def __init__(self, spec: PhysicalSpec, device: Device) -> None:
        super().__init__(spec)
        self.kind = spec.kind  # type: ignore[misc]
        self.device = device
        self.lazy = spec.refresh == "lazy"
        self.max_staleness_s = staleness_s(spec)
        default_s = UNAVAILABLE_FACTOR * self.max_staleness_s
        if spec.regulator is not None:
            default_s = max(self.max_staleness_s, min(default_s, LONGEST_UNSEEN_S))
        self.unavailable_after_s = default_s if spec.unavailable_after_s is None else spec.unavailable_after_s
        self.sample: Sample | None = None
        self.meter: Meter | None = None
        self.restored: RestoredMeter | None = None
        self.fault = ""
        self.told = False
        self.unowned = False
        self.commanded_a: float | None = None
        self.deviation: Deviation | None = None
        self.told_book: Told | None = None
        self.left_a, self.looked = 0.0, False
        self._asked, self._place = 0, ""

    @property
    def command_deadline_s(self) -> float:  # type: ignore[override]
        """The longer of the usual time and the device's own `failsafe_time_s`, where its driver tells one.

        A gate closes 5 s after its last switching at the earliest and has 2 s to show it (JBD protocol, current control).
        """
        usual_s = GATE_DEADLINE_S if self.is_gate else DeviceLeaf.command_deadline_s
        own_s = getattr(self.device, "failsafe_time_s", None)
        return max(usual_s, own_s) if isinstance(own_s, int | float) and 0.0 < own_s < math.inf else usual_s

    @property
    def is_gate(self) -> bool:
        """Whether its device switches directions on and off and leaves the amount to the load."""
        return isinstance(self.spec, PhysicalSpec) and self.spec.current_control == "gate"

    @property
    def rests_unseen(self) -> bool:
        """A gate's switches conduct until they are told otherwise, and other programs close them, too."""
        return self.is_gate

    @property
    def untold(self) -> bool:
        """Nobody looked after the switches of a gate that was never told anything."""
        return self.rests_unseen and not self.told

    @property
    def strays(self) -> str:
        """What an app or another program has made of its device."""
        return str(getattr(self.device, "strays", ""))

    @property
    def controllable(self) -> bool:
        """Whether its device can follow a set point."""
        spec = self.spec
        return isinstance(spec, PhysicalSpec) and spec.current_control != "none"

    def sampled(self, sample: Sample) -> None:
        """Take a fresh sample; it ends the meter's interval and clears a fault."""
        self.sample = sample
        self.fault = ""
        if sample.current_a is not None:
            if self.meter is not None:
                self.meter.sample(sample.sampled_s, sample.current_a)
            else:
                self._begin_meter(sample, sample.current_a)
        self.touch()

    def _begin_meter(self, sample: Sample, current_a: float) -> None:
        """Let the meter go on where it stood before the node started, else begin at the charge the device reports."""
        before = self.restored
        charge_ah = sample.charge_ah if before is None else before.charge_ah
        if charge_ah is None:
            return
        self.meter = Meter(charge_ah, sample.sampled_s, current_a, self.unavailable_after_s)
        if before is not None:
            self.meter.unobserved_s = before.unobserved_s + max(0.0, sample.sampled_utc_s - before.at_utc_s)
            self.restored = None

    @property
    def let_go_s(self) -> float | None:
        """The longer of telling it and its own hold (control.md: `expires`); None where its hardware holds on."""
        hold_s = self.device.hold_s
        return None if hold_s is None else max(self.command_deadline_s, hold_s)

    @property
    def was_there(self) -> bool:
        """Whether this run or an earlier one has a sample of it, or has told it something."""
        return self.sample is not None or self.restored is not None or self.left_a != 0.0

    def left_for_s(self, now_s: float) -> float:
        """Return how long yet it may run what an earlier run asked for; 0.0 where nothing, infinite where it holds."""
        return max(0.0, self.unread_until_s - now_s) if self.was_there and self.controllable else 0.0

    def keep_told(self, book: Told) -> None:
        """Have what a regulator is told kept over restarts; what is kept may be running. A gate leaves the amount to the load."""
        if self.controllable and not self.is_gate and isinstance(self.spec, PhysicalSpec):
            self.told_book, self._place = book, self.spec.commanded_place
            self.left_a = book.left_a(self._place)
            if abs(self.unconfirmed_a or 0.0) > abs(self.left_a):  # of a battery whose place it takes
                book.note_soon(self._place, self.counts_at_a)

    def is_waited_for(self, now_s: float) -> bool:
        """Return whether the first look is under way, or the device has not let go by itself of what an earlier run left."""
        lets_go = self.left_a != 0.0 and self.device.hold_s is not None
        return self.is_unread(now_s) and (lets_go or not self.looked)

    def gave_no_answer(self) -> bool:
        """Note that nobody knows what the device runs: what an earlier run may have left on one that holds counts.

        Whatever was told in vain meanwhile, 0 A too, takes nothing from that. Returns whether it counts from now on.
        """
        self.looked = True
        if abs(self.left_a) <= abs(self.unconfirmed_a or 0.0) or self.device.hold_s is not None:
            return False
        self.unconfirmed_a = self.left_a
        self.touch()
        return True

    def found_at_rest(self) -> bool:
        """Note that the device holds nothing; return whether what an earlier run left was counted."""
        counted = self.left_a != 0.0 and self.unconfirmed_a is not None
        self._confirmed(0.0)
        if counted:
            self.unconfirmed_a = None
            self.touch()
        return counted

    def _confirmed(self, current_a: float) -> None:
        """Keep what the device has confirmed; what an earlier run left is over."""
        self.left_a = 0.0
        if self.told_book is not None:
            self.told_book.confirmed(self._place, current_a)

    def found_running(self, current_a: float) -> None:
        """Note that the device was found to hold `current_a` that this node did not ask for (control.md, "Owners")."""
        self.unconfirmed_a = current_a
        self.unowned = True
        self.touch()

    def failed(self, reason: str) -> None:
        """Note that the device did not give a sample, and why."""
        if reason != self.fault:
            self.fault = reason
            self.touch()

    async def note(self, current_a: float) -> bool:
        """Note what the device would go on with, be this node gone; what lowers waits for no disk."""
        self._asked += 1
        asked, known_a = self._asked, self.applied_a if self.unconfirmed_a is None else self.unconfirmed_a
        lowers = current_a == 0.0 or (current_a * known_a > 0.0 and abs(current_a) <= abs(known_a))
        if self.told_book is None or lowers:
            return False
        waited = await self.told_book.note(self._place, max(self._may_run_a, current_a, key=abs))
        if self._asked != asked:
            raise UnavailableError(f"{self.name}: another command was sent while this one waited for the disk", battery=self.name)
        return waited

    @property
    def _may_run_a(self) -> float:
        return max(self.counts_at_a, self.left_a, key=abs)

    def not_told(self) -> None:
        """Have kept for a run after this one what the device goes on with."""
        if self.told_book is not None:
            self.told_book.not_told(self._place, self._may_run_a)

    async def make_safe(self) -> str:
        """Have the device do its safe action, and nothing behind it that was asked before; return in words what was done."""
        self._asked += 1
        done = await self.device.make_safe()
        self._confirmed(0.0)
        return done

    async def command(self, current_a: float, ttl_s: float | None) -> None:
        """Make the device follow `current_a`; its own watchdog, not `ttl_s`, bounds what it holds."""
        del ttl_s
        self.commanded_a = current_a
        await self.device.set_current(current_a)

    def deviates(self, deviation: Deviation | None) -> None:
        """Note that the device does not do what it was told, or that it does so again."""
        if deviation != self.deviation:
            self.deviation = deviation
            self.touch()

    def settled(self, current_a: float, now_s: float) -> None:
        """Note that the device follows `current_a` from `now_s` on: a step of the meter."""
        self.told, self.unowned = True, False
        self._confirmed(current_a)
        if self.meter is not None:
            self.meter.step(now_s, current_a - self.applied_a)
        super().settled(current_a, now_s)

    def _quality(self, sample: Sample, now_s: float) -> tuple[Quality, float]:
        stale_s = sample.sampled_s + self.max_staleness_s
        lost_s = sample.sampled_s + self.unavailable_after_s
        if now_s <= stale_s:
            return Quality.GOOD, stale_s
        if self.lazy and not self.fault:
            return Quality.STALE, math.inf
        return (Quality.STALE, lost_s) if now_s <= lost_s else (Quality.UNAVAILABLE, math.inf)

    def _command_reasons(self) -> list[str]:
        reasons = [self.stopped_text] if self.stopped else []
        if not self.controllable:
            reasons.append("no current control")
        if self.unowned:
            reasons.append(f"UNOWNED: runs {self.counts_at_a:g} A that nobody here asked for")
        elif self.left_a and self.unconfirmed_a == self.left_a:
            reasons.append(f"counted at {self.unconfirmed_a:g} A, which an earlier run had it run, until it answers")
        elif self.unconfirmed_a is not None:
            reasons.append(f"last command unconfirmed, counted at {self.unconfirmed_a:g} A")
        if self.deviation is not None:
            reasons.append(f"NOT_FOLLOWED: {self.deviation}")
        return reasons

    def _reasons(self, sample: Sample | None, quality: Quality, by_charge: str) -> str:
        reasons = self._command_reasons()
        if sample is not None:
            reasons += [*sample.blocked_by, *sample.limited_by, *sample.notes]
        if by_charge:
            reasons.append(by_charge)
        if self.fault:
            reasons.append(self.fault)
        elif sample is None:
            reasons.append("never sampled")
        elif quality is Quality.STALE and self.lazy:
            reasons.append("lazy")
        elif quality is not Quality.GOOD:
            reasons.append("no sample in time")
        if self.clamped_by:
            reasons.append(self.clamped_by)
        return "; ".join(reasons)

    def _never_sampled(self, spec: PhysicalSpec) -> BatteryStatus:
        return BatteryStatus(
            name=self.name,
            kind=self.kind,
            ideal_max_discharge_current_a=spec.max_discharge_current_a,
            ideal_max_charge_current_a=spec.max_charge_current_a,
            controllable=self.controllable,
            reason=self._reasons(None, Quality.UNAVAILABLE, ""),
            max_staleness_s=self.max_staleness_s,
            **self.setpoint_fields(controllable=self.controllable),
        )

    def _limits(self, spec: PhysicalSpec, sample: Sample, *, discharges: bool, charges: bool) -> LimitFields:
        discharge_a = _lowered(spec.max_discharge_current_a, sample.limit_discharge_a) if discharges else 0.0
        charge_a = _lowered(spec.max_charge_current_a, sample.limit_charge_a) if charges else 0.0
        if self.deviation is not None:
            told_a = 0.0 if self.deviation.runs_away else self.deviation.reading.commanded_a
            discharge_a, charge_a = min(discharge_a, max(told_a, 0.0)), min(charge_a, max(0.0 - told_a, 0.0))
        return {
            "max_discharge_current_a": discharge_a,
            "max_charge_current_a": charge_a,
            "ideal_max_discharge_current_a": spec.max_discharge_current_a,
            "ideal_max_charge_current_a": spec.max_charge_current_a,
        }

    def _compute(self, now_s: float) -> BatteryStatus:
        spec, sample, meter = self.spec, self.sample, self.meter
        assert isinstance(spec, PhysicalSpec)  # noqa: S101 (narrowing: the constructor takes nothing else)
        if sample is None:
            return self._never_sampled(spec)
        quality, valid_until_s = self._quality(sample, now_s)
        away = quality is Quality.UNAVAILABLE
        discharges, charges, by_charge = allowed_directions(spec, sample.charge_ah, sample.capacity_ah, sample.soc)
        discharges, charges = discharges and sample.discharge_allowed, charges and sample.charge_allowed
        commandable = self.controllable and not self.stopped and not away
        balanced_ah = None
        if sample.charge_ah is not None and sample.capacity_ah is not None:
            balanced_ah = usable_ah(spec, sample.charge_ah, sample.capacity_ah)
        metered_ah, metered_s, rate_a = (None, 0.0, 0.0) if meter is None else meter.running_on(now_s)
        return frozen(
            Draft(
                name=self.name,
                kind=self.kind,
                voltage_v=sample.voltage_v,
                current_a=None if away else sample.current_a,
                charge_ah=sample.charge_ah,
                capacity_ah=sample.capacity_ah,
                soc=sample.soc,
                usable_charge_ah=0.0 if balanced_ah is not None and (away or self.stopped or not discharges) else balanced_ah,
                balanced_usable_charge_ah=balanced_ah,
                expected_charge_ah=metered_ah,
                expected_at_s=metered_s,
                expected_rate_a=rate_a,
                unobserved_s=0.0 if meter is None else meter.unobserved_s,
                sampled_from_s=sample.sampled_s,
                sampled_to_s=sample.sampled_s,
                sampled_from=sample.sampled_utc_s,
                sampled_to=sample.sampled_utc_s,
                quality=quality,
                commandable=commandable,
                controllable=self.controllable,
                reason=self._reasons(sample, quality, by_charge),
                cells_v=sample.cells_v,
                temperatures_c=sample.temperatures_c,
                cycles=sample.cycles,
                faults=sample.faults,
                balancing_cells=sample.balancing_cells,
                charge_switch_closed=sample.charge_switch_closed,
                discharge_switch_closed=sample.discharge_switch_closed,
                max_staleness_s=self.max_staleness_s,
                valid_until_s=valid_until_s if meter is None else _before(meter.seen_until_s(), valid_until_s, now_s),
                **self._limits(spec, sample, discharges=discharges and commandable, charges=charges and commandable),
                **self.setpoint_fields(controllable=self.controllable),
            )
        )


def staleness_s(spec: PhysicalSpec) -> float:
    """Return the age at which samples of this battery become old."""
    default_s = max(LEAST_STALENESS_S, PERIODS_UNTIL_STALE * spec.refresh_period_s)
    return default_s if spec.max_staleness_s is None else spec.max_staleness_s


def _lowered(configured_a: float | None, device_a: float | None) -> float:
    """Return the configured limit, lowered by what the device says of itself; 0 where none is configured."""
    return (configured_a or 0.0) if device_a is None else min(configured_a or 0.0, device_a)


def _before(instant_s: float, valid_until_s: float, now_s: float) -> float:
    """Return the earlier of an instant still to come and `valid_until_s`."""
    return min(instant_s, valid_until_s) if instant_s >= now_s else valid_until_s
