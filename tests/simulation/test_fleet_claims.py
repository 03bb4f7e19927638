"""Claims that others take in a fleet: what is still held counts."""

import asyncio

import pytest

from bosd.bal.battery import DeviceLeaf
from bosd.bal.schedule import Moment
from bosd.bal.spec import PartitionSpec, SplitterSpec, Topology
from bosd.config.topology_toml import format_topology
from bosd.node.api import Edit
from bosd.node.ramps import FULL_S
from bosd.rpc.link_timers import LinkTimers
from tests.support.fleet.fleet import Fleet, pack_spec, stub_spec, sum_spec
from tests.support.fleet.judges import TOLERANCE_A
from tests.support.fleet.stories import controller, flows_a, owners, ready, told

ASKED_A = 30.0
LIMIT_A = 20.0
RESYNC_S = 5.0
"""A call may take 2 s, a pause after a failure takes 2 s more, and as long again a beat."""


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
            running_a = flows_a(fleet, "b", "c")
            assert sum(running_a) <= ASKED_A + TOLERANCE_A, running_a
            await asyncio.sleep(0.05)

    told(story)


@pytest.mark.parametrize("booked_a", [None, 2.0])
def test_what_was_taken_counts_until_the_safe_value_is_confirmed(booked_a: float | None) -> None:
    """A claim is taken and its device is slow to let go: beats tell its holder, who gives the share away only afterwards.

    So also where a booking is in force beside it, which the device is not at before it let go.
    """

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        host = controller(fleet, "a", "b")
        await ready(fleet)
        if booked_a is not None:
            node = fleet.hosts["a"].up.node
            await fleet.within(fleet.hosts["a"], node.book("b", booked_a, Moment(in_s=0.0), Moment(in_s=600.0), holder="other"))
        await fleet.set(host, "all", ASKED_A)
        fleet.packs["a"].latency_s = (0.4, 0.41)  # about a beat; two of them are within the second that a device has
        await asyncio.sleep(5.0)
        own = fleet.hosts["a"]
        force = fleet.within(own, own.up.node.force_current("b", -5.0, ttl_s=30.0, holder="person"))
        taking = fleet.loop.create_task(force)
        seen = set()
        for _ in range(100):
            running_a = [max(0.0, each_a) for each_a in flows_a(fleet, "a", "b")]
            assert sum(running_a) <= ASKED_A + TOLERANCE_A, running_a
            seen.add(round(running_a[1]))
            await asyncio.sleep(0.05)
        await taking
        assert max(seen) == LIMIT_A  # and then it is given away

    told(story)


def test_what_is_taken_out_of_a_sum_is_at_rest_before_its_share_is_given_away() -> None:
    """An edit takes a running member out of an aggregator: it is brought to 0 A first, and then the other one has all."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", LIMIT_A)
        fleet.packs["a"].latency_s = (0.48, 0.49)
        await asyncio.sleep(2.0)
        stubs = [stub_spec(f"s{name}", name, "b") for name in "ab"]
        toml = format_topology(Topology(batteries=(*stubs, sum_spec("all", "sb")), splitters=()))
        whole = host.up.node.apply([Edit(action="whole", toml=toml)], expected_revision=None, holder="person")
        edit = fleet.loop.create_task(fleet.within(host, whole))
        for _ in range(200):
            assert sum(flows_a(fleet, "a", "b")) <= LIMIT_A + TOLERANCE_A, flows_a(fleet, "a", "b")
            await asyncio.sleep(0.02)
        assert "sa carries 10 A: it is brought to 0 A first" in (await edit).warnings
        assert flows_a(fleet, "a", "b") == [0.0, LIMIT_A]

    told(story)


def test_a_partition_that_is_taken_out_of_a_sum_is_at_rest_before_its_share_is_given_away() -> None:
    """The same, where the member is a part of a pack: the pack is brought to 0 A first."""

    async def story(fleet: Fleet) -> None:
        for name in "ab":
            fleet.add_pack(name, hold_s=None)
        parts = tuple(PartitionSpec(name=name, fraction=0.5) for name in ("part", "other"))
        splitter = SplitterSpec(name="sp", policy="proportional", source="a", partitions=parts)
        packs = (pack_spec("a", "a"), pack_spec("b", "b"))
        host = fleet.add_host("m", Topology(batteries=(*packs, sum_spec("all", "part", "b")), splitters=(splitter,)))
        await ready(fleet)
        await fleet.set(host, "all", 9.0)
        assert flows_a(fleet, "a", "b") == [3.0, 6.0]  # by charge: half of one pack, and another one
        fleet.packs["a"].latency_s = (0.48, 0.49)
        toml = format_topology(Topology(batteries=(*packs, sum_spec("all", "b")), splitters=(splitter,)))
        whole = host.up.node.apply([Edit(action="whole", toml=toml)], expected_revision=None, holder="person")
        edit = fleet.loop.create_task(fleet.within(host, whole))
        for _ in range(100):
            assert sum(flows_a(fleet, "a", "b")) <= 9.0 + TOLERANCE_A, flows_a(fleet, "a", "b")
            await asyncio.sleep(0.02)
        assert "a carries 3 A: it is brought to 0 A first" in (await edit).warnings
        assert flows_a(fleet, "a", "b") == [0.0, 9.0]

    told(story)


def test_what_is_let_go_past_a_device_under_way_is_given_back() -> None:
    """Pack l of the controller answers nothing and is being told when the set point ends: sb is free at b, not held at 0 A."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("l", hold_s=None)
        owners(fleet, "b")
        mine = (pack_spec("l", "l"), stub_spec("sb", "b", "b"), sum_spec("all", "l", "sb"))
        host = fleet.add_host("m", Topology(batteries=mine, splitters=()))
        await ready(fleet)
        await fleet.set(host, "all", -20.0)
        fleet.packs["l"].deaf = True
        await fleet.until(lambda: not host.up.node.status("l").commandable, within_s=15.0, because="it is lost")
        leaf = host.up.node.directory["l"]
        assert isinstance(leaf, DeviceLeaf)
        await fleet.until(lambda: leaf.telling_a is not None, within_s=10.0, because="it is told again")
        await fleet.within(host, host.up.node.clear_current("all", holder="person"))
        await asyncio.sleep(3.0)
        await fleet.set(fleet.hosts["b"], "b", -15.0)  # somebody there
        assert flows_a(fleet, "l", "b") == pytest.approx([-10.0, -15.0], rel=0.02)

    told(story)


