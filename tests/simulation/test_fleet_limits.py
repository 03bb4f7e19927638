"""Limits over nodes in a simulated fleet: budgets that stay, what is set aside for the silent, bounds, and what comes back."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest

from bosd.bal.battery import DeviceLeaf
from bosd.bal.schedule import Moment
from bosd.bal.spec import BatterySpec, PartitionSpec, SplitterSpec, Topology
from bosd.bal.status import Link, Quality
from bosd.config.topology_toml import format_topology
from bosd.errors import BosError, NoResourcesError
from bosd.fleet.system_state import SystemState
from bosd.node.api import ApplyResult, Edit
from bosd.rpc.about import About
from bosd.rpc.fleet import Fleet as Nodes
from bosd.store.limits import Direction, Limit
from tests.support.fleet.fleet import Fleet, Host, pack_spec, stub_spec, sum_spec
from tests.support.fleet.limit_judge import Limited, LimitsJudge
from tests.support.fleet.stories import LET_GO_S, controller, flows_a, owners, ready, told

WITHDRAWN = "withdrawn should another stub of that node be heard"
VOLTAGE_V = 48.0
"""What a pack of the simulation measures."""


async def limit(fleet: Fleet, host: Host, name: str, limit_w: float | None, **more: Any) -> None:
    """Limit the charging of a battery as an operator does."""
    assert host.up.limits is not None
    book = host.up.limits.book
    await fleet.within(host, book.put(Limit(source="operator", battery=name, direction="charge", limit_w=limit_w, **more)))


async def edit(fleet: Fleet, host: Host, *batteries: BatterySpec) -> ApplyResult:
    """Make a node have these batteries and no others; return what it says to that."""
    edits = [Edit(action="whole", toml=format_topology(Topology(batteries=batteries, splitters=())))]
    result: ApplyResult = await fleet.within(host, host.up.node.apply(edits, expected_revision=None, holder="person"))
    return result


def granted_w(host: Host, name: str = "b", direction: Direction = "charge") -> list[float | None]:
    """Return what is granted for charging a battery at its owner, or for discharging it."""
    assert host.up.limits is not None
    found = [each.limit for each in host.up.limits.book.standing() if each.limit.battery == name]
    return [each.limit_w for each in found if each.source.startswith("node:") and each.direction == direction]


def judged(fleet: Fleet, host: Host, name: str, *packs: str) -> Limited:
    """Have the limits of a battery over these packs judged from now on."""
    limited = Limited(host, name, tuple(fleet.packs[pack] for pack in packs))
    fleet.judges.append(LimitsJudge(fleet, [limited]))
    return limited


def test_a_budget_over_two_nodes_stays_through_cuts_and_restarts() -> None:
    """960 W over a and b: 480 W each, there, whatever happens to the line, to this node and to theirs, bookings too."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        limited = judged(fleet, host, "all", "a", "b")
        await fleet.set(host, "all", -40.0)
        await limit(fleet, host, "all", 960.0)
        limited.limit(False, 960.0)
        await asyncio.sleep(2.0)
        assert math.fsum(flows_a(fleet, "a", "b")) == pytest.approx(-20.0, rel=1e-3)
        assert [granted_w(fleet.hosts[name])[0] for name in "ab"] == pytest.approx([480.0, 480.0], rel=0.02)

        own = fleet.hosts["a"]
        fleet.cut("m", "a")
        await asyncio.sleep(LET_GO_S + 3.0)
        utc_s = own.clock.utc_s()
        await fleet.within(own, own.up.node.book("b", -20.0, Moment(utc_s=utc_s), Moment(utc_s=utc_s + 600.0), holder="somebody"))
        await fleet.until(lambda: flows_a(fleet, "a") == [pytest.approx(-10.0, rel=0.02)], within_s=5.0, because="limited there")
        own.kill()
        await asyncio.sleep(5.0)
        own.start()
        await fleet.until(
            lambda: flows_a(fleet, "a") == [pytest.approx(-10.0, rel=0.02)], within_s=20.0, because="the booking, limited still"
        )
        assert flows_a(fleet, "b")[0] == pytest.approx(-10.0, rel=0.02)  # what a may draw is given to nobody
        host.kill()
        await asyncio.sleep(2.0)
        host.start()
        await asyncio.sleep(10.0)
        await fleet.set(host, "all", -20.0)
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "b")[0] == pytest.approx(-10.0, rel=0.02)
        fleet.heal("m", "a")
        await fleet.until(fleet.all_ready, within_s=20.0, because="all is ready again")
        await limit(fleet, host, "all", None)
        limited.limit(False, None)
        await fleet.until(lambda: granted_w(own) == [], within_s=5.0, because="the grants are withdrawn")

    told(story)


