"""Edits that take a battery that is not heard out of a sum, or the sum away: its share is given to nobody before it is safe."""

import asyncio

import pytest

from bosd.bal.spec import AggregatorSpec, NetworkSpec, PartitionSpec, SplitterSpec, Topology
from bosd.config.topology_toml import format_topology
from bosd.node.api import Edit
from tests.support.fleet.fleet import Fleet, Judge, stub_spec, sum_spec
from tests.support.fleet.packs import Pack
from tests.support.fleet.stories import SAFE_WITHIN_S, owners, ready, told

pytestmark = pytest.mark.timeout(300)

ASKED_A = 20.0
SA, SB = stub_spec("sa", "a", "b"), stub_spec("sb", "b", "b")
PARTS = SplitterSpec(
    name="sp",
    policy="proportional",
    source="sa",
    partitions=(PartitionSpec(name="p", fraction=0.5), PartitionSpec(name="q", fraction=0.5)),
)


class NeverMore(Judge):
    """All packs together never run more than was asked."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def current_changed(self, pack: Pack) -> None:
        """Add up."""
        runs_a = sum(each.true_a for each in self.fleet.packs.values())
        assert runs_a <= ASKED_A * 1.001, f"{runs_a:g} A flow after {pack.name} changed; {ASKED_A:g} A were asked"


def of(*specs: NetworkSpec | AggregatorSpec, parts: bool = False) -> Topology:
    """Return a topology, with partitions of sa where they are wanted."""
    return Topology(batteries=specs, splitters=(PARTS,) if parts else ())


FLAT, SPLIT = of(SA, SB, sum_spec("all", "sa", "sb")), of(SA, SB, sum_spec("all", "p", "sb"), parts=True)
CASES = {
    "out of a sum": (FLAT, of(SA, SB, sum_spec("all", "sb")), "all"),
    "out of a sum, and away": (FLAT, of(SB, sum_spec("all", "sb")), "all"),
    "another sum": (FLAT, of(SA, SB, sum_spec("v", "sb")), "v"),
    "another sum, and away": (FLAT, of(SB, sum_spec("v", "sb")), "v"),
    "no sum": (FLAT, of(SA, SB), "sb"),
    "a partition out of a sum": (SPLIT, of(SA, SB, sum_spec("all", "sb"), parts=True), "all"),
    "no partition": (SPLIT, of(SA, SB, sum_spec("all", "sb")), "all"),
    "another sum, and no partition": (SPLIT, of(SA, SB, sum_spec("v", "sb")), "v"),
}


@pytest.mark.parametrize("lost_s", [0.1, 5.0], ids=["just cut", "lost"])
@pytest.mark.parametrize("case", CASES)
def test_what_a_lost_member_runs_is_given_to_nobody_before_it_is_safe(case: str, lost_s: float) -> None:
    """Of 20 A over two, one is not heard; an edit takes it out: what is asked of the other comes once its bound has passed."""
    before, after, name = CASES[case]

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = fleet.add_host("m", before)
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.judges.append(NeverMore(fleet))
        fleet.cut("m", "a")
        cut_s = fleet.loop.time()
        await asyncio.sleep(lost_s)
        edits = [Edit(action="whole", toml=format_topology(after))]
        applied = host.up.node.apply(edits, expected_revision=None, holder="person")
        answer = await fleet.within(host, applied, deadline_s=20.0)
        assert answer.unconfirmed == ()
        assert fleet.loop.time() - cut_s > SAFE_WITHIN_S - 1.0, "its last answer came at most a beat before"
        await fleet.set(host, name, ASKED_A)
        await fleet.until(lambda: fleet.packs["b"].true_a == ASKED_A, within_s=2.0, because="sb has it alone")

    told(story)
