"""What went wrong elsewhere (peers.md), told to a simulated fleet: each time ours does not."""

import asyncio
import math

import pytest

from bosd.bal.spec import Topology
from bosd.bal.status import Link, Quality
from bosd.errors import CurrentOutOfRangeError
from bosd.node.ramps import FULL_S
from tests.support.fleet.fleet import Fleet, Host, pack_spec, stub_spec, sum_spec
from tests.support.fleet.slow_world import slow_down
from tests.support.fleet.stories import LET_GO_S, SAFE_WITHIN_S, SLOW, controller, flows_a, owners, ready, told

pytestmark = pytest.mark.timeout(300)

FOUND_S = 15.0
"""For a read-back to name what does not follow."""
SLOWER = 20.0
"""Every time of a session and every period, for stories of hours; the rules do not know the difference."""


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
        assert 'until contact, or "bosctl fleet assume-safe c:7000" at m' in host.up.node.status("sc").reason
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


async def _frozen(fleet: Fleet, shown_a: float, told_a: float) -> Host:
    """Freeze what the pack of a shows of 2 x `shown_a` over a and b, then tell both another current; return who commands."""
    owners(fleet, "a", "b")
    host, own = controller(fleet, "a", "b"), fleet.hosts["a"]
    await ready(fleet)
    await fleet.set(host, "all", 2.0 * shown_a)

    def measured() -> bool:
        return own.up.node.status("b").current_a == pytest.approx(shown_a, rel=1e-3)

    await fleet.until(measured, within_s=3.0, because="it is measured")
    fleet.packs["a"].frozen = own.up.node.directory["b"].sample  # type: ignore[attr-defined]
    await fleet.set(host, "all", 2.0 * told_a)
    return host


async def _never_above(fleet: Fleet, most_a: float) -> None:
    """See for five seconds that a and b together stay below."""
    for _ in range(100):
        assert math.fsum(flows_a(fleet, "a", "b")) <= most_a + 1e-9
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(("shown_a", "told_a"), [(10.0, 4.0), (4.0, 10.0)])
def test_frozen_values_with_fresh_times_are_found(shown_a: float, told_a: float) -> None:
    """A pack shows the current of before for ever, each time as a fresh sample: read back, named, and trusted with no more."""

    async def story(fleet: Fleet) -> None:
        host = await _frozen(fleet, shown_a, told_a)
        assert flows_a(fleet, "a", "b") == pytest.approx([told_a, told_a], rel=1e-3)
        await fleet.until(
            lambda: "NOT_FOLLOWED: commanded" in host.up.node.status("sa").reason, within_s=FOUND_S, because="it is named"
        )
        status = host.up.node.status("sa")
        assert f"held {told_a:g} A, measured {shown_a:g} A" in status.reason
        assert status.quality is Quality.GOOD  # by its times
        assert status.current_a == pytest.approx(shown_a, rel=1e-3)
        assert status.max_discharge_current_a <= told_a * 1.001
        await _never_above(fleet, 2.0 * told_a)

    told(story)


@pytest.mark.parametrize(("shown_a", "told_a"), [(10.0, 4.0), (4.0, 10.0)])
def test_frozen_values_are_not_what_counts(shown_a: float, told_a: float) -> None:
    """Its node is lost before anybody has found out: the larger of commanded and shown counts, not what is fresh."""

    async def story(fleet: Fleet) -> None:
        host = await _frozen(fleet, shown_a, told_a)
        await asyncio.sleep(2.0)
        assert not host.up.node.status("sa").reason
        fleet.cut("m", "a")
        await fleet.until(
            lambda: "may still run: sa up to" in host.up.node.status("all").reason, within_s=4.0, because="it is counted"
        )
        assert host.up.node.directory["sa"].counts_at_a == pytest.approx(10.0, rel=1e-3)
        await _never_above(fleet, 2.0 * told_a)

    told(story)


