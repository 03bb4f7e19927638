"""What is lost below a member counts as a lost member does: in a sum of sums, behind a partition, and outside the tolerance."""

import asyncio
from dataclasses import replace

import pytest

from bosd.bal.spec import AggregatorSpec, PartitionSpec, SplitterSpec, Topology
from bosd.store.limits import Direction, Limit
from tests.support.fleet.fleet import Fleet, stub_spec, sum_spec
from tests.support.fleet.stories import SAFE_WITHIN_S, flows_a, owners, ready, told

ASKED_A = 24.0
LOOK_S = 0.05


async def _never_more(fleet: Fleet, seconds: float, *names: str) -> None:
    for _ in range(round(seconds / LOOK_S)):
        await asyncio.sleep(LOOK_S)
        assert sum(map(abs, flows_a(fleet, *names))) <= ASKED_A + 1e-6


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("beside", ["", "b"])
def test_a_sum_in_a_sum(sign: float, beside: str) -> None:
    """24 A over a sum of `a`, alone or with a blocked `b`, and `c`: the board of `a` dies, its pack runs on, `c` as before."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, *beside, "c")
        inner = sum_spec("inner", "sa", *(f"s{name}" for name in beside))
        stubs = [stub_spec(f"s{name}", name, "b") for name in ("a", *beside, "c")]
        host = fleet.add_host("m", Topology(batteries=(*stubs, inner, sum_spec("top", "inner", "sc")), splitters=()))
        await ready(fleet)
        for name in beside:
            fleet.packs[name].change(blocks=True)
        await asyncio.sleep(3.0)
        await fleet.set(host, "top", sign * ASKED_A)
        before_a = flows_a(fleet, "a", "c")
        assert before_a[0] * sign > 1.0
        fleet.hosts["a"].cut_power()
        await _never_more(fleet, 3.0 * SAFE_WITHIN_S, "a", "c")
        assert flows_a(fleet, "a", "c") == pytest.approx(before_a, rel=1e-2)
        assert "may still run" in host.up.node.status("inner").reason

    told(story)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_partition_in_a_sum(sign: float) -> None:
    """24 A over a partition of `a`, whose board dies, and `c`: what `a` runs on is not given to `c`, nor when asked anew."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "c")
        parts = (PartitionSpec(name="p1", fraction=0.75), PartitionSpec(name="p2", fraction=0.25))
        split = SplitterSpec(name="sp", policy="proportional", source="sa", partitions=parts)
        stubs = [stub_spec(f"s{name}", name, "b") for name in "ac"]
        host = fleet.add_host("m", Topology(batteries=(*stubs, sum_spec("top", "p1", "sc")), splitters=(split,)))
        await ready(fleet)
        await fleet.set(host, "top", sign * ASKED_A)
        before_a = flows_a(fleet, "a", "c")
        fleet.hosts["a"].cut_power()
        await _never_more(fleet, 3.0 * SAFE_WITHIN_S, "a", "c")
        assert flows_a(fleet, "a", "c") == pytest.approx(before_a, rel=1e-2)
        await fleet.set(host, "top", 0.0)
        assert flows_a(fleet, "c") == [0.0]
        await fleet.set(host, "top", sign * 16.0)
        await asyncio.sleep(5.0)
        assert flows_a(fleet, "c") == pytest.approx([sign * 16.0 - before_a[0]], rel=1e-2)

    told(story)


def test_a_partition_of_a_sum_keeps_what_the_others_run() -> None:
    """30 A of a partition over `a`, whose board dies, and `b`: `b` goes on with its 15 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "b")
        stubs = [stub_spec(f"s{name}", name, "b") for name in "ab"]
        split = SplitterSpec(name="sp", policy="proportional", source="all", partitions=(PartitionSpec(name="p", fraction=1.0),))
        host = fleet.add_host("m", Topology(batteries=(*stubs, sum_spec("all", "sa", "sb")), splitters=(split,)))
        await ready(fleet)
        await fleet.set(host, "p", 30.0)
        fleet.hosts["a"].cut_power()
        for _ in range(round(3.0 * SAFE_WITHIN_S / LOOK_S)):
            await asyncio.sleep(LOOK_S)
            assert flows_a(fleet, "a", "b") == pytest.approx([15.0, 15.0], rel=1e-2)

    told(story)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", ["inner", "p1"])
def test_a_limit_of_what_rests_on_the_lost_one_gives_nothing_away(sign: float, name: str) -> None:
    """24 A over 12 A of `a`, whose board dies, and `c`: `a` keeps no limit of 5 A between; `c` takes none of the 7 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "c")
        split = SplitterSpec(name="sp", policy="proportional", source="sa", partitions=(PartitionSpec(name="p1", fraction=1.0),))
        between = (sum_spec("inner", "sa"),) if name == "inner" else ()
        batteries = (*(stub_spec(f"s{each}", each, "b") for each in "ac"), *between, sum_spec("top", name, "sc"))
        host = fleet.add_host("m", Topology(batteries=batteries, splitters=() if between else (split,)))
        await ready(fleet)
        await fleet.set(host, "top", sign * ASKED_A)
        assert flows_a(fleet, "a", "c") == pytest.approx([sign * 12.0] * 2, rel=1e-2)
        fleet.hosts["a"].cut_power()
        await asyncio.sleep(5.0)
        assert host.up.limits is not None
        direction: Direction = "discharge" if sign > 0.0 else "charge"
        limit = Limit(source="operator", battery=name, direction=direction, limit_w=5.0 * 48.0)
        await fleet.within(host, host.up.limits.book.put(limit))
        await _never_more(fleet, 20.0, "a", "c")

    told(story)


def test_a_lost_member_outside_the_tolerance() -> None:
    """`a` is cut off, and judged by its last voltage while that is not old: led out, it counts and `b` stays."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "b")
        stubs = [replace(stub_spec(f"s{name}", name, "b"), max_staleness_s=60.0) for name in "ab"]
        total = replace(sum_spec("all", "sa", "sb"), voltage_drift_s=6.0)
        assert isinstance(total, AggregatorSpec)
        host = fleet.add_host("m", Topology(batteries=(*stubs, total), splitters=()))
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.packs["a"].voltage_v = 60.0
        await asyncio.sleep(2.0)
        fleet.hosts["a"].cut_power()
        await _never_more(fleet, 30.0, "a", "b")
        assert flows_a(fleet, "a", "b") == pytest.approx([12.0, 12.0], rel=1e-2)
        assert "left out at 60 V" in host.up.node.status("all").reason

    told(story)
