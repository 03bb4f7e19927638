"""What is taken of what a peer writes, and what is not (eebus.md 2.6, 2.7, 6.1)."""

import math
from dataclasses import dataclass

from bosd.limits.lpc.machine import Order
from bosd.limits.lpc.use_case import UseCase

NANOSECONDS = 1_000_000_000
_MOST_NS = 2**63 - 1
"""The wire's durations are int64."""


def nanoseconds(duration_s: float) -> int:
    """Return a duration as the wire has it, at most the longest that fits there."""
    return min(_MOST_NS, round(duration_s * NANOSECONDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLimit:
    """A limit as the wire has it: `value_w` with the use case's sign, `duration_ns` 0 without an end."""

    active: bool
    value_w: float
    duration_ns: int = 0
    delete_duration: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a write is approved; the reason goes to the peer, the warning into our log."""

    approve: bool
    reason: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What values are held against: the nominal maximum in watts, and the least and most failsafe duration in seconds."""

    nominal_w: float
    least_duration_s: float = 0.0
    most_duration_s: float = math.inf


def decide(limit: WrittenLimit, use_case: UseCase, bounds: Bounds) -> Decision:
    """Decide a pending write: it is denied below 0 and where it is no number, active or not."""
    if wrong := use_case.wrong(limit.value_w):
        return Decision(approve=False, reason=wrong)
    return Decision(approve=True, warning=_above(use_case.magnitude_w(limit.value_w), bounds))


def take_limit(limit: WrittenLimit, use_case: UseCase, bounds: Bounds, at_s: float) -> tuple[Order | None, str]:
    """Return what a limit that was read means from `at_s` on, and what is to be said about it.

    None: it is refused, and nothing changes. The value of an inactive one does not count.
    """
    wrong = use_case.wrong(limit.value_w)
    if wrong and limit.active:
        return None, wrong
    magnitude_w = 0.0 if wrong else use_case.magnitude_w(limit.value_w)
    warnings = [_above(magnitude_w, bounds)] if limit.active else []
    if limit.duration_ns < 0 and not limit.delete_duration:
        warnings.append(f"a duration of {limit.duration_ns} ns counts as none")
    endless = limit.delete_duration or limit.duration_ns <= 0
    order = Order(
        active=limit.active,
        limit_w=bounds.nominal_w if math.isinf(magnitude_w) else magnitude_w,
        duration_s=None if endless else limit.duration_ns / NANOSECONDS,
        at_s=at_s,
    )
    return order, "; ".join(filter(None, warnings))


def refused_power(value_w: float) -> str:
    """Return why a failsafe power is refused, empty where it is taken; it is a magnitude in every use case."""
    return "" if value_w >= 0.0 and math.isfinite(value_w) else f"a failsafe power is finite and >= 0 W, got {value_w:g}"


def refused_duration(duration_ns: int, bounds: Bounds, *, checked: bool) -> str:
    """Return why a failsafe duration is refused, empty where it is taken; without `checked` only a negative one is."""
    duration_s = duration_ns / NANOSECONDS
    least_s, most_s = (bounds.least_duration_s, bounds.most_duration_s) if checked else (0.0, math.inf)
    if least_s <= duration_s <= most_s:
        return ""
    return f"a failsafe duration lies within {least_s:g} to {most_s:g} s, got {duration_s:g} s"


def _above(magnitude_w: float, bounds: Bounds) -> str:
    if magnitude_w <= bounds.nominal_w:
        return ""
    return f"a limit of {magnitude_w:g} W is above the nominal maximum of {bounds.nominal_w:g} W"
