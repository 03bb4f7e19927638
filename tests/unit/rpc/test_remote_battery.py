"""The networked battery, without a network."""

import math
from typing import Any

import pytest

from bosd.bal.cap import Unreached
from bosd.bal.dispatch import plan
from bosd.bal.facts import Facts
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import BatteryStatus, Link, Quality, SetpointSource
from bosd.errors import BatteryInUseError, ClaimedError, CycleError, DriverError, UnavailableError
from bosd.node.doubt import answer, with_doubt
from bosd.rpc.client import LinkTimers
from bosd.rpc.remote_battery import RemoteBattery
from bosd.v1 import battery_pb2 as pb

HALF_RTT_S = 0.001


class _Wire:
    """The link of a stub: records what is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.may_run_a: float | None = None
        self.applied_a: float | None = None
        self.held_by = ""
        self.beside: dict[str, str] = {}
        self.in_use = False
        self.now_s = 0.0
        self.unread = False
        self.full = False
        self.noted: list[tuple[str, float | None]] = []
        self.tells_unreached = True
        self.within_s = 0.0

    def left_running_s(self) -> float | None:
        """Return nothing: no earlier run asked for anything."""
        return None

    async def note_running(self, safe_within_s: float | None, *, waits: bool) -> bool:
        """Keep it, on a disk that may be full, or some time."""
        if waits and self.full:
            raise UnavailableError("no space left on device")
        self.noted.append(("on the disk" if waits else "soon", safe_within_s))
        return waits

    def forget_running(self) -> None:
        """Keep nothing."""

    def owner_run(self) -> str:
        return "run"

    def session_now_s(self) -> float:
        return self.now_s

    async def set_current(self, current_a: float, ttl_s: float | None, within_s: float) -> pb.SetCurrentResponse:
        self.within_s = within_s
        self.asked.append((current_a, ttl_s))
        self._refuse()
        applied_a = current_a if self.applied_a is None else self.applied_a
        may_run_a = current_a if self.may_run_a is None else self.may_run_a
        reason = "" if applied_a == current_a else "clamped to the discharge limit 0 W of node:house"
        return pb.SetCurrentResponse(may_run_a=may_run_a, applied_current_a=applied_a, reason=reason)

    async def clear(self, within_s: float) -> pb.SetCurrentResponse:
        self.within_s = within_s
        self.asked.append(("clear",))
        self._refuse()
        return pb.SetCurrentResponse(may_run_a=self.may_run_a or 0.0, unread=self.unread)

    def _refuse(self) -> None:
        if self.in_use:
            raise BatteryInUseError("agg is a source of all; command what rests on it")
        if self.held_by:
            raise ClaimedError(f"agg follows {self.held_by}", holder=self.held_by, **self.beside)

    def close(self) -> None:
        self.asked.append(("close",))


class _Pool:
    """A pool of one link."""

    node = "here"
    timers = LinkTimers()

    def __init__(self) -> None:
        self.wire = _Wire()
        self.attached: tuple[object, ...] = ()

    def attach(self, target: str, remote_name: str, sink: Any, *, max_staleness_s: float = 0.0) -> _Wire:
        self.attached = (target, remote_name, max_staleness_s)
        sink.on_link(Link.CONNECTING, "connecting to far:1")
        return self.wire


def make(**spec: float) -> tuple[RemoteBattery, _Pool]:
    """Return a stub named `stub` of battery `agg` at far:1."""
    pool = _Pool()
    return RemoteBattery(NetworkSpec(name="stub", target="far:1", remote_name="agg", **spec), pool), pool  # type: ignore[arg-type]


def remote(**fields: Any) -> BatteryStatus:
    """Return what the remote says, sampled at 100 s."""
    values: dict[str, Any] = {
        "voltage_v": 13.0,
        "current_a": 2.0,
        "charge_ah": 50.0,
        "capacity_ah": 100.0,
        "max_discharge_current_a": 40.0,
        "max_charge_current_a": 20.0,
        "ideal_max_discharge_current_a": 45.0,
        "usable_charge_ah": 50.0,
        "sampled_from_s": 100.0,
        "sampled_to_s": 100.0,
        "sampled_from": 5.0,
        "sampled_to": 6.0,
        "quality": Quality.GOOD,
        "commandable": True,
        "controllable": True,
        "setpoint_source": SetpointSource.SAFE,
        "max_staleness_s": 3.0,
    }
    return BatteryStatus(name="agg", kind="aggregator", **{**values, **fields})


def ready(stub: RemoteBattery, **fields: Any) -> None:
    """Let the remote be heard."""
    stub.on_link(Link.READY, "")
    stub.on_status(remote(**fields), HALF_RTT_S)


def test_before_the_first_status() -> None:
    """Never sampled is UNAVAILABLE with null values, the link's state as the reason."""
    stub, pool = make(max_staleness_s=0.6)
    status = stub.status(0.0)
    assert (status.quality, status.link, status.voltage_v, status.max_discharge_current_a) == (
        Quality.UNAVAILABLE,
        Link.CONNECTING,
        None,
        0.0,
    )
    assert "connecting to far:1" in status.reason
    assert pool.attached == ("far:1", "agg", 0.6)


