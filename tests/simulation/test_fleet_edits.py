"""Edits while batteries run: nothing runs on unsupervised, and no sum is passed, while one is stored and after it."""

import asyncio
from dataclasses import replace

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import BatterySpec, NetworkSpec, PartitionSpec, SplitterSpec, Topology
from bosd.config.topology_toml import format_topology
from bosd.drivers.rd6006.spec import Rd6006Spec
from bosd.node.api import Edit
from tests.simulation.test_fleet_limits import edit
from tests.support.fleet import packs
from tests.support.fleet.fleet import PORT, Fleet, pack_spec, stub_spec, sum_spec
from tests.support.fleet.stories import controller, flows_a, owners, ready, told

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("after", [(), (sum_spec("other", "b1", "b2"),)], ids=["free", "another sum"])
def test_what_is_not_confirmed_is_told_after_an_edit_took_its_sum_away(after: tuple[BatterySpec, ...]) -> None:
    """A member follows its first 5 A, its answer is lost, the request is refused; its sum is taken away: it comes to 0 A."""

    async def story(fleet: Fleet) -> None:
        one, other = fleet.add_pack("p1", hold_s=None), fleet.add_pack("p2", hold_s=None)
        specs = (pack_spec("b1", "p1"), pack_spec("b2", "p2"))
        host = fleet.add_host("m", Topology(batteries=(*specs, sum_spec("all", "b1", "b2"))))
        await ready(fleet)
        other.change(mute=True)
        assert await fleet.refused(fleet.set(host, "all", 10.0)) is not None
        assert (one.true_a, other.true_a) == (0.0, 5.0)
        await asyncio.sleep(0.5)
        await edit(fleet, host, *specs, *after)
        other.change(mute=False)
        await fleet.until(lambda: other.true_a == 0.0, within_s=5.0, because="it is told until it confirms")

    told(story)


def test_a_device_that_was_never_looked_at_is_told_after_an_edit_took_it_away() -> None:
    """A node starts anew, a pack that holds 10 A does not answer, its battery is taken out: it comes to 0 A all the same."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("own")
        pack = fleet.add_pack("gone", hold_s=None)
        stays = pack_spec("own", "own")
        host = fleet.add_host("m", Topology(batteries=(stays, pack_spec("gone", "gone"))))
        await ready(fleet)
        await asyncio.sleep(61.0)  # meters are written once a minute: who has one was there
        await fleet.set(host, "gone", 10.0)
        host.kill()
        pack.change(deaf=True)
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        edits = [Edit(action="remove", name="gone")]
        answer = await fleet.within(host, host.up.node.apply(edits, expected_revision=None, holder="person"))
        assert any("gone was not heard since this node started" in warning for warning in answer.warnings)
        await asyncio.sleep(10.0)
        assert pack.true_a == 10.0
        assert "gone was taken out" in next(iter(host.up.node.orphans.noticed())).message
        pack.change(deaf=False)
        await fleet.until(lambda: pack.true_a == 0.0, within_s=4.0, because="it is told each 2 s until it confirms")

    told(story)


def test_who_takes_out_what_was_not_heard_since_the_start_is_told() -> None:
    """A node that is started anew does not hear an owner that holds 10 A: taken out it counts no more, which the edit says."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        fleet.hosts["a"].cut_power()
        host.kill()
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        await asyncio.sleep(20.0)
        refused = await fleet.refused(fleet.set(host, "all", 20.0))
        assert refused is not None
        assert "sa was not heard since this node started" in refused.message
        answer = await edit(fleet, host, stub_spec("sb", "b", "b"), sum_spec("all", "sb"))
        assert any("sa was not heard since this node started" in warning for warning in answer.warnings)

    told(story)


