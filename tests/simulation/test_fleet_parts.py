"""A pack that its owner has split, whose parts another node adds up again."""

import pytest

from bosd.bal.spec import PartitionSpec, SplitterSpec, Topology
from tests.support.fleet.fleet import Fleet, pack_spec, stub_spec, sum_spec
from tests.support.fleet.stories import ready, told

pytestmark = pytest.mark.timeout(300)


def test_parts_of_one_pack_are_set_together() -> None:
    """Five commands wait for each other at the pack: the last ones were refused as 1.15 s old, and with them the whole."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("p", hold_s=4.0)
        names = [f"x{number}" for number in range(5)]
        parts = tuple(PartitionSpec(name=name, fraction=0.2) for name in names)
        splitter = SplitterSpec(name="sp", policy="proportional", source="p", partitions=parts)
        fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),), splitters=(splitter,)))
        stubs = tuple(stub_spec(f"s{name}", "o", name) for name in names)
        total = sum_spec("all", *(stub.name for stub in stubs))
        host = fleet.add_host("m", Topology(batteries=(*stubs, total), splitters=()))
        await ready(fleet)
        for current_a in (6.0, 9.0, -3.0, 0.0, 12.0):
            await fleet.set(host, "all", current_a)
            assert fleet.packs["p"].true_a == pytest.approx(current_a)

    told(story)
