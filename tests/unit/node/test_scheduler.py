"""Bookings on a running node, in virtual time: through set points, stops, edits, restarts and steps of the clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from bosd.bal.cap import Grant
from bosd.bal.explain import Explanation
from bosd.bal.schedule import Moment
from bosd.bal.spec import AggregatorSpec, NetworkSpec, NullSpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.bal.status import BatteryStatus, SetpointSource
from bosd.config.topology_toml import format_topology
from bosd.errors import (
    BadNameError,
    BatteryInUseError,
    CurrentOutOfRangeError,
    InvalidArgumentError,
    NoResourcesError,
    NotAllowedError,
    StoreError,
    UnavailableError,
)
from bosd.node import scheduler
from bosd.node.api import BookingView, BookResult, Edit, StopResult
from bosd.node.clock_trust import ClockTrust
from bosd.node.links import NetworkLeaf
from bosd.node.node import Node
from bosd.store.store import Store
from tests.support.holding import hold
from tests.support.memory_store import MemoryStore
from tests.support.wall_clock import UTC_AT_ZERO_S, WallClock

pytestmark = pytest.mark.jumping

HOUR_S = 3600.0
SETTLED_S = 0.3
"""After an edge: the controller looks after at most 50 ms."""


def pseudo(name: str, limit_a: float = 400.0, **fields: object) -> PseudoSpec:
    """Return a pseudo battery that is half full."""
    values: dict[str, object] = {
        "voltage_v": 48.0,
        "charge_ah": 5000.0,
        "capacity_ah": 10000.0,
        "max_discharge_current_a": limit_a,
        "max_charge_current_a": limit_a,
        **fields,
    }
    return PseudoSpec(name=name, **values)  # type: ignore[arg-type]


def parts(*names: str) -> SplitterSpec:
    """Split battery b evenly."""
    fractions = tuple(PartitionSpec(name=name, fraction=1 / len(names)) for name in names)
    return SplitterSpec(name="sp", policy="proportional", source="b", partitions=fractions)


class Home:
    """A node over a store in memory; times are hours since its clocks were at 0."""

    def __init__(self, clock: WallClock, store: MemoryStore, *, trust_clock: bool = False) -> None:
        self.clock = clock
        self.store = store
        self.node = Node(
            name="n1",
            clock=clock,
            store=cast(Store, store),
            make_remote=Stub,
            default_ttl_s=60.0,
            longest_ttl_s=3600.0,
            trust=ClockTrust(clock.is_synchronised, overridden=trust_clock),
        )

    async def book(self, current_a: float, start_h: float, end_h: float, name: str = "b", **options: str) -> BookResult:
        """Book by the wall clock as it was at the beginning."""
        start, end = (Moment(utc_s=UTC_AT_ZERO_S + hours * HOUR_S) for hours in (start_h, end_h))
        return await self.node.book(name, current_a, start, end, **{"holder": "h", **options})

    async def at(self, hours: float) -> None:
        """Wait until so many hours have passed, and what begins then has settled."""
        await asyncio.sleep(hours * HOUR_S + SETTLED_S - self.clock.now_s())

    def applied(self, name: str = "b") -> float:
        return self.node.directory[name].applied_a

    def reason(self, name: str = "b") -> str:
        return self.node.status(name).reason


class Stub(NetworkLeaf):
    """A stub that notes what it is asked to book, and answers as its owner would."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.asked: list[object] = []

    def _compute(self, now_s: float) -> BatteryStatus:
        return BatteryStatus(name=self.name, kind=self.kind)

    def close(self) -> None:
        """Hold nothing."""

    @property
    def until_contact(self) -> str:
        return "until contact"

    async def book(self, current_a: float, start: Moment, end: Moment, *, request_id: str = "") -> BookResult:
        self.asked.append((current_a, start, end, request_id))
        return BookResult(booking=VIEW, survives="node far", lower_a=-1.0, upper_a=1.0)

    async def bookings(self) -> tuple[BookingView, ...]:
        return (VIEW,)

    async def cancel_booking(self, booking_id: str) -> BookingView:
        self.asked.append(booking_id)
        return VIEW

    async def command(self, current_a: float, ttl_s: float | None) -> None:
        raise UnavailableError(f"{self.name}: its owner takes bookings alone", asked_a=current_a, ttl_s=ttl_s)

    async def note_moved(self, spec: NetworkSpec) -> Callable[[], None]:
        """Nothing runs there."""
        return lambda: None

    def assume_safe(self) -> bool:
        return False

    def ask_anew(self, *, by_itself: bool = False) -> None:
        """Nothing was taken."""

    async def explain(self, within_s: float) -> Explanation:
        raise UnavailableError(f"{self.name}: its owner takes bookings alone", within_s=within_s)

    async def stop(self, reason: str, via: Sequence[str], within_s: float) -> StopResult:
        raise UnavailableError(f"{self.name}: its owner takes bookings alone", why=reason, via=via, within_s=within_s)

    async def release(self, via: Sequence[str], within_s: float) -> None:
        raise UnavailableError(f"{self.name}: its owner takes bookings alone", via=via, within_s=within_s)

    async def refresh(self, *, recursive: bool) -> None:
        raise UnavailableError(f"{self.name}: its owner takes bookings alone", recursive=recursive)

    async def granted(self) -> Mapping[str, Sequence[Grant]]:
        raise AssertionError

    async def grant(self, grant: Grant) -> None:
        raise UnavailableError(f"{self.name}: its owner takes bookings alone", grant=grant)


