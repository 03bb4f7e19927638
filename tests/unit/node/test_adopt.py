"""What runs without having been asked for, in virtual time, with a supply in memory (bosd/node/adopt.py)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from bosd.bal.physical import PhysicalBattery
from bosd.drivers.regulated import Regulated
from bosd.node.adopt import adopt
from tests.support.bal_makers import FakeDevice, jbd_spec
from tests.support.supply import Bench, bench

pytestmark = pytest.mark.jumping

LEASE_S = 3.0
SEEN_S = 6.0
"""It is asked each 5 s, and has a second to answer."""


@dataclass
class Site:
    """A battery that a supply charges, which the node has told nothing yet."""

    rig: Bench
    battery: PhysicalBattery
    ended: int = 0

    def look_again(self) -> None:
        self.ended += 1


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """Run it."""
    async with bench() as rig:
        spec = jbd_spec("b1", 5.0, current_control="external")
        here = Site(rig, PhysicalBattery(spec, Regulated(FakeDevice(), rig.regulator, "b1")))
        task = asyncio.create_task(adopt(here.battery, here.look_again, kept_s=lambda _found_a: LEASE_S))
        yield here
        task.cancel()
        await asyncio.wait([task])
        rig.simulator.close()


async def test_switched_on_by_hand_before_the_first_command() -> None:
    """At rest for ten minutes, then on at its panel at 4 A: shown as unowned, and ended when nobody asked for it for a lease."""
    async with site() as here:
        await asyncio.sleep(600.0)
        assert here.battery.looked
        assert (here.battery.unowned, here.ended) == (False, 0)
        here.rig.simulator.set(set_current_a=4.0)
        here.rig.simulator.set(output=True)
        await asyncio.sleep(SEEN_S)
        assert (here.battery.unowned, here.battery.counts_at_a) == (True, -4.0)
        await asyncio.sleep(LEASE_S)
        assert here.ended == 1


async def test_it_is_not_asked_once_it_was_told_something() -> None:
    """Then reading back looks at it."""
    async with site() as here:
        await asyncio.sleep(1.0)
        await here.battery.command(-1.0, None)
        here.battery.settled(-1.0, 0.0)
        await asyncio.sleep(SEEN_S)
        requests = len(here.rig.requests)
        here.rig.simulator.set(set_current_a=4.0)
        await asyncio.sleep(600.0)
        assert len(here.rig.requests) == requests
        assert (here.battery.unowned, here.ended) == (False, 0)