def test_lowered_first_then_raised() -> None:
    """B can take nothing any more: its part is withdrawn first, then a has all; the sum of parts is never above the limit."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        judged(fleet, host, "all", "a", "b").limit(False, 480.0)
        await limit(fleet, host, "all", 480.0)
        await fleet.set(host, "all", -20.0)
        await asyncio.sleep(3.0)
        fleet.packs["b"].change(charge_ah=100.0)  # full
        most_w = 0.0
        for _ in range(200):
            parts = [each[0] or 0.0 for name in "ab" if (each := granted_w(fleet.hosts[name]))]
            most_w = max(most_w, math.fsum(parts))
            await asyncio.sleep(0.05)
        assert most_w <= 480.0 * (1.0 + 1e-9)
        assert flows_a(fleet, "a")[0] == pytest.approx(-10.0, rel=0.02)
        assert flows_a(fleet, "b")[0] == pytest.approx(0.0, abs=0.1)

    told(story)


def test_through_a_relay() -> None:
    """M limits a sum at r, which divides its part over a and b; c has the rest; r dies, and the parts stay."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", "c")
        stubs = tuple(stub_spec(f"s{name}", name, "b") for name in "ab")
        relay = fleet.add_host("r", Topology(batteries=(*stubs, sum_spec("part", "sa", "sb")), splitters=()))
        above = (stub_spec("spart", "r", "part"), stub_spec("sc", "c", "b"))
        host = fleet.add_host("m", Topology(batteries=(*above, sum_spec("all", "spart", "sc")), splitters=()))
        await ready(fleet)
        limited = judged(fleet, host, "all", "a", "b", "c")
        await fleet.set(host, "all", -45.0)
        await limit(fleet, host, "all", 1440.0)
        limited.limit(False, 1440.0)
        await fleet.until(
            lambda: all(granted_w(fleet.hosts[name]) for name in "abc"), within_s=5.0, because="the parts are there"
        )
        await asyncio.sleep(2.0)
        assert math.fsum(flows_a(fleet, "a", "b", "c")) == pytest.approx(-30.0, rel=0.02)
        assert granted_w(relay, "part")[0] == pytest.approx(960.0, rel=0.02)
        relay.kill()
        await asyncio.sleep(30.0)
        parts = [granted_w(fleet.hosts[name])[0] or 0.0 for name in "abc"]
        assert math.fsum(parts) <= 1440.0 * 1.001
        relay.start()
        await fleet.until(fleet.all_ready, within_s=30.0, because="whole again")

    told(story)


@pytest.mark.parametrize("stopped", [False, True])
def test_not_provable_where_what_holds_is_not_heard(*, stopped: bool) -> None:
    """The first limit comes while a pack that holds is not heard, nor a stop of it: it says so until that is heard again."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        owners(fleet, "h", hold_s=None)
        host = controller(fleet, "a", "h")
        await ready(fleet)
        await fleet.set(host, "all", -20.0)
        fleet.cut("m", "h")
        fleet.hosts["h"].cut_power()
        await asyncio.sleep(5.0)
        if stopped:
            await fleet.within(host, host.up.node.stop(["sh"], holder="person"))
        await limit(fleet, host, "all", 720.0)
        await asyncio.sleep(2.0)
        limits = host.up.limits
        assert limits is not None
        (view,) = limits.views()
        assert (view.provable, view.bound_s) == (False, None)
        assert "NOT_PROVABLE: sh is not heard, holds what it was told, and has no alone limit" in view.reason
        assert flows_a(fleet, "a", "h") == [pytest.approx(-5.0, rel=0.02), pytest.approx(-10.0, rel=1e-3)]
        fleet.heal("m", "h")
        fleet.hosts["h"].start()
        await fleet.until(lambda: limits.views()[0].provable, within_s=20.0, because="heard again")
        assert limits.views()[0].bound_s == 2.0

    told(story)


def test_a_battery_that_somebody_else_commands_keeps_a_part() -> None:
    """It is heard and not commandable: what it runs is granted and set aside; no grant is withdrawn while the limit stands."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        far = fleet.hosts["a"]
        await limit(fleet, host, "all", 960.0)
        await fleet.set(host, "all", -20.0)
        await asyncio.sleep(3.0)
        await fleet.within(far, far.up.node.force_current("b", -5.0, ttl_s=600.0, holder="person", request_id="", dry_run=False))
        for _ in range(100):
            await asyncio.sleep(0.1)
            assert granted_w(far) != []
            assert math.fsum(flows_a(fleet, "a", "b")) >= -20.0 * 1.02 - 20.0 / VOLTAGE_V
        assert not host.up.node.status("sa").commandable
        assert flows_a(fleet, "a") == [-5.0]

    told(story)


