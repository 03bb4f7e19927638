"""Parts of a limit at other nodes, at the moments at which nobody is certain of them."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import Topology
from bosd.errors import NoResourcesError, StaleRevisionError
from bosd.limits.service import LimitView
from bosd.rpc.about import About
from bosd.rpc.fleet import Assumed
from bosd.rpc.fleet import Fleet as Nodes
from bosd.store.limits import Direction, Limit
from tests.simulation.test_fleet_limits import VOLTAGE_V, edit, granted_w, limit
from tests.support.fleet.fleet import Fleet, Host, pack_spec, stub_spec, sum_spec
from tests.support.fleet.stories import controller, flows_a, owners, ready, told

LIMITED_ALONE = replace(pack_spec("b", "a"), alone_charge_limit_w=96.0)


async def _sets_aside_what_a_runs(fleet: Fleet, host: Host) -> None:
    """Limit all to the 480 W that a, which holds and is not reached, runs on: b is granted nothing, and nothing is provable."""
    await limit(fleet, host, "all", 480.0)
    await asyncio.sleep(10.0)
    assert flows_a(fleet, "a") == [pytest.approx(-10.0, rel=1e-3)]
    assert host.up.limits is not None
    assert not host.up.limits.views()[0].provable
    assert granted_w(fleet.hosts["b"]) == [pytest.approx(0.0, abs=20.0)]


def granted(fleet: Fleet, name: str) -> list[float | None]:
    """Return what of limits on charging is granted to battery b of a node, in watts and in amperes."""
    limits = fleet.hosts[name].up.limits
    assert limits is not None
    (found,) = [each.limit for each in limits.book.standing() if each.limit.revision]
    return [found.limit_w, found.limit_a]


@pytest.mark.parametrize("amount", [{"limit_w": 480.0}, {"limit_a": 10.0}])
def test_a_grant_that_its_granter_forgot_is_withdrawn(amount: dict[str, Any]) -> None:
    """A full disk keeps neither the limit nor the grants, and the node dies: the next run finds them at their owners."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        assert host.up.limits is not None
        host.store.failed = True
        wanted = Limit(source="operator", battery="all", direction="charge", **amount)
        assert "not recorded yet" in str(await fleet.refused(fleet.within(host, host.up.limits.book.put(wanted))))
        await asyncio.sleep(3.0)
        assert [len(granted_w(fleet.hosts[name])) for name in "ab"] == [1, 1]
        host.kill()
        host.store.failed = False
        await asyncio.sleep(5.0)
        host.start()
        await asyncio.sleep(15.0)
        assert [granted_w(fleet.hosts[name]) for name in "ab"] == [[], []]
        await fleet.set(host, "all", -30.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([-15.0, -15.0])

    told(story)


def test_what_is_limited_after_it_was_lost_may_run_a_booking() -> None:
    """The line to a was cut before there was a limit, and a charges by a booking: nobody can say that 480 W are kept."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        far = fleet.hosts["a"]
        await fleet.within(far, far.up.node.book("b", -10.0, Moment(in_s=0.5), Moment(in_s=600.0), holder="person"))
        await asyncio.sleep(5.0)
        fleet.cut("m", "a")
        await asyncio.sleep(20.0)
        await limit(fleet, host, "all", 480.0)
        await asyncio.sleep(12.0)
        assert flows_a(fleet, "a") == [pytest.approx(-10.0, rel=1e-3)]
        assert host.up.limits is not None
        (view,) = host.up.limits.views()
        assert (view.provable, view.bound_s) == (False, None)
        assert "NOT_PROVABLE: sa is not heard, may run what its bookings or others ask for, and has no alone limit" in view.reason

    told(story)


def test_limits_in_watts_and_in_amperes_over_one_stub() -> None:
    """48 W on the stub, 20 A on the sum over it: its owner is granted the tighter of the two, 1 A at 48 V, and not 20 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        assert host.up.limits is not None
        book = host.up.limits.book
        await limit(fleet, host, "sa", 48.0)
        await fleet.within(host, book.put(Limit(source="operator", battery="all", direction="charge", limit_a=20.0)))
        await asyncio.sleep(5.0)
        fleet.cut("m", "a")
        await asyncio.sleep(10.0)
        await fleet.set(fleet.hosts["a"], "b", -15.0)  # somebody there
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "a") == [pytest.approx(-1.0, rel=0.03)]

    told(story)


