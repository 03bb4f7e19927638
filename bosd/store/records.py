"""What the store keeps, as values; times are seconds since 1970-01-01 UTC."""

from dataclasses import dataclass

from bosd.bal.edits import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTopology:
    """A topology as it was acknowledged."""

    revision: int
    toml: str
    changed_utc_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRevision:
    """One line of the topology's history."""

    revision: int
    changed_utc_s: float
    who: str
    comment: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLatch:
    """A battery that is stopped until somebody releases it."""

    name: str
    reason: str
    who: str
    at_utc_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterCheckpoint:
    """A meter as it stood: its charge and how much of its time it did not see.

    `deviation_ah` is how far a partition's charge was from it, `held_ah` the charge of a battery that exists in software only.
    `identity` tells what the meter belonged to: one of another identity is not taken up again.
    """

    name: str
    charge_ah: float
    unobserved_s: float
    at_utc_s: float
    deviation_ah: float = 0.0
    held_ah: float | None = None
    identity: int = 0