def test_it_says_what_the_remote_says() -> None:
    """Values and sample times are the remote's, name and kind its own."""
    stub, _ = make()
    ready(stub)
    status = stub.status(100.5)
    assert (status.name, status.kind, status.voltage_v, status.current_a) == ("stub", "network", 13.0, 2.0)
    assert (status.sampled_from, status.sampled_to, status.age_s(100.5)) == (5.0, 6.0, 0.5)
    assert (status.max_discharge_current_a, status.max_charge_current_a, status.commandable) == (40.0, 20.0, True)
    assert (status.path, status.hops) == (("here/stub",), 1)


def test_quality_is_age_by_the_announced_staleness_plus_one_second() -> None:
    """3 s announced: GOOD to 4 s, STALE to 12 s, then UNAVAILABLE with the last charge and no current (control.md)."""
    stub, _ = make()
    ready(stub)
    assert [stub.status(100.0 + age_s).quality for age_s in (3.9, 4.1, 11.9, 12.1)] == [
        Quality.GOOD,
        Quality.STALE,
        Quality.STALE,
        Quality.UNAVAILABLE,
    ]
    gone = stub.status(112.1)
    assert (gone.voltage_v, gone.charge_ah, gone.current_a, gone.usable_charge_ah) == (13.0, 50.0, None, 0.0)
    assert (gone.max_discharge_current_a, gone.ideal_max_discharge_current_a) == (0.0, 45.0)


def test_a_remote_that_never_ages_still_gets_lost() -> None:
    """A pseudo battery announces no staleness: the least one, 1.5 s, plus 1 s counts."""
    stub, _ = make()
    ready(stub, max_staleness_s=math.inf)
    assert (stub.status(102.4).quality, stub.status(102.6).quality) == (Quality.GOOD, Quality.STALE)


def test_configured_ages_win() -> None:
    """max_staleness_s and unavailable_after_s of the stub itself."""
    stub, _ = make(max_staleness_s=1.0, unavailable_after_s=2.0)
    ready(stub)
    assert [stub.status(100.0 + age_s).quality for age_s in (0.9, 1.1, 2.1)] == list(Quality)


def test_never_better_than_the_remote() -> None:
    """What the remote calls STALE does not become GOOD by a hop."""
    stub, _ = make()
    ready(stub, quality=Quality.STALE)
    assert stub.status(100.1).quality is Quality.STALE


def test_local_reads_compute_once() -> None:
    """Reads between two messages return the same value; time alone changes it at its end of validity."""
    stub, _ = make()
    ready(stub)
    assert stub.status(100.1) is stub.status(103.9)
    assert stub.status(103.9).valid_until_s == 104.0


def test_a_lost_link_takes_the_limits_not_the_values() -> None:
    """What cannot be asked has limit 0; the number one must see does not vanish."""
    stub, _ = make()
    ready(stub)
    stub.on_link(Link.LOST, "far:1 is silent")
    status = stub.status(101.0)
    assert (status.quality, status.voltage_v, status.commandable, status.max_discharge_current_a) == (
        Quality.GOOD,
        13.0,
        False,
        0.0,
    )
    assert status.link is Link.LOST
    counted = 'counted at 2 A until contact, or "bosctl fleet assume-safe far:1" at here: it holds what it was told'
    assert status.reason == f"{counted}; far:1 is silent"


