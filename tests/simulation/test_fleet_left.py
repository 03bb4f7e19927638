"""What a device holds of a set point that has ended counts at whoever asked for it, until the device confirms its end."""

import asyncio
from dataclasses import replace

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import Topology
from bosd.bal.status import Link
from bosd.rpc.remote_battery import RemoteBattery
from bosd.store.limits import Limit
from tests.simulation.test_fleet_limits import edit
from tests.support.fleet.channels import Sent
from tests.support.fleet.fleet import Fleet, Host, Judge, Process, pack_spec, stub_spec, sum_spec
from tests.support.fleet.judges import TOLERANCE_A
from tests.support.fleet.stories import controller, flows_a, owners, ready, told
from tests.support.memory_store import MemoryStore

ASKED_A = 20.0


async def _keeps_its_sum(fleet: Fleet, host: Host, *packs: str) -> None:
    """Watch 5 s: what flows of `all` is never above what is asked of it, which is asked again and again."""
    for _ in range(10):
        await fleet.refused(fleet.set(host, "all", ASKED_A))
        running_a = [max(0.0, each_a) for each_a in flows_a(fleet, *packs)]
        assert sum(running_a) <= ASKED_A + TOLERANCE_A, running_a
        await asyncio.sleep(0.5)


async def _is_given_away_at_contact(fleet: Fleet, pack: str, *others: str) -> None:
    """Have a pack hear again: it lets go, and its share is the others'."""
    fleet.packs[pack].change(deaf=False)
    await fleet.until(lambda: sum(flows_a(fleet, *others)) == pytest.approx(ASKED_A), within_s=30.0, because="it is at rest")


@pytest.mark.parametrize("deaf_s", [0.5, 20.0], ids=["not known to be lost", "lost"])
def test_what_an_earlier_run_left_counts(deaf_s: float) -> None:
    """A device hears nothing and holds 10 A; its controller starts anew, the lease over: 20 A are 10 A for the other one."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.packs["a"].change(deaf=True)
        await asyncio.sleep(deaf_s)
        host.kill()
        await asyncio.sleep(8.0)
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        await _keeps_its_sum(fleet, host, "a", "b")
        assert flows_a(fleet, "a", "b") == pytest.approx([10.0, 10.0])
        fleet.packs["a"].change(deaf=False)
        await fleet.until(lambda: sum(flows_a(fleet, "a", "b")) == pytest.approx(ASKED_A), within_s=30.0, because="it is heard")
        await _keeps_its_sum(fleet, host, "a", "b")

    told(story)


def test_what_an_earlier_run_left_counts_where_its_owner_is_back_without_it() -> None:
    """A device holds 10 A, its board is back as another without it, then its controller, too: until a person says it is safe."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        fleet.add_pack("c")
        own, left = fleet.hosts["a"], Topology(batteries=(pack_spec("c", "c"),))
        own.topology = replace(own.topology, batteries=(*own.topology.batteries, *left.batteries))
        host = controller(fleet, "a", "b")
        host.topology = replace(host.topology, batteries=(*host.topology.batteries, stub_spec("sc", "a", "c")))
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        own.kill()
        own.store, own.topology = MemoryStore(), left
        own.start()
        await asyncio.sleep(5.0)
        await _keeps_its_sum(fleet, host, "a", "b")
        host.kill()
        await asyncio.sleep(2.0)
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        await asyncio.sleep(20.0)
        stub = host.up.node.directory["sa"]
        assert isinstance(stub, RemoteBattery)
        assert stub.status(host.clock.now_s()).link is Link.REFUSED
        await _keeps_its_sum(fleet, host, "a", "b")
        assert "assume-safe" in stub.status(host.clock.now_s()).reason
        assert stub.assume_safe()
        await fleet.refused(fleet.set(host, "all", ASKED_A))
        assert flows_a(fleet, "b") == pytest.approx([ASKED_A])

    told(story)


