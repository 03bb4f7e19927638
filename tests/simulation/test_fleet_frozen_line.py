"""A board that stands still while something waits for a device's line: what is over by then, or superseded, is not sent."""

import asyncio
from contextlib import suppress

import pytest

from bosd.bal.physical import PhysicalBattery
from bosd.bal.spec import Topology
from bosd.errors import BosError
from tests.support.fleet.fleet import Fleet, Host, Judge, pack_spec, sum_spec
from tests.support.fleet.packs import Pack
from tests.support.fleet.stories import ready, told

pytestmark = pytest.mark.jumping

HOLD_S = 2.0
SLOW_S = 0.6
TTL_S = 2.0
FROZEN_S = 10.0
"""Longer than the set point lives, and than the device holds it."""


class Seen(Judge):
    """What flowed in a pack, and since when it did."""

    def __init__(self, fleet: Fleet, pack: Pack) -> None:
        self._fleet, self._pack = fleet, pack
        self.flowed: list[tuple[float, float]] = []
        fleet.judges.append(self)

    def current_changed(self, pack: Pack) -> None:
        """Note it."""
        if pack is self._pack and pack.true_a != 0.0:
            self.flowed.append((self._fleet.loop.time(), pack.true_a))


def node_of(fleet: Fleet, *packs: Pack) -> Host:
    """Put a node there with these packs, added up as `all` where there are several."""
    specs = [pack_spec(pack.name, pack.name) for pack in packs]
    sums = [sum_spec("all", *(pack.name for pack in packs))] if len(packs) > 1 else []
    return fleet.add_host("m", Topology(batteries=(*specs, *sums), splitters=()))


async def asks(fleet: Fleet, host: Host, name: str, current_a: float, ttl_s: float) -> None:
    """Ask for a current, whatever becomes of it."""
    with suppress(BosError, TimeoutError):
        await fleet.set(host, name, current_a, ttl_s=ttl_s)


async def frozen(fleet: Fleet, host: Host, seen: Seen, frozen_s: float = FROZEN_S) -> None:
    """Have the board stand still, and look at what flows from then on."""
    await fleet.stall(host, frozen_s)
    seen.flowed.clear()
    await asyncio.sleep(20.0)
    assert seen.flowed == []


@pytest.mark.parametrize("hold_s", [1.0, 2.0, 4.0])
def test_a_renewal_of_a_request_that_was_over_before_it_was_in_force(hold_s: float) -> None:
    """20 A asked of two for 2 s: one runs 10 A, the other gives no answer, and the board stands still for 10 s.

    Nothing was in force above, so nothing was over: the one was written 10 A again at the thaw.
    """

    async def story(fleet: Fleet) -> None:
        one, other = (fleet.add_pack(name, hold_s=hold_s) for name in "ab")
        seen, host = Seen(fleet, one), node_of(fleet, one, other)
        await ready(fleet)
        other.change(mute=True)
        asking = asyncio.create_task(asks(fleet, host, "all", 20.0, TTL_S))
        await fleet.until(lambda: one.true_a == 10.0, within_s=1.0, because="one of them follows")
        await asyncio.sleep(0.1)  # its answer has arrived
        await frozen(fleet, host, seen)
        await asking

    told(story)


def test_a_renewal_that_waits_for_the_line() -> None:
    """10 A for 2 s, and a renewal waits behind a reading while the board stands still for 4.5 s: it was written at the thaw."""

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("a", hold_s=HOLD_S, waits=True, latency_s=(SLOW_S, SLOW_S))
        seen, host = Seen(fleet, pack), node_of(fleet, pack)
        await ready(fleet)
        await fleet.set(host, "a", 10.0, ttl_s=TTL_S)
        battery = host.up.node.directory["a"]
        assert isinstance(battery, PhysicalBattery)
        line, renewing = battery.device._device._turn, battery.device._turn  # type: ignore[attr-defined]
        await fleet.until(
            lambda: renewing.locked() and bool(line._waiters), within_s=TTL_S, because="a renewal waits", step_s=0.01
        )
        await frozen(fleet, host, seen, 4.5)

    told(story)
