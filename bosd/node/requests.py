"""Checking a request for a current before anything moves (control.md, "Refuse or clamp")."""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery
from bosd.bal.dispatch import Plan, asked_a
from bosd.bal.facts import uncertain_a
from bosd.bal.setpoint import Fence, Lease, SetPoint
from bosd.bal.status import BatteryStatus
from bosd.errors import (
    BatteryInUseError,
    BosError,
    ClaimedError,
    CurrentOutOfRangeError,
    InvalidArgumentError,
    StoppedError,
    TransientError,
    UnavailableError,
    UnsupportedError,
)

SLACK = 1.0 + 1e-9


class Request(NamedTuple):
    """A current asked of a battery, positive on discharge, for `ttl_s`; `takes`: over another holder's claim, too."""

    current_a: float
    ttl_s: float
    holder: str
    request_id: str
    dry_run: bool
    fence: Fence | None = None
    takes: bool = False


def checked_ttl_s(ttl_s: float | None, default_s: float, longest_s: float) -> float:
    """Return the time to live asked for. Raises InvalidArgumentError outside (0, longest]."""
    if ttl_s is None:
        return default_s
    if not 0.0 < ttl_s <= longest_s:
        raise InvalidArgumentError(
            f"ttl_s {ttl_s:g} is outside 0 to {longest_s:g} s; ask again before it ends to keep it",
            field="ttl_s",
            maximum_s=longest_s,
        )
    return ttl_s


def other_holder(battery: Battery, holder: str, now_s: float) -> str:
    """Return whose set point is alive, if it is somebody else's; else nothing."""
    setpoint = battery.setpoint
    return setpoint.holder if setpoint is not None and setpoint.holder != holder and setpoint.over_s > now_s else ""


def check_holder(battery: Battery, holder: str, now_s: float) -> None:
    """Raise ClaimedError if somebody else's set point is alive; see `beside_it`."""
    setpoint = battery.setpoint
    if setpoint is not None and other_holder(battery, holder, now_s):
        left_s = setpoint.ends_s - now_s
        raise ClaimedError(
            f"{battery.name} follows {setpoint.holder} for another {left_s:.0f} s",
            battery=battery.name,
            holder=setpoint.holder,
            remaining_s=f"{left_s:.3f}",
            **beside_it(battery, now_s),
        )


def beside_it(battery: Battery, now_s: float) -> dict[str, float]:
    """Return what a refusal says of what may flow that is not in force, `may_run_a`: whoever asked for it before counts it."""
    most_a = uncertain_a(battery, now_s)
    return {"may_run_a": most_a} if most_a else {}


def check_own(battery: Battery, holder: str, now_s: float) -> None:
    """Raise BatteryInUseError or ClaimedError where there is nothing of `holder` to be given back; see `beside_it`."""
    try:
        check_free(battery)
    except BatteryInUseError as error:
        error.metadata |= {key: str(value) for key, value in beside_it(battery, now_s).items()}
        raise
    check_holder(battery, holder, now_s)


def _check_holder_elsewhere(battery: Battery, status: BatteryStatus) -> None:
    if (other := battery.held_elsewhere) and not status.commandable:
        raise ClaimedError(f"{battery.name} follows {other} at its owner: {status.reason}", battery=battery.name, holder=other)


def check_free(battery: Battery) -> None:
    """Raise BatteryInUseError if the battery is a source of another one."""
    if battery.user is not None:
        user = battery.user.name
        raise BatteryInUseError(
            f"{battery.name} is a source of {user}; command what rests on it", battery=battery.name, users=user
        )


def check_request(battery: Battery, request: Request, status: BatteryStatus, now_s: float) -> None:
    """Refuse what may not be asked of `battery` now; `status` is its status at `now_s`.

    The holder of a living set point may always ask for less than what is applied, or for nothing (control.md, "Owners,
    sessions, claims").
    Raises InvalidArgumentError, BatteryInUseError, StoppedError, ClaimedError, UnsupportedError, UnavailableError or
    CurrentOutOfRangeError with the bounds.
    """
    current_a, holder = request.current_a, request.holder
    if not math.isfinite(current_a):
        raise InvalidArgumentError(f"current_a must be finite, got {current_a}", field="current_a")
    check_free(battery)
    if lowers_own(battery, current_a, holder, now_s):
        return
    if battery.stopped:
        raise StoppedError(f"{battery.name} is {battery.stopped_text}; release it first", battery=battery.name)
    if status.stopped:
        raise StoppedError(f"{battery.name} is stopped at its owner ({status.reason}); release it first", battery=battery.name)
    if not request.takes:
        check_holder(battery, holder, now_s)
    _check_holder_elsewhere(battery, status)
    if not status.controllable:
        raise UnsupportedError(
            f"{battery.name} cannot follow a set point: {status.reason}", battery=battery.name, detail=status.reason
        )
    if not status.commandable:
        raise UnavailableError(
            f"{battery.name} cannot be commanded now: {status.reason}", battery=battery.name, detail=status.reason
        )
    in_force = battery.setpoint
    if in_force is not None and in_force.holder == holder and in_force.current_a == current_a:
        return
    lower_a, upper_a = 0.0 - status.max_charge_current_a, status.max_discharge_current_a
    if not lower_a * SLACK <= current_a <= upper_a * SLACK:
        detail = f" ({status.reason})" if status.reason else ""
        raise CurrentOutOfRangeError(
            f"{battery.name} can do {lower_a:g} to {upper_a:g} A now{detail}, asked were {current_a:g} A",
            name=battery.name,
            asked_a=current_a,
            lower_a=lower_a,
            upper_a=upper_a,
        )


