"""Statuses as messages and back: the only place that sees both.

A status on the wire carries its age at sending and the sender's wall-clock times for people. The receiver dates it on its own
monotonic clock: received - half the round trip - age; another node's wall clock never decides how old something is.
"""

import math
from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeAlias

from bosd.bal.cap import OwnLimit, Unreached
from bosd.bal.status import BatteryStatus, Draft, Link, Quality, SetpointSource
from bosd.errors import DriverError
from bosd.v1 import battery_pb2 as pb

MAX_PATH = 256
MAX_HOPS = 16
_MAX_ITEMS = 1024
_MAX_NAME = 63
_MAX_HOLDER = 256
_MAX_TEXT = 8192
_MAX_WHY = 512
_MAX_MAGNITUDE = 1e9

_QUALITIES = {int(quality): quality for quality in Quality}
_LINKS = {int(link): link for link in Link}
_SOURCES: dict[int, SetpointSource | None] = {0: None, **{int(source): source for source in SetpointSource}}


# A status not yet frozen: the same slots, no guards. Filling it costs a tenth of the frozen value's constructor.
_Draft: TypeAlias = Any
_FIELDS = tuple(field.name for field in fields(BatteryStatus))
_all_fields: Callable[[BatteryStatus], tuple[object, ...]] = attrgetter(*_FIELDS)
_filled_draft: Callable[..., _Draft] = Draft
_new_draft: Callable[[], _Draft] = type("_Draft", (), {"__slots__": _FIELDS})


def to_message(
    status: BatteryStatus,
    now_s: float,
    utc_now_s: float,
    new: Callable[..., pb.BatteryStatus] = pb.BatteryStatus,
    *,
    node: str = "",
) -> pb.BatteryStatus:
    """Return the message of `status` as it stands at `now_s` (monotonic; `utc_now_s` is the same instant on the wall).

    `new` makes the message from its fields; `response.statuses.add` builds it in place. `node` is who sends it: the path begins
    with it. A battery that is sampled when asked was sampled now.
    """
    s = status
    sampled_from, sampled_to = s.sampled_from, s.sampled_to
    if sampled_to == math.inf:
        sampled_from, sampled_to = utc_now_s if sampled_from == math.inf else sampled_from, utc_now_s
    ends_s = s.setpoint_ends_s
    return new(
        name=s.name,
        kind=s.kind,
        voltage_v=s.voltage_v,
        current_a=s.current_a,
        power_w=s.power_w,
        charge_ah=s.charge_ah,
        capacity_ah=s.capacity_ah,
        soc=s.soc,
        max_discharge_current_a=s.max_discharge_current_a,
        max_charge_current_a=s.max_charge_current_a,
        ideal_max_discharge_current_a=s.ideal_max_discharge_current_a,
        ideal_max_charge_current_a=s.ideal_max_charge_current_a,
        usable_charge_ah=s.usable_charge_ah,
        balanced_usable_charge_ah=s.balanced_usable_charge_ah,
        expected_charge_ah=s.expected_ah(now_s),
        unobserved_s=s.unobserved_s,
        requested_current_a=s.requested_current_a,
        applied_current_a=s.applied_current_a,
        setpoint_source=s.setpoint_source,
        setpoint_ends_at=None if ends_s is None else utc_now_s + (ends_s - now_s),
        sampled_from=sampled_from,
        sampled_to=sampled_to,
        age_s=s.age_s(now_s),
        quality=s.quality,
        link=s.link,
        commandable=s.commandable,
        stopped=s.stopped,
        reason=s.reason if len(s.reason) <= _MAX_TEXT else f"{s.reason[: _MAX_TEXT - 1]}…",
        cells_v=s.cells_v,
        temperatures_c=s.temperatures_c,
        cycles=s.cycles,
        faults=s.faults,
        balancing_cells=s.balancing_cells,
        charge_switch_closed=s.charge_switch_closed,
        discharge_switch_closed=s.discharge_switch_closed,
        path=_path_from(s, node),
        hops=s.hops,
        controllable=s.controllable,
        max_staleness_s=s.max_staleness_s,
        unallocated_ah=s.unallocated_ah,
        holder=s.holder,
        **_limit_messages(s),
    )


def _path_from(s: BatteryStatus, node: str) -> tuple[str, ...]:
    if node and s.path[:1] != (own := (f"{node}/{s.name}",)):
        return (own + s.path)[:MAX_PATH]
    return s.path


def _limit_messages(s: BatteryStatus) -> dict[str, pb.Unreached | pb.OwnLimit]:
    """Return what a status tells to those who limit or plan; mostly nothing."""
    found: dict[str, pb.Unreached | pb.OwnLimit] = {}
    for name, told in (("unreached_charge", s.unreached_charge), ("unreached_discharge", s.unreached_discharge)):
        if told is not None:
            why = told.why[:_MAX_WHY]
            found[name] = pb.Unreached(aside_w=told.aside_w, aside_a=told.aside_a, why=why, within_s=told.within_s)
    for name, limit in (("own_charge_limit", s.own_charge_limit), ("own_discharge_limit", s.own_discharge_limit)):
        if limit is not None:
            found[name] = pb.OwnLimit(limit_a=limit.limit_a, text=limit.text[:_MAX_WHY])
    return found


