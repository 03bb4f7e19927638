"""The limitation as it runs: publications, what survives a restart, what is seen (the issue's items 6 and 8, and "Settled")."""

import asyncio
import math

import pytest

from bosd.errors import StoreError
from bosd.limits.lpc.judging import NANOSECONDS, WrittenLimit
from bosd.limits.lpc.lpc import Lpc
from bosd.limits.lpc.port import Kept
from bosd.limits.lpc.restored import LONGEST_S
from bosd.limits.lpc.use_case import LPP
from bosd.limits.lpc.view import Statement
from tests.support.eebus_mock import SKI
from tests.support.lpc_rig import HandClock, Ram, listed, make

HOUR_S = 3600.0
B = "b" * 40


def active(value_w: float, duration_s: float = 0.0) -> WrittenLimit:
    """Return an active limit."""
    return WrittenLimit(active=True, value_w=value_w, duration_ns=round(duration_s * NANOSECONDS))


INACTIVE = WrittenLimit(active=False, value_w=0.0)


def beat(lpc: Lpc, ski: str = SKI) -> None:
    """Hear a heartbeat, as the client does."""
    if lpc.admits(ski, "DataUpdateHeartbeat", data=True):
        lpc.heartbeat()


def receive(lpc: Lpc, limit: WrittenLimit, ski: str = SKI) -> None:
    """Read a limit, as the client does."""
    if lpc.admits(ski, "DataUpdateLimit", data=True):
        lpc.limit(ski, limit)


def later(lpc: Lpc, clock: HandClock, seconds: float) -> None:
    """Let time pass, with one tick at its end."""
    clock.s += seconds
    lpc.attend()


async def test_the_failsafe_value_is_in_force_before_any_service_is_there() -> None:
    """[LPC-901/1]; a daemon without its service limits all the same."""
    lpc, book, _ = make(clock=HandClock())
    await lpc.start()
    assert book.limit_w == 4200.0
    view = lpc.view()
    assert (view.state, view.limit_w, view.connected, view.heartbeat_age_s) == ("Init", 4200.0, False, None)
    assert view.statement is Statement.NONE


async def test_publications_happen_at_the_start_at_changes_and_at_limits_alone() -> None:
    """None on idle ticks, none on a failsafe write outside Failsafe; the same limit again is one; 0 W is 0."""
    clock = HandClock()
    lpc, book, _ = make(clock=clock)
    await lpc.start()
    lpc.failsafe_power(SKI, 3000.0)
    assert book.limit_w == 3000.0
    for _ in range(5):
        later(lpc, clock, 1.0)
    beat(lpc)
    receive(lpc, active(0.0, 60.0))
    receive(lpc, active(0.0, 60.0))
    lpc.failsafe_power(SKI, 2500.0)
    later(lpc, clock, 60.0)
    later(lpc, clock, 60.1)
    lpc.failsafe_power(SKI, 2000.0)
    assert listed(lpc) == [
        ("Init", 4200.0),
        ("Limited", 0.0),
        ("Limited", 0.0),
        ("UnlimitedControlled", None),
        ("Failsafe", 2500.0),
        ("Failsafe", 2000.0),
    ]
    ends = [each.until_utc_s is None for each in lpc.history.newest()]
    assert ends == [True, False, False, True, True, True]
    limited = lpc.history.newest()[1]
    assert limited.until_utc_s == limited.at_utc_s + 60.0