def test_a_device_that_confirms_and_does_not_follow() -> None:
    """A regulator says yes and goes on as before: read back, named, and asked for nothing; never above the older request."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        fleet.packs["a"].stuck = True
        await fleet.set(host, "all", 8.0)
        await fleet.until(
            lambda: "A, held 10 A, measured 10 A" in host.up.node.status("sa").reason,
            within_s=FOUND_S,
            because="it is read back",
        )
        assert fleet.hosts["a"].up.node.status("b").max_discharge_current_a == 0.0
        await _never_above(fleet, 20.0)

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


def test_one_blocked_member_does_not_drag_the_sum() -> None:
    """C, a member of what is commanded, blocks, then its node hangs: the others carry on, limits are theirs, c is named."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", "c")
        host = controller(fleet, "a", "b", "c")
        await ready(fleet)
        await fleet.set(host, "all", 30.0)
        fleet.packs["c"].change(blocks=True)

        def others_alone() -> bool:
            status = host.up.node.status("all")
            return status.max_discharge_current_a == pytest.approx(40.0, rel=1e-2) and flows_a(fleet, "a", "b", "c") == (
                pytest.approx([15.0, 15.0, 0.0], rel=1e-2)
            )

        await fleet.until(others_alone, within_s=5.0, because="the others take its share")
        explained = await fleet.within(host, host.up.node.explain("all"))
        assert "sc left out" in explained.discharge[-1].text
        hung = fleet.loop.create_task(fleet.stall(fleet.hosts["c"], 30.0))
        for number in range(25):
            began_s, asked_a = fleet.loop.time(), 30.0 + number % 10
            await fleet.set(host, "all", asked_a)
            assert fleet.loop.time() - began_s < 1.1  # as below: two packs, each asked twice, behind a sample under way
            assert flows_a(fleet, "a", "b", "c") == pytest.approx([asked_a / 2.0, asked_a / 2.0, 0.0], rel=1e-2)
            await asyncio.sleep(0.6)
        status = host.up.node.status("all")
        assert (host.up.node.status("sc").link, status.commandable) == (Link.LOST, True)
        assert status.max_discharge_current_a == pytest.approx(40.0, rel=1e-2)
        assert "left out, unavailable: sc (c:7000 is silent" in status.reason
        await hung
        fleet.packs["c"].change(blocks=False)
        await fleet.until(lambda: flows_a(fleet, "c")[0] > 10.0, within_s=20.0, because="c is back")

    told(story)


def test_limits_do_not_creep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six hours of small set points, both ways: the limit is at the end what it was at the beginning."""
    links = slow_down(monkeypatch, SLOWER)

    async def story(fleet: Fleet) -> None:
        for name in ("a", "own"):
            fleet.add_pack(name, hold_s=None)
        fleet.add_host("a", Topology(batteries=(pack_spec("b", "a", period_s=60.0),), splitters=()))
        members = (pack_spec("own", "own", period_s=60.0), stub_spec("sa", "a", "b"))
        host = fleet.add_host("m", Topology(batteries=(*members, sum_spec("all", "own", "sa")), splitters=()))
        fleet.start()
        await fleet.until(fleet.all_ready, within_s=600.0, because="all is ready", step_s=1.0)
        before = host.up.node.status("all")
        assert before.max_discharge_current_a == pytest.approx(40.0)
        while fleet.loop.time() < 6.0 * 3600.0:
            for current_a in (0.4, -0.4):
                await fleet.set(host, "all", current_a, ttl_s=600.0)
                await asyncio.sleep(600.0)
                status = host.up.node.status("all")
                assert status.max_discharge_current_a == pytest.approx(before.max_discharge_current_a, rel=1e-3)
                assert status.max_charge_current_a == pytest.approx(before.max_charge_current_a, rel=1e-3)

    told(story, links)


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


def test_what_was_let_go_while_the_asker_slept_comes_back_slowly() -> None:
    """A relay stands still a moment longer than its lease: it finds nothing lost, and what its owner let go rises from there."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        stalled = fleet.loop.create_task(fleet.stall(host, 3.2))
        await fleet.until(lambda: flows_a(fleet, "a") == [0.0], within_s=3.2, because="its lease is over")
        began_s = fleet.loop.time()
        await stalled
        while flows_a(fleet, "a") != [20.0]:
            after_s = fleet.loop.time() - began_s
            assert after_s < FULL_S + 3.0
            assert flows_a(fleet, "a")[0] <= after_s * 20.0 / FULL_S + 0.5  # looked at four times a second
            await asyncio.sleep(0.05)

    told(story)


def test_what_was_lost_behind_two_relays_comes_back_slowly() -> None:
    """The owner's process dies and its device is made safe; both relays are heard all the time, and hold nothing of it."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        fleet.add_host("near", Topology(batteries=(stub_spec("b", "a", "b"),), splitters=()))
        fleet.add_host("far", Topology(batteries=(stub_spec("b", "near", "b"),), splitters=()))
        host = controller(fleet, "far")
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        fleet.hosts["a"].kill()
        fleet.packs["a"].change(held_a=0.0)  # by its guard
        await asyncio.sleep(8.0)
        fleet.hosts["a"].start()
        began_s = fleet.loop.time()
        while flows_a(fleet, "a") != [20.0]:
            after_s = fleet.loop.time() - began_s
            assert after_s < FULL_S + 5.0  # a resync, and a pause of what failed
            assert flows_a(fleet, "a")[0] <= after_s * 20.0 / FULL_S + 0.5  # looked at four times a second
            await asyncio.sleep(0.05)

    told(story)
