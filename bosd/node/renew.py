"""Set points that hardware lets go of, written again while they are in force."""

import asyncio
from collections.abc import Callable

import structlog

from bosd.bal.physical import PhysicalBattery
from bosd.drivers.renewing import Renewing
from bosd.drivers.sending import looked_at
from bosd.errors import BosError, UnavailableError

_LATE = "LATE"
"""`metadata["cause"]` of an error that means: it was over, or told anew, before the renewal was sent."""

_log = structlog.get_logger("renew")


async def renew(battery: PhysicalBattery, device: Renewing, look_again: Callable[[], None], in_force: Callable[[], bool]) -> None:
    """Renew what the device has confirmed, until cancelled, and only while `in_force` says that it still is.

    After a pause of the process no flag tells that it is over: ends are judged by the clock at each use. A device that may have
    let go counts at what it was told, and is told again by whoever keeps set points in force: what is in force may be another by
    then, so nothing is renewed until it confirms. A renewal that waited for its line is looked at again there.
    """

    def wanted() -> bool:
        return battery.telling_a is None and battery.unconfirmed_a is None and in_force()

    def look() -> None:
        if not wanted():
            raise UnavailableError(
                f"{battery.name}: over, or told anew, before it was renewed", battery=battery.name, cause=_LATE
            )

    while True:
        await asyncio.sleep(device.renew_every_s)
        if not wanted():
            continue
        try:
            async with asyncio.timeout(battery.command_deadline_s):
                with looked_at(look):
                    await device.renew()
        except (BosError, TimeoutError) as failed:
            error = failed if isinstance(failed, BosError) else UnavailableError("no answer in time")
            if error.metadata.get("cause") == _LATE:
                continue
            _log.warning("not_renewed", battery=battery.name, current_a=battery.applied_a, detail=error.message)
            if battery.applied_a != 0.0:
                battery.lost_answer(battery.applied_a)
                look_again()