def test_a_set_point_ends_in_time_while_another_device_is_waited_for_over_an_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of b2's is told to a device that says nothing for 4.5 s; an edit comes; b1's ends after 4 s, as it does without.

    The latest that a device may take to hear of it is its line's 0.25 s.
    """
    monkeypatch.setattr(packs, "ANSWER_S", 4.5)

    async def story(fleet: Fleet) -> None:
        one, other = fleet.add_pack("p1", hold_s=None), fleet.add_pack("p2", hold_s=None)
        fleet.add_pack("new")
        batteries = (pack_spec("b1", "p1"), pack_spec("b2", "p2"))
        host = fleet.add_host("m", Topology(batteries=batteries))
        await ready(fleet)
        await fleet.set(host, "b2", 5.0, ttl_s=2.0)
        await fleet.set(host, "b1", 5.0, ttl_s=4.0)
        began_s = fleet.loop.time()
        other.change(deaf=True)
        await asyncio.sleep(2.5)
        await edit(fleet, host, pack_spec("new", "new"), *batteries)
        await fleet.until(lambda: one.true_a == 0.0, within_s=began_s + 4.5 - fleet.loop.time(), because="it is over")
        assert fleet.loop.time() > began_s + 3.5

    told(story)


def test_a_partition_at_rest_that_leaves_a_sum_is_given_nothing_meanwhile() -> None:
    """While it is stored that partition x leaves a sum, the sum is asked for 10 A: another one carries them."""

    async def story(fleet: Fleet) -> None:
        shared, other = fleet.add_pack("p1", hold_s=None), fleet.add_pack("p2", hold_s=None)
        specs = (pack_spec("b1", "p1"), pack_spec("b2", "p2"))
        parts = (PartitionSpec(name="x", fraction=0.5), PartitionSpec(name="y", fraction=0.5))
        split = SplitterSpec(name="sp", policy="proportional", source="b1", partitions=parts)
        host = fleet.add_host("m", Topology(batteries=(*specs, sum_spec("all", "x", "b2")), splitters=(split,)))
        await ready(fleet)
        await fleet.set(host, "y", 3.0)
        host.store.takes_s = lambda: 1.0
        after = Topology(batteries=(*specs, sum_spec("all", "b2")), splitters=(split,))
        edits = [Edit(action="whole", toml=format_topology(after))]
        applied = host.up.node.apply(edits, expected_revision=None, holder="person")
        edited = asyncio.create_task(fleet.within(host, applied))
        await asyncio.sleep(0.2)
        await fleet.set(host, "all", 10.0)
        assert (shared.true_a, other.true_a, edited.done()) == (3.0, 10.0, False)
        shared.change(deaf=True)
        await edited
        await asyncio.sleep(2.0)
        assert (shared.true_a, other.true_a) == (3.0, 10.0)

    told(story)


def test_a_battery_that_is_alone_is_limited_as_it_is_written_by_now() -> None:
    """The 480 W that it may give alone become 240 W while it is: 5 A at 48 V, at once."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("a")
        spec = replace(pack_spec("b", "a"), alone_discharge_limit_w=480.0)
        own = fleet.add_host("a", Topology(batteries=(spec,)))
        host = controller(fleet, "a")
        await ready(fleet)
        await fleet.set(host, "all", 1.0)
        begin, end = Moment(in_s=1.0), Moment(in_s=600.0)
        await fleet.within(own, own.up.node.book("b", 18.0, begin, end, holder="person"))
        fleet.cut("m", "a")
        await fleet.until(lambda: flows_a(fleet, "a") == pytest.approx([10.0]), within_s=10.0, because="it is alone")
        await edit(fleet, own, replace(spec, alone_discharge_limit_w=240.0))
        await fleet.until(lambda: fleet.packs["a"].true_a == 0.0, within_s=1.0, because="the edit has it at 0 A first")
        most_a = 0.0
        for _ in range(100):
            await asyncio.sleep(0.05)
            most_a = max(most_a, fleet.packs["a"].true_a)
        assert most_a == pytest.approx(5.0)

    told(story)


