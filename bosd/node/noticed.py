"""What a node notices by itself, turned into errors: looked at each second, raised and cleared as it comes and goes."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bosd.bal.alone import ANY_NODE
from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.physical import PhysicalBattery
from bosd.bal.status import Quality
from bosd.node.faults import Faults, Severity

LOOK_S = 1.0

Cause = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Noticed:
    """A condition that stands now: its type, the module or battery it is of, and its words."""

    kind: str
    severity: Severity
    message: str
    module: str = ""
    battery: str = ""


class Notices:
    """Looks at conditions for ever; `sources` return those that stand now and never wait."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._standing: dict[Cause, tuple[Severity, str]] = {}
        self.sources: list[Callable[[], Iterable[Noticed]]] = []

    def look(self) -> None:
        """Raise what is new, or another severity than before; put other words in place of old ones; clear what is gone."""
        now: dict[Cause, tuple[Severity, str]] = {}
        for noticed in (each for source in self.sources for each in source()):
            cause = (noticed.kind, noticed.module, noticed.battery)
            now[cause] = noticed.severity, noticed.message
            severity, message = self._standing.get(cause, (None, ""))
            if severity is not noticed.severity:
                self._faults.raise_(
                    noticed.kind,
                    severity=noticed.severity,
                    message=noticed.message,
                    module=noticed.module,
                    battery=noticed.battery,
                )
            elif message != noticed.message:
                self._faults.reword(noticed.kind, noticed.message, module=noticed.module, battery=noticed.battery)
        for kind, module, battery in sorted(self._standing.keys() - now.keys()):
            self._faults.clear(kind, module=module, battery=battery)
        self._standing = now

    async def run(self) -> None:
        """Look each second."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)


def devices(directory: Directory, now_s: Callable[[], float]) -> Iterable[Noticed]:
    """Yield the devices of this node that say nothing, or do not do what they were told."""
    at_s = now_s()
    for battery in directory:
        if not isinstance(battery, PhysicalBattery):
            continue
        if battery.fault:
            yield Noticed("DEVICE_FAULT", Severity.HIGH, battery.fault, "devices", battery.name)
        if battery.deviation is not None:
            yield Noticed("NOT_FOLLOWED", Severity.HIGH, str(battery.deviation), "devices", battery.name)
        status = battery.status(at_s)
        if status.sampled_to_s is not None and status.quality is Quality.UNAVAILABLE:
            yield Noticed("DEVICE_UNREACHABLE", Severity.MEDIUM, status.reason, "devices", battery.name)


def clock_doubt(doubt: str) -> Iterable[Noticed]:
    """Yield why the wall clock is not trusted, where it is not."""
    if doubt:
        yield Noticed("CLOCK_NOT_TRUSTED", Severity.MEDIUM, doubt, "clock")


def failsafe(batteries: Iterable[Battery]) -> Iterable[Noticed]:
    """Yield each node that is not heard, and whose silence has alone limits in force."""
    limited: dict[str, list[str]] = {}
    for battery in batteries:
        if battery.alone:
            limited.setdefault(battery.alone, []).append(battery.name)
    for who, names in limited.items():
        message = f"{who} is not heard: alone limits are in force on {', '.join(names)}"
        yield Noticed("FAILSAFE_ACTIVE", Severity.MEDIUM, message, "alone" if who == ANY_NODE else who)


def store_unwritable(why: str) -> Iterable[Noticed]:
    """Yield that nothing can be kept since the start: what has to be durable is refused."""
    if why:
        message = f"nothing can be kept, and what has to be is refused; reading, lowering and stopping go on: {why}"
        yield Noticed("STORE_FAILED", Severity.HIGH, message, "store")
