"""Devices of batteries that an edit took out and that did not confirm their safe action: told until they do."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from bosd.bal.directory import Directory
from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import PhysicalSpec
from bosd.node.faults import Severity
from bosd.node.noticed import Noticed

AGAIN_S = 2.0

_log = structlog.get_logger("node")


class Orphans:
    """The batteries whose devices may go on with what a battery that is gone was asked.

    `make_safe` tries once and says whether that was confirmed. One whose device is another battery's by now is that one's to
    look at: what it runs is `UNOWNED` there (adopt.py).
    """

    def __init__(self, directory: Directory, make_safe: Callable[[PhysicalBattery], Awaitable[bool]]) -> None:
        self.batteries: dict[PhysicalBattery, None] = {}
        self._directory = directory
        self._make_safe = make_safe

    async def see_to(self, battery: PhysicalBattery) -> None:
        """Tell its device until it confirms, or is another battery's, and let go of it."""
        self.batteries[battery] = None
        try:
            while not self.is_had_again(battery):
                await asyncio.sleep(AGAIN_S)
                if await self._make_safe(battery):
                    _log.info("orphan_made_safe", battery=battery.name)
                    break
        finally:
            del self.batteries[battery]
            await battery.device.close()

    def specs(self) -> tuple[PhysicalSpec, ...]:
        """Return what the guard is to look after beside the topology: those of which that has neither the name nor the place."""
        there = [each.spec for each in self._directory]
        names, places = {spec.name for spec in there}, {spec.place for spec in there if isinstance(spec, PhysicalSpec)}
        specs = (battery.spec for battery in self.batteries)
        return tuple(
            spec for spec in specs if isinstance(spec, PhysicalSpec) and spec.name not in names and spec.place not in places
        )

    def noticed(self) -> Iterable[Noticed]:
        """Yield each of them."""
        for battery in self.batteries:
            message = f"{battery.name} was taken out and its device did not confirm its safe action: counted at "
            message += f"{battery.counts_at_a:g} A, told again each {AGAIN_S:g} s; look at it"
            yield Noticed("NOT_FOLLOWED", Severity.HIGH, message, "removed", battery.name)

    def is_had_again(self, battery: PhysicalBattery) -> bool:
        """Return whether what it commanded is another battery's by now."""
        held = _actuator(battery)
        return any(isinstance(each, PhysicalBattery) and _actuator(each) == held for each in self._directory)


def _actuator(battery: PhysicalBattery) -> str:
    """Return the place of what a set point commands; empty for one that takes none."""
    spec = battery.spec
    if not isinstance(spec, PhysicalSpec) or not battery.controllable:
        return ""
    return spec.place if spec.regulator is None else spec.regulator.place