def test_limits_in_both_units_are_in_force_where_a_node_is_cut_off() -> None:
    """14 A over a and b are 672 W of 680 W; at 56 V they would be 784 W, and at 40 V 680 W 17 A: cut off, both hold."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        assert host.up.limits is not None
        book = host.up.limits.book
        await limit(fleet, host, "all", 680.0)
        await fleet.within(host, book.put(Limit(source="house", battery="all", direction="charge", limit_a=14.0)))
        await asyncio.sleep(5.0)
        for name in "ab":
            fleet.cut("m", name)
        await asyncio.sleep(10.0)
        for voltage_v, most_a in ((56.0, 340.0 / 56.0), (40.0, 7.0)):
            for name in "ab":
                fleet.packs[name].change(voltage_v=voltage_v)
                await asyncio.sleep(2.0)
                await fleet.set(fleet.hosts[name], "b", -15.0)  # somebody there
            await asyncio.sleep(3.0)
            assert flows_a(fleet, "a", "b") == pytest.approx([-most_a, -most_a], rel=1e-3)

    told(story)


def test_what_ends_on_a_full_disk_is_withdrawn_once_that_works() -> None:
    """480 W end, and 14 A become 8 A: those are told at once; who died now would count on the 480 W, as they are stored."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        assert host.up.limits is not None
        book = host.up.limits.book
        wanted = Limit(source="operator", battery="all", direction="charge", limit_w=480.0)
        await fleet.within(host, book.put(wanted, ends=Moment(in_s=6.0)))
        await fleet.within(host, book.put(Limit(source="house", battery="all", direction="charge", limit_a=14.0)))
        await asyncio.sleep(3.0)
        assert granted(fleet, "a") == [pytest.approx(240.0), pytest.approx(7.0)]
        host.store.failed = True
        tighter = fleet.within(host, book.put(Limit(source="house", battery="all", direction="charge", limit_a=8.0)))
        assert "not recorded yet" in str(await fleet.refused(tighter))
        await asyncio.sleep(10.0)
        assert granted(fleet, "a") == [pytest.approx(240.0), pytest.approx(4.0)]
        host.store.failed = False
        await asyncio.sleep(2.0)
        assert granted(fleet, "a") == [None, pytest.approx(4.0)]

    told(story)


def test_a_first_grant_that_never_arrived_bounds_nothing() -> None:
    """The line is cut just before: a, which holds, runs its 480 W on, and they are set aside; b has nothing of the 480 W."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", -20.0)
        fleet.cut("m", "a")
        fleet.hosts["a"].cut_power()
        await _sets_aside_what_a_runs(fleet, host)

    told(story)


def test_an_alone_limit_counts_for_no_device_that_holds_more() -> None:
    """The board of a went dark, and its device holds 480 W over an alone limit of 96 W: b has nothing of 480 W."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("a", hold_s=None)
        alone = replace(pack_spec("b", "a"), alone_charge_limit_w=96.0)
        fleet.add_host("a", Topology(batteries=(alone,), splitters=()))
        owners(fleet, "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", -20.0)
        fleet.cut("m", "a")
        fleet.hosts["a"].cut_power()
        await asyncio.sleep(4.0)
        await limit(fleet, host, "all", 480.0)
        await asyncio.sleep(10.0)
        assert flows_a(fleet, "a") == [pytest.approx(-10.0, rel=1e-3)]
        assert granted_w(fleet.hosts["b"]) == [pytest.approx(0.0, abs=20.0)]

    told(story)


@pytest.mark.parametrize(
    ("wanted", "left"),
    [({"limit_a": 10.0}, 10.0 - 96.0 / 48.0), ({"limit_w": 480.0}, 480.0 - 96.0 / 0.8)],
    ids=["amperes at the lower voltage", "watts at the grid's side"],
)
def test_an_alone_limit_in_the_unit_of_the_limit(wanted: dict[str, Any], left: float) -> None:
    """96 W at the battery of a are 2 A at 48 V, though it may have 58 V by now, and 120 W before a converter of 0.8."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("a")
        alone = replace(pack_spec("b", "a"), alone_charge_limit_w=96.0)
        fleet.add_host("a", Topology(batteries=(alone,), splitters=()))
        owners(fleet, "b")
        far = replace(stub_spec("sa", "a", "b"), voltage_max_v=58.0, efficiency=0.8)
        stubs = (far, stub_spec("sb", "b", "b"))
        host = fleet.add_host("m", Topology(batteries=(*stubs, sum_spec("all", "sa", "sb")), splitters=()))
        await ready(fleet)
        fleet.cut("m", "a")
        await asyncio.sleep(30.0)
        assert host.up.limits is not None
        await fleet.within(host, host.up.limits.book.put(Limit(source="operator", battery="all", direction="charge", **wanted)))
        await asyncio.sleep(3.0)
        owner = fleet.hosts["b"].up
        assert owner.limits is not None
        granted = [each.limit for each in owner.limits.book.standing()]
        assert [each.limit_w if each.limit_a is None else each.limit_a for each in granted] == [pytest.approx(left, rel=0.01)]

    told(story)


def test_what_a_device_here_holds_is_granted_to_nobody() -> None:
    """Pack l of the node itself holds 480 W and answers no more: b, which anybody may book, has what is left."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("l", hold_s=None)
        owners(fleet, "b")
        mine = (pack_spec("l", "l"), stub_spec("sb", "b", "b"), sum_spec("all", "l", "sb"))
        host = fleet.add_host("m", Topology(batteries=mine, splitters=()))
        await ready(fleet)
        await limit(fleet, host, "all", 960.0)
        await fleet.set(host, "all", -20.0)
        fleet.packs["l"].deaf = True
        await fleet.until(lambda: not host.up.node.status("l").commandable, within_s=15.0, because="it is lost")
        await asyncio.sleep(5.0)
        assert granted_w(fleet.hosts["b"]) == [pytest.approx(480.0, rel=0.02)]
        await limit(fleet, host, "all", 720.0)
        await asyncio.sleep(5.0)
        assert granted_w(fleet.hosts["b"]) == [pytest.approx(240.0, rel=0.02)]
        assert flows_a(fleet, "l", "b") == pytest.approx([-10.0, -5.0], rel=0.02)

    told(story)