async def test_what_the_peer_wrote_survives_a_restart() -> None:
    """6.1 item 6: failsafe values, the bound peer and the history; the machine itself begins anew."""
    clock, ram = HandClock(), Ram()
    lpc, _, _ = make(clock=clock, ram=ram)
    await lpc.start()
    beat(lpc)
    lpc.failsafe_power(SKI, 1500.0)
    lpc.failsafe_duration(SKI, 3 * 3600 * NANOSECONDS)
    receive(lpc, INACTIVE)
    assert await lpc.history.write()
    again, book, _ = make(clock=clock, ram=ram)
    await again.start()
    view = again.view()
    assert (view.state, view.failsafe_limit_w, view.failsafe_duration_s, view.bound_ski) == ("Init", 1500.0, 10800.0, SKI)
    assert book.limit_w == 1500.0
    assert book.restored is None
    assert listed(again) == [("Init", 4200.0), ("UnlimitedControlled", None), ("Init", 1500.0)]
    assert [each.number for each in again.history.newest()] == [1, 2, 3]
    beat(again, B)
    assert again.counters["events_dropped"] == 1


async def restarted(clock: HandClock, limit: WrittenLimit, away_s: float, doubt: str = "") -> tuple[Lpc, object]:
    """Return a limitation after a restart with a limit in force, and its book."""
    ram = Ram()
    lpc, _, _ = make(clock=clock, ram=ram)
    await lpc.start()
    beat(lpc)
    receive(lpc, limit)
    assert await lpc.history.write()
    clock.s += away_s
    again, book, _ = make(clock=clock, ram=ram, doubt=lambda: doubt)
    await again.start()
    return again, book


@pytest.mark.parametrize(
    ("away_s", "doubt", "goes_on"),
    [(100.0, "", True), (HOUR_S - 0.001, "", True), (HOUR_S, "", False), (9 * HOUR_S, "", False), (9 * HOUR_S, "unset", True)],
)
async def test_a_limit_goes_on_unless_its_end_is_provably_past(away_s: float, doubt: str, goes_on: bool) -> None:
    """`Init` publishes the tighter one: 3000 W with its end, or the failsafe's 4200 W."""
    clock = HandClock()
    lpc, book = await restarted(clock, active(3000.0, HOUR_S), away_s, doubt)
    first = lpc.history.newest()[-1]
    assert (first.state, first.limit_w) == ("Init", 3000.0 if goes_on else 4200.0)
    assert (book.tightest_w, book.limit_w) == (3000.0 if goes_on else 4200.0, 4200.0)  # type: ignore[attr-defined]


async def test_a_looser_limit_of_an_earlier_run_does_not_loosen_init() -> None:
    """The tighter of both, in either order."""
    lpc, book = await restarted(HandClock(), active(9000.0), 10.0)
    assert lpc.view().limit_w == 4200.0
    assert book.tightest_w == 4200.0  # type: ignore[attr-defined]


async def test_a_restored_limit_ends_by_its_end_a_write_or_a_day() -> None:
    """Its end is published; so is what holds from then on."""
    clock = HandClock()
    lpc, book = await restarted(clock, active(3000.0, HOUR_S), 10.0)
    later(lpc, clock, 121.0)
    assert listed(lpc)[-1] == ("UnlimitedAutonomous", 3000.0)
    later(lpc, clock, HOUR_S)
    assert listed(lpc)[-1] == ("UnlimitedAutonomous", None)
    assert book.restored is None  # type: ignore[attr-defined]

    lpc, book = await restarted(HandClock(), active(3000.0), 10.0)
    beat(lpc)
    receive(lpc, active(5000.0))
    assert (listed(lpc)[-1], book.tightest_w) == (("Limited", 5000.0), 5000.0)  # type: ignore[attr-defined]

    clock = HandClock()
    lpc, book = await restarted(clock, active(3000.0), 10.0)
    later(lpc, clock, LONGEST_S - 1.0)
    assert book.tightest_w == 3000.0  # type: ignore[attr-defined]
    later(lpc, clock, 1.0)
    assert book.tightest_w is None  # type: ignore[attr-defined]


async def test_a_refused_write_ends_nothing() -> None:
    """A limit that is none is no write."""
    lpc, book = await restarted(HandClock(), active(3000.0), 10.0)
    receive(lpc, active(math.nan))
    assert lpc.counters["limits_refused"] == 1
    assert book.tightest_w == 3000.0  # type: ignore[attr-defined]


