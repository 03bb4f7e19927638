"""A lost member counts once: what it may run is set aside, and those that are left go on with the rest (control.md)."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import Topology
from bosd.bal.status import BatteryStatus, Link
from bosd.errors import DriverError
from bosd.node.api import Edit
from bosd.rpc import remote_node
from bosd.rpc.convert import from_message
from bosd.v1 import battery_pb2 as pb
from tests.support.fleet.fleet import Fleet, pack_spec, stub_spec, sum_spec
from tests.support.fleet.stories import LET_GO_S, SAFE_WITHIN_S, controller, flows_a, owners, ready, told


@pytest.mark.parametrize("asked_a", [30.0, -30.0])
def test_the_healthy_one_goes_on_while_one_that_holds_is_lost(asked_a: float) -> None:
    """30 A over two of 20 A: one that holds is cut and counts at 15 A, so the other goes on at 30 - 15 A, also after contact."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "b")
        host = fleet.add_host("m", _over("a", "b"))
        await ready(fleet)
        await fleet.set(host, "all", asked_a, ttl_s=600.0)
        fleet.cut("m", "a")
        for _ in range(400):
            await asyncio.sleep(0.05)
            assert flows_a(fleet, "b") == pytest.approx([asked_a / 2.0], rel=1e-3)
        status = host.up.node.status("all")
        assert (status.applied_current_a, status.max_discharge_current_a) == (asked_a, 20.0)  # asked anew may be what b can
        lost = host.up.node.status("sa")
        assert "counted at" in lost.reason
        assert "clamped" not in lost.reason
        (step,) = (await fleet.within(host, host.up.node.explain("sa"))).discharge
        assert step.text == f"sa: discharge limited to 0 A by not being commandable: {lost.reason}"
        assert fleet.packs["a"].true_a == 0.0
        await fleet.set(host, "all", asked_a / 30.0 * 25.0)  # a lowering of what is in force: 25 - 15 counted
        assert flows_a(fleet, "b") == pytest.approx([asked_a / 3.0], rel=1e-2)
        fleet.heal("m", "a")
        for _ in range(400):
            await asyncio.sleep(0.05)
            assert math.fsum(abs(each) for each in flows_a(fleet, "a", "b")) <= 25.0 + 1e-9
        assert flows_a(fleet, "a", "b") == pytest.approx([asked_a / 30.0 * 12.5] * 2, rel=1e-2)

    told(story)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_was_measured_before_it_turned_round_gives_nothing_away(sign: float) -> None:
    """Each is to run 10 of 20 A; a ran its safe value, 16 A the other way, when it was seen last: b had all 20 A beside it."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        fleet.hosts["a"].topology = Topology(batteries=(replace(pack_spec("b", "a"), safe_current_a=-16.0 * sign),))
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", 4.0 * sign, ttl_s=2.0)
        await fleet.until(lambda: flows_a(fleet, "a") == [-16.0 * sign], within_s=10.0, because="its safe value flows")
        await fleet.until(
            lambda: host.up.node.status("sa").current_a == pytest.approx(-16.0 * sign), within_s=5.0, because="that is seen"
        )
        await fleet.set(host, "all", 20.0 * sign)
        assert flows_a(fleet, "a", "b") == pytest.approx([10.0 * sign] * 2, rel=1e-2)
        assert host.up.node.status("sa").current_a == pytest.approx(-16.0 * sign)
        fleet.cut("m", "a")
        for _ in range(400):
            await asyncio.sleep(0.05)
            assert math.fsum(flows_a(fleet, "a", "b")) * sign <= 20.0 + 1e-9

    told(story)


def test_one_that_is_lost_two_below_counts_once() -> None:
    """48 A over `all` (a, b) and c, each of 20 A: a is cut at its share, and nobody is lowered for it; the sum never grows."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", hold_s=None)
        owners(fleet, "b", "c")
        below = _over("a", "b")
        top = sum_spec("top", "all", "sc")
        host = fleet.add_host("m", Topology(batteries=(*below.batteries, stub_spec("sc", "c", "b"), top), splitters=()))
        await ready(fleet)
        await fleet.set(host, "top", 48.0, ttl_s=600.0)
        assert flows_a(fleet, "a", "b", "c") == pytest.approx([16.0, 16.0, 16.0], rel=1e-2)
        counted_a = fleet.packs["a"].true_a
        fleet.cut("m", "a")
        for _ in range(400):
            await asyncio.sleep(0.05)
            assert math.fsum(flows_a(fleet, "b", "c")) + counted_a <= 48.0 + 1e-9
        assert math.fsum(flows_a(fleet, "b", "c")) + counted_a == pytest.approx(48.0)

    told(story)


def _over(*names: str) -> Topology:
    stubs = tuple(stub_spec(f"s{name}", name, "b") for name in names)
    return Topology(batteries=(*stubs, sum_spec("all", *(stub.name for stub in stubs))), splitters=())