def test_a_part_is_lowered_while_the_disk_hangs() -> None:
    """Each write takes 9 s here: 2 s after 480 W, and 240 W, are put in place of 960 W a has half of that; c has all of 96 W."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", "c")
        stubs = tuple(stub_spec(f"s{name}", name, "b") for name in "abc")
        host = fleet.add_host("m", Topology(batteries=(*stubs, sum_spec("all", "sa", "sb")), splitters=()))
        await ready(fleet)
        await limit(fleet, host, "all", 960.0)
        await asyncio.sleep(3.0)
        host.store.takes_s = lambda: 9.0
        async with asyncio.TaskGroup() as group:
            group.create_task(limit(fleet, host, "sc", 96.0))
            for limit_w in (480.0, 240.0):
                group.create_task(limit(fleet, host, "all", limit_w))
                await asyncio.sleep(2.0)
                assert granted_w(fleet.hosts["a"]) == [pytest.approx(limit_w / 2.0)]
            assert granted_w(fleet.hosts["c"]) == [pytest.approx(96.0)]
            host.store.takes_s = lambda: 0.0
        await asyncio.sleep(30.0)
        host.kill()
        host.start()
        await asyncio.sleep(10.0)
        assert [granted_w(fleet.hosts[name]) for name in "abc"] == [[pytest.approx(watts)] for watts in (120.0, 120.0, 96.0)]

    told(story)


def test_a_part_is_lowered_while_a_larger_one_waits_for_the_disk() -> None:
    """B is full, so that a is to have all 480 W, which the disk takes 9 s for; 96 W come meanwhile, and are a's within 2 s."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        await asyncio.sleep(3.0)
        assert granted_w(fleet.hosts["a"]) == [pytest.approx(240.0)]
        host.store.takes_s = lambda: 9.0
        fleet.packs["b"].change(charge_ah=100.0)
        await fleet.until(lambda: granted_w(fleet.hosts["b"]) == [0.0], within_s=5.0, because="b has nothing")
        await asyncio.sleep(1.0)
        assert host.up.limits is not None
        host.up.limits.book.source("house").post("all", "charge", 96.0)
        await asyncio.sleep(2.0)
        assert granted_w(fleet.hosts["a"]) == [pytest.approx(96.0)]

    told(story)


def test_what_the_disk_did_not_take_is_no_part() -> None:
    """A is to have all 480 W, which fails; 432 W of another limit are more than the 240 W that the disk knows of, and wait."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        await asyncio.sleep(3.0)
        host.store.failed = True
        fleet.packs["b"].change(charge_ah=100.0)
        await asyncio.sleep(5.0)
        assert "not recorded yet" in str(await fleet.refused(limit(fleet, host, "sa", 432.0)))
        await asyncio.sleep(5.0)
        assert granted_w(fleet.hosts["a"]) == [pytest.approx(240.0)]
        host.store.failed = False
        await asyncio.sleep(15.0)
        assert granted_w(fleet.hosts["a"]) == [pytest.approx(432.0)]

    told(story)


def test_a_withdrawal_without_an_answer_bounds_nothing() -> None:
    """The answer is lost as the line is cut, and a runs its 480 W: under the next limit these are set aside, not its old part."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        await fleet.set(host, "all", -20.0)
        await asyncio.sleep(3.0)
        far = fleet.hosts["a"]
        fleet.wires.cut("a", "m")
        await limit(fleet, host, "all", None)
        await fleet.until(
            lambda: flows_a(fleet, "a") == [pytest.approx(-10.0, rel=1e-3)],
            within_s=1.4,
            because="withdrawn, and told, unanswered",
        )
        assert granted_w(far) == []
        fleet.cut("m", "a")
        far.cut_power()
        await _sets_aside_what_a_runs(fleet, host)

    told(story)