async def test_restarts_do_not_prolong_a_restored_limit_beyond_a_day() -> None:
    """24 h from the first time, by a clock that is trusted."""
    clock, ram = HandClock(), Ram(Kept(limit_w=3000.0))
    for hour in range(0, 25, 8):
        lpc, book, _ = make(clock=clock, ram=ram)
        await lpc.start()
        assert (book.tightest_w == 3000.0) is (hour < 24), hour
        assert await lpc.history.write()
        clock.s += 8 * HOUR_S


async def test_an_untrusted_clock_that_becomes_trusted_ends_what_is_past() -> None:
    """The end counts from when the wall clock does."""
    doubts = ["the kernel does not call it synchronised"]
    clock = HandClock()
    ram = Ram(Kept(limit_w=3000.0, limit_until_utc_s=clock.utc_s() - 1.0))
    lpc, book, _ = make(clock=clock, ram=ram, doubt=lambda: doubts[0])
    await lpc.start()
    later(lpc, clock, 10.0)
    assert book.tightest_w == 3000.0
    doubts[0] = ""
    later(lpc, clock, 1.0)
    assert book.tightest_w == 4200.0
    assert listed(lpc)[-1] == ("Init", 4200.0)


async def test_a_limit_that_gave_way_to_failsafe_is_not_restored() -> None:
    """What was not in force any more does not come back."""
    clock, ram = HandClock(), Ram()
    lpc, _, _ = make(clock=clock, ram=ram)
    await lpc.start()
    beat(lpc)
    receive(lpc, active(3000.0))
    later(lpc, clock, 121.0)
    assert await lpc.history.write()
    assert ram.kept.limit_w is None


@pytest.mark.jumping
async def test_a_full_disk_holds_nothing_up_and_loses_nothing() -> None:
    """Publications wait in memory, the failure is seen, and all is written when the disk is well."""
    lpc, book, ram = make(clock=HandClock())
    ram.failing = StoreError("the disk is full")
    await lpc.start()
    task = asyncio.get_running_loop().create_task(lpc.history.run())
    receive(lpc, active(3000.0))
    await asyncio.sleep(3.0)
    assert (book.limit_w, lpc.history.failure, ram.history) == (3000.0, "the disk is full", {})
    ram.failing = None
    await asyncio.sleep(3.0)
    assert [(each.state, each.limit_w) for each in ram.history.values()] == [("Init", 4200.0), ("Limited", 3000.0)]
    assert (ram.kept.limit_w, lpc.history.failure) == (3000.0, "")
    task.cancel()


async def test_every_write_is_recorded_with_its_decision() -> None:
    """6.3 item 19: time, peer, value and decision; the audit has the time."""
    lpc, _, _ = make(clock=HandClock())
    noted: list[tuple[str, str, bool]] = []
    lpc._note = lambda action, *, who, refused, after: noted.append((action, who, not refused))
    await lpc.start()
    lpc.decide(SKI, active(-5.0))
    lpc.decide(SKI, active(5.0))
    receive(lpc, active(5.0))
    lpc.failsafe_power(SKI, -1.0)
    lpc.failsafe_duration(SKI, 7200 * NANOSECONDS)
    who = f"eebus:{SKI}"
    assert noted == [
        ("eebus write", who, False),
        ("eebus write", who, True),
        ("eebus limit", who, True),
        ("eebus failsafe", who, False),
        ("eebus failsafe", who, True),
    ]