def test_a_lost_battery_whose_regulator_is_written_otherwise_counts_on() -> None:
    """A member holds 6 A and is not reached; the voltage of its charger is edited: the other one is not given its 6 A."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("a", hold_s=None)
        pack = fleet.add_pack("c", hold_s=None)
        charger = Rd6006Spec(port="/dev/charger", max_current_a=6.0, max_voltage_v=58.0)
        lost = replace(pack_spec("bc", "c", limit_a=6.0), regulator=charger)
        host = fleet.add_host("m", Topology(batteries=(pack_spec("ba", "a"), lost, sum_spec("all", "ba", "bc"))))
        await ready(fleet)
        await fleet.set(host, "all", -12.0)
        assert flows_a(fleet, "a", "c") == [-6.0, -6.0]
        pack.change(deaf=True)
        await asyncio.sleep(1.0)
        after = replace(lost, regulator=replace(charger, max_voltage_v=57.0))
        await edit(fleet, host, pack_spec("ba", "a"), after, sum_spec("all", "ba", "bc"))
        for _ in range(60):
            await asyncio.sleep(0.25)
            assert flows_a(fleet, "a", "c") == [-6.0, -6.0]
        assert "may still run: bc up to 6 A" in host.up.node.status("all").reason

    told(story)


@pytest.mark.parametrize("far", [True, False])
def test_a_lost_battery_whose_address_is_written_otherwise_counts_on(*, far: bool) -> None:
    """A member holds 10 A and is not reached, and is looked for elsewhere: the other one is not given its 10 A before contact."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "b")
        owners(fleet, "c", hold_s=None)
        for name in ("own", "elsewhere"):
            fleet.add_pack(name, hold_s=None)
        pack = fleet.packs["c" if far else "own"]
        lost = stub_spec("lost", "c", "b") if far else pack_spec("lost", "own")
        after = replace(lost, target=f"c:{PORT + 1}") if isinstance(lost, NetworkSpec) else pack_spec("lost", "elsewhere")
        host = fleet.add_host("m", Topology(batteries=(stub_spec("sb", "b", "b"), lost, sum_spec("all", "sb", "lost"))))
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        if far:
            fleet.hosts["c"].cut_power()
        for each in ("own", "elsewhere"):
            fleet.packs[each].change(deaf=not far)
        await asyncio.sleep(1.0)
        await edit(fleet, host, stub_spec("sb", "b", "b"), after, sum_spec("all", "sb", "lost"))
        for _ in range(60):
            await asyncio.sleep(0.25)
            assert (fleet.packs["b"].true_a, pack.true_a) == pytest.approx((10.0, 10.0))
        assert "may still run: lost up to 10 A" in host.up.node.status("all").reason
        if far:
            fleet.hosts["c"].start()
        for each in ("own", "elsewhere"):
            fleet.packs[each].change(deaf=False)
        await fleet.until(lambda: "may still run" not in host.up.node.status("all").reason, within_s=60.0, because="contact")

    told(story)


def test_a_battery_that_its_owner_uses_itself_drags_no_sum_elsewhere() -> None:
    """Its owner puts it into a sum of its own: the stub says so and may not be asked, the other member carries what was asked."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 16.0)
        await edit(fleet, fleet.hosts["a"], pack_spec("b", "a"), sum_spec("own", "b"))
        await fleet.until(
            lambda: flows_a(fleet, "a", "b") == pytest.approx([0.0, 16.0]), within_s=10.0, because="b carries all of it"
        )
        status = host.up.node.status("sa")
        assert (status.commandable, status.max_discharge_current_a) == (False, 0.0)
        assert status.reason == "IN_USE: b is a source of something at its node; command that"
        await fleet.set(host, "all", 12.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([0.0, 12.0])
        await edit(fleet, fleet.hosts["a"], pack_spec("b", "a"))
        await fleet.until(lambda: flows_a(fleet, "a", "b") == pytest.approx([6.0, 6.0], 0.02), within_s=20.0, because="free")

    told(story)


def test_a_stub_that_is_taken_out_holds_its_battery_no_more() -> None:
    """It was brought to 0 A to the end of a set point of an hour, and beats for another one go on: its booking of 7 A runs."""

    async def story(fleet: Fleet) -> None:
        for name in ("p1", "p2"):
            fleet.add_pack(name)
        own = fleet.add_host("a", Topology(batteries=(pack_spec("b1", "p1"), pack_spec("b2", "p2"))))
        stubs = stub_spec("s1", "a", "b1"), stub_spec("s2", "a", "b2")
        host = fleet.add_host("m", Topology(batteries=(*stubs, sum_spec("all", "s1", "s2"))))
        await ready(fleet)
        booked = own.up.node.book("b1", 7.0, Moment(in_s=0.5), Moment(in_s=600.0), holder="person")
        await fleet.within(own, booked)
        await fleet.set(host, "all", 20.0)
        assert flows_a(fleet, "p1", "p2") == pytest.approx([10.0, 10.0], rel=0.01)
        await edit(fleet, host, stubs[1], sum_spec("all", "s2"))
        await fleet.until(
            lambda: flows_a(fleet, "p1", "p2") == pytest.approx([7.0, 20.0]), within_s=10.0, because="what is booked is in force"
        )

    told(story)


def test_a_stub_at_0_a_whose_sum_is_taken_away_is_given_back() -> None:
    """Its sum was asked for 0 A for an hour, and is no more: nobody asks for the stub, so that its owner's booking runs."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host, own = controller(fleet, "a", "b"), fleet.hosts["a"]
        await ready(fleet)
        await fleet.within(own, own.up.node.book("b", 7.0, Moment(in_s=0.5), Moment(in_s=600.0), holder="person"))
        await fleet.set(host, "all", 20.0)
        await fleet.set(host, "all", 0.0)
        await edit(fleet, host, stub_spec("sa", "a", "b"), stub_spec("sb", "b", "b"))
        await fleet.until(lambda: flows_a(fleet, "a", "b") == [7.0, 0.0], within_s=5.0, because="what is booked is in force")

    told(story)


