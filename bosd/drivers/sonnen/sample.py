"""From a Sonnen battery's answers to a sample."""

from dataclasses import dataclass, field

from bosd.bal.device import Sample
from bosd.drivers.sonnen.answers import Battery, Status

_VOLTAGE_UNTOLD = "voltage_v: the battery tells none; write voltage_v"
_FULL_SOC = 1.0


def voltage_of(status: Status, battery: Battery | None, configured_v: float | None) -> float | None:
    """Return the voltage of the cells' side in V: the battery's, else the inverter's view of it, else the configured one."""
    return (battery.voltage_v if battery is not None else None) or status.voltage_v or configured_v


@dataclass(slots=True)
class Freshness:
    """When values were measured: the battery's time stamp moves once a second, and what stands still is as old as it is."""

    _timestamp: str | None = None
    _since: tuple[float, float] = field(default=(0.0, 0.0))

    def measured(self, timestamp: str | None, now_s: float, utc_s: float) -> tuple[float, float]:
        """Return the instant (monotonic, wall clock) at which the values with this time stamp were first seen."""
        if timestamp is None or timestamp != self._timestamp:
            self._timestamp = timestamp
            self._since = now_s, utc_s
        return self._since


def build_sample(
    status: Status,
    battery: Battery | None,
    *,
    voltage_v: float | None,
    measured: tuple[float, float],
    configured_a: tuple[float | None, float | None] = (None, None),
    notes: tuple[str, ...] = (),
) -> Sample:
    """Return one reading; `configured_a` are the limits (discharge, charge) that the battery's own may lower.

    Current is what the inverter's AC power takes from the cells, its losses left out.

    Charge is what the user may use, capacity what of it there can be, and `soc` the battery's own number for both (USOC).
    """
    blocked = list(_blocked(status))
    charge_ah = capacity_ah = None
    if battery is not None and None not in (battery.full_ah, battery.usable_ah):
        assert battery.full_ah is not None and battery.usable_ah is not None  # noqa: S101, PT018 (narrowing)
        charge_ah = battery.usable_ah
        spared_ah = max(0.0, (battery.remaining_ah or charge_ah) - charge_ah)
        capacity_ah = max(battery.full_ah - spared_ah, charge_ah)
    return Sample(
        sampled_s=measured[0],
        sampled_utc_s=measured[1],
        voltage_v=voltage_v,
        current_a=None if voltage_v is None else status.power_w / voltage_v,
        charge_ah=charge_ah,
        capacity_ah=capacity_ah,
        soc=status.user_soc,
        discharge_allowed=not any(way != "charge" for way, _ in blocked),
        charge_allowed=not any(way != "discharge" for way, _ in blocked),
        blocked_by=tuple(text for _, text in blocked),
        temperatures_c=None if battery is None else battery.temperatures_c,
        cycles=None if battery is None else battery.cycles,
        faults=() if battery is None else battery.faults,
        notes=notes if voltage_v is not None else (*notes, _VOLTAGE_UNTOLD),
        limit_discharge_a=None if battery is None else battery.limit_discharge_a,
        limit_charge_a=None if battery is None else battery.limit_charge_a,
        limited_by=() if battery is None else _limited(battery, configured_a),
    )


def _blocked(status: Status) -> list[tuple[str, str]]:
    """Return which way ("discharge", "charge" or "both") is closed by the battery itself, and why."""
    if not status.on_grid:
        return [("both", "off grid: the battery follows its loads alone")]
    found = []
    if not status.discharge_allowed:
        found.append(("discharge", "discharge not allowed by the battery"))
    elif status.user_soc <= status.reserve:
        found.append(("discharge", f"at its reserve: {100.0 * status.user_soc:g} % left, {100.0 * status.reserve:g} % kept"))
    if status.user_soc >= _FULL_SOC:
        found.append(("charge", "full"))
    return found


def _limited(battery: Battery, configured_a: tuple[float | None, float | None]) -> tuple[str, ...]:
    """Return what to say where the battery allows less than is configured."""
    ways = (("discharge", battery.limit_discharge_a, configured_a[0]), ("charge", battery.limit_charge_a, configured_a[1]))
    return tuple(
        f"{way} limited to {own_a:g} A by the battery"
        for way, own_a, limit_a in ways
        if own_a is not None and limit_a is not None and own_a < limit_a
    )
