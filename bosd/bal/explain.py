"""Explain: which chain of limits binds a battery, and what is in force on it, in steps and in words.

The chain is followed from the battery down to the leaf that binds, one direction at a time, and told from there up. Beside it
stand the members that an aggregate does without.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bosd.bal.aggregator import Aggregator, devices_below
from bosd.bal.battery import Battery
from bosd.bal.explain_leaf import leaf_cause
from bosd.bal.figures import FULL_LIMIT
from bosd.bal.limits import allowed_directions
from bosd.bal.meter import SECONDS_PER_HOUR
from bosd.bal.partition import Partition
from bosd.bal.spec import AggregatorSpec
from bosd.bal.status import BatteryStatus, Quality

MOST_LEFT_OUT = 8
MOST_WAITED_FOR = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One battery of a chain: what it may be asked in this direction, and why not more.

    `limit_a` and `ideal_a` are magnitudes; `cause` is a word for programs, `by` names the batteries that make it so; `role` tells
    links of the chain from members that are left out; `depth` is 0 for the battery asked about. `node` is empty for this node.
    """

    battery: str
    kind: str
    depth: int
    limit_a: float
    ideal_a: float | None
    cause: str
    by: tuple[str, ...]
    text: str
    role: Literal["binds", "left_out"] = "binds"
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What is in force: `source` is user, manual, schedule, safe or nothing; `ends_s` is monotonic, None without an end."""

    source: str
    requested_a: float | None
    applied_a: float | None
    holder: str
    ends_s: float | None
    limited_by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a battery can do what it can; each chain begins at what binds and ends with the battery itself.

    Times to empty and to full are at the present current, None where it does not go there. `notes` say what is waited for, and
    what could not be asked.
    """

    name: str
    discharge: tuple[Step, ...]
    charge: tuple[Step, ...]
    in_force: InForce
    empty_in_s: float | None
    full_in_s: float | None
    notes: tuple[str, ...] = ()
    node: str = ""


def explain(battery: Battery, now_s: float) -> Explanation:
    """Return what binds `battery` at `now_s`, in both directions, and what is in force on it."""
    status = battery.status(now_s)
    empty_in_s, full_in_s = times_s(battery, status)
    return Explanation(
        name=battery.name,
        discharge=chain(battery, now_s, discharging=True),
        charge=chain(battery, now_s, discharging=False),
        in_force=in_force(battery, status, now_s),
        empty_in_s=empty_in_s,
        full_in_s=full_in_s,
        notes=_waited_for(battery, now_s),
    )


def _waited_for(battery: Battery, now_s: float) -> tuple[str, ...]:
    """Return which devices below are waited for, and what for."""
    waits = ((leaf.name, leaf.waits_for(now_s)) for leaf in devices_below(battery))
    return tuple(f"waiting for {name}: {what}" for name, what in waits if what)[:MOST_WAITED_FOR]


def summary(steps: Sequence[Step]) -> str:
    """Return a chain as one sentence."""
    words = ""
    for step in steps:
        link = "" if not words else "; " if step.role == "left_out" else "; so "
        words = f"{words}{link}{step.text}"
    return words


def times_s(battery: Battery, status: BatteryStatus) -> tuple[float | None, float | None]:
    """Return the seconds to empty and to full at the present current; None where it flows though nothing may be drawn now."""
    current_a, charge_ah, capacity_ah = status.current_a, status.charge_ah, status.capacity_ah
    if current_a is None or charge_ah is None or capacity_ah is None or current_a == 0.0:
        return None, None
    if current_a > 0.0:
        usable_ah = status.usable_charge_ah
        barred = not usable_ah and status.balanced_usable_charge_ah
        return (None, None) if usable_ah is None or barred else (usable_ah / current_a * SECONDS_PER_HOUR, None)
    room_ah = max(0.0, battery.spec.max_soc * capacity_ah - charge_ah)
    return None, room_ah / -current_a * SECONDS_PER_HOUR