def _own_limit(m: pb.OwnLimit) -> OwnLimit:
    return OwnLimit(m.limit_a, m.text[:_MAX_WHY])


def _unreached(m: pb.Unreached) -> Unreached:
    return Unreached(m.aside_w, m.aside_a, m.why[:_MAX_WHY], m.within_s)


def from_message(
    message: pb.BatteryStatus, received_s: float, *, half_rtt_s: float = 0.0, sent_at: float | None = None, note: str = ""
) -> BatteryStatus:
    """Return the status a message tells of, dated on this node's monotonic clock at `received_s`.

    `sent_at` is the sender's wall clock at sending; without it the end of a set point is unknown. `note` is added to the reason.
    The meter stands as it was sent. Raises DriverError for values that no battery has.
    """
    draft = _new_draft()
    try:
        _take_values(draft, message)
        _take_facts(draft, message)
    except KeyError as error:
        raise DriverError(f"the remote sent an unknown enum value {error}", battery=message.name) from None
    _take_times(draft, message, received_s - half_rtt_s, received_s, sent_at)
    if (nonsense := _nonsense(draft)) is not None:
        raise DriverError(f"the remote sent nonsense: {nonsense}", battery=message.name[:_MAX_NAME])
    if note:
        draft.reason = f"{draft.reason}; {note}" if draft.reason else note
    return _frozen(draft)


def amended(status: BatteryStatus, **changes: object) -> BatteryStatus:
    """Return `status` with some fields changed, like `dataclasses.replace` at a fraction of its cost."""
    draft = _filled_draft(*_all_fields(status))
    for name, change in changes.items():
        setattr(draft, name, change)
    return _frozen(draft)


def _frozen(draft: _Draft) -> BatteryStatus:
    draft.__class__ = BatteryStatus
    status: BatteryStatus = draft
    return status


def _take_values(d: _Draft, m: pb.BatteryStatus) -> None:
    has = m.HasField
    d.voltage_v = m.voltage_v or (0.0 if has("voltage_v") else None)
    d.current_a = m.current_a or (0.0 if has("current_a") else None)
    d.charge_ah = m.charge_ah or (0.0 if has("charge_ah") else None)
    d.capacity_ah = m.capacity_ah or (0.0 if has("capacity_ah") else None)
    d.soc = m.soc or (0.0 if has("soc") else None)
    d.max_discharge_current_a = m.max_discharge_current_a
    d.max_charge_current_a = m.max_charge_current_a
    d.ideal_max_discharge_current_a = m.ideal_max_discharge_current_a or (0.0 if has("ideal_max_discharge_current_a") else None)
    d.ideal_max_charge_current_a = m.ideal_max_charge_current_a or (0.0 if has("ideal_max_charge_current_a") else None)
    d.usable_charge_ah = m.usable_charge_ah or (0.0 if has("usable_charge_ah") else None)
    d.balanced_usable_charge_ah = m.balanced_usable_charge_ah or (0.0 if has("balanced_usable_charge_ah") else None)
    d.expected_charge_ah = m.expected_charge_ah or (0.0 if has("expected_charge_ah") else None)
    d.unobserved_s = m.unobserved_s
    d.requested_current_a = m.requested_current_a or (0.0 if has("requested_current_a") else None)
    d.applied_current_a = m.applied_current_a or (0.0 if has("applied_current_a") else None)
    d.unallocated_ah = m.unallocated_ah or (0.0 if has("unallocated_ah") else None)


def _take_facts(d: _Draft, m: pb.BatteryStatus) -> None:
    d.name = m.name
    d.kind = m.kind
    d.setpoint_source = _SOURCES[m.setpoint_source]
    d.quality = _QUALITIES[m.quality]
    d.link = _LINKS[m.link]
    d.commandable = m.commandable
    d.stopped = m.stopped
    d.controllable = m.controllable
    d.reason = m.reason
    d.holder = m.holder
    d.cells_v = tuple(m.cells_v[:]) or None
    d.temperatures_c = tuple(m.temperatures_c[:]) or None
    d.cycles = m.cycles or (0 if m.HasField("cycles") else None)
    d.faults = tuple(m.faults[:]) or (None if d.cycles is None else ())
    if m.HasField("charge_switch_closed"):
        d.balancing_cells = tuple(m.balancing_cells[:])
        d.charge_switch_closed, d.discharge_switch_closed = m.charge_switch_closed, m.discharge_switch_closed
    else:
        d.balancing_cells = d.charge_switch_closed = d.discharge_switch_closed = None
    d.path = tuple(m.path[:])
    d.hops = m.hops
    d.max_staleness_s = m.max_staleness_s
    d.unreached_charge = _unreached(m.unreached_charge) if m.HasField("unreached_charge") else None
    d.unreached_discharge = _unreached(m.unreached_discharge) if m.HasField("unreached_discharge") else None
    d.own_charge_limit = _own_limit(m.own_charge_limit) if m.HasField("own_charge_limit") else None
    d.own_discharge_limit = _own_limit(m.own_discharge_limit) if m.HasField("own_discharge_limit") else None