def test_mirrors_the_remotes_set_point_until_one_is_asked_here() -> None:
    """A free stub shows what is in force at the owner."""
    stub, _ = make()
    ready(stub, requested_current_a=7.0, applied_current_a=6.0, setpoint_source=SetpointSource.MANUAL, setpoint_ends_s=130.0)
    status = stub.status(100.1)
    assert (status.requested_current_a, status.applied_current_a, status.setpoint_source, status.setpoint_ends_s) == (
        7.0,
        6.0,
        SetpointSource.MANUAL,
        130.0,
    )


def test_finds_itself_in_the_path() -> None:
    """A stub that rests on itself is UNAVAILABLE with reason CYCLE and no values."""
    stub, _ = make()
    ready(stub, path=("there/back", "here/stub"), hops=2)
    status = stub.status(100.1)
    assert (status.quality, status.voltage_v, status.max_discharge_current_a) == (Quality.UNAVAILABLE, None, 0.0)
    assert status.reason.startswith("CYCLE")
    assert status.path == ("here/stub", "there/back")


def test_a_cycle_does_not_echo() -> None:
    """Two nodes in a cycle do not wake each other for ever: the same path again is no news, a way out is."""
    stub, _ = make()
    ready(stub, path=("there/back", "here/stub"))
    first = stub.status(100.1)
    stub.on_status(remote(path=("there/back", "here/stub"), voltage_v=14.0, hops=9), HALF_RTT_S)
    assert stub.status(100.2) is first
    stub.on_status(remote(path=("there/back",)), HALF_RTT_S)
    assert stub.status(100.3).quality is Quality.GOOD


@pytest.mark.parametrize(("tells", "hops", "words"), [(True, 1, ""), (False, 0, ""), (False, 1, "does not tell")])
def test_a_node_of_another_version_may_reach_nothing_behind_it(*, tells: bool, hops: int, words: str) -> None:
    """Statuses without a word of it mean that all is reached, where the node tells, or has nothing behind it."""
    stub, pool = make()
    pool.wire.tells_unreached = tells
    ready(stub, hops=hops, path=("there/agg",))
    for discharging in (False, True):
        told = stub.unreached_behind(discharging=discharging)
        assert (told is not None) is bool(words)
        assert words in (told.why if told is not None else "")


def test_what_is_not_reached_behind_its_owner_is_not_the_stubs_own() -> None:
    """What the owner says of it is read at the stub, and is no word of this node about its battery; nor in a cycle."""
    stub, _ = make()
    behind = Unreached(aside_w=480.0, aside_a=10.0, why="far is not heard", within_s=9.0)
    ready(stub, unreached_charge=behind)
    assert stub.unreached_behind(discharging=False) == behind
    assert stub.unreached_behind(discharging=True) is None
    assert stub.status(100.0).unreached_charge is None
    stub.on_status(remote(path=("there/back", "here/stub"), unreached_charge=behind), HALF_RTT_S)
    assert stub.unreached_behind(discharging=False) is None


@pytest.mark.parametrize(("hops", "quality"), [(15, Quality.GOOD), (16, Quality.UNAVAILABLE)])
def test_at_most_sixteen_hops(hops: int, quality: Quality) -> None:
    """bal.md, "The topology": a path of at most 16 nodes."""
    stub, _ = make()
    ready(stub, hops=hops, path=tuple(f"n{hop}/s" for hop in range(hops)))
    assert stub.status(100.1).quality is quality


async def test_commands_pass_what_remains() -> None:
    """A set point travels with its remaining life; 0 A without an end gives it back."""
    stub, pool = make()
    ready(stub)
    await stub.command(-3.0, 12.5)
    await stub.command(0.0, None)
    stub.close()
    assert pool.wire.asked == [(-3.0, 12.5), ("clear",), ("close",)]


