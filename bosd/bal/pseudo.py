"""Batteries that exist in software only: pseudo and null. They are sampled when asked, so they never age."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bosd.bal.battery import ComputedLeaf, DeviceLeaf
from bosd.bal.limits import allowed_directions, usable_ah
from bosd.bal.meter import SECONDS_PER_HOUR, Meter
from bosd.bal.spec import NullSpec, PseudoSpec
from bosd.bal.status import BatteryStatus, Draft, Quality, frozen
from bosd.bal.status_fields import SampleFields
from bosd.errors import InvalidArgumentError

ANNOUNCED_STALENESS_S = 1.5
ALWAYS_NOW: SampleFields = {
    "sampled_from_s": math.inf,
    "sampled_to_s": math.inf,
    "sampled_from": math.inf,
    "sampled_to": math.inf,
}
"""Sample instants of a battery that is sampled when asked: whenever that is, they are not in the past."""


class InPlace(NamedTuple):
    """What a null battery of that name stands in place of: where that is commanded, and what it may run (positive discharges)."""

    name: str
    place: str
    may_run_a: float


class NullBattery(ComputedLeaf):
    """A battery that is absent on purpose: its voltage, and zero of everything else.

    `left` is the battery that an edit put it in place of, while the device of that may run on and has not confirmed to be safe.
    """

    kind = NullSpec.kind
    __slots__ = ("left", "voltage_v")

    def __init__(self, spec: NullSpec) -> None:
        super().__init__(spec)
        self.voltage_v = spec.voltage_v
        self.left: DeviceLeaf | None = None

    def apply(self, current_a: float, now_s: float) -> None:
        """Follow nothing; its limits are 0, so nothing else can be asked."""
        del now_s
        self.applied_a = current_a
        self.touch()

    def _compute(self, now_s: float) -> BatteryStatus:
        return BatteryStatus(
            name=self.name,
            kind=self.kind,
            voltage_v=self.voltage_v,
            current_a=0.0,
            charge_ah=0.0,
            capacity_ah=0.0,
            ideal_max_discharge_current_a=0.0,
            ideal_max_charge_current_a=0.0,
            usable_charge_ah=0.0,
            balanced_usable_charge_ah=0.0,
            expected_charge_ah=0.0,
            expected_at_s=now_s,
            **self.setpoint_fields(controllable=True),
            **ALWAYS_NOW,
            quality=Quality.GOOD,
            commandable=not self.stopped and self.left is None,
            controllable=True,
            reason="; ".join(self._reasons()),
            max_staleness_s=ANNOUNCED_STALENESS_S,
        )

    def _reasons(self) -> Iterator[str]:
        yield self.stopped_text if self.stopped else "absent on purpose"
        if self.left is not None:
            yield f"what was here before may still run {self.left.counts_at_a:g} A, and is told until it confirms"


class PseudoBattery(ComputedLeaf):
    """A battery that follows its set point exactly and integrates it over the node's clock.

    Between two steps the current is constant, so charge is exact at any instant; it stops at its reserve and when full, and the
    current with it. What `modify` changes is a report: it moves no meter and nobody's expectations.
    """

    kind = PseudoSpec.kind
    __slots__ = ("_at_s", "_charge_ah", "ideal_charge_a", "ideal_discharge_a", "meter", "reported")

    def __init__(self, spec: PseudoSpec, now_s: float) -> None:
        super().__init__(spec)
        self.ideal_discharge_a = spec.max_discharge_current_a
        self.ideal_charge_a = spec.max_charge_current_a
        self.reported = {
            "voltage_v": spec.voltage_v,
            "capacity_ah": spec.capacity_ah,
            "max_discharge_current_a": spec.max_discharge_current_a,
            "max_charge_current_a": spec.max_charge_current_a,
        }
        self._charge_ah = spec.charge_ah
        self._at_s = now_s
        self.meter = Meter(spec.charge_ah, now_s)

    def restore(self, meter_ah: float, held_ah: float, unobserved_s: float) -> None:
        """Go on where a node that ended left it: the meter, the charge it held and the time that nobody observed."""
        self._charge_ah = held_ah
        self.meter.shift(meter_ah - self.meter.charge_ah)
        self.meter.unobserved_s = unobserved_s
        self.touch()

    def held_ah(self, now_s: float) -> float:
        """Return the charge it holds at `now_s`."""
        return self._charge_at(now_s)[0]

    def ends_s(self) -> float:
        """Return the instant at which its charge reaches the reserve or full; infinite at rest."""
        if self.applied_a == 0.0:
            return math.inf
        capacity_ah = self.reported["capacity_ah"]
        bound_ah = capacity_ah * (self.spec.min_soc if self.applied_a > 0.0 else self.spec.max_soc)
        return self._at_s + max(0.0, (self._charge_ah - bound_ah) / self.applied_a) * SECONDS_PER_HOUR

    def apply(self, current_a: float, now_s: float) -> None:
        """Follow `current_a` from `now_s` on."""
        running_a = self._advance(now_s)
        self.meter.step(now_s, current_a - running_a)
        self.applied_a = current_a
        self.touch()

    def modify(self, values: Mapping[str, float], now_s: float) -> None:
        """Report other values from now on; keys as in the specification. Raises InvalidArgumentError naming the key."""
        checked = dict(values)
        for key, value in checked.items():
            if key != "charge_ah" and key not in self.reported:
                known = ", ".join(["charge_ah", *self.reported])
                raise InvalidArgumentError(f"{key} is no value of a pseudo battery; known are {known}", field=key)
            if not math.isfinite(value) or value < 0.0:
                raise InvalidArgumentError(f"{key} must be a finite number of at least 0, got {value}", field=key, value=value)
        capacity_ah = checked.get("capacity_ah", self.reported["capacity_ah"])
        charge_ah = checked.pop("charge_ah", None)
        held_ah = self._charge_at(now_s)[0] if charge_ah is None else charge_ah
        if held_ah > capacity_ah * (1.0 + 1e-12):
            raise InvalidArgumentError(f"charge_ah {held_ah:g} does not fit into capacity_ah {capacity_ah:g}", field="charge_ah")
        self._advance(now_s)
        if charge_ah is not None:
            self._charge_ah = charge_ah
        self.reported.update(checked)
        running_a = self.applied_a if self._charge_at(now_s)[1] else 0.0
        self.meter.step(now_s, running_a - self.meter.current_a)
        self.touch()

    def _charge_at(self, now_s: float) -> tuple[float, bool]:
        """Return the charge, and whether the current still runs, at `now_s`."""
        if self.applied_a == 0.0:
            return self._charge_ah, False
        ended_s = self.ends_s()
        if now_s < ended_s:
            return self._charge_ah - self.applied_a * (now_s - self._at_s) / SECONDS_PER_HOUR, True
        bound_soc = self.spec.min_soc if self.applied_a > 0.0 else self.spec.max_soc
        already = ended_s <= self._at_s
        return (self._charge_ah if already else bound_soc * self.reported["capacity_ah"]), False

    def _advance(self, now_s: float) -> float:
        """Bring the charge to `now_s`; end a current that ran empty or full on the way; return the current that still runs."""
        if self.applied_a == 0.0:
            self._at_s = now_s
            return self.meter.current_a
        charge_ah, running = self._charge_at(now_s)
        if not running and self.meter.current_a != 0.0:
            self.meter.step(min(now_s, max(self._at_s, self.ends_s())), -self.meter.current_a)
        self._charge_ah = charge_ah
        self._at_s = now_s
        return self.meter.current_a

    def _compute(self, now_s: float) -> BatteryStatus:
        charge_ah, running = self._charge_at(now_s)
        capacity_ah = self.reported["capacity_ah"]
        current_a = self.applied_a if running else 0.0
        discharges, charges, reason = allowed_directions(self.spec, charge_ah, capacity_ah, None)
        if self.stopped:
            discharges, charges, reason = False, False, self.stopped_text
        max_discharge_a = self.reported["max_discharge_current_a"] if discharges else 0.0
        max_charge_a = self.reported["max_charge_current_a"] if charges else 0.0
        setpoint = self.setpoint_fields(controllable=True)
        balanced_ah = usable_ah(self.spec, charge_ah, capacity_ah)
        return frozen(
            Draft(
                name=self.name,
                kind=self.kind,
                voltage_v=self.reported["voltage_v"],
                current_a=current_a,
                charge_ah=charge_ah,
                capacity_ah=capacity_ah,
                soc=charge_ah / capacity_ah if capacity_ah > 0.0 else None,
                usable_charge_ah=balanced_ah if max_discharge_a > 0.0 else 0.0,
                balanced_usable_charge_ah=balanced_ah,
                expected_charge_ah=self.meter.value_ah(now_s if running else min(now_s, max(self._at_s, self.ends_s()))),
                expected_at_s=now_s,
                expected_rate_a=current_a,
                unobserved_s=self.meter.unobserved_s,
                quality=Quality.GOOD,
                commandable=not self.stopped,
                controllable=True,
                reason=reason or self.clamped_by,
                max_staleness_s=ANNOUNCED_STALENESS_S,
                valid_until_s=now_s if running else math.inf,
                max_discharge_current_a=max_discharge_a,
                max_charge_current_a=max_charge_a,
                ideal_max_discharge_current_a=self.ideal_discharge_a,
                ideal_max_charge_current_a=self.ideal_charge_a,
                requested_current_a=setpoint["requested_current_a"],
                applied_current_a=setpoint["applied_current_a"],
                setpoint_source=setpoint["setpoint_source"],
                setpoint_ends_s=setpoint["setpoint_ends_s"],
                holder=setpoint["holder"],
                sampled_from_s=math.inf,
                sampled_to_s=math.inf,
                sampled_from=math.inf,
                sampled_to=math.inf,
            )
        )
