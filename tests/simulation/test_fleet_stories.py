"""What went wrong elsewhere (peers.md), told to a simulated fleet: each time ours does not."""

import asyncio
import math

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import Topology
from bosd.bal.status import Link, Quality
from bosd.errors import CurrentOutOfRangeError
from tests.support.fleet.fleet import UTC_S, Fleet, pack_spec, stub_spec, sum_spec
from tests.support.fleet.stories import LET_GO_S, SAFE_WITHIN_S, SLOW, controller, flows_a, owners, ready, told

pytestmark = pytest.mark.timeout(300)


def test_a_silent_members_share_is_given_away_once() -> None:
    """C goes dark at 10 A: others take its share when it is safe by itself and not before, and give it back when it is there."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", "c")
        host = controller(fleet, "a", "b", "c")
        await ready(fleet)
        await fleet.set(host, "all", 30.0)
        most_a = 0.0
        fleet.cut("m", "c")
        cut_s = fleet.loop.time()
        while (now_s := fleet.loop.time()) < cut_s + 20.0:
            most_a = max(most_a, math.fsum(flows_a(fleet, "a", "b", "c")))
            if flows_a(fleet, "a", "b") != pytest.approx([10.0, 10.0], rel=1e-3):
                break
            if cut_s + 3.5 < now_s < cut_s + SAFE_WITHIN_S - 1.0:
                assert "may still run: sc up to 10 A" in host.up.node.status("all").reason
            await asyncio.sleep(0.05)
        assert now_s - cut_s == pytest.approx(SAFE_WITHIN_S, abs=1.0)
        assert fleet.packs["c"].true_a == 0.0  # its lease ended, and its owner brought it to the safe value
        await fleet.until(
            lambda: flows_a(fleet, "a", "b") == pytest.approx([15.0, 15.0], rel=1e-3),
            within_s=3.0,
            because="the others take over",
        )
        fleet.heal("m", "c")
        for _ in range(200):
            most_a = max(most_a, math.fsum(flows_a(fleet, "a", "b", "c")))
            await asyncio.sleep(0.05)
        assert flows_a(fleet, "a", "b", "c") == pytest.approx([10.0, 10.0, 10.0], rel=1e-2)
        assert most_a <= 30.0 + 1e-9

    told(story)


def test_what_holds_is_counted_until_somebody_says_so() -> None:
    """A board goes dark while its pack, that holds, runs on: its share is named and not given away for a quarter of an hour."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        owners(fleet, "c", hold_s=None)
        host = controller(fleet, "a", "b", "c")
        await ready(fleet)
        await fleet.set(host, "all", 30.0, ttl_s=7200.0)
        fleet.hosts["c"].cut_power()
        await asyncio.sleep(900.0)
        assert flows_a(fleet, "a", "b", "c") == pytest.approx([10.0, 10.0, 10.0], rel=2e-2)
        assert math.fsum(flows_a(fleet, "a", "b", "c")) <= 30.0 + 1e-9
        assert "may still run: sc up to 10 A" in host.up.node.status("all").reason
        assert 'until contact, or "bosctl fleet assume-safe"' in host.up.node.status("sc").reason
        fleet.hosts["c"].start()
        await fleet.until(lambda: "may still run" not in host.up.node.status("all").reason, within_s=60.0, because="contact")
        await fleet.until(
            lambda: math.fsum(flows_a(fleet, "a", "b", "c")) == pytest.approx(30.0), within_s=60.0, because="all share again"
        )

    told(story, SLOW)


def test_a_refusal_for_bounds_breaks_nothing() -> None:
    """Too much is asked of a healthy far battery: refused with the numbers, and it goes on as before."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        await fleet.set(host, "all", 5.0)
        with pytest.raises(CurrentOutOfRangeError) as refused:
            await fleet.set(host, "all", 1000.0)
        assert refused.value.metadata["upper_a"] == "20.0"
        status = host.up.node.status("sa")
        assert (status.commandable, status.quality, status.link) == (True, Quality.GOOD, Link.READY)
        assert flows_a(fleet, "a") == [5.0]
        await fleet.set(host, "all", 20.0)
        assert flows_a(fleet, "a") == [20.0]

    told(story)


def test_no_data_is_no_zero() -> None:
    """A device that says nothing any more: its current is unknown, not 0 A, here and through the stub; its last charge stays."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 10.0)
        fleet.packs["a"].change(mute=True)
        own = fleet.hosts["a"]
        await fleet.until(
            lambda: host.up.node.status("sa").quality is Quality.UNAVAILABLE, within_s=30.0, because="the stub is unavailable"
        )
        for status in (own.up.node.status("b"), host.up.node.status("sa")):
            assert (status.current_a, status.quality) == (None, Quality.UNAVAILABLE)
            assert status.charge_ah == pytest.approx(50.0, abs=0.1)
            assert status.max_discharge_current_a == 0.0
        total = host.up.node.status("all")
        assert total.current_a is None
        assert "current of the others" in total.reason

    told(story)