def test_who_joins_has_nothing_before_the_others_gave_it() -> None:
    """All 480 W are a's when sb joins: b is granted a part when a's is lowered, and no sooner."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a")
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        await fleet.until(lambda: granted_w(fleet.hosts["a"]) == [pytest.approx(480.0)], within_s=5.0, because="granted")
        fleet.cut("m", "a")
        await edit(fleet, host, stub_spec("sa", "a", "b"), stub_spec("sb", "b", "b"), sum_spec("all", "sa", "sb"))
        for _ in range(100):
            await asyncio.sleep(0.05)
            parts = [w or 0.0 for name in "ab" for w in granted_w(fleet.hosts[name])]
            assert math.fsum(parts) <= 480.0 * (1.0 + 1e-9)
        fleet.heal("m", "a")
        await fleet.until(
            lambda: [granted_w(fleet.hosts[name]) for name in "ab"] == [[pytest.approx(240.0)]] * 2,
            within_s=20.0,
            because="both have their part",
        )

    told(story)


def test_parts_are_behind_the_converter_of_the_sum() -> None:
    """Half is lost in it: of 480 W at the grid 240 W arrive, 2.5 A each at 48 V, where a and b are on their own, too."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        stubs = tuple(stub_spec(f"s{name}", name, "b") for name in "ab")
        whole = replace(sum_spec("all", "sa", "sb"), efficiency=0.5)
        host = fleet.add_host("m", Topology(batteries=(*stubs, whole), splitters=()))
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        await asyncio.sleep(3.0)
        for name in "ab":
            fleet.cut("m", name)
        await asyncio.sleep(10.0)
        for name in "ab":
            await fleet.set(fleet.hosts[name], "b", -15.0)  # somebody there
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([-2.5, -2.5], rel=0.03)

    told(story)


@pytest.mark.parametrize(("direction", "there_w"), [("charge", 480.0 * 0.8), ("discharge", 480.0 / 0.8)])
def test_the_converter_of_a_stub_is_between_its_owner_and_the_grid(direction: Direction, there_w: float) -> None:
    """480 W at the grid charge with 384 W behind a converter of 0.8, and 600 W feed them in: that is a's, who is cut off.

    What that may draw or feed in is the whole limit, so that b, which joins, has nothing until a is heard; then each has half.
    """
    sign = 1.0 if direction == "discharge" else -1.0

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        stubs = tuple(replace(stub_spec(f"s{name}", name, "b"), efficiency=0.8) for name in "ab")
        host = fleet.add_host("m", Topology(batteries=(stubs[0], sum_spec("all", "sa")), splitters=()))
        await ready(fleet)
        assert host.up.limits is not None
        book = host.up.limits.book
        await fleet.within(host, book.put(Limit(source="operator", battery="all", direction=direction, limit_w=480.0)))
        await fleet.set(host, "all", 15.0 * sign)
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "a") == [pytest.approx(sign * there_w / VOLTAGE_V, rel=1e-3)]
        assert granted_w(fleet.hosts["a"], direction=direction) == [pytest.approx(there_w)]
        fleet.cut("m", "a")
        await asyncio.sleep(10.0)
        await fleet.set(fleet.hosts["a"], "b", 15.0 * sign, ttl_s=12.0)  # somebody there
        await edit(fleet, host, *stubs, sum_spec("all", "sa", "sb"))
        await asyncio.sleep(5.0)
        assert flows_a(fleet, "a") == [pytest.approx(sign * there_w / VOLTAGE_V, rel=1e-3)]
        assert granted_w(fleet.hosts["b"], direction=direction) == [pytest.approx(0.0, abs=1e-6)]
        fleet.heal("m", "a")
        half = [pytest.approx(there_w / 2.0, rel=0.02)]
        await fleet.until(
            lambda: [granted_w(fleet.hosts[name], direction=direction) for name in "ab"] == [half, half],
            within_s=20.0,
            because="each has half",
        )

    told(story)


@pytest.mark.parametrize(("direction", "held_w"), [("charge", 480.0 / 0.8 / 0.9), ("discharge", 480.0 * 0.8 * 0.9)])
def test_what_is_not_reached_counts_at_the_grid(direction: Direction, held_w: float) -> None:
    """A holds 10 A at 48 V behind its own converter of 0.8 and one of 0.9 that is the stub's: b has the rest of 720 W."""
    sign = 1.0 if direction == "discharge" else -1.0

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("a", hold_s=None)
        fleet.add_host("a", Topology(batteries=(replace(pack_spec("b", "a"), efficiency=0.8),)))
        owners(fleet, "b")
        stubs = (replace(stub_spec("sa", "a", "b"), efficiency=0.9), stub_spec("sb", "b", "b"))
        host = fleet.add_host("m", Topology(batteries=(*stubs, sum_spec("all", "sa", "sb"))))
        await ready(fleet)
        await fleet.set(host, "all", 20.0 * sign)
        fleet.cut("m", "a")
        fleet.hosts["a"].cut_power()
        await asyncio.sleep(5.0)
        assert host.up.limits is not None
        book = host.up.limits.book
        await fleet.within(host, book.put(Limit(source="operator", battery="all", direction=direction, limit_w=720.0)))
        await asyncio.sleep(5.0)
        assert flows_a(fleet, "a") == [10.0 * sign]
        assert granted_w(fleet.hosts["b"], direction=direction) == [pytest.approx(720.0 - held_w, rel=1e-3)]

    told(story)