async def test_what_lowers_does_not_wait_for_the_disk() -> None:
    """A raise is noted on the disk before it is sent, and refused where it cannot be; what lowers is noted some time."""
    stub, pool = make()
    stub.on_link(Link.READY, "")
    stub.on_status(remote(), HALF_RTT_S)
    wire = pool.wire
    for current_a, waits in ((10.0, True), (5.0, False)):
        assert await stub.note(current_a) is waits
        await stub.command(current_a, 60.0)
        stub.settled(current_a, 100.0)
    assert wire.noted == [("on the disk", None), ("soon", None)]
    wire.full = True
    for refused_a in (6.0, -1.0):
        with pytest.raises(UnavailableError, match="no space left"):
            await stub.note(refused_a)
    for current_a in (4.0, 0.0):
        assert not await stub.note(current_a)
        await stub.command(current_a, 60.0)
    assert [current_a for current_a, _ in wire.asked] == [10.0, 5.0, 4.0, 0.0]


@pytest.mark.parametrize(
    ("announced_s", "waited_s"), [(0.0, 5.0), (2.0, 5.0), (8.0, 8.0), (1e9, 30.0), (math.inf, 30.0), (math.nan, 5.0), (-1.0, 5.0)]
)
async def test_an_owner_is_given_the_time_that_its_devices_take(announced_s: float, waited_s: float) -> None:
    """5 s (battery.py, `command_deadline_s`), or what the owner announced (control.md: failsafe_time_s): a gate may take 8 s."""
    stub, pool = make()
    ready(stub)
    stub.on_snapshot(None, Facts(failsafe_time_s=announced_s))
    await stub.command(1.0, 60.0)
    assert (stub.command_deadline_s, pool.wire.within_s) == (waited_s, waited_s)
    await stub.command(0.0, None)
    assert pool.wire.within_s == waited_s


async def test_no_command_where_none_may_arrive() -> None:
    """Not through a lost link, not into a cycle."""
    stub, pool = make()
    with pytest.raises(UnavailableError, match="connecting"):
        await stub.command(1.0, 5.0)
    ready(stub, path=("here/stub",))
    with pytest.raises(CycleError):
        await stub.command(1.0, 5.0)
    assert pool.wire.asked == []


async def test_a_set_point_is_given_back_from_within_a_cycle() -> None:
    """What was asked before an edit closed the circle can be ended."""
    stub, pool = make()
    ready(stub, path=("here/stub",))
    await stub.command(0.0, 5.0)
    assert pool.wire.asked == [("clear",)]


async def test_what_the_remote_cannot_confirm_counts() -> None:
    """Asked for 5 A, the remote's members may still run 12 A: that counts, and is asked again after a pause."""
    stub, pool = make()
    ready(stub)
    pool.wire.may_run_a = 12.0
    await stub.command(5.0, 60.0)
    stub.settled(5.0, 100.0)
    assert (stub.applied_a, stub.counts_at_a, stub.failed_s) == (5.0, 12.0, 100.0)
    pool.wire.may_run_a = None
    await stub.command(5.0, 60.0)
    stub.settled(5.0, 101.0)
    assert stub.counts_at_a == 5.0


def test_a_session_without_a_status_is_no_contact() -> None:
    """Its Watch is silent, its session agrees: lost again for the same reason, it counts, and a person may say it is safe."""
    stub, _ = make()
    ready(stub)
    stub.settled(5.0, 100.0)
    stub.on_link(Link.LOST, "far:1 is silent")
    assert stub.on_snapshot(5.0, Facts())
    stub.on_link(Link.LOST, "far:1 is silent")
    assert stub.counts_at_a == 5.0
    assert stub.assume_safe()
    assert stub.counts_at_a == 0.0


async def test_what_is_in_use_there_runs_nothing_of_this_node() -> None:
    """An answer was lost; the owner refuses to give back what it commands by itself, and for ever: 5 A count no more."""
    stub, pool = make()
    ready(stub)
    stub.lost_answer(5.0)
    pool.wire.in_use = True
    with pytest.raises(BatteryInUseError):
        await stub.command(5.0, 60.0)
    assert stub.counts_at_a == 5.0
    await stub.command(0.0, None)
    stub.settled(0.0, 101.0)
    assert stub.counts_at_a == 0.0


async def test_an_owner_that_cannot_know_confirms_nothing() -> None:
    """It was started anew and has not heard its device, which was told 9 A before: 9 A count on, whatever it says."""
    stub, pool = make()
    ready(stub)
    stub.settled(9.0, 100.0)
    pool.wire.unread = True
    await stub.command(0.0, None)
    stub.settled(0.0, 101.0)
    assert stub.counts_at_a == 9.0