def test_what_comes_back_is_ramped_though_its_owner_has_not_looked() -> None:
    """A board that is slow to answer when its node is back: what it counted at is no place to rise from."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        pack = fleet.packs["a"]
        fleet.hosts["a"].kill()
        pack.write(0.0)  # as the guard does
        await asyncio.sleep(2.0)
        pack.latency_s = (0.4, 0.6)
        fleet.hosts["a"].start()
        steps_a, before_a = [], 0.0
        while before_a < 9.9:
            await asyncio.sleep(0.02)
            steps_a.append(pack.true_a - before_a)
            before_a = pack.true_a
        assert max(steps_a) <= 5.0, "the commands of a slow device are some seconds apart, at 2 A a second"

    told(story)


@pytest.mark.parametrize("hold_s", [1.0, None], ids=["expires", "holds"])
def test_what_comes_back_is_ramped(hold_s: float | None) -> None:
    """A is back after a cut: from nothing to its share at a tenth of its 20 A a second, and the other gives way.

    Where a holds it counted at its 15 A until then, but it is found at nothing, and rises from there.
    """

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=hold_s)
        owners(fleet, "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 30.0)
        fleet.cut("m", "a")
        await fleet.until(lambda: flows_a(fleet, "a") == [0.0], within_s=10.0, because="its lease is over")
        await asyncio.sleep(10.0)
        assert hold_s is None or flows_a(fleet, "b") == [20.0]
        fleet.heal("m", "a")
        healed_s = fleet.loop.time()
        await fleet.until(lambda: flows_a(fleet, "a")[0] > 0.0, within_s=10.0, because="it is back")
        began_s = fleet.loop.time()
        while flows_a(fleet, "a")[0] < 14.9 and fleet.loop.time() < began_s + 20.0:
            assert flows_a(fleet, "a")[0] <= 2.0 * (fleet.loop.time() - healed_s) + 1e-6
            assert math.fsum(flows_a(fleet, "a", "b")) <= 30.0 + 1e-5
            await asyncio.sleep(0.05)
        assert fleet.loop.time() - began_s == pytest.approx(7.5, abs=2.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([15.0, 15.0], rel=0.02)

    told(story)


def test_local_and_remote_under_one_limit() -> None:
    """A pack here and one there, 960 W: while the line is cut and the other board runs on, the pack here keeps to its part."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        fleet.add_pack("own", hold_s=2.0)
        batteries = (pack_spec("own", "own"), stub_spec("sa", "a", "b"), sum_spec("all", "own", "sa"))
        host = fleet.add_host("m", Topology(batteries=batteries, splitters=()))
        await ready(fleet)
        limited = judged(fleet, host, "all", "own", "a")
        await fleet.set(host, "all", -40.0)
        await limit(fleet, host, "all", 960.0)
        limited.limit(False, 960.0)
        await asyncio.sleep(3.0)
        fleet.cut("m", "a")
        await asyncio.sleep(10.0)
        far = fleet.hosts["a"]
        await fleet.set(far, "b", -20.0)  # somebody there
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "own", "a") == pytest.approx([-10.0, -10.0], rel=0.03)

    told(story)


def test_a_full_disk_keeps_no_limit_away() -> None:
    """The store of both nodes fails: a tighter limit is in force all the same, here and there, and recorded when they work."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        limited = judged(fleet, host, "all", "a")
        await fleet.set(host, "all", -20.0)
        for each in ("m", "a"):
            fleet.hosts[each].store.failed = True
        with pytest.raises(BosError, match="in force, but not recorded yet"):
            await limit(fleet, host, "all", 480.0)
        limited.limit(False, 480.0)
        await asyncio.sleep(2.0)
        assert flows_a(fleet, "a")[0] == pytest.approx(-10.0, rel=1e-3)
        assert granted_w(fleet.hosts["a"]) == [pytest.approx(480.0)]
        for each in ("m", "a"):
            fleet.hosts[each].store.failed = False
        await asyncio.sleep(12.0)
        for each in ("m", "a"):
            limits = fleet.hosts[each].up.limits
            assert limits is not None
            assert all(standing.durable for standing in limits.book.standing())

    told(story)


def test_a_stub_that_is_removed_leaves_no_grant() -> None:
    """Sb goes by an edit while b is cut off: a has all of the limit then, and b's grant is withdrawn when it is heard again."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        far = fleet.hosts["b"]
        await fleet.until(lambda: granted_w(far) == [pytest.approx(240.0)], within_s=5.0, because="granted")
        fleet.cut("m", "b")
        await asyncio.sleep(20.0)
        await edit(fleet, host, stub_spec("sa", "a", "b"), sum_spec("all", "sa"))
        await fleet.until(lambda: granted_w(fleet.hosts["a"]) == [pytest.approx(480.0)], within_s=5.0, because="all is a's")
        assert granted_w(far) == [pytest.approx(240.0)]
        host.kill()  # what is left behind is known to the next run, too
        await asyncio.sleep(2.0)
        host.start()
        await asyncio.sleep(5.0)
        fleet.heal("m", "b")
        await fleet.until(lambda: granted_w(far) == [], within_s=20.0, because="withdrawn")
        await asyncio.sleep(1.0)
        assert list(host.up.pool.remotes) == ["a:7000"]
        assert granted_w(fleet.hosts["a"]) == [pytest.approx(480.0)]

    told(story)


async def removed_and_dead(fleet: Fleet) -> Host:
    """Return a node that limits a and b, and whose stub of b went by an edit while b was cut off."""
    owners(fleet, "a", "b")
    host = controller(fleet, "a", "b")
    await ready(fleet)
    await limit(fleet, host, "all", 480.0)
    await fleet.until(lambda: granted_w(fleet.hosts["b"]) == [pytest.approx(240.0)], within_s=5.0, because="granted")
    fleet.cut("m", "b")
    await asyncio.sleep(10.0)
    await edit(fleet, host, stub_spec("sa", "a", "b"), sum_spec("all", "sa"))
    await asyncio.sleep(10.0)
    assert sorted(host.up.pool.remotes) == ["a:7000", "b:7000"]
    return host