def test_who_commands_through_a_relay_hears_of_another_converter_behind_it() -> None:
    """O writes 0.8 into its configuration; later the relay is lost, and its 480 W count as 600 W: c has the rest of 720 W."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "o", "c")
        far = fleet.hosts["o"]
        fleet.add_host("r", Topology(batteries=(stub_spec("mid", "o", "b"),)))
        tops = (stub_spec("sr", "r", "mid"), stub_spec("sc", "c", "b"), sum_spec("all", "sr", "sc"))
        host = fleet.add_host("m", Topology(batteries=tops))
        await ready(fleet)
        await edit(fleet, far, replace(pack_spec("b", "o"), efficiency=0.8))
        await asyncio.sleep(5.0)
        await fleet.set(host, "all", -20.0)
        fleet.cut("m", "r")
        await asyncio.sleep(5.0)
        await limit(fleet, host, "all", 720.0)
        await asyncio.sleep(2.0)
        assert granted_w(fleet.hosts["c"]) == [pytest.approx(720.0 - 480.0 / 0.8, rel=1e-3)]

    told(story)


def test_what_is_lost_behind_a_relay_is_set_aside() -> None:
    """The relay is heard and confirms its part; the pack behind it, which holds and is not reached, runs its 480 W on."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "o", hold_s=None)
        owners(fleet, "c")
        fleet.add_host("r", Topology(batteries=(stub_spec("mid", "o", "b"),)))
        tops = (stub_spec("sr", "r", "mid"), stub_spec("sc", "c", "b"), sum_spec("all", "sr", "sc"))
        host = fleet.add_host("m", Topology(batteries=tops))
        await ready(fleet)
        await fleet.set(host, "all", -20.0)
        fleet.hosts["o"].cut_power()
        await asyncio.sleep(5.0)
        await limit(fleet, host, "all", 480.0)
        await asyncio.sleep(10.0)
        assert flows_a(fleet, "o") == [pytest.approx(-10.0, rel=1e-3)]
        assert host.up.limits is not None
        (view,) = host.up.limits.views()
        assert not view.provable
        assert "sr, behind its node: mid is not heard, holds what it was told, and has no alone limit" in view.reason
        assert granted_w(fleet.hosts["c"]) == [pytest.approx(0.0, abs=20.0)]

    told(story)