VIEW = BookingView(
    booking_id="7",
    name="there",
    current_a=1.0,
    start_utc_s=1.0,
    end_utc_s=2.0,
    who="node:n1",
    booked_utc_s=0.0,
    running=False,
    in_force=((1.0, 2.0),),
)


@asynccontextmanager
async def home(
    *specs: object, clock: WallClock | None = None, store: MemoryStore | None = None, trust_clock: bool = False
) -> AsyncIterator[Home]:
    """Run a node with battery b (400 A both ways) or with `specs`."""
    made = Home(clock or WallClock(), store or MemoryStore(), trust_clock=trust_clock)
    batteries = tuple(spec for spec in specs if not isinstance(spec, SplitterSpec)) or (pseudo("b"),)
    splitters = tuple(spec for spec in specs if isinstance(spec, SplitterSpec))
    await made.node.load(Topology(batteries=batteries, splitters=splitters))  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(hold(made.node), name="node")
        await asyncio.sleep(0)
        yield made
        task.cancel()


ROWS = [
    ((200, 1, 3), (300, 2, 4), [0, 200, 300, 300, 0]),
    ((200, 1, 4), (300, 2, 3), [0, 200, 300, 200, 0]),
    ((200, 2, 4), (300, 1, 3), [0, 300, 300, 200, 0]),
    ((200, 1, 2), (300, 2, 3), [0, 200, 300, 0, 0]),
]


@pytest.mark.parametrize(("first", "then", "expected"), ROWS)
async def test_rows_of_the_table(
    first: tuple[float, float, float], then: tuple[float, float, float], expected: list[float]
) -> None:
    """bal.md, "Schedules", each unit an hour: what is applied at the beginning of each hour."""
    async with home() as live:
        await live.book(*first)
        await live.book(*then)
        found = []
        for hour in range(5):
            await live.at(hour)
            found.append(live.applied())
        assert found == expected


async def test_fifth_row_and_its_charge() -> None:
    """100 A runs since 0, 200 A is booked at 2 for [2, 4), then 100 A again: 100 * 2 + 200 * 2 + 100 * 1 = 700 Ah."""
    async with home() as live:
        await live.book(100, 0, 5)
        await live.at(2)
        assert live.applied() == 100
        await live.node.book("b", 200, Moment(), Moment(in_s=2 * HOUR_S - SETTLED_S), holder="h")
        await asyncio.sleep(SETTLED_S)
        assert live.applied() == 200
        await live.at(4)
        assert live.applied() == 100
        await live.at(5)
        status = live.node.status("b")
        assert (status.applied_current_a, status.setpoint_source) == (0.0, SetpointSource.SAFE)
        assert status.charge_ah == pytest.approx(5000 - 700, abs=0.1)  # edges are met within 1 s: 0.3 s at 200 A are 0.02 Ah