def test_a_battery_that_its_owner_removed_has_no_grant() -> None:
    """B is called c at its owner when that is heard again: nothing is left to be withdrawn, in the next run either."""

    async def story(fleet: Fleet) -> None:
        host = await removed_and_dead(fleet)
        await edit(fleet, fleet.hosts["b"], pack_spec("c", "b"))
        fleet.heal("m", "b")
        await fleet.until(lambda: list(host.up.pool.remotes) == ["a:7000"], within_s=20.0, because="let go")
        host.kill()
        host.start()
        await asyncio.sleep(5.0)
        assert list(host.up.pool.remotes) == ["a:7000"]

    told(story)


def test_a_person_ends_what_is_left_behind() -> None:
    """The board of b is scrap: assume-safe names the grant, and b is dialled no more, in the next run either; a keeps its own."""

    async def story(fleet: Fleet) -> None:
        host = await removed_and_dead(fleet)
        process = host.up
        assert process.limits is not None
        about = About(process.node, process.node.faults, process.sessions)
        nodes = Nodes(about, process.pool, process.sessions, stubs=lambda: ())
        nodes.forget_grants = process.limits.forget_granted
        assert nodes.state()[0] is not SystemState.OK
        assert nodes.assume_safe("b") == ("b", {}, [f"240 W charge of b at b:7000, {WITHDRAWN}"], [], "")
        await fleet.until(lambda: list(host.up.pool.remotes) == ["a:7000"], within_s=2.0, because="let go")
        assert nodes.state()[0] is SystemState.OK
        host.kill()
        host.start()
        await asyncio.sleep(5.0)
        assert list(host.up.pool.remotes) == ["a:7000"]
        assert granted_w(fleet.hosts["a"]) == [pytest.approx(480.0)]

    told(story)


@pytest.mark.parametrize("other", ["there all the time", "there since", "there all the time, and one of a silent node"])
def test_what_a_person_ended_is_withdrawn_should_its_node_live(other: str) -> None:
    """Sb goes while b is cut off, and assume-safe lets go of its 160 W: with any stub of that node heard they end there."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "d")
        for name in ("b", "c"):
            fleet.add_pack(name)
        far = fleet.add_host("b", Topology(batteries=(pack_spec("b", "b"), pack_spec("c", "c"))))
        sa, sb, sc = stub_spec("sa", "a", "b"), stub_spec("sb", "b", "b"), stub_spec("sc", "b", "c")
        stays = (sa,) if other == "there since" else (sa, sc)
        silent = (stub_spec("sd", "d", "b"),) if "silent" in other else ()
        host = fleet.add_host("m", Topology(batteries=(*stays, sb, sum_spec("all", "sb", *(each.name for each in stays)))))
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        await fleet.until(lambda: len(granted_w(far)) == 1, within_s=5.0, because="granted")
        fleet.cut("m", "b")
        fleet.cut("m", "d")
        await asyncio.sleep(10.0)
        await edit(fleet, host, *stays, *silent, sum_spec("all", *(each.name for each in stays)))
        await asyncio.sleep(10.0)
        process = host.up
        assert process.limits is not None
        about = About(process.node, process.node.faults, process.sessions)
        nodes = Nodes(about, process.pool, process.sessions, stubs=lambda: ())
        nodes.forget_grants = process.limits.forget_granted
        assert any("withdrawn should" in each for each in nodes.assume_safe("b").grants)
        await asyncio.sleep(5.0)
        fleet.heal("m", "b")
        await asyncio.sleep(10.0)
        if other == "there since":
            assert len(granted_w(far)) == 1, "nobody asks"
            await edit(fleet, host, sa, sc, sum_spec("all", "sa", "sc"))
        if silent:
            assert len(granted_w(far)) == 1, "it may be the battery of sd, by another way"
            fleet.heal("m", "d")
        await fleet.until(lambda: granted_w(far) == [], within_s=40.0, because="withdrawn")
        assert granted_w(far, "c") == [pytest.approx(240.0)]
        assert sorted(host.up.pool.remotes) == ["a:7000", "b:7000", *(["d:7000"] if silent else [])]

    told(story)


@pytest.mark.parametrize("dies", [False, True])
def test_a_target_that_is_spelt_in_another_way_keeps_its_grant(dies: bool) -> None:
    """Sb of b:7000 becomes sb of b:7001, the same node: its grant stays, over a restart too, until the limit goes."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        far = fleet.hosts["b"]
        await fleet.until(lambda: granted_w(far) == [pytest.approx(240.0)], within_s=5.0, because="granted")
        if dies:
            fleet.cut("m", "b")
        other = replace(stub_spec("sb", "b", "b"), target="b:7001")
        await edit(fleet, host, stub_spec("sa", "a", "b"), other, sum_spec("all", "sa", "sb"))
        if dies:
            await asyncio.sleep(5.0)
            host.kill()
            await asyncio.sleep(2.0)
            host.start()
            await asyncio.sleep(5.0)
            fleet.heal("m", "b")
        for _ in range(200):
            await asyncio.sleep(0.05)
            assert math.fsum(w or 0.0 for name in "ab" for w in granted_w(fleet.hosts[name])) <= 480.0 * 1.001
            assert granted_w(far) != []
        assert granted_w(far) == [pytest.approx(240.0, rel=0.02)]
        assert sorted(host.up.pool.remotes) == ["a:7000", "b:7001"]
        assert fleet.all_ready()
        await edit(fleet, host, stub_spec("sa", "a", "b"), stub_spec("sb", "b", "b"), sum_spec("all", "sa", "sb"))  # and back
        await limit(fleet, host, "all", None)
        await fleet.until(lambda: granted_w(far) == [], within_s=10.0, because="withdrawn")
        assert list(host.up.pool.remotes) == ["a:7000", "b:7000"]

    told(story)