def _take_times(d: _Draft, m: pb.BatteryStatus, sent_s: float, received_s: float, sent_at: float | None) -> None:
    d.sampled_from = m.sampled_from or None
    d.sampled_to = m.sampled_to or None
    age_s = m.age_s
    if age_s or m.HasField("age_s"):
        d.sampled_from_s = sent_s - age_s
        spread_s = d.sampled_to - d.sampled_from if d.sampled_from is not None and d.sampled_to is not None else 0.0
        d.sampled_to_s = min(received_s, d.sampled_from_s + spread_s)
    else:
        d.sampled_from_s = d.sampled_to_s = None
    ends_at = m.setpoint_ends_at
    d.setpoint_ends_s = sent_s + (ends_at - sent_at) if ends_at and sent_at is not None else None
    d.expected_at_s = received_s
    d.expected_rate_a = 0.0
    d.valid_until_s = math.inf
    if not age_s >= 0.0:
        raise DriverError(f"the remote sent nonsense: age_s = {age_s}", battery=m.name[:_MAX_NAME])


def _nonsense(d: _Draft) -> str | None:
    """Say what no battery has: numbers that are not finite or absurd, negative magnitudes, texts and lists without measure."""
    values = (
        d.voltage_v or 0.0, d.current_a or 0.0, d.charge_ah or 0.0, d.capacity_ah or 0.0, d.soc or 0.0,
        d.max_discharge_current_a, d.max_charge_current_a,
        d.ideal_max_discharge_current_a or 0.0, d.ideal_max_charge_current_a or 0.0,
        d.usable_charge_ah or 0.0, d.balanced_usable_charge_ah or 0.0, d.expected_charge_ah or 0.0,
        d.requested_current_a or 0.0, d.applied_current_a or 0.0, d.unallocated_ah or 0.0,
    )  # fmt: skip
    total = sum(values)
    if not (-_MAX_MAGNITUDE < total < _MAX_MAGNITUDE and min(values) > -_MAX_MAGNITUDE and max(values) < _MAX_MAGNITUDE):
        return f"a number beyond {_MAX_MAGNITUDE:g}, or none at all, among its values"
    if d.max_discharge_current_a < 0.0 or d.max_charge_current_a < 0.0 or (d.capacity_ah or 0.0) < 0.0:
        return "a negative limit or capacity"
    if not d.max_staleness_s >= 0.0:
        return f"max_staleness_s = {d.max_staleness_s}"
    if not 0.0 <= d.unobserved_s < math.inf:  # a clock that was decades wrong leaves a large one for ever
        return f"unobserved_s = {d.unobserved_s}"
    return _nonsense_of_limits(d) or _nonsense_of_sizes(d)


def _nonsense_of_limits(d: _Draft) -> str | None:
    for told in (d.unreached_charge, d.unreached_discharge):
        if told is not None and not all(0.0 <= each < _MAX_MAGNITUDE for each in (told.aside_w, told.aside_a, told.within_s)):
            return f"{told.aside_w} W, {told.aside_a} A unreached, within {told.within_s} s"
    for limit in (d.own_charge_limit, d.own_discharge_limit):
        if limit is not None and not 0.0 <= limit.limit_a < math.inf:
            return f"a limit of {limit.limit_a} A"
    return None


def _nonsense_of_sizes(d: _Draft) -> str | None:
    if not 0 < len(d.name) <= _MAX_NAME or len(d.kind) > _MAX_NAME or len(d.reason) > _MAX_TEXT or len(d.holder) > _MAX_HOLDER:
        return "a text without measure"
    if len(d.path) > MAX_PATH:
        return f"a path of {len(d.path)} batteries, at most {MAX_PATH}"
    if (cells_v := d.cells_v) is not None and (len(cells_v) > _MAX_ITEMS or not -_MAX_MAGNITUDE < sum(cells_v) < _MAX_MAGNITUDE):
        return "cell voltages that are none"
    if (warm_c := d.temperatures_c) is not None and (
        len(warm_c) > _MAX_ITEMS or not -_MAX_MAGNITUDE < sum(warm_c) < _MAX_MAGNITUDE
    ):
        return "temperatures that are none"
    if len(d.faults or ()) > _MAX_ITEMS or len(d.balancing_cells or ()) > _MAX_ITEMS:
        return "faults or balancing cells without number"
    return None
