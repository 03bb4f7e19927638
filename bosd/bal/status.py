"""A battery's status: one immutable snapshot, and the words it is told in."""

import enum
import math
from dataclasses import dataclass, field, fields, make_dataclass
from typing import TYPE_CHECKING

from bosd.bal.cap import OwnLimit, Unreached
from bosd.bal.meter import SECONDS_PER_HOUR


class Quality(enum.IntEnum):
    """How old a status is, from best to worst."""

    GOOD = 1
    STALE = 2
    UNAVAILABLE = 3


class Link(enum.IntEnum):
    """The state of the link to the owner's node (control.md, "Quality, link and commandability")."""

    LOCAL = 1
    CONNECTING = 2
    SYNC = 3
    READY = 4
    STALE = 5
    LOST = 6
    REFUSED = 7
    EXPECTED_DOWN = 8


HEARD = (Link.READY, Link.STALE)
"""The owner's node is in session."""
UNHEARD = (Link.CONNECTING, Link.SYNC, Link.LOST, Link.REFUSED, Link.EXPECTED_DOWN)
"""It is in none."""


class SetpointSource(enum.IntEnum):
    """What put the applied current in force."""

    MANUAL = 1
    SCHEDULE = 2
    SAFE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryStatus:
    """Everything a battery says at one instant; None means unknown.

    Currents are positive on discharge; the four limits are magnitudes. `sampled_from_s` and `sampled_to_s` are the oldest and
    the newest sample it rests on, on this node's monotonic clock; `sampled_from` and `sampled_to` the same by the sampler's wall
    clock, seconds since 1970-01-01 UTC. `expected_charge_ah` holds at `expected_at_s` and falls by `expected_rate_a` from there.
    Until `valid_until_s` nothing in it changes by the passing of time alone. `setpoint_ends_s` is monotonic,
    `holder` whose set point is in force, empty where nobody's is.
    `path` names what it rests on at other nodes; `unreached_charge` and `unreached_discharge` tell what is not reached below,
    `own_charge_limit` and `own_discharge_limit` what limits of its own node let it carry.
    """

    name: str
    kind: str
    voltage_v: float | None = None
    current_a: float | None = None
    charge_ah: float | None = None
    capacity_ah: float | None = None
    soc: float | None = None
    max_discharge_current_a: float = 0.0
    max_charge_current_a: float = 0.0
    ideal_max_discharge_current_a: float | None = None
    ideal_max_charge_current_a: float | None = None
    usable_charge_ah: float | None = None
    balanced_usable_charge_ah: float | None = None
    expected_charge_ah: float | None = None
    expected_at_s: float = 0.0
    expected_rate_a: float = 0.0
    unobserved_s: float = 0.0
    requested_current_a: float | None = None
    applied_current_a: float | None = None
    setpoint_source: SetpointSource | None = None
    setpoint_ends_s: float | None = None
    holder: str = ""
    sampled_from_s: float | None = None
    sampled_to_s: float | None = None
    sampled_from: float | None = None
    sampled_to: float | None = None
    quality: Quality = Quality.UNAVAILABLE
    link: Link = Link.LOCAL
    commandable: bool = False
    stopped: bool = False
    controllable: bool = False
    reason: str = ""
    cells_v: tuple[float, ...] | None = None
    temperatures_c: tuple[float, ...] | None = None
    cycles: int | None = None
    faults: tuple[str, ...] | None = None
    balancing_cells: tuple[int, ...] | None = None
    charge_switch_closed: bool | None = None
    discharge_switch_closed: bool | None = None
    path: tuple[str, ...] = ()
    hops: int = 0
    max_staleness_s: float = math.inf
    unallocated_ah: float | None = None
    unreached_charge: Unreached | None = None
    unreached_discharge: Unreached | None = None
    own_charge_limit: OwnLimit | None = None
    own_discharge_limit: OwnLimit | None = None
    valid_until_s: float = math.inf

    @property
    def power_w(self) -> float | None:
        """Power in watts, positive on discharge."""
        if self.voltage_v is None or self.current_a is None:
            return None
        return self.voltage_v * self.current_a

    def age_s(self, now_s: float) -> float | None:
        """Return the age of the oldest sample, never negative."""
        return None if self.sampled_from_s is None else max(0.0, now_s - self.sampled_from_s)

    def expected_ah(self, now_s: float) -> float | None:
        """Return the meter, run on from its last known value to `now_s`."""
        if self.expected_charge_ah is None:
            return None
        return self.expected_charge_ah - self.expected_rate_a * (now_s - self.expected_at_s) / SECONDS_PER_HOUR


if TYPE_CHECKING:
    Draft = BatteryStatus
else:
    _FIELDS = [(each.name, each.type, field(default=each.default)) for each in fields(BatteryStatus)]
    Draft = make_dataclass("Draft", _FIELDS, slots=True)
"""A status not yet frozen: the same slots without guards, so that making one costs a third. `frozen` ends it."""


def frozen(draft: Draft) -> BatteryStatus:
    """Return a draft as the status it has become; nobody may hold it as a draft any more."""
    draft.__class__ = BatteryStatus
    return draft


def unallocated_ah(source: BatteryStatus) -> float | None:
    """Return the charge that no partition can hold: theirs together is the source's capacity."""
    if source.charge_ah is None or source.capacity_ah is None:
        return None
    return max(0.0, source.charge_ah - source.capacity_ah)