def test_a_stub_of_another_node_takes_no_grant_over() -> None:
    """Sb of b becomes sb of c, whose battery has the same name: b's grant is withdrawn once c is known to be another node."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", "c")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        far, new = fleet.hosts["b"], fleet.hosts["c"]
        await fleet.until(lambda: granted_w(far) == [pytest.approx(240.0)], within_s=5.0, because="granted")
        fleet.cut("m", "c")
        await edit(fleet, host, stub_spec("sa", "a", "b"), stub_spec("sb", "c", "b"), sum_spec("all", "sa", "sb"))
        await asyncio.sleep(5.0)
        assert granted_w(far) == [pytest.approx(240.0)]
        assert granted_w(fleet.hosts["a"]) == [pytest.approx(240.0)]
        fleet.heal("m", "c")
        await fleet.until(lambda: granted_w(far) == [], within_s=10.0, because="withdrawn")
        await fleet.until(lambda: granted_w(new) == [pytest.approx(240.0)], within_s=5.0, because="granted")

    told(story)


def test_a_partition_over_a_stub_is_limited_here_alone() -> None:
    """It is clamped through the session; once that is cut nobody there knows of it, and it says so."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        parts = (PartitionSpec(name="p1", fraction=0.5), PartitionSpec(name="p2", fraction=0.5))
        splitter = SplitterSpec(name="s", policy="proportional", source="sa", partitions=parts)
        host = fleet.add_host("m", Topology(batteries=(stub_spec("sa", "a", "b"),), splitters=(splitter,)))
        await ready(fleet)
        await limit(fleet, host, "p1", 240.0)
        await fleet.set(host, "p1", -8.0)
        await fleet.set(host, "p2", -4.0)
        await fleet.until(lambda: flows_a(fleet, "a") == [pytest.approx(-9.0, rel=0.02)], within_s=3.0, because="p1 is clamped")
        assert granted_w(fleet.hosts["a"]) == []
        assert host.up.limits is not None
        (view,) = host.up.limits.views()
        assert (view.provable, view.bound_s) == (True, 2.0)
        fleet.cut("m", "a")
        await asyncio.sleep(5.0)
        (view,) = host.up.limits.views()
        assert (view.provable, view.bound_s) == (False, None)
        assert "NOT_PROVABLE: sa is not heard, has no part of the limit as it is split" in view.reason

    told(story)


