"""Devices that run what this node did not ask for: shown, kept for a while for their controller to come back, then made safe.

A set point is never stored, so a node that starts knows of none; what a regulator holds all the same is `UNOWNED`
(control.md, "Owners, sessions, claims"), and so is what somebody switches on at its panel before the node has told it anything:
from then on reading back sees it.
"""

import asyncio
import math
from collections.abc import Callable

import structlog

from bosd.bal.physical import PhysicalBattery
from bosd.errors import TransientError
from bosd.node.read_back import is_stopped

LEAST_HELD_A = 0.05
RETRY_S = 2.0
AGAIN_S = 5.0
"""How often a device at rest is asked, as often as reading back asks one that was told 0 A."""

_log = structlog.get_logger("adopt")


async def adopt(battery: PhysicalBattery, look_again: Callable[[], None], *, kept_s: Callable[[float], float]) -> None:
    """Find out what the battery's device holds, until the node tells it something; what nobody asks for in time ends.

    `kept_s` tells how long that is for a current. That of a stopped battery ends at once: nobody may go on with it.
    `look_again` has what is in force put in force.
    """
    while True:
        try:
            held_a = await battery.device.held_current_a()
        except TransientError:
            if battery.gave_no_answer():
                _log.warning("left_running", battery=battery.name, current_a=battery.left_a, detail="counted until it answers")
            await asyncio.sleep(RETRY_S)
            continue
        battery.looked, battery.unread_until_s = True, -math.inf
        if battery.commanded_a is not None or battery.telling_a is not None:
            return
        if held_a is None or abs(held_a) < LEAST_HELD_A:
            if battery.found_at_rest():
                look_again()
            if held_a is None:
                return
            await asyncio.sleep(AGAIN_S)
            continue
        battery.found_running(held_a)
        left_s = 0.0 if is_stopped(battery) else kept_s(held_a)
        _log.warning("unowned", battery=battery.name, current_a=held_a, kept_for_s=left_s)
        await asyncio.sleep(left_s)
        if battery.unowned:
            look_again()
        return