def test_a_booking_is_cancelled_while_an_edit_waits_for_another_node() -> None:
    """An edit takes out a stub that is not heard, and waits until its owner has let go: a cancelled booking ends at once."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        fleet.add_pack("own")
        specs = pack_spec("own", "own"), stub_spec("sb", "b", "b")
        host = fleet.add_host("m", Topology(batteries=(*specs, stub_spec("sa", "a", "b"), sum_spec("all", "sa", "sb"))))
        await ready(fleet)
        booking = host.up.node.book("own", 10.0, Moment(in_s=0.0), Moment(in_s=600.0), holder="person")
        booked = (await fleet.within(host, booking)).booking
        await fleet.set(host, "all", 20.0)
        fleet.cut("m", "a")
        await asyncio.sleep(1.0)
        edited = asyncio.create_task(edit(fleet, host, *specs, sum_spec("all", "sb")))
        await asyncio.sleep(0.5)
        assert flows_a(fleet, "own", "a", "b") == pytest.approx([10.0, 10.0, 10.0])
        await fleet.within(host, host.up.node.cancel_booking(booked.booking_id, holder="person"))
        await fleet.until(lambda: flows_a(fleet, "own") == [0.0], within_s=1.0, because="it is cancelled")
        assert not edited.done()
        await edited

    told(story)


@pytest.mark.parametrize("waits", [True, False])
def test_a_holder_that_asks_for_less_while_an_edit_writes_its_sum_anew(*, waits: bool) -> None:
    """Its 15 A wait for a device that says nothing, a third is put in meanwhile: nothing is raised to 30 A, waited for or not."""

    async def story(fleet: Fleet) -> None:
        for name in "abc":
            fleet.add_pack(name, hold_s=None)
        specs = [pack_spec(name, name) for name in "abc"]
        host = fleet.add_host("m", Topology(batteries=(*specs, sum_spec("all", "a", "b"))))
        await ready(fleet)
        await fleet.set(host, "all", 30.0)
        fleet.packs["a"].change(deaf=True)
        raised = asyncio.create_task(fleet.refused(fleet.set(host, "all", 32.0)))  # waits for a
        await asyncio.sleep(0.3)
        node = host.up.node
        lowering = node.set_current("all", 15.0, ttl_s=600.0, holder="person")
        lower = fleet.loop.create_task(lowering, context=host.up.context())
        await asyncio.sleep(0.1)
        await edit(fleet, host, *specs, sum_spec("all", "a", "b", "c"))
        if not waits:
            lower.cancel()
        highest_a = 0.0
        for _ in range(60):
            await asyncio.sleep(0.05)
            highest_a = max(highest_a, flows_a(fleet, "c")[0])
        await asyncio.gather(raised, lower, return_exceptions=True)
        setpoint = node.directory["all"].setpoint
        assert setpoint is not None
        assert (setpoint.current_a, highest_a <= 5.0) == (15.0, True), highest_a

    told(story)