def test_a_limit_says_what_counts_while_its_meter_is_silent() -> None:
    """The meter is another node's, which is cut off: what README says counts then stands with the limit."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        fleet.add_pack("own")
        own = replace(pack_spec("own", "own"), meter="sa")
        host = fleet.add_host("m", Topology(batteries=(own, stub_spec("sa", "a", "b")), splitters=()))
        await ready(fleet)
        await limit(fleet, host, "own", 480.0)
        assert host.up.limits is not None
        assert [view.reason for view in host.up.limits.views()] == [""]
        fleet.cut("m", "a")
        await asyncio.sleep(10.0)
        words = "meter sa is not heard: efficiency counts, and the load that it saw last"
        assert [view.reason for view in host.up.limits.views()] == [words]

    told(story)


def behind_a_relay(fleet: Fleet, hold_s: float | None = 2.0) -> tuple[Host, Host, Host]:
    """Put c there, r with `part` over a stub of it, and m with `all` over a stub of `part` and of d; return c, r and m."""
    owners(fleet, "c", hold_s=hold_s)
    owners(fleet, "d")
    stubs = (stub_spec("sc", "c", "b"), sum_spec("part", "sc"))
    relay = fleet.add_host("r", Topology(batteries=stubs, splitters=()))
    above = (stub_spec("spart", "r", "part"), stub_spec("sd", "d", "b"), sum_spec("all", "spart", "sd"))
    return fleet.hosts["c"], relay, fleet.add_host("m", Topology(batteries=above, splitters=()))


def test_what_a_relay_does_not_hear_is_no_limit_that_is_kept() -> None:
    """C was granted 720 W and is cut off from r; 480 W are left: c may run its 720 W, d has nothing, and m says so."""

    async def story(fleet: Fleet) -> None:
        far, _, host = behind_a_relay(fleet)
        await ready(fleet)
        await limit(fleet, host, "all", 1440.0)
        await fleet.until(lambda: granted_w(far) == [pytest.approx(720.0, rel=0.01)], within_s=5.0, because="granted")
        fleet.cut("r", "c")
        await asyncio.sleep(20.0)
        limits = host.up.limits
        assert limits is not None
        assert [(view.provable, view.bound_s) for view in limits.views()] == [(True, 2.0)]
        await fleet.set(far, "b", -15.0)  # somebody there: 720 W
        await fleet.set(fleet.hosts["d"], "b", -10.0)
        await limit(fleet, host, "all", 480.0)
        await asyncio.sleep(2.0)
        assert flows_a(fleet, "c", "d") == [pytest.approx(-15.0, rel=0.01), pytest.approx(0.0, abs=0.1)]
        (view,) = limits.views()
        assert (view.provable, view.bound_s) == (False, None)
        assert "NOT_PROVABLE: spart: 720 W may run there unreached, and 480 W are allowed" in view.reason
        fleet.heal("r", "c")
        await fleet.until(lambda: limits.views()[0].provable, within_s=20.0, because="heard again")
        await asyncio.sleep(2.0)
        assert flows_a(fleet, "c", "d") == [pytest.approx(-10.0, rel=0.02), pytest.approx(0.0, abs=0.1)]

    told(story)


@pytest.mark.parametrize("split", [False, True])
def test_what_holds_behind_a_relay_has_no_bound(*, split: bool) -> None:
    """C holds the 480 W of a person there and is cut off from r before there is a limit: m says who is not heard, over r."""

    async def story(fleet: Fleet) -> None:
        far, _, host = behind_a_relay(fleet, hold_s=None)
        if split:
            parts = (PartitionSpec(name="p1", fraction=1.0),)
            splitter = SplitterSpec(name="s", policy="proportional", source="spart", partitions=parts)
            host.topology = Topology(batteries=(stub_spec("spart", "r", "part"),), splitters=(splitter,))
        await ready(fleet)
        await fleet.set(far, "b", -10.0)
        await asyncio.sleep(2.0)
        fleet.cut("r", "c")
        await asyncio.sleep(20.0)
        await limit(fleet, host, "p1" if split else "all", 720.0)
        await asyncio.sleep(2.0)
        assert flows_a(fleet, "c") == [-10.0]
        limits = host.up.limits
        assert limits is not None
        (view,) = limits.views()
        assert (view.provable, view.bound_s) == (False, None)
        assert "NOT_PROVABLE: spart, behind its node: sc is not heard, " in view.reason
        fleet.heal("r", "c")
        await fleet.until(lambda: limits.views()[0].provable, within_s=20.0, because="heard again")

    told(story)


def test_what_is_behind_a_relay_is_not_known_after_a_restart_until_it_is_heard() -> None:
    """R told m that c, which holds 480 W of a person, is not heard; m restarts while r is cut off, and has forgotten that."""

    async def story(fleet: Fleet) -> None:
        far, _, host = behind_a_relay(fleet, hold_s=None)
        await ready(fleet)
        await fleet.set(far, "b", -10.0)
        await asyncio.sleep(2.0)
        fleet.cut("r", "c")
        await asyncio.sleep(20.0)
        await limit(fleet, host, "all", 720.0)
        await asyncio.sleep(2.0)
        host.kill()
        fleet.cut("m", "r")
        await asyncio.sleep(2.0)
        host.start()
        await asyncio.sleep(20.0)
        limits = host.up.limits
        assert limits is not None
        (view,) = limits.views()
        assert (view.provable, view.bound_s) == (False, None)
        assert "NOT_PROVABLE: spart, behind its node: no status of it was heard yet" in view.reason
        fleet.heal("m", "r")
        fleet.heal("r", "c")
        await fleet.until(lambda: limits.views()[0].provable, within_s=20.0, because="heard again")

    told(story)


def test_a_limit_of_an_owners_own_gives_its_share_to_the_others() -> None:
    """A is limited to 240 W there: of 20 A it has 5 A and b 15 A, of 960 W granted 240 W and b 720 W, until its limit goes."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        far = fleet.hosts["a"]
        await fleet.set(host, "all", -20.0)
        await limit(fleet, far, "b", 240.0)
        await fleet.until(
            lambda: flows_a(fleet, "a", "b") == pytest.approx([-5.0, -15.0], rel=0.01), within_s=2.0, because="b has the rest"
        )
        result = await fleet.set(host, "all", -30.0)
        assert result.requested_current_a == -30.0
        assert result.applied_current_a == pytest.approx(-25.0, rel=0.01)
        assert "clamped to the limits of sa: the charge limit 240 W of operator at a:7000" in result.reason
        assert host.up.node.status("all").applied_current_a == pytest.approx(math.fsum(flows_a(fleet, "a", "b")), rel=1e-3)
        await limit(fleet, host, "all", 960.0)
        await asyncio.sleep(3.0)
        assert [granted_w(fleet.hosts[name])[0] for name in "ab"] == pytest.approx([240.0, 720.0], rel=0.01)
        assert flows_a(fleet, "a", "b") == pytest.approx([-5.0, -15.0], rel=0.01)
        await limit(fleet, far, "b", None)
        await asyncio.sleep(3.0)
        assert [granted_w(fleet.hosts[name])[0] for name in "ab"] == pytest.approx([480.0, 480.0], rel=0.02)
        assert flows_a(fleet, "a", "b") == pytest.approx([-10.0, -10.0], rel=0.02)

    told(story)


