"""Claims that others take in a fleet: what is still held counts."""

import asyncio

from bosd.bal.spec import Topology
from tests.support.fleet.fleet import Fleet, stub_spec, sum_spec
from tests.support.fleet.judges import TOLERANCE_A
from tests.support.fleet.stories import owners, ready, told

ASKED_A = 30.0


def test_a_claim_taken_below_a_relay_is_not_that_of_the_relay() -> None:
    """A person takes one of a relay's two batteries: the relay holds its sum on, and its share is given to nobody else."""

    async def story(fleet: Fleet) -> None:
        stubs = owners(fleet, "a", "b", "c")
        below = [stub_spec(name, name.removeprefix("s"), "b") for name in stubs]
        part = sum_spec("part", "sa", "sb")
        fleet.add_host("r", Topology(batteries=(*below[:2], part), splitters=()))
        total = sum_spec("all", "spart", "sc")
        host = fleet.add_host("m", Topology(batteries=(stub_spec("spart", "r", "part"), below[2], total), splitters=()))
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        await asyncio.sleep(5.0)
        own = fleet.hosts["a"]
        await fleet.within(own, own.up.node.force_current("b", -5.0, ttl_s=30.0, holder="person"))
        for _ in range(40):
            await fleet.refused(fleet.set(host, "all", ASKED_A))
            flows_a = [fleet.packs[name].true_a for name in "bc"]
            assert sum(flows_a) <= ASKED_A + TOLERANCE_A, flows_a
            await asyncio.sleep(0.05)

    told(story)