def test_what_an_owner_put_to_its_own_use_counts() -> None:
    """A device that hears nothing holds 10 A, and its owner adds it up itself: the other one is not given its 10 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.packs["a"].change(deaf=True)
        await asyncio.sleep(1.0)
        await edit(fleet, fleet.hosts["a"], pack_spec("b", "a"), sum_spec("own", "b"))
        await _keeps_its_sum(fleet, host, "a", "b")
        assert flows_a(fleet, "a", "b") == pytest.approx([10.0, 10.0])
        await _is_given_away_at_contact(fleet, "a", "b")

    told(story)


def test_what_was_taken_counts_where_a_member_did_not_hear_of_it() -> None:
    """A person takes the sum of two packs, one of which hears nothing and holds 5 A: these are not given away."""

    async def story(fleet: Fleet) -> None:
        for name in ("p1", "p2"):
            fleet.add_pack(name, hold_s=None)
        total = sum_spec("b", "b1", "b2")
        own = fleet.add_host("a", Topology(batteries=(pack_spec("b1", "p1"), pack_spec("b2", "p2"), total)))
        owners(fleet, "c", hold_s=None)
        host = controller(fleet, "a", "c")
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.packs["p1"].change(deaf=True)
        await asyncio.sleep(15.0)
        await fleet.within(own, own.up.node.force_current("b", -5.0, ttl_s=600.0, holder="person"))
        await asyncio.sleep(1.0)
        await _keeps_its_sum(fleet, host, "p1", "p2", "c")
        assert flows_a(fleet, "p1", "p2") == pytest.approx([5.0, -5.0], rel=0.01)
        await _is_given_away_at_contact(fleet, "p1", "c")

    told(story)


def test_a_safe_value_waits_for_what_an_earlier_run_left() -> None:
    """A sum is safe at 8 A, an owner goes dark with 4 A of them, its controller starts anew: the other one is not told 8 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        stubs = stub_spec("sa", "a", "b"), stub_spec("sb", "b", "b")
        total = replace(sum_spec("all", "sa", "sb"), safe_current_a=8.0)
        host = fleet.add_host("m", Topology(batteries=(*stubs, total)))
        await ready(fleet)
        await fleet.set(host, "all", 8.0, ttl_s=2.0)
        await asyncio.sleep(4.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([4.0, 4.0], rel=0.01)
        fleet.hosts["a"].cut_power()
        host.kill()
        await asyncio.sleep(10.0)
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        assert host.up.limits is not None
        book = host.up.limits.book
        await fleet.within(host, book.put(Limit(source="operator", battery="all", direction="discharge", limit_w=960.0)))
        await asyncio.sleep(5.0)
        assert flows_a(fleet, "a", "b") == pytest.approx([4.0, 0.0], rel=0.01)
        fleet.hosts["a"].start()
        await fleet.until(lambda: sum(flows_a(fleet, "a", "b")) == pytest.approx(8.0), within_s=20.0, because="all is known")

    told(story)


class _Given(Judge):
    """Counts how often something is given back."""

    def __init__(self) -> None:
        self.times = 0

    def call_arrived(self, path: str, request: bytes, sent: Sent, server: Process) -> None:
        del request, sent, server
        self.times += path.endswith("/ClearCurrent")


@pytest.mark.parametrize(("safe_a", "booked_a"), [(3.0, None), (0.0, 10.0)], ids=["safe value", "booking"])
def test_what_its_owner_runs_by_itself_is_not_left(safe_a: float, booked_a: float | None) -> None:
    """A battery is given back and goes on to its safe value, or to a booking: that is nobody's who asked for it before."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("a")
        own = fleet.add_host("a", Topology(batteries=(replace(pack_spec("b", "a"), safe_current_a=safe_a),)))
        host = controller(fleet, "a")
        await ready(fleet)
        if booked_a is not None:
            await fleet.within(own, own.up.node.book("b", booked_a, Moment(in_s=0.0), Moment(in_s=600.0), holder="person"))
        await fleet.set(host, "all", 4.0)
        given = _Given()
        fleet.judges.append(given)
        await fleet.within(host, host.up.node.clear_current("all", holder="person"))
        await asyncio.sleep(10.0)
        assert flows_a(fleet, "a") == [booked_a or safe_a]
        assert (given.times, host.up.node.directory["all"].counts_at_a) == (1, 0.0)

    told(story)


def _with_a_pack_of_its_own(fleet: Fleet, *, hold_s: float | None) -> Host:
    """Put a node there that adds up pack `own` of its own and a stub of `a` as `all`; 20 A are 10 A each."""
    owners(fleet, "a", hold_s=None)
    fleet.add_pack("own", hold_s=hold_s)
    batteries = pack_spec("own", "own"), stub_spec("sa", "a", "b"), sum_spec("all", "own", "sa")
    return fleet.add_host("m", Topology(batteries=batteries))


@pytest.mark.parametrize(("hold_s", "dark_s"), [(None, 8.0), (15.0, 4.5)], ids=["holds", "expires"])
def test_what_an_earlier_run_left_on_a_device_of_its_own_counts(hold_s: float | None, dark_s: float) -> None:
    """A node has 10 A flow on its own device, which answers nothing, and starts anew: 20 A are 10 A for the others."""

    async def story(fleet: Fleet) -> None:
        host = _with_a_pack_of_its_own(fleet, hold_s=hold_s)
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.packs["own"].change(deaf=True)
        host.kill()
        await asyncio.sleep(dark_s)
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        await _keeps_its_sum(fleet, host, "own", "a")
        if hold_s is None:
            await asyncio.sleep(60.0)
            await _keeps_its_sum(fleet, host, "own", "a")
            assert flows_a(fleet, "own", "a") == pytest.approx([10.0, 10.0])
            assert "an earlier run" in host.up.node.status("all").reason
            await _is_given_away_at_contact(fleet, "own", "a", "own")
        else:
            await asyncio.sleep(hold_s)
            await fleet.set(host, "all", ASKED_A)
            assert flows_a(fleet, "own", "a") == pytest.approx([0.0, ASKED_A])

    told(story)


@pytest.mark.parametrize("booked", [False, True], ids=["set", "booked"])
def test_a_device_that_an_earlier_run_left_at_rest_drags_nobody(*, booked: bool) -> None:
    """Nothing was asked of a device any more when its node ended; it answers nothing from then on: the others take all."""

    async def story(fleet: Fleet) -> None:
        host = _with_a_pack_of_its_own(fleet, hold_s=None)
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        await fleet.within(host, host.up.node.clear_current("all", holder="person"))
        await asyncio.sleep(1.0)
        assert flows_a(fleet, "own", "a") == [0.0, 0.0]
        if booked:
            moments = Moment(in_s=20.0), Moment(in_s=600.0)
            await fleet.within(host, host.up.node.book("all", ASKED_A, *moments, holder="person"))
        fleet.packs["own"].change(deaf=True)
        host.kill()
        await asyncio.sleep(2.0)
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        await asyncio.sleep(5.0)
        if booked:
            await asyncio.sleep(20.0)
        else:
            await fleet.set(host, "all", ASKED_A)
        assert flows_a(fleet, "own", "a") == pytest.approx([0.0, ASKED_A])

    told(story)


def test_what_its_owner_counts_is_waited_for_no_more() -> None:
    """A device holds 10 A and answers nothing; its owner and its controller start anew: the owner is heard, and counts 10 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        host, own = controller(fleet, "a", "b"), fleet.hosts["a"]
        await ready(fleet)
        await fleet.set(host, "all", ASKED_A)
        fleet.packs["a"].change(deaf=True)
        own.kill()
        host.kill()
        await asyncio.sleep(2.0)
        own.start()
        host.start()
        await fleet.until(lambda: host.up.serving and own.up.serving, within_s=5.0, because="both serve again")
        await _keeps_its_sum(fleet, host, "a", "b")
        await asyncio.sleep(20.0)
        await fleet.set(host, "all", ASKED_A)
        assert flows_a(fleet, "a", "b") == pytest.approx([10.0, 10.0])
        fleet.packs["a"].change(deaf=False)
        await _keeps_its_sum(fleet, host, "a", "b")

    told(story)
