"""A device that takes its time is waited for over links as long as at its own node: 5 s, or what its driver declares."""

import asyncio

import pytest

from bosd.bal.spec import Topology
from tests.support.fleet.fleet import Fleet, stub_spec
from tests.support.fleet.packs import PackDriver
from tests.support.fleet.stories import controller, flows_a, owners, ready, told

pytestmark = pytest.mark.jumping


@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize(("takes_s", "failsafe_s"), [(2.5, None), (7.0, 8.0)], ids=["slow", "slower, as it declares"])
def test_a_command_over_links_waits_for_a_slow_device(
    takes_s: float, failsafe_s: float | None, hops: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was refused after 2 s, each time, and what the device had been told was taken back: that battery was of no use there.

    2 s is what another call has (link_timers.py), 5 s a device that declares nothing (battery.py), 8 s a gate (physical.py).
    """
    follow = PackDriver.set_current

    async def slowly(driver: PackDriver, current_a: float) -> None:
        await asyncio.sleep(takes_s)
        await follow(driver, current_a)

    monkeypatch.setattr(PackDriver, "set_current", slowly)
    monkeypatch.setattr(PackDriver, "failsafe_time_s", failsafe_s, raising=False)

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        host = controller(fleet, "a")
        if hops == 2:
            host = fleet.add_host("top", Topology(batteries=(stub_spec("all", "m", "all"),)))
        await ready(fleet)
        for current_a in (7.0, 3.0, -5.0, 0.0):
            result = await fleet.set(host, "all", current_a)
            assert result.applied_current_a == pytest.approx(current_a)
            assert flows_a(fleet, "a") == [pytest.approx(current_a)]
            await asyncio.sleep(1.0)

    told(story)
