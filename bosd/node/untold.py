"""Devices that no command of this run has reached: they do what they did before, and a stop has to reach them all the same."""

from collections.abc import Iterable

from bosd.bal.aggregator import Aggregator
from bosd.bal.battery import Battery
from bosd.bal.physical import PhysicalBattery


def untold_below(batteries: Iterable[Battery]) -> dict[PhysicalBattery, None]:
    """Return the controllable devices of these batteries that were never told anything.

    A device that is shared through a splitter belongs to none of the partitions.
    """
    found: dict[PhysicalBattery, None] = {}
    for battery in batteries:
        if isinstance(battery, PhysicalBattery) and battery.controllable and not battery.told:
            found[battery] = None
        elif isinstance(battery, Aggregator):
            found |= untold_below(battery.sources)
    return found
