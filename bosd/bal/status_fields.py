"""Fields of a status that are found together."""

from typing import TypedDict

from bosd.bal.status import SetpointSource


class SetpointFields(TypedDict):
    """What a status says about the set point."""

    requested_current_a: float | None
    applied_current_a: float | None
    setpoint_source: SetpointSource | None
    setpoint_ends_s: float | None
    holder: str


class SampleFields(TypedDict):
    """The instants of the oldest and the newest sample a status rests on; see BatteryStatus."""

    sampled_from_s: float | None
    sampled_to_s: float | None
    sampled_from: float | None
    sampled_to: float | None


class LimitFields(TypedDict):
    """Present and ideal limits, magnitudes in amperes."""

    max_discharge_current_a: float
    max_charge_current_a: float
    ideal_max_discharge_current_a: float | None
    ideal_max_charge_current_a: float | None
