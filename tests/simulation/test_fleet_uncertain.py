"""A relay that cannot bring back what it raised says so, whatever the member it failed for was refused with."""

import asyncio

import pytest

from bosd.bal.battery import DeviceLeaf
from bosd.bal.spec import Topology
from bosd.errors import TransientError
from tests.support.fleet.fleet import Fleet, stub_spec
from tests.support.fleet.packs import Pack
from tests.support.fleet.stories import controller, flows_a, owners, ready, told


def test_what_a_relay_could_not_bring_back_counts() -> None:
    """24 A of `part`, which is `a` and `b`: somebody takes `b` just before, and `a` hears nothing more once it runs its 12 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        controller(fleet, "a", "b", host="r")
        host = fleet.add_host("m", Topology(batteries=(stub_spec("part", "r", "all"),), splitters=()))
        a = fleet.packs["a"]
        judged = a.changed

        def deaf_from_then_on(pack: Pack) -> None:
            judged(pack)
            if pack.held_a != 0.0:
                pack.loop.call_later(0.02, lambda: setattr(pack, "deaf", True))

        a.changed = deaf_from_then_on
        await ready(fleet)
        await asyncio.sleep(3.0)
        part = host.up.node.directory["part"]
        assert isinstance(part, DeviceLeaf)
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.set(fleet.hosts["b"], "b", 3.0))
            await asyncio.sleep(0.0)
            with pytest.raises(TransientError, match="follows person"):
                await fleet.set(host, "part", 24.0)
        assert flows_a(fleet, "a", "b") == [12.0, 3.0]
        assert part.counts_at_a == 24.0

    told(story)