async def test_status_of_a_booking() -> None:
    """Source, request and end are the booking's; the answer says what it was checked against and what it survives."""
    async with home() as live:
        result = await live.book(-50, 1, 2)
        assert (result.survives, result.lower_a, result.upper_a, result.warnings) == ("node n1", -400.0, 400.0, ())
        assert result.booking.in_force == ((UTC_AT_ZERO_S + HOUR_S, UTC_AT_ZERO_S + 2 * HOUR_S),)
        await live.at(1)
        status = live.node.status("b")
        assert (status.requested_current_a, status.applied_current_a) == (-50.0, -50.0)
        assert status.setpoint_source is SetpointSource.SCHEDULE
        assert status.setpoint_ends_s == pytest.approx(2 * HOUR_S)
        assert [view.running for view in await live.node.bookings("b")] == [True]


async def test_a_set_point_is_above_a_booking() -> None:
    """While it lives the set point is in force; then the booking again, then the safe value."""
    async with home() as live:
        await live.book(100, 0, 1)
        await asyncio.sleep(SETTLED_S)
        await live.node.set_current("b", 20, ttl_s=600.0, holder="h")
        assert live.applied() == 20
        assert live.node.status("b").setpoint_source is SetpointSource.MANUAL
        await asyncio.sleep(600.0 + SETTLED_S)
        assert live.applied() == 100
        await live.node.set_current("b", 30, ttl_s=600.0, holder="h")
        assert (await live.node.clear_current("b", holder="h")).applied_current_a == 100
        await live.at(1)
        assert live.applied() == 0


async def test_a_booking_begins_and_ends_under_a_set_point() -> None:
    """A set point that outlives a booking leads to the safe value."""
    async with home() as live:
        await live.node.set_current("b", 20, ttl_s=1800.0, holder="h")
        await live.book(100, 0.1, 0.2)
        await live.at(0.15)
        assert live.applied() == 20
        await live.at(0.5)
        assert live.applied() == 0


async def test_cancelling_what_runs() -> None:
    """The one below is in force at once; cancelling that too leads to the safe value. What is gone cannot be cancelled."""
    async with home() as live:
        await live.book(100, 0, 5)
        upper = await live.book(200, 0, 5)
        await asyncio.sleep(SETTLED_S)
        assert live.applied() == 200
        assert (await live.node.cancel_booking(upper.booking.booking_id, holder="h")).current_a == 200
        await asyncio.sleep(SETTLED_S)
        assert live.applied() == 100
        await live.node.cancel_booking("1", holder="h")
        await asyncio.sleep(SETTLED_S)
        assert live.applied() == 0
        assert await live.node.bookings() == ()
        with pytest.raises(BadNameError):
            await live.node.cancel_booking("1", holder="h")


async def test_a_stop_is_above_a_booking() -> None:
    """0 A while stopped, whatever is booked; after the release the booking is in force again."""
    async with home() as live:
        await live.book(100, 0, 5)
        await asyncio.sleep(SETTLED_S)
        await live.node.stop(["b"], holder="h")
        assert live.applied() == 0
        assert "stopped" in (await live.book(10, 6, 7)).warnings[0]
        await live.node.release(["b"], holder="h")
        await asyncio.sleep(SETTLED_S)
        assert live.applied() == 100


async def test_partitions_add_up() -> None:
    """30 A out of one and 10 A into the other are 20 A of the source."""
    async with home(pseudo("b"), parts("p", "q")) as live:
        await live.book(30, 1, 3, "p")
        await live.book(-10, 2, 3, "q")
        await live.at(1)
        assert live.applied() == 30
        await live.at(2)
        assert (live.applied("p"), live.applied("q"), live.applied()) == (30, -10, 20)
        await live.at(3)
        assert live.applied() == 0


async def test_an_empty_partition_clamps_its_booking() -> None:
    """Half of 10 Ah at 10 A lasts half an hour: then 0 A, and again 10 A when there is charge again (of 80 Ah q holds 50)."""
    async with home(pseudo("b", 40.0, charge_ah=10.0, capacity_ah=100.0), parts("p", "q")) as live:
        await live.book(10, 0, 2, "p")
        await live.at(0.49)
        assert live.applied("p") == 10
        await live.at(0.51)
        assert (live.applied("p"), live.applied()) == (0, 0)
        assert live.node.status("p").requested_current_a == 10
        await live.node.modify_pseudo("b", {"charge_ah": 80.0})
        await asyncio.sleep(SETTLED_S)
        assert live.applied("p") == 10


