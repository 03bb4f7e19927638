"""Bookings in a simulated fleet: wrong clocks begin none (peers.md), and a controller that is back in time finds its own."""

import asyncio
from collections.abc import Callable

import pytest

from bosd.bal.schedule import Moment
from bosd.bal.spec import Topology
from bosd.bal.status import BatteryStatus, SetpointSource
from bosd.fleet.timers import SessionTimers
from bosd.rpc.remote_battery import RemoteBattery
from bosd.store.limits import Limit
from tests.support.fleet.fleet import UTC_S, Fleet, Host, pack_spec, stub_spec, sum_spec
from tests.support.fleet.stories import LET_GO_S, controller, flows_a, owners, ready, told

LEASE_S = 6.0

pytestmark = pytest.mark.timeout(300)


async def _flows_within(fleet: Fleet, host: Host, seconds: float) -> set[float]:
    """Return what flowed in p meanwhile; the clock's doubt is told as long as it is not trusted."""
    seen = set()
    for _ in range(round(seconds / 0.1)):
        seen |= set(flows_a(fleet, "p"))
        assert host.clock_trusted or "no booking begins" in host.up.node.status("p").reason
        await asyncio.sleep(0.1)
    return seen


@pytest.mark.parametrize("trusted", [False, True])
def test_what_is_booked_for_1970_does_not_run_in_1970(*, trusted: bool) -> None:
    """A board without a battery clock is booked by its own wrong time, which then comes: nothing runs unless it is trusted."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("p", hold_s=2.0)
        host = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),), splitters=()), utc_wrong_s=-UTC_S)
        host.clock_trusted = trusted
        await ready(fleet)
        booked = host.up.node.book("p", 5.0, Moment(in_s=20.0), Moment(in_s=80.0), holder="person")
        await fleet.within(host, booked)
        assert host.clock.utc_s() < 86400.0  # the first of January 1970
        assert await _flows_within(fleet, host, 100.0) == ({0.0, 5.0} if trusted else {0.0})
        host.clock.utc_wrong_s, host.clock_trusted = 0.0, True
        assert await _flows_within(fleet, host, 20.0) == {0.0}  # it was over long ago

    told(story)


@pytest.mark.parametrize("trusted", [False, True])
def test_a_clock_that_stood_still_begins_no_booking(*, trusted: bool) -> None:
    """A board is dark for an hour and wakes at the time it went down, just before a booking that is over: only trust runs it."""

    async def story(fleet: Fleet) -> None:
        fleet.add_pack("p", hold_s=2.0)
        host = fleet.add_host("o", Topology(batteries=(pack_spec("p", "p"),), splitters=()))
        await ready(fleet)
        booked = host.up.node.book("p", 5.0, Moment(in_s=20.0), Moment(in_s=80.0), holder="person")
        await fleet.within(host, booked)
        host.cut_power()
        await asyncio.sleep(3600.0)
        host.clock.utc_wrong_s, host.clock_trusted = -3600.0, trusted
        host.start()
        await fleet.until(lambda: host.up.serving, within_s=5.0, because="it serves again")
        assert await _flows_within(fleet, host, 100.0) == ({0.0, 5.0} if trusted else {0.0})
        host.clock.utc_wrong_s, host.clock_trusted = 0.0, True
        assert await _flows_within(fleet, host, 20.0) == {0.0}

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


def _epochs(fleet: Fleet) -> list[int]:
    """Return the epochs of m's sessions at both owners."""
    sessions = [fleet.hosts[name].up.sessions.peers()["node:m"] for name in "ab"]
    return [session.epoch for session in sessions if session is not None]


async def _no_step(fleet: Fleet, seconds: float) -> None:
    """See that each pack stays within 0.5 A of 10 A."""
    for _ in range(round(seconds / 0.02)):
        assert flows_a(fleet, "a", "b") == pytest.approx([10.0, 10.0], abs=0.5)
        await asyncio.sleep(0.02)


def test_a_controller_that_is_back_in_time_finds_its_booking_running() -> None:
    """Scenario 3's variant (satellites.md section 4): a lease of 6 s, its controller back after 1 s: no step over 0.5 A."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        booked = host.up.node.book("all", 20.0, Moment(in_s=1.0), Moment(in_s=600.0), holder="person")
        await fleet.within(host, booked)
        await fleet.until(lambda: flows_a(fleet, "a", "b") == pytest.approx([10.0, 10.0]), within_s=4.0, because="it begins")
        before = _epochs(fleet)
        host.kill()
        await _no_step(fleet, 1.0)
        host.start()
        await _no_step(fleet, 3.0 * LEASE_S)
        assert _epochs(fleet) == [epoch + 1 for epoch in before]
        assert host.up.node.status("all").setpoint_source is SetpointSource.SCHEDULE
        host.kill()
        await asyncio.sleep(LEASE_S + LET_GO_S)
        assert flows_a(fleet, "a", "b") == [0.0, 0.0]  # it was the controller's, and lived by its lease

    told(story, SessionTimers(lease_s=LEASE_S))


def _late_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no status of a stub come within half a second of its owner's snapshot."""
    on_status = RemoteBattery.on_status

    def late(stub: RemoteBattery, status: BatteryStatus, half_rtt_s: float) -> None:
        asyncio.get_running_loop().call_later(0.5, on_status, stub, status, half_rtt_s)

    monkeypatch.setattr(RemoteBattery, "on_status", late)