@pytest.mark.parametrize("profile", ["spec", "seed"])
async def test_the_first_connection_begins_the_init_time_anew(profile: str) -> None:
    """eebus.md 3 row 16: elsewhere the machine starts with the connection; ours limits before, and waits no shorter. Once."""
    clock = HandClock()
    lpc, _, _ = make({"profile": profile, "heartbeat_timeout_s": 500.0}, clock=clock)
    await lpc.start()
    later(lpc, clock, 100.0)
    lpc.set_connection(connected=True, why="")
    later(lpc, clock, 100.0)
    assert lpc.view().state == "Init"
    lpc.set_connection(connected=False, why="lost")
    lpc.set_connection(connected=True, why="")
    later(lpc, clock, 20.1)
    assert lpc.view().state == "UnlimitedAutonomous"
    lpc.set_connection(connected=True, why="")
    assert lpc.view().state == "UnlimitedAutonomous"


async def test_what_is_due_next() -> None:
    """For a clock that is moved by hand: each instant at which time alone changes something, and none once nothing does."""
    clock = HandClock()
    lpc, _, _ = make(clock=clock)
    await lpc.start()
    beat(lpc)
    receive(lpc, active(3000.0, 30.0))
    seen = []
    while not math.isinf(due_s := lpc.due_s()):
        clock.s = due_s
        assert lpc.due_s() == due_s  # until it is attended to
        lpc.attend()
        seen.append((round(due_s - 1000.0, 3), str(lpc.view().state)))
    assert seen == [
        (30.0, "UnlimitedControlled"),
        (120.0, "Failsafe"),
        (7320.0, "UnlimitedAutonomous"),
    ]


async def test_what_is_seen() -> None:
    """The issue's item 8: state, limit, time left, heartbeat age, peer, last transition, counters, and the tri-state."""
    clock = HandClock(1_700_000_000.0)
    lpc, _, _ = make(clock=clock)
    await lpc.start()
    beat(lpc)
    receive(lpc, active(3000.0, 600.0))
    later(lpc, clock, 100.0)
    view = lpc.view()
    assert (view.state, view.statement, view.limit_w, view.time_left_s) == ("Limited", Statement.LIMITED, 3000.0, 500.0)
    assert (view.limit_until_utc_s, view.heartbeat_age_s, view.bound_ski) == (1_700_000_600.0, 100.0, SKI)
    assert view.last is not None
    assert (view.last.at_utc_s, view.last.before, view.last.after) == (1_700_000_000.0, "Init", "Limited")
    assert view.last.reason == "an active limit [LPC-904]"
    assert (view.counters["transitions"], view.counters["publications"], view.counters["heartbeats"]) == (1, 2, 1)
    receive(lpc, INACTIVE)
    assert lpc.view().statement is Statement.UNLIMITED
    later(lpc, clock, 300.0)
    assert lpc.view().statement is Statement.NONE


async def test_kept_durations_outside_the_bounds_of_today_are_left() -> None:
    """A trial's short duration does not outlive the trial's configuration."""
    lpc, _, _ = make(clock=HandClock(), ram=Ram(Kept(failsafe_duration_s=5.0)))
    await lpc.start()
    assert lpc.view().failsafe_duration_s == 7200.0
    lpc, _, _ = make({"profile": "seed"}, clock=HandClock(), ram=Ram(Kept(failsafe_duration_s=5.0)))
    await lpc.start()
    assert lpc.view().failsafe_duration_s == 5.0


async def test_production() -> None:
    """LPP: written limits are <= 0 W, what is in force is a magnitude that discharging may not exceed."""
    lpc, book, _ = make(clock=HandClock(), use_case=LPP)
    await lpc.start()
    beat(lpc)
    receive(lpc, active(-5000.0))
    assert book.limit_w == 5000.0
    receive(lpc, active(5000.0))
    assert (book.limit_w, lpc.counters["limits_refused"]) == (5000.0, 1)
    view = lpc.view()
    assert (view.use_case, view.direction) == ("LPP", "discharge")
    assert view.last is not None
    assert view.last.reason == "an active limit [LPP-904]"
    limit, failsafe_w, _ = lpc.values()
    assert (limit.value_w, limit.active, failsafe_w) == (-5000.0, True, 4200.0)
    assert not lpc.decide(SKI, active(1.0)).approve