async def test_checked_against_ideal_limits_and_clamped_to_present_ones() -> None:
    """300 A may be booked while 100 A are possible; they run as 100 A, and as 300 A when they can."""
    async with home() as live:
        await live.node.modify_pseudo("b", {"max_discharge_current_a": 100.0})
        await live.book(300, 0, 1)
        await asyncio.sleep(SETTLED_S)
        assert live.applied() == 100
        assert "clamped to the present discharge limit 100 A" in live.reason()
        await live.node.modify_pseudo("b", {"max_discharge_current_a": 350.0})
        await asyncio.sleep(SETTLED_S)
        assert live.applied() == 300
        with pytest.raises(CurrentOutOfRangeError) as refused:
            await live.book(401, 2, 3)
        assert (refused.value.metadata["lower_a"], refused.value.metadata["upper_a"]) == ("-400.0", "400.0")


async def test_what_is_refused() -> None:
    """A source in use, an unknown name, a past start, an end before it, too long, no number: nothing is kept."""
    async with home(pseudo("b"), pseudo("c", max_booking_h=2.0), parts("p", "q")) as live:
        with pytest.raises(BatteryInUseError):
            await live.book(1, 1, 2)
        with pytest.raises(BadNameError):
            await live.book(1, 1, 2, "x")
        for start_h, end_h in ((-0.01, 1), (2, 1), (1, 1), (0, 2.1)):
            with pytest.raises(InvalidArgumentError):
                await live.book(1, start_h, end_h, "c")
        with pytest.raises(InvalidArgumentError):
            await live.book(float("nan"), 1, 2, "c")
        assert await live.node.bookings() == ()


async def test_owners_restrict_bookings() -> None:
    """Where bookings are "none" there is none, where they are "local" none of other nodes."""
    async with home(pseudo("none", bookings="none"), pseudo("local", bookings="local"), pseudo("any")) as live:
        for name, holder in (("none", "h"), ("local", "node:n2")):
            with pytest.raises(NotAllowedError):
                await live.book(1, 1, 2, name, holder=holder)
        await live.book(1, 1, 2, "local")
        await live.book(1, 1, 2, "any", holder="node:n2")