def _late_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a stub told 0.1 s after that was planned: both may have agreed by then."""
    note = RemoteBattery.note

    async def late(stub: RemoteBattery, current_a: float) -> bool:
        await asyncio.sleep(0.1)
        return await note(stub, current_a)

    monkeypatch.setattr(RemoteBattery, "note", late)


@pytest.mark.parametrize("late", [_late_status, _late_command])
def test_a_booking_goes_on_where_stubs_can_be_told_something(
    monkeypatch: pytest.MonkeyPatch, late: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """A controller comes back and knows what runs before it can tell its stubs anything: no step."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b", hold_s=None)
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.within(host, host.up.node.book("all", 20.0, Moment(in_s=0.5), Moment(in_s=600.0), holder="person"))
        await fleet.until(lambda: flows_a(fleet, "a", "b") == pytest.approx([10.0, 10.0]), within_s=4.0, because="it begins")
        host.kill()
        await _no_step(fleet, 1.0)
        fleet.wires.way("b", "m").delay_s = (0.03, 0.03)
        with monkeypatch.context() as patched:
            late(patched)
            host.start()
            await _no_step(fleet, 1.0)
        await _no_step(fleet, LEASE_S)
        assert host.up.node.status("all").setpoint_source is SetpointSource.SCHEDULE

    told(story, SessionTimers(lease_s=LEASE_S))


def test_a_status_that_never_comes_is_waited_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner says what it runs and never sends a status: the other one gets the whole of the booking all the same."""
    on_status = RemoteBattery.on_status

    def never(stub: RemoteBattery, status: BatteryStatus, half_rtt_s: float) -> None:
        if stub.name != "sb":
            on_status(stub, status, half_rtt_s)

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        await fleet.within(host, host.up.node.book("all", 5.0, Moment(in_s=1.0), Moment(in_s=600.0), holder="person"))
        host.kill()
        monkeypatch.setattr(RemoteBattery, "on_status", never)
        host.start()
        await fleet.until(lambda: flows_a(fleet, "a", "b") == [5.0, 0.0], within_s=6.0, because="it begins")

    told(story)


@pytest.mark.parametrize("asked_a", [0.0, 5.0])
def test_a_members_booking_stays_held_down_as_long_as_its_sum_is_asked(asked_a: float) -> None:
    """Of a sum one member can give nothing, and has a booking at its owner; the sum is asked anew each 5 s, for 10 s."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host, own = controller(fleet, "a", "b"), fleet.hosts["a"]
        await ready(fleet)
        assert host.up.limits is not None
        if asked_a:
            book = host.up.limits.book
            await fleet.within(host, book.put(Limit(source="operator", battery="sa", direction="discharge", limit_w=0.0)))
        await fleet.set(host, "all", asked_a, ttl_s=10.0)
        await fleet.within(own, own.up.node.book("b", -7.0, Moment(in_s=0.0), Moment(in_s=600.0), holder="person"))
        await fleet.until(lambda: flows_a(fleet, "a") == [-7.0], within_s=2.0, because="nobody has held it down yet")
        await fleet.until(lambda: flows_a(fleet, "a") == [0.0], within_s=8.0, because="it is held down")
        for second in range(60):
            if second % 5 == 0:
                await fleet.set(host, "all", asked_a, ttl_s=10.0)
            for _ in range(20):
                await asyncio.sleep(0.05)
                assert flows_a(fleet, "a", "b") == [0.0, asked_a], second

    told(story)


def test_a_booking_that_an_owner_takes_no_piece_of_is_named() -> None:
    """An owner takes half a second at most, a booking is told 1 s ahead at least: it does not run, and it is said why."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        await ready(fleet)
        fleet.hosts["a"].up.node._controller._longest_ttl_s = 0.5
        await fleet.within(host, host.up.node.book("all", 8.0, Moment(), Moment(in_s=600.0), holder="person"))

        def said() -> list[str]:
            return [each.message for each in host.up.node.faults.active() if each.type == "NOT_IN_FORCE"]

        await fleet.until(lambda: bool(said()), within_s=20.0, because="it is said why")
        (why,) = said()
        assert "sa: ttl_s " in why
        assert "outside 0 to 0.5 s" in why
        fleet.hosts["a"].up.node._controller._longest_ttl_s = 3600.0
        await fleet.until(lambda: not said(), within_s=20.0, because="it is in force")
        assert sum(flows_a(fleet, "a", "b")) == pytest.approx(8.0)

    told(story)


@pytest.mark.parametrize("over", ["an owner", "a relay"])
def test_a_booking_over_an_owner_of_short_lives_runs_without_a_gap(over: str) -> None:
    """An owner takes 20 s at most, a booking is told 30 to 60 s ahead elsewhere: it never began. It is told 9 to 18 s ahead."""

    async def story(fleet: Fleet) -> None:
        owners(fleet, "a", "b")
        host = controller(fleet, "a", "b")
        if over == "a relay":
            top = stub_spec("far", "m", "all"), sum_spec("every", "far")
            host = fleet.add_host("top", Topology(batteries=top))
        await ready(fleet)
        fleet.hosts["a"].up.node._controller._longest_ttl_s = 20.0
        name = "every" if over == "a relay" else "all"
        await fleet.within(host, host.up.node.book(name, 8.0, Moment(), Moment(in_s=150.0), holder="person"))
        await fleet.until(lambda: sum(flows_a(fleet, "a", "b")) == pytest.approx(8.0), within_s=10.0, because="it begins")
        for _ in range(1200):
            await asyncio.sleep(0.1)
            assert sum(flows_a(fleet, "a", "b")) == pytest.approx(8.0)
        await fleet.until(lambda: sum(flows_a(fleet, "a", "b")) == 0.0, within_s=40.0, because="it is over")

    told(story)