def check_carried(battery: Battery, current_a: float, holder: str, planned: Plan, now_s: float) -> None:
    """Refuse what an aggregate below cannot share within its members' bounds. Raises CurrentOutOfRangeError; left_over_a."""
    if not planned.left_over_a or lowers_own(battery, current_a, holder, now_s):
        return
    for below in members_of(battery):
        if below in planned.left_over_a:
            left_a = abs(planned.left_over_a[below])
            raise CurrentOutOfRangeError(
                f"{below.name} cannot share {current_a:g} A: each member takes its least current or nothing; "
                f"{left_a:g} A left over",
                name=battery.name,
                asked_a=current_a,
                left_over_a=left_a,
            )


def lowers_own(battery: Battery, current_a: float, holder: str, now_s: float) -> bool:
    """Return whether the holder of a living set point asks for no more than it asked and than is applied, or for nothing.

    What is applied may be more than is asked by now, where a device did not hear of it.
    """
    setpoint = battery.setpoint
    if setpoint is None or setpoint.holder != holder or setpoint.over_s <= now_s:
        return False
    return current_a == 0.0 or all(
        current_a * most_a > 0.0 and abs(current_a) <= abs(most_a) for most_a in (setpoint.current_a, battery.applied_a)
    )


@contextmanager
def lower_all_the_same(
    here: Callable[[], Battery | None], asked: SetPoint, now_s: Callable[[], float], *, lowers: bool
) -> Iterator[None]:
    """Keep a request that lowers in force where a device may not have heard it, or nobody waits for that any more.

    `here` returns the battery that it is asked of: an edit may have made another of it, or put it into use.
    What was asked before must not come back with the device. An end in the meantime stays, and a stop binds whatever is asked.
    Where its holder agreed anew meanwhile, so that what was asked before lives by another lease, this does, too.
    A failure says which of both is asked from now on: it may tell of members' requests, too, which are others.
    """
    before = None if (battery := here()) is None else battery.setpoint
    try:
        yield
    except (TransientError, asyncio.CancelledError) as error:
        battery = here()
        in_force = None if battery is None or battery.user is not None else battery.setpoint
        lowered = asked if in_force is None or in_force is before else replace(asked, lease=in_force.lease)
        if battery is not None and in_force == before and lowered.over_s > now_s() and lowers:
            battery.setpoint = lowered
            battery.touch()
            if isinstance(error, TransientError):
                error.also(f"{asked.current_a:g} A is asked of {battery.name} all the same, and told until it is confirmed")
        elif battery is not None and isinstance(error, TransientError):
            _say_what_goes_on(battery, asked, error, now_s())
        raise


def _say_what_goes_on(battery: Battery, asked: SetPoint, error: BosError, now_s: float) -> None:
    """Have a failure say what is asked of a free battery still, where that is a current, and another than was `asked`."""
    over_s = -math.inf if battery.booked is None else math.inf
    if battery.setpoint is not None:
        over_s = battery.setpoint.over_s
    current_a = asked_a(battery)
    if battery.user is None and not battery.stopped and over_s > now_s and current_a not in (0.0, asked.current_a):
        error.also(f"{current_a:g} A, asked of {battery.name} before, goes on")


def lease_for(battery: Battery, request: Request, fence: Fence, *, lowers: bool) -> Lease | None:
    """Return the lease that another node's set point lives by; a lowering that came too late keeps that of the one before it.

    A repeat is no lowering: one that came too late would renew what its sender has given up. Raises FencedError.
    """
    before = battery.setpoint
    repeats = before is not None and before.current_a == request.current_a != 0.0
    lease = fence.check(battery.name, lowers=lowers and not repeats)
    return before.lease if lease is None and before is not None else lease