def in_force(battery: Battery, status: BatteryStatus, now_s: float) -> InForce:
    """Return what is in force on a battery and until when (control.md, "What is in force on a battery")."""
    requested_a, applied_a = status.requested_current_a, status.applied_current_a
    source, holder, ends_s = "", "", status.setpoint_ends_s
    if battery.user is not None:
        source, holder = "user", battery.user.name
        lead = f"follows {holder}" + ("" if requested_a is None else f", which asks {requested_a:g} A")
    elif battery.setpoint is not None:
        source, holder = "manual", battery.setpoint.holder
        lead = f"set point of {holder}: asked {battery.setpoint.current_a:g} A"
    elif battery.booked is not None:
        source, holder, ends_s = "schedule", f"booking {battery.booked.number}", battery.booked.ends_s
        lead = f"{holder}: {battery.booked.current_a:g} A"
    elif status.setpoint_source is not None:
        source = status.setpoint_source.name.lower()
        value_a = battery.spec.safe_current_a if requested_a is None else requested_a
        lead = f"nothing asked, safe value {value_a:g} A" if source == "safe" else f"{source}: asked {value_a:g} A"
    else:
        lead = "nothing asked"
    limited_by = battery.stopped_text if battery.stopped else battery.clamped_by
    applied = "" if applied_a is None else f"; applied {applied_a:g} A"
    until = "" if ends_s is None else f"; for another {max(0.0, ends_s - now_s):.0f} s"
    return InForce(
        source=source,
        requested_a=requested_a,
        applied_a=applied_a,
        holder=holder,
        ends_s=ends_s,
        limited_by=limited_by,
        text=f"{lead}{applied}{f' ({limited_by})' if limited_by else ''}{until}",
    )


@dataclass(frozen=True, slots=True)
class _Cause:
    """Why a battery's limit is what it is: a word, words, who makes it so, and where to look next."""

    word: str
    words: str
    by: tuple[str, ...] = ()
    below: Battery | None = None
    left_out: tuple[Battery, ...] = ()


def chain(battery: Battery, now_s: float, *, discharging: bool) -> tuple[Step, ...]:
    """Return the steps from what binds a direction up to `battery`."""
    steps: list[Step] = []
    depth = 0
    at: Battery | None = battery
    while at is not None:
        cause = _cause(at, now_s, discharging=discharging)
        steps.append(_step(at, cause, depth, now_s, discharging=discharging))
        for member in reversed(cause.left_out[:MOST_LEFT_OUT]):
            if member is not cause.below:
                why = _cause(member, now_s, discharging=discharging)
                steps.append(_step(member, why, depth + 1, now_s, discharging=discharging, role="left_out"))
        at = cause.below
        depth += 1
    return tuple(reversed(steps))


def _step(
    battery: Battery,
    cause: _Cause,
    depth: int,
    now_s: float,
    *,
    discharging: bool,
    role: Literal["binds", "left_out"] = "binds",
) -> Step:
    status = battery.status(now_s)
    limit_a, ideal_a = _limits(status, discharging=discharging)
    if battery.sources:
        text = f"{battery.name} {limit_a:g} A ({cause.words})"
    else:
        text = f"{battery.name}: {'discharge' if discharging else 'charge'} limited to {limit_a:g} A by {cause.words}"
    return Step(
        battery=battery.name,
        kind=battery.kind,
        depth=depth,
        limit_a=limit_a,
        ideal_a=ideal_a,
        cause=cause.word,
        by=cause.by,
        text=text,
        role=role,
    )


def _limits(status: BatteryStatus, *, discharging: bool) -> tuple[float, float | None]:
    if discharging:
        return status.max_discharge_current_a, status.ideal_max_discharge_current_a
    return status.max_charge_current_a, status.ideal_max_charge_current_a


def _cause(battery: Battery, now_s: float, *, discharging: bool) -> _Cause:
    status = battery.status(now_s)
    if battery.stopped:
        return _Cause("stopped", f"a stop{battery.stop_note and f' {battery.stop_note}'}, until it is released", (battery.name,))
    if isinstance(battery, Aggregator):
        return _own_charge(battery, status, discharging=discharging) or _of_members(battery, now_s, discharging=discharging)
    if isinstance(battery, Partition):
        return _own_charge(battery, status, discharging=discharging) or _of_source(battery, now_s, discharging=discharging)
    word, words = leaf_cause(battery, status, discharging=discharging)
    return _Cause(word, words, (battery.name,))