def test_a_limit_of_an_owners_own_is_told_over_a_relay() -> None:
    """C is limited to 240 W at its owner, behind r: m plans `part` with 5 A, not with what its own grant of the rest allows."""

    async def story(fleet: Fleet) -> None:
        far, _, host = behind_a_relay(fleet)
        await ready(fleet)
        await limit(fleet, far, "b", 240.0)
        await asyncio.sleep(2.0)
        await limit(fleet, host, "all", 960.0)
        await asyncio.sleep(3.0)
        await fleet.set(host, "all", -18.0)
        assert flows_a(fleet, "c", "d") == pytest.approx([-5.0, -13.0], rel=0.01)
        assert granted_w(fleet.hosts["d"])[0] == pytest.approx(720.0, rel=0.01)
        await limit(fleet, far, "b", None)
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "c", "d") == pytest.approx([-9.0, -9.0], rel=0.02)

    told(story)


@pytest.mark.parametrize("far_w", [None, 96.0])
def test_an_alone_limit_of_what_lies_further_is_no_promise(far_w: float | None) -> None:
    """R dies, whose `part` may run 96 W alone: c behind it goes on with a booking of the 480 W that it was granted.

    Where c may run no more than 96 W alone itself, d has that much more.
    """

    async def story(fleet: Fleet) -> None:
        far, relay, host = behind_a_relay(fleet)
        far.topology = Topology(batteries=(replace(pack_spec("b", "c"), alone_charge_limit_w=far_w),))
        batteries = (stub_spec("sc", "c", "b"), replace(sum_spec("part", "sc"), alone_charge_limit_w=96.0))
        relay.topology = Topology(batteries=batteries)
        await ready(fleet)
        await limit(fleet, host, "all", 960.0)
        await fleet.until(lambda: granted_w(far) == [pytest.approx(480.0, rel=0.01)], within_s=5.0, because="granted")
        await fleet.within(far, far.up.node.book("b", -20.0, Moment(in_s=0.5), Moment(in_s=600.0), holder="person"))
        await fleet.set(host, "all", -40.0)
        await asyncio.sleep(3.0)
        relay.cut_power()
        await asyncio.sleep(30.0)
        behind_a = -10.0 if far_w is None else -2.0
        assert flows_a(fleet, "c", "d") == pytest.approx([behind_a, -20.0 - behind_a], rel=0.02)
        assert host.up.limits is not None
        (view,) = host.up.limits.views()
        assert view.provable

    told(story)


def test_a_part_that_its_owner_refuses_bounds_nothing() -> None:
    """A takes no grant, as its book is full: the session is ready, and anybody may run anything there all the same."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        far = fleet.hosts["a"].up.limits
        assert far is not None

        async def put(*_: object, **__: object) -> Limit:
            raise NoResourcesError("the book holds 1000 limits: no more")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(far.book, "put", put)
            await limit(fleet, host, "all", 480.0)
            await asyncio.sleep(5.0)
            assert granted_w(fleet.hosts["a"]) == []
            await fleet.set(fleet.hosts["a"], "b", -15.0)  # somebody there: 720 W
            await asyncio.sleep(3.0)
            assert flows_a(fleet, "a", "b") == [-15.0, 0.0]
            limits = host.up.limits
            assert limits is not None
            (view,) = limits.views()
            assert (view.provable, view.bound_s) == (False, None)
            assert "NOT_PROVABLE: sa does not take its part: the book holds 1000 limits: no more" in view.reason
        await fleet.until(lambda: limits.views()[0].provable, within_s=5.0, because="it took it")

    told(story)


def test_a_part_is_ended_by_hand_only_while_its_node_is_not_heard() -> None:
    """M counts on its 480 W at a, which it would tell of as kept; an admin ends it once m is gone, and m grants it anew."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        host = controller(fleet, "a")
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        far = fleet.hosts["a"]
        await fleet.until(lambda: granted_w(far) == [pytest.approx(480.0)], within_s=5.0, because="granted")
        limits = far.up.limits
        assert limits is not None
        refusal = await fleet.refused(fleet.within(far, limits.remove("node:m", "b", None)))
        assert refusal is not None
        assert (refusal.reason, "while it is heard" in refusal.message) == ("NOT_ALLOWED", True)
        assert granted_w(far) == [pytest.approx(480.0)]
        fleet.cut("m", "a")
        await asyncio.sleep(5.0)
        assert len(await fleet.within(far, limits.remove("node:m", "b", None))) == 1
        assert granted_w(far) == []
        fleet.heal("m", "a")
        await fleet.until(lambda: granted_w(far) == [pytest.approx(480.0)], within_s=10.0, because="granted anew")

    told(story)


