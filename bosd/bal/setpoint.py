"""Set points: what is asked of a battery, by whom, and until when."""

from dataclasses import dataclass

from bosd.bal.status import SetpointSource


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPoint:
    """A living request for `current_a` (positive discharges) by `holder`, over at the monotonic instant `ends_s`."""

    current_a: float
    ends_s: float
    holder: str
    request_id: str = ""
    source: SetpointSource = SetpointSource.MANUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What a booking asks of a battery now: `current_a` (positive discharges), in force to the monotonic instant `ends_s`."""

    number: int
    current_a: float
    ends_s: float