async def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A battery has so many bookings and no more; the message says what to do."""
    monkeypatch.setattr(scheduler, "MAX_BOOKINGS_OF_ONE", 2)
    async with home() as live:
        await live.book(1, 1, 2)
        await live.book(1, 2, 3)
        with pytest.raises(NoResourcesError, match="cancel some"):
            await live.book(1, 3, 4)


async def test_a_repeated_request_books_once() -> None:
    """The same asker's same request id gets the first booking, another asker's its own."""
    async with home() as live:
        first = await live.book(1, 1, 2, request_id="r")
        assert (await live.book(1, 1, 2, request_id="r")).booking == first.booking
        assert (await live.book(1, 1, 2, request_id="r", holder="other")).booking != first.booking


async def test_a_store_that_fails() -> None:
    """A booking that cannot be kept is refused; one that runs ends in time although that cannot be written."""
    async with home() as live:
        await live.book(100, 0, 1)
        await asyncio.sleep(SETTLED_S)
        live.store.failed = True
        with pytest.raises(StoreError):
            await live.book(1, 2, 3)
        await live.at(1)
        assert live.applied() == 0
        live.store.failed = False
        await asyncio.sleep(2.0)
    async with home(clock=live.clock, store=live.store) as again:
        assert await again.node.bookings() == ()


async def test_a_booking_ends_in_time_while_the_disk_hangs() -> None:
    """Each write takes 9 s from just before 1 h on: what ends 3 s after its begin ends then, and the next one begins."""
    async with home() as live:
        await live.book(200, 1, 1 + 3 / HOUR_S)
        await live.book(300, 1 + 5 / HOUR_S, 2)
        await live.at(1 - 1 / HOUR_S)
        live.store.takes_s = lambda: 9.0
        found = []
        for second in range(7):
            await live.at(1 + second / HOUR_S)
            found.append(live.applied())
        assert found == [200, 200, 200, 0, 0, 300, 300]


async def test_a_booking_that_is_over_before_the_disk_took_its_cancellation() -> None:
    """It is cancelled 1 s before its end, and the disk takes 3 s: it ends in time, and cancelling it is done."""
    async with home() as live:
        made = await live.book(200, 0, 1)
        await live.at(1 - 1 / HOUR_S)
        live.store.takes_s = lambda: 3.0
        cancelled = asyncio.create_task(live.node.cancel_booking(made.booking.booking_id, holder="h"))
        await live.at(1)
        assert live.applied() == 0.0
        assert (await cancelled).booking_id == made.booking.booking_id
        assert await live.node.bookings() == ()


async def test_edits_that_would_lose_a_booking() -> None:
    """Putting a booked battery in use, or taking it away, is refused with the bookings listed, also as a plan."""
    async with home(pseudo("b"), pseudo("c")) as live:
        await live.book(10, 1, 2)
        await live.book(20, 3, 4)
        used = AggregatorSpec(name="all", sources=("b", "c"), voltage_v=48.0, voltage_tolerance_v=4.0)
        add = Edit(action="add", toml=format_topology(Topology(batteries=(used,))))
        for edit in (add, Edit(action="remove", name="b")):
            with pytest.raises(BatteryInUseError, match=r"1 \(10 A\), 2 \(20 A\)") as refused:
                await live.node.plan([edit])
            assert refused.value.metadata["bookings"] == "1,2"
            with pytest.raises(BatteryInUseError):
                await live.node.apply([edit], expected_revision=None, holder="h")
        await live.node.cancel_booking("1", holder="h")
        await live.node.cancel_booking("2", holder="h")
        await live.node.apply([add], expected_revision=None, holder="h")


async def test_a_replaced_battery_keeps_its_bookings() -> None:
    """The name is booked, not the device: what runs goes on, on a null battery as 0 A."""
    async with home() as live:
        await live.book(100, 0, 5)
        await asyncio.sleep(SETTLED_S)
        for spec, applied_a in ((NullSpec(name="b", voltage_v=48.0), 0), (pseudo("b", 60.0), 60)):
            toml = format_topology(Topology(batteries=(spec,)))
            await live.node.apply([Edit(action="replace", name="b", toml=toml)], expected_revision=None, holder="h")
            await asyncio.sleep(SETTLED_S)
            assert live.applied() == applied_a


async def test_a_restart() -> None:
    """What was acknowledged is there: what runs is in force again, what ended meanwhile is not, numbers go on."""
    async with home() as live:
        await live.book(100, 0, 1)
        await live.book(200, 0.5, 3)
    await asyncio.sleep(2 * HOUR_S)
    async with home(clock=live.clock, store=live.store) as again:
        await asyncio.sleep(SETTLED_S)
        assert again.applied() == 200
        assert [view.booking_id for view in await again.node.bookings()] == ["2"]
        assert (await again.book(1, 5, 6)).booking.booking_id == "3"


async def test_the_wall_clock_steps_forward() -> None:
    """The booking follows it: an hour's booking whose clock jumps half an hour ahead ends after half an hour."""
    async with home() as live:
        await live.book(100, 0, 1)
        await live.book(50, 2, 3)
        await live.at(0.1)
        live.clock.ahead_s = 0.5 * HOUR_S
        await live.at(0.49)
        assert live.applied() == 100
        await asyncio.sleep(0.01 * HOUR_S + 1.0)
        assert live.applied() == 0
        await live.at(1.5)
        await asyncio.sleep(1.0)
        assert live.applied() == 50


async def test_the_wall_clock_steps_past_a_booking() -> None:
    """A jump over the end ends it within a second; one that lies in between never runs."""
    async with home() as live:
        await live.book(100, 0, 1)
        await live.book(200, 2, 3)
        await live.at(0.1)
        live.clock.ahead_s = 4 * HOUR_S
        await asyncio.sleep(1.5)
        assert (live.applied(), await live.node.bookings()) == (0, ())