@pytest.mark.parametrize("asked_a", [10.0, 0.0])
def test_a_set_point_that_was_ended_at_its_owner_without_a_word_is_asked_again(asked_a: float) -> None:
    """An old message of the controller's, or another with its certificate, ends what it holds: statuses show nothing of it."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        own = fleet.hosts["a"]
        if asked_a == 0.0:  # what it holds down flows once it is ended
            await fleet.within(own, own.up.node.book("b", 5.0, Moment(in_s=0.0), Moment(in_s=600.0), holder="other"))
        await fleet.set(host, "all", asked_a)
        assert flows_a(fleet, "a") == [asked_a]
        await fleet.within(own, own.up.node.clear_current("b", holder="node:m"))
        assert flows_a(fleet, "a") != [asked_a]
        within_s = LinkTimers().session.stale_s + 1.0 + RESYNC_S + FULL_S
        await fleet.until(lambda: flows_a(fleet, "a") == [asked_a], within_s=within_s, because="it is asked again")

    told(story)


@pytest.mark.parametrize("name", ["sa", "all"])
def test_nothing_is_a_set_point_too(name: str) -> None:
    """A set point of 0 A outranks what its owner has booked, on a stub and on a sum of stubs, and goes when it ends."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        above = () if name == "sa" else (sum_spec("all", "sa"),)
        host = fleet.add_host("m", Topology(batteries=(stub_spec("sa", "a", "b"), *above), splitters=()))
        await ready(fleet)
        own = fleet.hosts["a"]
        await fleet.within(own, own.up.node.book("b", 5.0, Moment(in_s=0.0), Moment(in_s=600.0), holder="other"))
        await fleet.until(lambda: flows_a(fleet, "a") == [5.0], within_s=3.0, because="the booking is in force")
        await fleet.set(host, name, 0.0, ttl_s=20.0)
        await fleet.until(lambda: flows_a(fleet, "a") == [0.0], within_s=1.0, because="the set point outranks it")
        await asyncio.sleep(18.0)
        assert flows_a(fleet, "a") == [0.0]
        await fleet.until(lambda: flows_a(fleet, "a") == [5.0], within_s=10.0, because="it is over")

    told(story)


@pytest.mark.parametrize("after_s", [0.06 * each for each in range(10)])
def test_a_claim_far_below_is_none_of_what_was_asked_for(after_s: float) -> None:
    """Of four nodes in a row the third and the second have no sum of their own; a pack at the fourth is taken by force.

    What the first asks for less is refused over all of them, and what was lowered is restored: it runs, and counts at the first.
    """

    async def story(fleet: Fleet) -> None:
        for name in ("p1", "p2"):
            fleet.add_pack(name, hold_s=None)
        own = fleet.add_host("o", Topology(batteries=(pack_spec("b1", "p1"), pack_spec("b2", "p2"))))
        stubs = stub_spec("s1", "o", "b1"), stub_spec("s2", "o", "b2")
        fleet.add_host("r", Topology(batteries=(*stubs, sum_spec("both", "s1", "s2"))))
        fleet.add_host("q", Topology(batteries=(stub_spec("sboth", "r", "both"),)))
        owners(fleet, "c", hold_s=None)
        top = stub_spec("far", "q", "sboth"), stub_spec("sc", "c", "b"), sum_spec("all", "far", "sc")
        host = fleet.add_host("m", Topology(batteries=top))
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.within(own, own.up.node.force_current("b1", -3.0, ttl_s=60.0, holder="person")))
            await asyncio.sleep(after_s)
            group.create_task(fleet.refused(fleet.set(host, "all", 2.0)))
        for _ in range(200):
            await asyncio.sleep(0.02)
            running_a = [max(0.0, each_a) for each_a in flows_a(fleet, "p1", "p2", "c")]
            assert sum(running_a) <= 20.0 + TOLERANCE_A, running_a

    told(story)