def test_a_hold_that_ends_in_the_device() -> None:
    """The line to a device breaks for longer than it holds: it lets go, nobody believes otherwise, and it is told again."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        fleet.packs["a"].change(deaf=True)
        await fleet.until(lambda: flows_a(fleet, "a") == [0.0], within_s=3.0, because="it lets go after 2 s")
        await fleet.until(
            lambda: "last command unconfirmed, counted at 10 A" in fleet.hosts["a"].up.node.status("b").reason,
            within_s=5.0,
            because="its owner notices",
        )
        fleet.packs["a"].change(deaf=False)
        await fleet.until(
            lambda: flows_a(fleet, "a", "b") == pytest.approx([10.0, 10.0], rel=1e-2), within_s=15.0, because="told again"
        )
        assert math.fsum(flows_a(fleet, "a", "b")) == pytest.approx(20.0)

    told(story)


def test_a_set_point_outlives_its_hold_while_it_is_in_force() -> None:
    """A device that lets go after 2 s follows a set point of ten minutes to its end, and not a hold longer."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        least_a = 99.0
        await fleet.set(host, "all", 8.0, ttl_s=600.0)
        for _ in range(5980):
            least_a = min(least_a, fleet.packs["a"].true_a)
            await asyncio.sleep(0.1)
        assert least_a == 8.0
        await asyncio.sleep(4.0)
        assert flows_a(fleet, "a") == [0.0]

    told(story)


def test_old_values_keep_their_old_times() -> None:
    """A device falls silent while its node beats on: each hop shows the age of the sample, not of the message."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        fleet.packs["a"].change(deaf=True)
        own = fleet.hosts["a"]
        await asyncio.sleep(4.0)
        for node in (own.up.node, host.up.node):
            name = "b" if node is own.up.node else "sa"
            status = node.status(name)
            assert status.sampled_to_s is not None
            assert node.clock.now_s() - status.sampled_to_s > 3.0
            assert status.quality is not Quality.GOOD

    told(story)


def test_one_blocked_node_does_not_drag_the_others() -> None:
    """C hangs: commands to the others take as long as ever, and what is below c alone is affected."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", "c")
        stubs = tuple(stub_spec(f"s{name}", name, "b") for name in "abc")
        host = fleet.add_host("m", Topology(batteries=(*stubs, sum_spec("ab", "sa", "sb")), splitters=()))
        await ready(fleet)
        frozen = fleet.loop.create_task(fleet.stall(fleet.hosts["c"], 30.0))
        for number in range(25):
            began_s = fleet.loop.time()
            await fleet.set(host, "ab", 1.0 + number % 10)
            assert fleet.loop.time() - began_s < 1.1  # two packs, each asked twice, behind a sample under way at most
            assert host.up.node.status("ab").quality is Quality.GOOD
            await asyncio.sleep(0.4)
        assert host.up.node.status("sc").link is Link.LOST
        await frozen

    told(story)


def test_limits_do_not_creep() -> None:
    """Half an hour of small set points, both ways: the limit is at the end what it was at the beginning."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        before = host.up.node.status("all")
        for number in range(12):
            await fleet.set(host, "all", 0.4 if number % 2 else -0.4, ttl_s=150.0)
            await asyncio.sleep(150.0)
        await asyncio.sleep(5.0)
        after = host.up.node.status("all")
        assert after.max_discharge_current_a == pytest.approx(before.max_discharge_current_a, rel=1e-3)
        assert after.max_charge_current_a == pytest.approx(before.max_charge_current_a, rel=1e-3)

    told(story, SLOW)


def test_two_nodes_do_not_fence_each_other() -> None:
    """M and n command different batteries of one owner for ten minutes; n crashes twice: m's set point never moves."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("p", hold_s=2.0)
        fleet.add_pack("q", hold_s=2.0)
        fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"), pack_spec("q", "q")), splitters=()))
        m = fleet.add_host("m", Topology(batteries=(stub_spec("sp", "o", "p"),), splitters=()))
        n = fleet.add_host("n", Topology(batteries=(stub_spec("sq", "o", "q"),), splitters=()))
        await ready(fleet)
        await fleet.set(m, "sp", 7.0)
        for _ in range(2):
            await fleet.until(lambda: fleet.ready(n), within_s=10.0, because="n is ready")
            await fleet.set(n, "sq", -3.0)
            for _ in range(3000):
                assert flows_a(fleet, "p", "q") == [7.0, -3.0]
                await asyncio.sleep(0.1)
            n.kill()
            await fleet.until(lambda: flows_a(fleet, "q") == [0.0], within_s=3.0 + LET_GO_S, because="n's lease is over")
            assert flows_a(fleet, "p") == [7.0]
            n.start()
        assert fleet.hosts["o"].up.sessions.peers()["node:m"].epoch <= 2  # type: ignore[union-attr]

    told(story)


def test_a_clock_from_1970_begins_no_booking() -> None:
    """A board without a battery clock wakes in 1970: what is booked for then does not run; with the right time it does."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("p", hold_s=2.0)
        host = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),), splitters=()))
        await ready(fleet)
        now_s = host.clock.utc_s()
        await fleet.within(
            host,
            host.up.node.book("p", 5.0, Moment(utc_s=now_s + 100.0), Moment(utc_s=now_s + 200.0), holder="person"),
        )
        host.cut_power()
        host.clock.utc_wrong_s, host.clock_trusted = -UTC_S, False
        host.start()
        for _ in range(600):
            assert flows_a(fleet, "p") == [0.0]
            await asyncio.sleep(0.1)
        assert "clock" in host.up.node.status("p").reason
        host.clock.utc_wrong_s, host.clock_trusted = 0.0, True
        await fleet.until(lambda: flows_a(fleet, "p") == [5.0], within_s=60.0, because="the booking begins at its time")
        assert host.clock.utc_s() == pytest.approx(now_s + 100.0, abs=2.0)

    told(story)
