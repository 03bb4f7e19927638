"""Whether a plan may go on after time has passed: no stop, no edit and no end of a lease came in between."""

from collections.abc import Callable

from bosd.bal.directory import Directory
from bosd.bal.dispatch import Plan
from bosd.bal.setpoint import Lease


def still_wanted(
    planned: Plan, directory: Directory, now_s: Callable[[], float], lease: Lease | None, goes_on: Callable[[], bool]
) -> Callable[[], bool]:
    """Return a check that nothing of a plan was stopped or edited since now, that a `lease` carries, and `goes_on` holds."""
    if not planned.devices:
        return lambda: True
    involved = tuple(planned.clamped)
    free = [battery for battery in involved if battery.user is None]
    stopped = {battery for battery in involved if battery.stopped}

    def wanted() -> bool:
        present = directory.batteries
        return (
            goes_on()
            and (lease is None or lease.carries(now_s()))
            and all(present.get(each.name) is each and (not each.stopped or each in stopped) for each in involved)
            and all(each.user is None for each in free)
        )

    return wanted