def test_what_a_relay_does_not_reach_below_its_sum_is_set_aside() -> None:
    """The relay adds up a pack that holds, at 640 W, and is not reached, and another: of 720 W 80 W are left for all others."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "o", hold_s=None)
        owners(fleet, "p", "c")
        below = (stub_spec("mid", "o", "b"), stub_spec("fine", "p", "b"), sum_spec("part", "mid", "fine"))
        fleet.add_host("r", Topology(batteries=below))
        tops = (stub_spec("sr", "r", "part"), stub_spec("sc", "c", "b"), sum_spec("all", "sr", "sc"))
        host = fleet.add_host("m", Topology(batteries=tops))
        await ready(fleet)
        await fleet.set(host, "all", -40.0)
        (held_a,) = flows_a(fleet, "o")
        fleet.hosts["o"].cut_power()
        await asyncio.sleep(5.0)
        await limit(fleet, host, "all", 720.0)
        await asyncio.sleep(15.0)
        assert granted_w(fleet.hosts["c"]) == [pytest.approx(80.0, abs=20.0)]
        assert flows_a(fleet, "o") == [pytest.approx(held_a)]
        assert math.fsum(flows_a(fleet, "o", "p", "c")) >= -720.0 / 48.0 * 1.02 - 20.0 / 48.0
        assert host.up.limits is not None
        assert not host.up.limits.views()[0].provable

    told(story)


@pytest.mark.parametrize("booked", [True, False])
def test_a_battery_is_alone_while_who_limits_it_is_not_heard(*, booked: bool) -> None:
    """The limiting node counts on the 96 W; the owner hears another node, which commands it by then, or has a booking."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "b")
        fleet.add_pack("a")
        far = fleet.add_host("a", Topology(batteries=(replace(pack_spec("b", "a"), alone_charge_limit_w=96.0),)))
        host = controller(fleet, "a", "b")
        other = fleet.add_host("y", Topology(batteries=(stub_spec("sy", "a", "b"),)))
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        await fleet.set(host, "all", 0.0 if booked else -8.0)
        await asyncio.sleep(5.0)
        assert granted_w(far) == [pytest.approx(240.0)]
        fleet.cut("m", "a")
        await asyncio.sleep(10.0)
        if booked:
            await fleet.within(far, far.up.node.book("b", -15.0, Moment(in_s=0.0), Moment(in_s=600.0), holder="person"))
        else:
            await fleet.set(other, "sy", -10.0)
        await fleet.set(host, "all", -10.0)
        await asyncio.sleep(5.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([-2.0, -8.0], rel=0.02)
        fleet.heal("m", "a")
        await fleet.until(lambda: not far.up.node.directory["b"].alone, within_s=10.0, because="it is not alone any more")

    told(story)


def test_what_somebody_else_commands_is_not_alone() -> None:
    """A person takes a's battery, which keeps its 480 W of 960 W: its alone limit of 96 W counts only while it is not heard."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "b")
        fleet.add_pack("a")
        far = fleet.add_host("a", Topology(batteries=(replace(pack_spec("b", "a"), alone_charge_limit_w=96.0),)))
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 960.0)
        await asyncio.sleep(3.0)
        await fleet.set(host, "all", -20.0)
        await fleet.within(far, far.up.node.force_current("b", -20.0, ttl_s=600.0, holder="person"))
        await asyncio.sleep(3.0)
        assert [granted_w(fleet.hosts[name]) for name in "ab"] == [[480.0], [480.0]]
        assert flows_a(fleet, "a", "b") == pytest.approx([-10.0, -10.0])
        fleet.cut("m", "a")
        await asyncio.sleep(10.0)
        assert granted_w(fleet.hosts["b"]) == [pytest.approx(960.0 - 96.0)]
        assert flows_a(fleet, "a") == pytest.approx([-2.0])

    told(story)


@pytest.mark.parametrize("limit_w", [480.0, None])
@pytest.mark.parametrize("after_s", [-1.0, 0.5, 20.0], ids=["not told any more", "not noticed yet", "alone"])
def test_an_alone_limit_that_is_raised_during_a_loss_waits_for_contact(limit_w: float | None, after_s: float) -> None:
    """96 W are raised, or removed, as the line is cut: the limiting node counts on 96 W, which hold until it is heard again.

    A lower one holds at once.
    """

    async def story(fleet: Fleet) -> None:
        far, _ = await _limited_alone(fleet)
        await asyncio.sleep(2.0)
        cut_s = fleet.loop.time()
        if after_s < 0.0:
            fleet.wires.cut("a", "m")
        else:
            fleet.cut("m", "a")
            await asyncio.sleep(after_s)
        await edit(fleet, far, replace(LIMITED_ALONE, alone_charge_limit_w=limit_w))
        await asyncio.sleep(max(3.0, cut_s + 5.0 - fleet.loop.time()))
        await fleet.set(far, "b", -15.0, ttl_s=300.0)  # somebody there
        await asyncio.sleep(5.0)
        assert far.up.node.directory["b"].alone
        assert flows_a(fleet, "a") == [pytest.approx(-2.0, rel=1e-3)]
        await edit(fleet, far, replace(LIMITED_ALONE, alone_charge_limit_w=48.0))
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "a") == [pytest.approx(-1.0, rel=1e-3)]
        await edit(fleet, far, replace(LIMITED_ALONE, alone_charge_limit_w=limit_w))
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "a") == [pytest.approx(-2.0, rel=1e-3)]
        fleet.heal("m", "a")
        await fleet.until(lambda: flows_a(fleet, "a") == [-15.0], within_s=30.0, because="it is heard again")
        fleet.cut("m", "a")
        await asyncio.sleep(10.0)
        assert flows_a(fleet, "a") == [pytest.approx(-15.0 if limit_w is None else -10.0, rel=1e-3)]

    told(story)


def test_an_alone_limit_that_is_counted_on_outlives_its_owners_run() -> None:
    """96 W are removed while m is cut off, and the owner restarts: m, which limits, counts on them until it is heard again."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("a")
        spec = replace(pack_spec("b", "a"), alone_charge_limit_w=96.0)
        far = fleet.add_host("a", Topology(batteries=(spec,)))
        host = controller(fleet, "a")
        await ready(fleet)
        await limit(fleet, host, "all", 960.0)
        await asyncio.sleep(2.0)
        fleet.cut("m", "a")
        await asyncio.sleep(5.0)
        far.store.failed = True
        assert "what others count on" in str(await fleet.refused(edit(fleet, far, pack_spec("b", "a"))))
        far.store.failed = False
        await edit(fleet, far, pack_spec("b", "a"))
        for _ in range(2):
            far.kill()
            await asyncio.sleep(2.0)
            far.start()
            await asyncio.sleep(8.0)
            await fleet.set(far, "b", -15.0, ttl_s=300.0)  # somebody there
            await asyncio.sleep(3.0)
            assert flows_a(fleet, "a") == [pytest.approx(-2.0, rel=1e-3)]
        fleet.heal("m", "a")
        await fleet.until(lambda: flows_a(fleet, "a") == [-15.0], within_s=30.0, because="it is heard again")
        await asyncio.sleep(2.0)
        fleet.cut("m", "a")
        far.kill()
        await asyncio.sleep(2.0)
        far.start()
        await asyncio.sleep(8.0)
        await fleet.set(far, "b", -15.0, ttl_s=300.0)
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "a") == [pytest.approx(-15.0, rel=1e-3)]

    told(story)