def test_an_owner_on_a_full_disk_holds_the_tightest_of_what_it_is_granted() -> None:
    """Parts move as charges do, and are told anew each half second: what is not recorded replaces what was not, and is one."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 1440.0)
        await fleet.set(host, "all", -40.0)
        await asyncio.sleep(3.0)
        far = fleet.hosts["a"]
        far.store.failed = True
        await limit(fleet, host, "all", 720.0)
        await asyncio.sleep(60.0)
        fleet.packs["a"].change(charge_ah=80.0)
        await asyncio.sleep(60.0)
        assert sorted(w or 0.0 for w in granted_w(far)) == [pytest.approx(160.0, rel=0.3), pytest.approx(720.0, rel=0.01)]
        far.store.failed = False
        await fleet.until(lambda: len(granted_w(far)) == 1, within_s=12.0, because="it is recorded")

    told(story)


def test_a_battery_that_its_owner_calls_otherwise_is_not_held_by_its_part() -> None:
    """B of a is called x: the 480 W stand for b there, and x runs 960 W, which m can say nothing of until b is back."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 960.0)
        far, limits = fleet.hosts["a"], host.up.limits
        assert limits is not None
        await fleet.until(lambda: granted_w(far) == [pytest.approx(480.0, rel=0.02)], within_s=5.0, because="granted")
        await edit(fleet, far, pack_spec("x", "a"))
        await asyncio.sleep(15.0)
        await fleet.set(far, "x", -20.0)
        await asyncio.sleep(3.0)
        assert flows_a(fleet, "a") == [-20.0]
        (view,) = limits.views()
        assert (view.provable, view.bound_s) == (False, None)
        assert "NOT_PROVABLE: sa is no battery of its node any more" in view.reason
        await edit(fleet, far, pack_spec("b", "a"))
        await fleet.until(lambda: limits.views()[0].provable, within_s=20.0, because="it is there again")

    told(story)


def test_alone_limits_do_not_feed_each_other_in_a_cycle() -> None:
    """Sumb rests on suma, and an edit has suma rest on sumb: each told 96 W more than the other, and both agreed for ever."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        suma, sumb = (replace(sum_spec(f"sum{name}", "b"), alone_charge_limit_w=96.0) for name in "ab")
        batteries = [pack_spec("b", name) for name in "ab"]
        host, far = fleet.hosts["a"], fleet.hosts["b"]
        host.topology = Topology(batteries=(batteries[0], suma))
        far.topology = Topology(batteries=(batteries[1], stub_spec("sa", "a", "suma"), replace(sumb, sources=("b", "sa"))))
        await ready(fleet)
        stub = far.up.node.directory["sa"]
        assert isinstance(stub, DeviceLeaf)
        assert stub.alone_limit_w(discharging=False) == 96.0
        await edit(fleet, host, batteries[0], stub_spec("sb", "b", "sumb"), replace(suma, sources=("b", "sb")))
        await asyncio.sleep(20.0)
        assert "CYCLE" in stub.status(far.clock.now_s()).reason
        assert stub.alone_limit_w(discharging=False) is None
        told_of = [each.up.node.config_digest() for each in (host, far)]
        await asyncio.sleep(20.0)
        assert [each.up.node.config_digest() for each in (host, far)] == told_of

    told(story)


def test_what_an_owner_tells_beyond_measure_ends_no_relay() -> None:
    """Alone limits of 1e308 W have no sum, and a device that lets go after 2e9 s is told on as one: r and its values stay."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "c", "d", hold_s=2e9)
        for name in "cd":
            fleet.hosts[name].topology = Topology(batteries=(replace(pack_spec("b", name), alone_charge_limit_w=1e308),))
        part = replace(sum_spec("part", "sc", "sd"), alone_charge_limit_w=96.0)
        fleet.add_host("r", Topology(batteries=(stub_spec("sc", "c", "b"), stub_spec("sd", "d", "b"), part)))
        host = fleet.add_host("m", Topology(batteries=(stub_spec("spart", "r", "part"), sum_spec("all", "spart"))))
        await ready(fleet)
        fleet.cut("r", "c")
        await asyncio.sleep(20.0)
        status = host.up.node.directory["spart"].status(host.clock.now_s())
        assert (status.quality, status.link) == (Quality.GOOD, Link.READY)

    told(story)


def test_a_limit_is_kept_where_a_disk_takes_no_larger_part() -> None:
    """A holds its 240 W, as its disk does not take 480 W: 960 W over a and b are kept all the same."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await limit(fleet, host, "all", 480.0)
        await fleet.until(lambda: granted_w(fleet.hosts["a"]) == [pytest.approx(240.0)], within_s=5.0, because="granted")
        fleet.hosts["a"].store.failed = True
        await limit(fleet, host, "all", 960.0)
        await asyncio.sleep(10.0)
        assert granted_w(fleet.hosts["a"]) == [pytest.approx(240.0)]
        assert host.up.limits is not None
        (view,) = host.up.limits.views()
        assert (view.provable, view.bound_s) == (True, 2.0), view.reason

    told(story)
