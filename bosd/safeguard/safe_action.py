"""The safe action, applied to devices that no daemon holds, and read back.

All lines at the same time, one device after the other on a line, each with a deadline. What fails is tried again until then:
the dead daemon's lock on a port, half a reply left on the line, a board that sleeps.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from bosd.bal.spec import PhysicalSpec
from bosd.clock import Clock
from bosd.drivers.devices import make_device
from bosd.drivers.kind import DriverContext
from bosd.drivers.lines import Lines
from bosd.errors import BosError

DEVICE_DEADLINE_S = 3.0
"""The same as a daemon gives a device when it ends: a gate has 2 s to show what it was told."""
JOB_DEADLINE_S = 6.0
"""For everything: two devices on one line that say nothing. The service manager waits 10 s (TimeoutStopSec)."""
AGAIN_S = 0.2


@dataclass(slots=True)
class Outcome:
    """What became of one device: `confirmed` once its safe action was read back, `result` in words, `took_s` in seconds."""

    name: str
    port: str
    action: str
    result: str = "not reached: the devices before it on its line took all the time"
    confirmed: bool = False
    took_s: float = 0.0


@dataclass(slots=True)
class _Place:
    """One line and what stands on it."""

    specs: list[PhysicalSpec] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


def action_of(spec: PhysicalSpec) -> str:
    """Return the name of a battery's safe action: `zero` of a regulator, else `open` or `release` of a gate."""
    return "zero" if spec.regulator is not None else spec.safe


def line_of(spec: PhysicalSpec) -> str:
    """Return the port that the safe action needs: the regulator's, where there is one."""
    return spec.port if spec.regulator is None else spec.regulator.port


async def make_all_safe(specs: Sequence[PhysicalSpec], clock: Clock) -> tuple[Outcome, ...]:
    """Apply and read back the safe actions of these batteries; return what became of each, in their order. Raises nothing."""
    outcomes = [Outcome(spec.name, line_of(spec), action_of(spec)) for spec in specs]
    places: defaultdict[str, _Place] = defaultdict(_Place)
    for spec, outcome in zip(specs, outcomes, strict=True):
        places[outcome.port].specs.append(spec)
        places[outcome.port].outcomes.append(outcome)
    try:
        async with asyncio.timeout(JOB_DEADLINE_S), asyncio.TaskGroup() as group:
            for port, place in places.items():
                group.create_task(_make_line_safe(place, clock), name=f"make {port} safe")
    except TimeoutError:
        pass  # each outcome says so
    return tuple(outcomes)


async def _make_line_safe(place: _Place, clock: Clock) -> None:
    for spec, outcome in zip(place.specs, place.outcomes, strict=True):
        began_s = clock.now_s()
        await _make_safe(spec, outcome, clock)
        outcome.took_s = round(clock.now_s() - began_s, 3)


async def _make_safe(spec: PhysicalSpec, outcome: Outcome, clock: Clock) -> None:
    """Try until it is confirmed or the time is over; the outcome has the last reason why not."""
    outcome.result = f"{outcome.port}: nothing confirmed within {DEVICE_DEADLINE_S:g} s"
    try:
        async with asyncio.timeout(DEVICE_DEADLINE_S):
            while not outcome.confirmed:
                try:
                    outcome.result = await _once(spec, clock)
                    outcome.confirmed = True
                except BosError as error:
                    outcome.result = error.message
                    await asyncio.sleep(AGAIN_S)
                except Exception as error:  # noqa: BLE001 (one driver's defect keeps no other device from its safe action)
                    outcome.result = f"{outcome.port}: {type(error).__name__}: {error}"
                    await asyncio.sleep(AGAIN_S)
    except TimeoutError:
        pass  # the outcome has the reason


async def _once(spec: PhysicalSpec, clock: Clock) -> str:
    device = make_device(spec, DriverContext(clock, Lines()))
    try:
        return await device.make_safe()
    finally:
        await device.close()