def test_who_commanded_last_is_missed_after_a_restart_though_another_is_heard() -> None:
    """M, cut off, counts on 96 W of a, whose owner restarts; p, which only looks, is heard there: a booking runs 96 W."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("a")
        far = fleet.add_host("a", Topology(batteries=(replace(pack_spec("b", "a"), alone_charge_limit_w=96.0),)))
        owners(fleet, "b")
        host = controller(fleet, "a", "b")
        controller(fleet, "a", host="p")
        await ready(fleet)
        await fleet.set(host, "all", -20.0)
        fleet.cut("m", "a")
        await asyncio.sleep(20.0)
        await fleet.within(far, far.up.node.book("b", -20.0, Moment(in_s=0.5), Moment(in_s=600.0), holder="person"))
        await limit(fleet, host, "all", 480.0)
        await asyncio.sleep(5.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([-2.0, -8.0], rel=0.02)
        far.kill()
        await asyncio.sleep(2.0)
        far.start()
        await asyncio.sleep(20.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([-2.0, -8.0], rel=0.02)
        fleet.heal("m", "a")
        await fleet.until(lambda: granted_w(far) != [], within_s=20.0, because="it is heard")
        assert not far.up.node.directory["b"].alone

    told(story)


async def _limited_alone(fleet: Fleet) -> tuple[Host, Host]:
    """Have m command a battery that is limited to 96 W alone; return its owner, and m."""
    fleet.add_pack("a")
    far = fleet.add_host("a", Topology(batteries=(LIMITED_ALONE,)))
    host = controller(fleet, "a")
    await ready(fleet)
    await fleet.set(host, "all", -1.0)
    return far, host


async def _scrapped(fleet: Fleet) -> Host:
    """Have m command a battery that is limited to 96 W alone, and be scrap from then on; return its owner."""
    far, host = await _limited_alone(fleet)
    host.cut_power()
    return far


def _nodes_of(host: Host) -> Nodes:
    """Return what a person asks at a host about other nodes."""
    process = host.up
    about = About(process.node, process.node.faults, process.sessions)
    return Nodes(about, process.pool, process.sessions, stubs=lambda: ())


async def _anew(host: Host) -> None:
    """Have a host start anew and be at work."""
    host.kill()
    await asyncio.sleep(2.0)
    host.start()
    await asyncio.sleep(10.0)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_node_that_never_comes_back_counts_on_nothing_once_a_person_says_so(*, restarts: bool) -> None:
    """M is scrap, and 96 W that it counted on were removed: assume-safe names them, and they hold no more, over runs too."""

    async def story(fleet: Fleet) -> None:
        far = await _scrapped(fleet)
        await asyncio.sleep(5.0)
        await edit(fleet, far, pack_spec("b", "a"))
        await asyncio.sleep(3.0)
        if restarts:
            await _anew(far)
        await fleet.set(far, "b", -15.0, ttl_s=300.0)
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "a") == [pytest.approx(-2.0, rel=1e-3)]
        nodes = _nodes_of(far)
        assert [peer.node for peer in await nodes.peers(1.0)] == ["m"]
        assert nodes.assume_safe("m") == Assumed("m", {}, [], ["at most 96 W charge of b"])
        await fleet.until(lambda: flows_a(fleet, "a") == [-15.0], within_s=30.0, because="it is nobody's any more")
        await _anew(far)
        await fleet.set(far, "b", -15.0, ttl_s=300.0)
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "a") == [-15.0]

    told(story)


@pytest.mark.parametrize("target", ["serial:m", "m:7000"])
def test_what_a_node_counts_on_that_was_never_heard_at_its_target_ends_by_its_name(target: str) -> None:
    """M is scrap, the owner starts anew with a stub of it: by its serial 96 W are ended, by its address its name is asked for."""

    async def story(fleet: Fleet) -> None:
        far = await _scrapped(fleet)
        fleet.add_host("serial", Topology())  # where links of the simulation look for that: nobody listens
        await asyncio.sleep(5.0)
        await edit(fleet, far, pack_spec("b", "a"), replace(stub_spec("sm", "m", "all"), target=target))
        await asyncio.sleep(3.0)
        await _anew(far)
        await fleet.set(far, "b", -15.0, ttl_s=300.0)
        nodes = _nodes_of(far)
        held, by_name = ["at most 96 W charge of b"], target == "serial:m"
        done = nodes.assume_safe(target)
        assert (done.counted_on, "if it is m, which counts on" in done.hint) == (held if by_name else [], not by_name)
        if not by_name:
            await asyncio.sleep(5.0)
            assert flows_a(fleet, "a") == [pytest.approx(-2.0, rel=1e-3)]
            assert nodes.assume_safe("m").counted_on == held
            assert nodes.assume_safe(target).hint == ""
        await fleet.until(lambda: flows_a(fleet, "a") == [-15.0], within_s=30.0, because="it is nobody's any more")

    told(story)


@pytest.mark.parametrize("actual", ["many", str(2**63 - 1), str(10**30)])
def test_a_revision_that_is_none_ends_nobody(actual: str) -> None:
    """A's answers to grants name a later one in numbers that are none: they are refusals as others are, and tried again."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        limits = fleet.hosts["a"].up.limits
        assert limits is not None

        async def put(*_: object, **__: object) -> Limit:
            raise StaleRevisionError("there is a later one", actual=actual)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(limits.book, "put", put)
            await limit(fleet, host, "all", 480.0)
            await asyncio.sleep(2.0)
            assert granted_w(fleet.hosts["a"]) == []
        await fleet.until(lambda: granted_w(fleet.hosts["a"]) == [480.0], within_s=2.0, because="it is granted")

    told(story)