def _own_charge(battery: Battery, status: BatteryStatus, *, discharging: bool) -> _Cause | None:
    """Return the cause where a virtual battery's own charge is at its reserve or full."""
    if status.charge_ah is None or not status.capacity_ah:
        return None
    discharges, charges, word = allowed_directions(battery.spec, status.charge_ah, status.capacity_ah, None)
    if discharges if discharging else charges:
        return None
    bound = battery.spec.min_soc if discharging else battery.spec.max_soc
    whole = bound in (0.0, 1.0)
    if whole and isinstance(battery, Aggregator):
        return None  # its members say so themselves
    words = word if whole else f"{word}: {'min_soc' if discharging else 'max_soc'} {bound:g}"
    return _Cause(word, words, (battery.name,))


def _of_members(battery: Aggregator, now_s: float, *, discharging: bool) -> _Cause:
    statuses = [(member, member.status(now_s)) for member in battery.sources]
    if bad := [member for member, status in statuses if not status.controllable and status.capacity_ah != 0.0]:
        names = tuple(member.name for member in bad)
        return _Cause("no_current_control", f"{', '.join(names)} cannot follow a current", names, bad[0])
    in_use = battery.rates_per_weight(now_s, discharging=discharging)
    out = tuple(member for member, status in statuses if member not in in_use and status.capacity_ah != 0.0)
    stale = [member for member in out if member.status(now_s).quality is Quality.STALE and member.applied_a != 0.0]
    notes = [f"{member.name} stale, keeps {member.applied_a:g} A" for member in stale]
    gone = tuple(member for member in out if member not in stale)
    if gone:
        more = f" and {len(gone) - MOST_LEFT_OUT} more" if len(gone) > MOST_LEFT_OUT else ""
        notes.append(f"{', '.join(member.name for member in gone[:MOST_LEFT_OUT])}{more} left out")
    if not in_use:
        verb = "discharge" if discharging else "charge"
        word = "no_member" if gone or not stale else "stale"
        words = "; ".join([f"no member may {verb}", *notes] if word == "no_member" else notes)
        names = tuple(member.name for member in gone)
        return _Cause(word, words, names, gone[0] if gone else None, gone)
    spec = battery.spec
    share = spec.share if isinstance(spec, AggregatorSpec) else "c_rate"
    if share == "allowed":
        first, notes = next(iter(in_use)), ["the sum of what its members may", *notes]
        return _Cause("sum", "; ".join(notes), tuple(member.name for member in in_use), first, gone)
    first = min(in_use, key=in_use.__getitem__)
    if len(in_use) > 1:
        how = f"would be {'empty' if discharging else 'full'} first" if share == "c_rate" else f"is at its limit first by {share}"
        notes.insert(0, f"{first.name} {how}")
    return _Cause("share", "; ".join(notes) or f"as {first.name}", (first.name,), first, gone)


def _of_source(part: Partition, now_s: float, *, discharging: bool) -> _Cause:
    source, splitter = part.sources[0], part.splitter
    limit_a, ideal_a = _limits(part.status(now_s), discharging=discharging)
    source_a, _ = _limits(source.status(now_s), discharging=discharging)
    fractions = splitter.fractions.discharge if discharging else splitter.fractions.charging
    fraction = fractions[part.index]
    if limit_a <= 0.0 < source_a:
        words = "its fraction is 0" if fraction == 0.0 else f"those before it use {source.name}'s {source_a:g} A"
        return _Cause("allotted", words, (source.name,), source)
    by_ideal = ideal_a is not None and limit_a >= ideal_a * FULL_LIMIT
    by_present = abs(limit_a - fraction * source_a) <= (1.0 - FULL_LIMIT) * max(1.0, source_a)
    if by_present or by_ideal:
        at_best = "" if by_present else " at best"
        return _Cause("fraction", f"its fraction {fraction:g} of {source.name}{at_best}", (source.name,), source)
    return _Cause("allotted", f"its {splitter.policy.name} part of {source.name}'s {source_a:g} A", (source.name,), source)
