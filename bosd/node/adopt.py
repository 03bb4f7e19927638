"""Devices that were running before this node: shown, kept for a while for their controller to come back, then made safe.

A set point is never stored, so a node that starts knows of none; what a regulator holds all the same is `UNOWNED`
(control.md, "Owners, sessions, claims").
"""

import asyncio
import math
from collections.abc import Callable

import structlog

from bosd.bal.physical import PhysicalBattery
from bosd.errors import TransientError

LEAST_HELD_A = 0.05
RETRY_S = 2.0

_log = structlog.get_logger("adopt")


async def adopt(battery: PhysicalBattery, looked: Callable[[], None], look_again: Callable[[], None], *, kept_s: float) -> None:
    """Find out what the battery's device holds; if nobody asked for that within `kept_s`, have it looked at again.

    `looked` is called when it has answered, or failed to, for the first time.
    """
    while True:
        try:
            held_a = await battery.device.held_current_a()
        except TransientError:
            looked()
            await asyncio.sleep(RETRY_S)
            continue
        battery.unread_until_s = -math.inf
        looked()
        if held_a is None or abs(held_a) < LEAST_HELD_A or battery.told or battery.telling_a is not None:
            return
        battery.found_running(held_a)
        _log.warning("unowned", battery=battery.name, current_a=held_a, kept_for_s=kept_s)
        await asyncio.sleep(kept_s)
        if battery.unowned:
            look_again()
        return