def test_unread_until_its_owner_has_spoken() -> None:
    """An earlier run of this node may have commanded it: 1 + 3 + 0.03 s of session and 5 s to tell it (control.md)."""
    stub, pool = make()
    pool.wire.now_s = 9.02
    assert stub.is_unread(0.0)
    stub.on_snapshot(None, Facts(unread=True))
    assert stub.is_unread(0.0)
    stub.on_snapshot(None, Facts())
    assert not stub.is_unread(0.0)
    other, pool = make()
    pool.wire.now_s = 9.04
    assert not other.is_unread(0.0)


async def test_an_answer_with_nonsense_confirms_nothing() -> None:
    """What may run at most is no number: it would be in no sum, and above no limit."""
    stub, pool = make()
    ready(stub)
    for nonsense_a in (math.nan, math.inf):
        pool.wire.may_run_a = nonsense_a
        with pytest.raises(DriverError, match="far:1 sent nonsense: may_run_a"):
            await stub.command(5.0, 10.0)


def test_a_snapshot_tells_what_may_run_without_a_claim() -> None:
    """Its owner found 7 A running that nobody asked for: they count here too, and are not gone on with."""
    stub, _ = make()
    ready(stub)
    assert not stub.on_snapshot(None, Facts(unconfirmed_a=7.0))
    assert stub.counts_at_a == 7.0


async def test_a_claim_that_was_taken_is_not_fought_for() -> None:
    """It runs nothing of this node's, says who took it, may not be told anything, and is free of that once asked for anew."""
    stub, pool = make()
    ready(stub)
    await stub.command(10.0, 60.0)
    stub.settled(10.0, 100.0)
    pool.wire.asked.clear()
    assert not stub.on_snapshot(None, Facts(safe_within_s=4.0, taken_by="ann"))
    status = stub.status(100.0)
    assert (stub.counts_at_a, stub.unconfirmed_a, status.commandable) == (0.0, None, False)
    assert (status.max_discharge_current_a, status.max_charge_current_a) == (0.0, 0.0)
    assert status.reason.startswith("CLAIMED: ann took it at its node")
    assert not stub.on_snapshot(None, Facts(safe_within_s=4.0))  # the owner says it once
    assert not stub.status(100.0).commandable
    stub.ask_anew()
    status = stub.status(100.0)
    assert (status.commandable, status.reason, status.max_discharge_current_a) == (True, "", 40.0)
    assert pool.wire.asked == []


async def test_what_was_taken_is_asked_again_once_it_is_free() -> None:
    """Its owner shows somebody's set point, or none for a moment; after a while without one it is free."""
    stub, _ = make()
    looks: list[float] = []
    stub.look_again = lambda: looks.append(now_s)
    ready(stub)
    stub.on_snapshot(None, Facts(safe_within_s=4.0, taken_by="ann"))
    stub.on_link(Link.READY, "")
    await stub.command(10.0, 60.0)
    stub.settled(10.0, 100.0)
    now_s = 100.0
    stub.on_snapshot(None, Facts(safe_within_s=4.0, taken_by="ann"))
    looks.clear()
    free_for_s = LinkTimers().session.stale_s
    for source, now_s, free in (
        (SetpointSource.SAFE, 100.0, False),
        (SetpointSource.MANUAL, 100.1, False),
        (SetpointSource.SAFE, 110.0, False),
        (SetpointSource.SAFE, 110.0 + free_for_s - 0.1, False),
        (SetpointSource.SAFE, 110.0 + free_for_s, True),
    ):
        stub.on_status(remote(sampled_from_s=now_s, setpoint_source=source), HALF_RTT_S)
        status = stub.status(now_s)
        assert (status.commandable, status.reason.startswith("CLAIMED")) == (free, not free), now_s
        assert free or status.valid_until_s <= 110.0 + free_for_s or source is SetpointSource.MANUAL
    assert looks == [110.0 + free_for_s]


async def test_what_this_node_does_not_run_is_not_taken_from_it() -> None:
    """A node that was started anew, or had let go, hears of it and has nothing to lose."""
    stub, _ = make()
    ready(stub)
    stub.on_snapshot(None, Facts(taken_by="ann"))
    assert (stub.status(100.0).commandable, stub.status(100.0).reason) == (True, "")


