"""What a JBD pack allows now: the configured limits, lowered by the board's own trip points and by derating (no I/O)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from bosd.bal.derating import Derating, DeratingSpec, Readings
from bosd.bal.device import LimitFact, Sample
from bosd.drivers.jbd.codec import SettingValue
from bosd.drivers.jbd.registers import SETTINGS

CHARGE_TRIP, DISCHARGE_TRIP = 0x28, 0x29
TRIP_POINTS = (0x18, 0x1A, 0x1C, 0x1E, 0x20, 0x22, 0x24, 0x26, CHARGE_TRIP, DISCHARGE_TRIP)
"""What `read_protection` reads; the two over-currents are limits, the others are told."""


class Rating(NamedTuple):
    """The configured limits, magnitudes in A; None where none is configured."""

    discharge_a: float | None = None
    charge_a: float | None = None


class Limiter:
    """Keeps what lowers the limits of one battery; `trips` are the trip points as read, empty while they were not.

    Only lowers: a trip point above the configured limit changes nothing, and a trip point is no rating (a 200 A board was
    captured with 230 A), so without a configured limit nothing may be asked at all.
    """

    def __init__(self, rating: Rating, derating: DeratingSpec, max_staleness_s: float) -> None:
        self.trips: Mapping[int, SettingValue] = {}
        self.facts: tuple[LimitFact, ...] = ()
        self._rating = rating
        self._derating = Derating(derating)
        self._max_staleness_s = max_staleness_s

    def lowered(self, sample: Sample, cell_count: int) -> Sample:
        """Return the sample with what is allowed now and why; `facts` holds every limit with its source."""
        if not self.trips and self._derating.is_off:
            self.facts = tuple(_configured(self._rating))
            return sample
        facts = [*_configured(self._rating), *self._tripping(), *self._derated(sample, cell_count)]
        self.facts = tuple(facts)
        discharge, charge = _least(facts, "discharge"), _least(facts, "charge")
        return replace(
            sample,
            limit_discharge_a=discharge.limit_a if discharge is not None else None,
            limit_charge_a=charge.limit_a if charge is not None else None,
            limited_by=(*sample.limited_by, *(_told(fact) for fact in (discharge, charge) if fact is not None)),
        )

    def _tripping(self) -> list[LimitFact]:
        facts = []
        for direction, register in (("discharge", DISCHARGE_TRIP), ("charge", CHARGE_TRIP)):
            if (limit_a := trip_a(self.trips, register)) is not None:
                facts.append(LimitFact(direction=direction, limit_a=limit_a, source=f"the board trips at {limit_a:g} A"))
        return facts

    def _derated(self, sample: Sample, cell_count: int) -> list[LimitFact]:
        if self._derating.is_off:
            return []
        cells_v = sample.cells_v
        old = sample.cells_s is None or sample.sampled_s - sample.cells_s > self._max_staleness_s
        readings = Readings(
            highest_v=max(cells_v) if cells_v else None,
            lowest_v=min(cells_v) if cells_v else None,
            mean_v=sample.voltage_v / cell_count if sample.voltage_v is not None and cell_count else None,
            temperatures_c=sample.temperatures_c,
            cells_old=old,
        )
        facts = []
        for direction, configured_a, share in (
            ("discharge", self._rating.discharge_a, self._derating.discharge(readings)),
            ("charge", self._rating.charge_a, self._derating.charge(readings)),
        ):
            if share.why and share.factor < 1.0 and configured_a is not None:
                source = f"derated to {100.0 * share.factor:.0f} %: {share.why}"
                facts.append(LimitFact(direction=direction, limit_a=configured_a * share.factor, source=source))
        return facts


def trip_a(trips: Mapping[int, SettingValue], register: int) -> float | None:
    """Return an over-current trip point as a magnitude; None where it is not known or 0, which no board can mean."""
    found = trips.get(register)
    value = found.value if found is not None else None
    return abs(value) if isinstance(value, int | float) and value else None


def trip_texts(trips: Mapping[int, SettingValue]) -> tuple[tuple[str, str], ...]:
    """Return the trip points by name, for people."""
    return tuple((f"trip: {SETTINGS[each].name}", f"{found.value} {found.setting.unit}") for each, found in trips.items())


def _configured(rating: Rating) -> list[LimitFact]:
    pairs = ("discharge", rating.discharge_a), ("charge", rating.charge_a)
    return [LimitFact(direction=name, limit_a=limit_a, source="configured") for name, limit_a in pairs if limit_a is not None]


def _least(facts: list[LimitFact], direction: str) -> LimitFact | None:
    """Return what binds, None where that is the configuration or nothing."""
    least = min((fact for fact in facts if fact.direction == direction), key=lambda fact: fact.limit_a, default=None)
    return None if least is None or least.source == "configured" else least


def _told(fact: LimitFact) -> str:
    return f"{fact.direction} limited to {fact.limit_a:.4g} A: {fact.source}"