async def test_the_wall_clock_steps_back() -> None:
    """It is behind times it has shown, so it is not trusted: what runs goes on by monotonic time, nothing begins."""
    async with home() as live:
        await live.book(100, 0, 1)
        await live.book(200, 1, 2)
        await live.at(0.5)
        live.clock.ahead_s = -0.6 * HOUR_S
        await asyncio.sleep(1.5)
        assert live.applied() == 100
        assert "booking 1 goes on by monotonic time, no booking begins" in live.reason()
        assert (
            "it is earlier than the newest time known here, 2027-01-15T08:30:00Z (trust_clock = true overrides)" in live.reason()
        )
        assert live.node.status("b").setpoint_ends_s == pytest.approx(HOUR_S)
        await live.at(1.05)
        assert live.applied() == 0
        live.clock.ahead_s = 0.0
        await asyncio.sleep(1.5)
        assert (live.applied(), live.reason()) == (200, "")


async def test_what_was_covered_goes_on_by_monotonic_time() -> None:
    """100 A since 0, 200 A in [1, 2) over it; the clock is lost at 1.5: 200 A to 2, then 100 A again to its end at 3."""
    async with home() as live:
        await live.book(100, 0, 3)
        await live.book(200, 1, 2)
        await live.book(300, 2.2, 2.4)
        await live.at(1.5)
        live.clock.synchronised = False
        for hours, applied_a in ((1.9, 200), (2.1, 100), (2.3, 100), (2.9, 100), (3.0, 0)):
            await live.at(hours)
            assert live.applied() == applied_a


async def test_what_is_booked_by_a_clock_that_went_back_does_not_begin() -> None:
    """It shows 36 s less than it did: 300 A, booked from 5 s later on, begin when it is trusted; 200 A that run go on."""
    async with home() as live:
        await live.book(200, 0, 0.2)
        await live.at(0.02)
        live.clock.ahead_s = -0.01 * HOUR_S
        await asyncio.sleep(2.0)
        assert "until it is, no booking begins" in (await live.book(300, 0.012, 0.1)).warnings[0]
        await live.at(0.025)
        assert live.applied() == 200.0
        live.clock.ahead_s = 0.0
        await asyncio.sleep(2.0)
        assert live.applied() == 300.0


class CountedClock(WallClock):
    """A clock that counts how often it is asked whether it is synchronised."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def is_synchronised(self) -> bool:
        self.asked += 1
        assert self.asked < 10_000, "it is asked again and again"
        return self.synchronised


async def test_a_slow_disk_and_a_clock_in_doubt() -> None:
    """A booking that is over waits 4 s for the disk, and the clock is doubted meanwhile: a few looks a second, no loop."""
    clock = CountedClock()
    async with home(clock=clock) as live:
        await live.book(100, 0.5, 1)
        await live.book(100, 2, 3)
        await live.at(0.75)
        live.store.takes_s = lambda: 4.0
        await live.at(1)
        live.clock.synchronised, clock.asked = False, 0
        await asyncio.sleep(10.0)
        assert 10 <= clock.asked <= 100
        live.store.takes_s = lambda: 0.0
        assert live.applied() == 0.0
        assert [each.booking_id for each in await live.node.bookings()] == ["2"]


async def test_a_clock_that_is_not_trusted() -> None:
    """Nothing begins; booking warns, `reason` says why; once it is trusted the rest of the time runs."""
    async with home() as live:
        live.clock.synchronised = False
        result = await live.book(100, 0.5, 2)
        assert result.warnings == (
            "the wall clock is not trusted now, the kernel does not call it synchronised: until it is, no booking begins",
        )
        await live.at(1)
        assert live.applied() == 0
        assert "no booking begins: the wall clock is not trusted, the kernel does not call it" in live.reason()
        live.clock.synchronised = True
        await asyncio.sleep(1.5)
        assert (live.applied(), live.reason()) == (100, "")
        await live.at(2)
        assert live.applied() == 0


@pytest.mark.parametrize("wrong_h", [-100.0, 0.0, 50.0])
@pytest.mark.parametrize(("trusted_s", "runs_s"), [(10.0, (20.0, 80.0)), (40.0, (41.0, 80.0)), (100.0, ())])
async def test_relative_times_booked_by_a_clock_in_doubt(wrong_h: float, trusted_s: float, runs_s: tuple[float, ...]) -> None:
    """In 20 s for 60 s: whatever was wrong with the clock, it runs then, from when that is trusted, and after a restart, too."""
    clock = WallClock()
    clock.synchronised, clock.ahead_s = False, wrong_h * HOUR_S
    store, asked_s = MemoryStore(), clock.now_s()

    async def in_force(live: Home, at_s: float) -> bool:
        await asyncio.sleep(asked_s + at_s - live.clock.now_s())
        return live.applied() == 100

    async with home(clock=clock, store=store) as live:
        await live.node.book("b", 100, Moment(in_s=20.0), Moment(in_s=80.0), holder="h")
        assert not await in_force(live, trusted_s - 0.5)
        clock.synchronised, clock.ahead_s = True, 0.0
        if not runs_s:
            assert not await in_force(live, trusted_s + 3.0)
            assert await live.node.bookings() == ()
            return
        assert not await in_force(live, runs_s[0] - 1.0)
        assert await in_force(live, runs_s[0] + 1.0)
        (view,) = await live.node.bookings()
        assert (view.start_utc_s, view.end_utc_s) == pytest.approx(
            (UTC_AT_ZERO_S + asked_s + 20.0, UTC_AT_ZERO_S + asked_s + 80.0)
        )
        assert await in_force(live, 60.0)
        if wrong_h > 0.0:  # what that clock left in the store is the newest time known to the next run
            assert not await in_force(live, runs_s[1] + 1.0)
            return
    async with home(clock=clock, store=store) as live:
        assert await in_force(live, runs_s[1] - 1.0)
        assert not await in_force(live, runs_s[1] + 1.0)


async def test_a_time_of_day_booked_by_a_clock_in_doubt() -> None:
    """From an instant on, to half an hour from now: the instant is the wall clock's, the end is not."""
    clock = WallClock()
    clock.synchronised, clock.ahead_s = False, -0.1 * HOUR_S
    async with home(clock=clock) as live:
        end = Moment(in_s=0.5 * HOUR_S)
        await live.node.book("b", 100, Moment(utc_s=UTC_AT_ZERO_S + 0.2 * HOUR_S), end, holder="h")
        clock.synchronised, clock.ahead_s = True, 0.0
        for hours, applied_a in ((0.19, 0), (0.21, 100), (0.49, 100), (0.51, 0)):
            await live.at(hours)
            assert live.applied() == applied_a