def test_a_safe_value_over_stubs_lasts() -> None:
    """What owners are told without an end they keep for their default time alone, 60 s: it is told again before that."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a")
        total = replace(sum_spec("all", "sa"), safe_current_a=4.0)
        host = fleet.add_host("m", Topology(batteries=(stub_spec("sa", "a", "b"), total), splitters=()))
        await ready(fleet)
        await fleet.set(host, "all", 10.0, ttl_s=5.0)
        await fleet.until(lambda: flows_a(fleet, "a") == [4.0], within_s=10.0, because="the set point has ended")
        for _ in range(300):
            await asyncio.sleep(0.5)
            assert flows_a(fleet, "a") == [4.0]
        host.kill()
        await fleet.until(lambda: flows_a(fleet, "a") == [0.0], within_s=3.0 + LET_GO_S, because="the lease is over")

    told(story)


def test_what_is_not_understood_counts_as_long_as_its_session_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner's statuses become nonsense while its beats go on, so its lease does: its share is given away after that alone."""

    def garbled(message: pb.BatteryStatus, *arguments: Any, **named: Any) -> BatteryStatus:
        if message.path[:1] == ["a/b"]:
            raise DriverError("the remote sent nonsense")
        return from_message(message, *arguments, **named)

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = fleet.add_host("m", _over("a", "b"))
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        monkeypatch.setattr(remote_node, "from_message", garbled)
        await fleet.until(lambda: host.up.node.status("sa").link is Link.REFUSED, within_s=2.0, because="nothing is understood")
        for _ in range(round(3.0 * SAFE_WITHIN_S / 0.05)):
            await asyncio.sleep(0.05)
            assert flows_a(fleet, "a", "b") == pytest.approx([10.0, 10.0], rel=1e-2)
        fleet.cut("m", "a")
        await fleet.until(lambda: flows_a(fleet, "a") == [0.0], within_s=SAFE_WITHIN_S, because="the lease is over")
        assert flows_a(fleet, "b") == pytest.approx([10.0], rel=1e-2)
        await fleet.until(lambda: flows_a(fleet, "b")[0] > 19.0, within_s=SAFE_WITHIN_S + 5.0, because="b has the share of a")

    told(story)


def test_a_battery_that_its_owner_took_out_counts_to_its_bound() -> None:
    """The session lives on for another one: the share of the one that is gone is given away then, and not before."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        fleet.add_pack("x")
        own = fleet.hosts["a"]
        own.topology = Topology(batteries=(pack_spec("b", "a"), pack_spec("x", "x")), splitters=())
        stubs = (stub_spec("sa", "a", "b"), stub_spec("sb", "b", "b"), stub_spec("sx", "a", "x"))
        host = fleet.add_host("m", Topology(batteries=(*stubs, sum_spec("all", "sa", "sb")), splitters=()))
        await ready(fleet)
        await fleet.set(host, "all", 20.0)
        edits = [Edit(action="remove", name="b")]
        await fleet.within(own, own.up.node.apply(edits, expected_revision=None, holder="person"))
        await asyncio.sleep(SAFE_WITHIN_S - 1.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([0.0, 10.0], rel=1e-2)
        await fleet.until(lambda: flows_a(fleet, "b")[0] > 19.0, within_s=7.0, because="it counts no more")
        assert host.up.node.status("sx").link is Link.READY

    told(story)


@pytest.mark.parametrize("booked", [True, False])
def test_alone_limits_are_in_force_before_what_follows_a_lease(*, booked: bool) -> None:
    """The lease of -5 A ends and 14 A are next, booked or as the safe value: never more than 96 W flow, 2 A at 48 V."""

    async def story(fleet: Fleet) -> None:
        pack = fleet.add_pack("a")
        spec = replace(pack_spec("b", "a"), safe_current_a=0.0 if booked else 14.0, alone_discharge_limit_w=96.0)
        own = fleet.add_host("a", Topology(batteries=(spec,), splitters=()))
        host = controller(fleet, "a")
        await ready(fleet)
        await fleet.set(host, "all", -5.0)
        if booked:
            await fleet.within(own, own.up.node.book("b", 14.0, Moment(in_s=0.0), Moment(in_s=600.0), holder="person"))
        most_a: list[float] = []
        pack.changed = lambda each: most_a.append(each.true_a)
        fleet.cut("m", "a")
        await asyncio.sleep(10.0)
        assert flows_a(fleet, "a") == pytest.approx([2.0])
        assert max(most_a) <= 2.0 + 1e-6

    told(story)


def test_the_end_of_a_lease_looks_at_what_it_concerns_alone() -> None:
    """The set points of 12 batteries with alone limits end at one instant: that is no look at 12 batteries for each of them."""

    async def story(fleet: Fleet) -> None:
        names = [f"b{number}" for number in range(12)]
        for name in names:
            fleet.add_pack(name)
        specs = tuple(replace(pack_spec(name, name), alone_discharge_limit_w=96.0) for name in names)
        own = fleet.add_host("a", Topology(batteries=specs, splitters=()))
        stubs = tuple(stub_spec(f"s{name}", "a", name) for name in names)
        total = sum_spec("all", *(stub.name for stub in stubs))
        host = fleet.add_host("m", Topology(batteries=(*stubs, total), splitters=()))
        await ready(fleet)
        await fleet.set(host, "all", 60.0)
        sessions = own.up.sessions
        looks: Counter[float] = Counter()

        def unheard(batteries: Sequence[str], limiters: Iterable[str] = ()) -> str:
            looks[own.clock.now_s()] += 1
            return type(sessions).unheard(sessions, batteries, limiters)

        sessions.unheard = unheard  # type: ignore[method-assign]
        fleet.cut("m", "a")
        await asyncio.sleep(10.0)
        assert flows_a(fleet, *names) == pytest.approx([0.0] * 12)
        assert max(looks.values()) <= 2 * len(names)  # one for each end, and the look that comes four times a second

    told(story)
