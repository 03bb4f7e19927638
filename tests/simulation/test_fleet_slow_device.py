"""A device that takes its time is waited for over a link as long as at its own node: 5 s (bosd/bal/battery.py)."""

import pytest

from tests.support.fleet import packs
from tests.support.fleet.fleet import Fleet
from tests.support.fleet.stories import controller, flows_a, owners, ready, told

ANSWER_S = 1.2
"""Of the device, one request after the other: a command behind a reading takes twice that, longer than another call's 2 s."""

pytestmark = pytest.mark.jumping


@pytest.mark.parametrize("hold_s", [None, 10.0])
def test_a_command_over_a_link_waits_for_a_slow_device(hold_s: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was refused after 2 s, each time, and what the device had been told was taken back: that battery was of no use there."""
    monkeypatch.setattr(packs, "ANSWER_S", 4.0)

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=hold_s)
        host, pack = controller(fleet, "a"), fleet.packs["a"]
        pack.latency_s, pack.waits = (ANSWER_S, ANSWER_S), True
        await ready(fleet)
        for current_a in (7.0, 3.0, -5.0, 0.0):
            began_s = fleet.loop.time()
            result = await fleet.set(host, "all", current_a)
            assert result.applied_current_a == pytest.approx(current_a)
            assert flows_a(fleet, "a") == [pytest.approx(current_a)]
            assert fleet.loop.time() - began_s < 5.0

    told(story)
