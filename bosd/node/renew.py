"""Set points that hardware lets go of, written again while they are in force."""

import asyncio
from collections.abc import Callable

import structlog

from bosd.bal.physical import PhysicalBattery
from bosd.drivers.renewing import Renewing
from bosd.errors import BosError, UnavailableError

_log = structlog.get_logger("renew")


async def renew(battery: PhysicalBattery, device: Renewing, look_again: Callable[[], None], in_force: Callable[[], bool]) -> None:
    """Renew what the device has confirmed, until cancelled, and only while `in_force` says that it still is.

    After a pause of the process no flag tells that it is over: ends are judged by the clock at each use. A device that may have
    let go counts at what it was told, and is told again by whoever keeps set points in force: what is in force may be another by
    then, so nothing is renewed until it confirms.
    """
    while True:
        await asyncio.sleep(device.renew_every_s)
        if battery.telling_a is not None or battery.unconfirmed_a is not None or not in_force():
            continue
        try:
            async with asyncio.timeout(battery.command_deadline_s):
                await device.renew()
        except (BosError, TimeoutError) as failed:
            error = failed if isinstance(failed, BosError) else UnavailableError("no answer in time")
            _log.warning("not_renewed", battery=battery.name, current_a=battery.applied_a, detail=error.message)
            if battery.applied_a != 0.0:
                battery.lost_answer(battery.applied_a)
                look_again()
