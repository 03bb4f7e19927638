"""A device whose battery is not seen any more is told again until it confirms."""

import asyncio

import pytest

from bosd.bal.device import Sample
from bosd.bal.spec import Topology
from bosd.bal.status import Quality
from bosd.errors import UnavailableError
from tests.support.fleet.fleet import Fleet, pack_spec, sum_spec
from tests.support.fleet.packs import PackDriver
from tests.support.fleet.stories import flows_a, ready, told

LOST_S = 9.0
"""Three times three periods of 1 s without a sample (control.md, "Quality, link and commandability")."""


@pytest.mark.parametrize("name", ["b", "all"])
def test_a_regulator_is_told_again_while_its_board_is_silent(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """10 A; the board falls silent for good, the regulator's line for 20 s: then it is told 0 A, though nothing is heard."""

    async def silent(_driver: PackDriver) -> Sample:
        raise UnavailableError("the board is silent")

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("a", hold_s=None)
        above = (sum_spec("all", "b"),) if name == "all" else ()
        host = fleet.add_host("m", Topology(batteries=(pack_spec("b", "a"), *above), splitters=()))
        await ready(fleet)
        await fleet.set(host, name, 10.0)
        monkeypatch.setattr(PackDriver, "read", silent)
        monkeypatch.setattr(PackDriver, "held_current_a", silent)  # no read-back sees what it runs
        pack.change(deaf=True)
        await asyncio.sleep(20.0)
        assert host.up.node.status("b").quality is Quality.UNAVAILABLE
        assert flows_a(fleet, "a") == [10.0]
        pack.change(deaf=False)
        await fleet.until(lambda: flows_a(fleet, "a") == [0.0], within_s=7.0, because="it is told again each 5 s")

    told(story)