def test_what_a_relay_holds_for_others_is_its_own_alone_limit() -> None:
    """R announces 960 W of `part`: its own 480 W, and those of c behind it. An edit removes its own while m is cut off from it.

    M sets 960 W aside; c, of which r loses sight, runs its 480 W by itself, and what r has beside it 480 W, and not all 960 W.
    """

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("r")
        owners(fleet, "d")
        fleet.add_pack("c")
        far = fleet.add_host("c", Topology(batteries=(replace(pack_spec("b", "c"), alone_charge_limit_w=480.0),)))
        beside = (pack_spec("p", "r"), stub_spec("sc", "c", "b"))
        part = sum_spec("part", "p", "sc")
        relay = fleet.add_host("r", Topology(batteries=(*beside, replace(part, alone_charge_limit_w=480.0))))
        above = (stub_spec("spart", "r", "part"), stub_spec("sd", "d", "b"), sum_spec("all", "spart", "sd"))
        host = fleet.add_host("m", Topology(batteries=above))
        await ready(fleet)
        await fleet.set(host, "all", -10.0)
        fleet.cut("m", "r")
        await asyncio.sleep(20.0)
        await edit(fleet, relay, *beside, part)
        await fleet.within(far, far.up.node.book("b", -20.0, Moment(in_s=0.5), Moment(in_s=600.0), holder="person"))
        await fleet.within(relay, relay.up.node.book("part", -40.0, Moment(in_s=0.5), Moment(in_s=600.0), holder="person"))
        await asyncio.sleep(5.0)
        fleet.cut("r", "c")
        await asyncio.sleep(30.0)
        await limit(fleet, host, "all", 1440.0)
        await fleet.set(host, "all", -20.0)
        await asyncio.sleep(10.0)
        assert flows_a(fleet, "r", "c", "d") == pytest.approx([-10.0, -10.0, -10.0], rel=0.02)

    told(story)


def test_the_largest_limit_is_granted_behind_a_converter() -> None:
    """1e8 W at the grid are 1.25e8 W of discharging behind a converter of 0.8: the owner takes 1e8 W, and all is provable."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        stub = replace(stub_spec("sa", "a", "b"), efficiency=0.8)
        host = fleet.add_host("m", Topology(batteries=(stub,)))
        await ready(fleet)
        assert host.up.limits is not None
        wanted = Limit(source="operator", battery="sa", direction="discharge", limit_w=1e8)
        await fleet.within(host, host.up.limits.book.put(wanted))
        await asyncio.sleep(5.0)
        assert granted_w(fleet.hosts["a"], direction="discharge") == [1e8]
        assert host.up.limits.views()[0].provable

    told(story)


@pytest.mark.parametrize("nonsense", [-960.0, math.nan])
def test_a_grant_that_is_none_counts_for_nothing(nonsense: float) -> None:
    """A tells m that it was granted -960 W, or no number of watts, and is cut off: b has all 480 W, and had nothing."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        far = fleet.hosts["a"]
        fleet.start()
        await fleet.until(lambda: far.process is not None and far.up.limits is not None, within_s=5.0, because="it is up")
        limits = far.up.limits
        assert limits is not None
        await limits.book.put(Limit(source="node:m", battery="b", direction="charge", limit_w=960.0, revision=1))
        views = limits.views

        def lies() -> tuple[LimitView, ...]:
            return tuple(_lying(view, nonsense) for view in views())

        async def put(*_: object, **__: object) -> Limit:
            raise NoResourcesError("it takes nothing")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(limits, "views", lies)
            patch.setattr(limits.book, "put", put)
            await fleet.until(fleet.all_ready, within_s=10.0, because="all is ready")
            await asyncio.sleep(3.0)
            fleet.cut("m", "a")
            await asyncio.sleep(20.0)
            await limit(fleet, host, "all", 480.0)
            await fleet.set(host, "all", -20.0)
            await asyncio.sleep(5.0)
            assert flows_a(fleet, "b") == [pytest.approx(-10.0, rel=0.02)]

    told(story)


@pytest.mark.parametrize("named", [[""], ["no name!"], [f"b{number}" for number in range(1001)]], ids=["", "none", "1001"])
def test_grants_of_batteries_that_are_none_bring_no_stubs(named: list[str]) -> None:
    """A tells m of grants that m never made: a stub of a battery without a name had all of a's batteries refused, for ever."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        far = fleet.hosts["a"]
        fleet.start()
        await fleet.until(lambda: far.process is not None and far.up.limits is not None, within_s=5.0, because="it is up")
        limits = far.up.limits
        assert limits is not None
        await limits.book.put(Limit(source="node:m", battery="b", direction="charge", limit_w=960.0, revision=1))
        (view,) = limits.views()

        def lies() -> tuple[LimitView, ...]:
            limited = [replace(view.standing.limit, battery=name) for name in named]
            return tuple(replace(view, standing=replace(view.standing, limit=each)) for each in limited)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(limits, "views", lies)
            await fleet.until(fleet.all_ready, within_s=10.0, because="all is ready")
            await asyncio.sleep(10.0)
            assert list(host.up.pool.remotes["a:7000"].sinks) == ["b"]
            await fleet.set(host, "all", -5.0)

    told(story)


def _lying(view: LimitView, limit_w: float) -> LimitView:
    standing = replace(view.standing, limit=replace(view.standing.limit, limit_w=limit_w))
    return replace(view, standing=standing)