async def test_what_another_one_holds_is_refused_once() -> None:
    """The refusal goes to the asker; afterwards nothing is told by itself, and giving back is done, as nothing is held."""
    stub, pool = make()
    ready(stub)
    pool.wire.held_by = "ann"
    with pytest.raises(ClaimedError):
        await stub.command(10.0, 60.0)
    assert stub.status(100.0).reason.startswith("CLAIMED: ann")
    await stub.command(0.0, None)
    stub.settled(0.0, 100.0)
    assert stub.counts_at_a == 0.0
    stub.ask_anew()
    with pytest.raises(ClaimedError):
        await stub.command(0.0, 60.0)  # 0 A for a time is asked for as any current is


@pytest.mark.parametrize(("may_run_a", "counted_a"), [("4.0", 4.0), ("inf", 10.0), ("nan", 10.0), ("much", 10.0), ("-4.0", 0.0)])
async def test_what_a_taken_claim_left_running_is_a_number(may_run_a: str, counted_a: float) -> None:
    """Of the 10 A that were asked 4 A are left; where the owner says nonsense all of them count, and no sum is infinite."""
    stub, pool = make()
    ready(stub)
    await stub.command(10.0, 60.0)
    stub.settled(10.0, 100.0)
    pool.wire.held_by, pool.wire.beside = "ann", {"may_run_a": may_run_a}
    with pytest.raises(ClaimedError):
        await stub.command(10.0, 60.0)
    assert stub.counts_at_a == counted_a


@pytest.mark.parametrize(("holder", "free"), [("", True), ("node:here", True), ("node:there", False), ("user:ann", False)])
async def test_what_somebody_else_holds_may_not_be_asked(holder: str, *, free: bool) -> None:
    """Commandable follows from the claim, too, and is no with both limits 0 (control.md, "Quality, link and commandability")."""
    stub, pool = make()
    ready(stub)
    stub.on_status(remote(holder=holder), HALF_RTT_S)
    status = stub.status(100.0)
    assert (status.commandable, status.max_discharge_current_a, status.max_charge_current_a) == (
        (True, 40.0, 20.0) if free else (False, 0.0, 0.0)
    )
    assert status.reason == ("" if free else f"CLAIMED: {holder} holds it at its node")
    assert status.holder == ("" if free else holder)
    stub.on_status(remote(), HALF_RTT_S)
    assert stub.status(100.0).commandable
    assert pool.wire.asked == []


async def test_whether_it_is_free_is_for_its_owner_to_say() -> None:
    """A status may be older than the end of what it tells of: who asks hears from the owner, what runs here is judged by that."""
    stub, _ = make()
    ready(stub)
    stub.on_status(remote(holder="user:ann"), HALF_RTT_S)
    stub.ask_anew()  # of what rests on it: the next status will do
    assert not stub.status(100.0).commandable
    stub.ask_anew(by_itself=True)
    assert stub.status(100.0).commandable
    stub.on_status(remote(holder="user:ann"), HALF_RTT_S)
    assert not stub.status(100.0).commandable
    stub.ask_anew(by_itself=True)
    await stub.command(10.0, 60.0)
    stub.settled(10.0, 100.0)
    stub.on_status(remote(holder="user:ann"), HALF_RTT_S)  # sent before the owner heard of this node's
    assert (stub.status(100.0).commandable, stub.status(100.0).max_discharge_current_a) == (True, 40.0)


async def test_what_its_owner_clamps_is_said_with_the_answer() -> None:
    """By a part of another node's limit, of which only the owner knows: nobody reads 12 A where 0 A flow."""
    stub, pool = make()
    ready(stub)
    pool.wire.applied_a = 0.0
    await stub.command(12.0, 60.0)
    stub.settled(12.0, 1.0)
    ready(stub, requested_current_a=12.0, applied_current_a=0.0)
    clamped = "stub: +0 A of +12 A in force at far:1: clamped to the discharge limit 0 W of node:house"
    assert clamped in with_doubt(answer(stub, 12.0, 60.0, plan({stub: 12.0}, 1.0)), stub, 1.0).reason
    ready(stub, requested_current_a=12.0, applied_current_a=12.0)
    assert "in force at" not in with_doubt(answer(stub, 12.0, 60.0, plan({stub: 12.0}, 1.0)), stub, 1.0).reason