async def test_trust_clock_overrides() -> None:
    """With trust_clock = true an unsynchronised clock, and one that went back, is followed."""
    async with home(trust_clock=True) as live:
        live.clock.synchronised = False
        assert (await live.book(100, 0.5, 1)).warnings == ()
        await live.at(0.6)
        assert live.applied() == 100
        live.clock.ahead_s = -0.3 * HOUR_S
        await asyncio.sleep(1.5)
        assert live.applied() == 0


async def test_a_restart_with_an_older_clock() -> None:
    """A board without a battery clock wakes up in the past: nothing begins until the time is right again."""
    async with home() as live:
        await live.book(100, 0, 3)
        await live.at(1)
    live.clock.ahead_s = -2 * HOUR_S
    async with home(clock=live.clock, store=live.store) as again:
        await asyncio.sleep(2.0)
        assert again.applied() == 0
        assert "earlier than the newest time known here" in again.reason()
        again.clock.ahead_s = 0.0
        await asyncio.sleep(2.0)
        assert again.applied() == 100


async def test_a_stub_is_booked_at_its_owner() -> None:
    """Relative times travel as they are; the booking is listed and cancelled as STUB/ID; nothing is kept here."""
    async with home(NetworkSpec(name="s", target="127.0.0.1:1", remote_name="there")) as live:
        start, end = Moment(in_s=60.0), Moment(in_s=120.0)
        result = await live.node.book("s", 5.0, start, end, holder="h", request_id="r")
        stub = live.node.directory["s"]
        assert isinstance(stub, Stub)
        assert stub.asked == [(5.0, start, end, "r")]
        assert (result.booking.booking_id, result.booking.name, result.survives) == ("s/7", "s", "node far")
        assert [view.booking_id for view in await live.node.bookings("s")] == ["s/7"]
        assert await live.node.bookings() == ()
        await live.node.cancel_booking("s/7", holder="h")
        assert stub.asked[-1] == "7"
        with pytest.raises(BadNameError):
            await live.node.cancel_booking("b/7", holder="h")
