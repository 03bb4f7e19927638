"""The limit book: at once, durable, over restarts, by the clock that is trusted (control.md)."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from bosd.bal.battery import Battery
from bosd.bal.caps import tightest
from bosd.bal.directory import Directory
from bosd.bal.schedule import Moment
from bosd.bal.spec import BatterySpec, Topology
from bosd.errors import BadNameError, InDoubtError, InvalidArgumentError, StaleRevisionError, StoreError
from bosd.limits.book import RETRY_S, LimitBook
from bosd.limits.sources import BatteryLimit
from bosd.policy.registry import policy
from bosd.store.limits import KEPT_EVENTS, Limit, LimitEvent, LimitTable
from bosd.store.store import Store
from tests.support.memory_store import MemoryStore
from tests.unit.node.test_controller import pseudo

pytestmark = pytest.mark.jumping

UTC_S = 1_800_000_000.0


class SlowStore(MemoryStore):
    """A store whose writes wait for `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.go.set()
        self.late = False
        """Whether what it is given is done, and the answer comes after the deadline (Store.transact)."""

    async def transact(self, work: Callable[..., Any]) -> Any:
        await self._turn()
        await self.go.wait()
        done = await super().transact(work)
        if self.late:
            raise InDoubtError("the disk did not answer within 10 s")
        return done


class TestClock:
    """The loop's monotonic time, and a wall clock that can be wrong."""

    __test__ = False

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.wrong_s = 0.0

    def now_s(self) -> float:
        return self._loop.time()

    def utc_s(self) -> float:
        return UTC_S + self._loop.time() + self.wrong_s


class Bench:
    """A book over two pseudo batteries of 48 V."""

    def __init__(self, store: SlowStore) -> None:
        self.clock = TestClock()
        self.store = store
        self.doubted = ""
        self.changed: list[str] = []
        self.noted: list[tuple[str, dict[str, Any]]] = []
        self.directory = Directory(_no_device, policy)
        self.directory.change(Topology(batteries=(pseudo("a"), pseudo("b"))), 0.0)
        self.table = LimitTable(cast(Store, store))
        self.book = LimitBook(self.directory, self.clock, self.table, lambda _utc_s: self.doubted, self._change)
        self.book.note = lambda action, **facts: self.noted.append((action, facts))

    def _change(self, batteries: Any) -> None:
        self.changed += [battery.name for battery in batteries]

    def most_a(self, name: str = "a", *, discharging: bool = False) -> float:
        """Return what a battery may run at most."""
        return tightest(self.directory[name], self.clock.now_s(), discharging=discharging).limit_a

    async def put(self, limit_w: float | None, source: str = "operator", **more: Any) -> Limit:
        """Limit charging battery a."""
        times = {key: more.pop(key) for key in ("begins", "ends") if key in more}
        return await self.book.put(Limit(source=source, battery="a", direction="charge", limit_w=limit_w, **more), **times)


def _no_device(spec: BatterySpec) -> Battery:
    raise AssertionError(spec.name)


async def running(bench: Bench, story: Callable[[], Awaitable[None]]) -> None:
    """Run a story beside the book's own task."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.book.run())
        await story()
        task.cancel()


async def test_the_tightest_of_all_sources_binds() -> None:
    """4800 W of one and 960 W of another at 48 V: 20 A, and 100 A when that is gone; each source has its own."""
    bench = Bench(SlowStore())
    await bench.put(4800.0)
    assert bench.most_a() == 100.0
    await bench.put(960.0, "eebus")
    assert bench.most_a() == 20.0
    assert bench.most_a(discharging=True) == float("inf")
    assert bench.changed == ["a", "a"]
    (cap, other) = bench.directory["a"].caps
    assert {cap.text, other.text} == {"the charge limit 4800 W of operator", "the charge limit 960 W of eebus"}
    await bench.book.remove("eebus", "a", "charge")
    assert bench.most_a() == 100.0
    await bench.put(0.0)
    assert bench.most_a() == 0.0  # 0 W is 0
    await bench.put(None)
    assert bench.most_a() == float("inf")  # and none is none
    assert bench.directory["a"].caps == ()
    assert [action for action, _ in bench.noted] == ["limit", "limit", "unlimit", "limit", "unlimit"]


async def test_a_tighter_one_waits_for_nothing_a_looser_one_for_the_store() -> None:
    """While the disk hangs: 480 W is in force before put returns, 9600 W is not before it does."""
    bench = Bench(SlowStore())
    await bench.put(4800.0)
    bench.store.go.clear()
    async with asyncio.TaskGroup() as group:
        tighter = group.create_task(bench.put(480.0))
        await asyncio.sleep(0.0)
        assert bench.most_a() == 10.0
        assert not tighter.done()
        looser = group.create_task(bench.put(9600.0))
        await asyncio.sleep(60.0)
        assert bench.most_a() == 10.0
        assert not looser.done()
        bench.store.go.set()
    assert bench.most_a() == 200.0
    assert [each.limit_w for each in await bench.table.load()] == [9600.0]


async def test_a_limit_begins_and_ends_in_time_while_the_disk_hangs() -> None:
    """One that was posted is being recorded all the while; looks at what else limits go on, four times a second."""
    bench, looks = Bench(SlowStore()), 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        return True

    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.book.run(look))
        await bench.put(480.0, begins=Moment(in_s=10.0), ends=Moment(in_s=20.0))
        bench.store.go.clear()
        bench.book.post(Limit(source="eebus", battery="a", direction="charge", limit_w=4800.0))
        await asyncio.sleep(9.5)
        found, looks = [], 0
        for _ in range(12):
            found.append(bench.most_a())
            await asyncio.sleep(1.0)
        assert found == [100.0] + [10.0] * 10 + [100.0]
        assert looks >= 4 * 12
        task.cancel()


async def test_what_the_store_does_not_take() -> None:
    """A tighter limit is refused as not recorded, is in force all the same, and is recorded when the store works again."""
    bench = Bench(SlowStore())

    async def story() -> None:
        await bench.put(4800.0)
        bench.store.failed = True
        with pytest.raises(StoreError, match="in force, but not recorded yet: the disk is gone"):
            await bench.put(480.0)
        assert bench.most_a() == 10.0
        with pytest.raises(StoreError, match=r"^the disk is gone"):
            await bench.put(9600.0)
        assert bench.most_a() == 10.0
        assert bench.book.failure == (1, "the disk is gone")
        bench.store.failed = False
        await asyncio.sleep(2.0 * RETRY_S)
        assert bench.book.failure == (0, "")
        assert [each.limit_w for each in await bench.table.load()] == [480.0]
        assert [facts["after"]["limit_w"] for _, facts in bench.noted] == [4800.0, 480.0]  # what was done, and no more

    await running(bench, story)


async def test_who_does_not_wait_for_the_store_is_in_the_audit() -> None:
    """While the disk hangs the asker goes away: the limit is in force, noted, and recorded when the disk is back."""
    bench = Bench(SlowStore())

    async def story() -> None:
        bench.store.go.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await bench.put(480.0)
        assert bench.most_a() == 10.0
        assert [(action, facts["after"]["limit_w"]) for action, facts in bench.noted] == [("limit", 480.0)]
        bench.store.go.set()
        await asyncio.sleep(2.0 * RETRY_S)
        assert [each.limit_w for each in await bench.table.load()] == [480.0]

    await running(bench, story)


async def test_over_a_restart() -> None:
    """What was acknowledged is in force again, before anything else, and the history goes on."""
    store = SlowStore()
    bench = Bench(store)
    await bench.put(4800.0, comment="first")
    await bench.put(480.0)
    await bench.put(960.0, "eebus")
    await bench.put(None, "eebus")
    again = Bench(store)
    await again.book.load()
    assert again.most_a() == 10.0
    (standing,) = again.book.standing()
    assert (standing.restored, standing.durable, standing.limit.limit_w) == (True, True, 480.0)
    await again.put(9600.0)
    assert again.most_a() == 200.0
    events = [(each.event, each.limit.source, each.limit.limit_w) for each in await again.book.history(100)]
    assert events == [
        ("put", "operator", 4800.0),
        ("put", "operator", 480.0),
        ("put", "eebus", 960.0),
        ("removed", "eebus", None),
        ("put", "operator", 9600.0),
    ]
    assert [each.limit.limit_w for each in await again.book.history(1, source="eebus")] == [None]


async def test_times() -> None:
    """From 10 s to 20 s from now: not before, then in force, then over, which the history has."""
    bench = Bench(SlowStore())

    async def story() -> None:
        await bench.put(480.0, begins=Moment(in_s=10.0), ends=Moment(in_s=20.0))
        await asyncio.sleep(9.9)
        assert bench.most_a() == float("inf")
        await asyncio.sleep(0.4)
        assert bench.most_a() == 10.0
        await asyncio.sleep(9.3)
        assert bench.most_a() == 10.0
        await asyncio.sleep(0.7)
        assert bench.most_a() == float("inf")
        await asyncio.sleep(RETRY_S)
        assert [each.event for each in await bench.book.history(9)] == ["put", "ended"]
        assert await bench.table.load() == ()

    await running(bench, story)


async def test_relative_times_go_by_no_wall_clock() -> None:
    """An hour from now stays an hour from now when the wall clock jumps a day; an instant of the day moves with it."""
    bench = Bench(SlowStore())

    async def story() -> None:
        await bench.put(480.0, ends=Moment(in_s=3600.0))
        await bench.put(960.0, "plan", ends=Moment(utc_s=UTC_S + 3600.0))
        bench.clock.wrong_s = 86400.0
        await asyncio.sleep(1.0)
        assert [each.limit.source for each in bench.book.standing()] == ["operator"]
        await asyncio.sleep(3600.0)
        assert bench.book.standing() == ()

    await running(bench, story)


async def test_an_untrusted_clock_ends_nothing() -> None:
    """Woken in a time that nobody trusts, long after the end: in force until the clock is trusted; then it is past."""
    store = SlowStore()
    await Bench(store).put(480.0, ends=Moment(utc_s=UTC_S + 60.0))
    bench = Bench(store)
    bench.doubted, bench.clock.wrong_s = "the kernel does not call it synchronised", 3600.0
    await bench.book.load()

    async def story() -> None:
        await asyncio.sleep(100.0)
        assert bench.most_a() == 10.0
        (standing,) = bench.book.standing()
        assert standing.ends_in_s is None
        bench.doubted = ""
        await asyncio.sleep(1.0)
        assert bench.most_a() == float("inf")

    await running(bench, story)


async def test_without_waiting() -> None:
    """A source that cannot wait: tighter at once, looser when the store has it, however often; what is superfluous goes."""
    bench = Bench(SlowStore())

    async def story() -> None:
        port = BatteryLimit(bench.book.source("eebus"), "a", "charge")
        port.publish(960.0, None, state="Limited", reason="written")
        assert bench.most_a() == 20.0
        bench.store.failed = True
        for limit_w in (480.0, 9600.0, 4800.0, 9600.0, 4800.0):
            port.publish(limit_w, None, state="Limited", reason="written")
            await asyncio.sleep(1.0)
            assert bench.most_a() == 10.0
        assert len(bench.book.standing()) <= 3  # the tightest, what the store has, the newest
        port.restore(1440.0, bench.clock.now_s() + 3600.0, reason="restored")
        bench.store.failed = False
        await asyncio.sleep(2.0 * RETRY_S)
        assert bench.most_a() == 30.0
        port.end_restored(reason="written")
        await asyncio.sleep(1.0)
        assert bench.most_a() == 100.0
        port.publish(None, None, state="UnlimitedControlled", reason="released")
        await asyncio.sleep(1.0)
        assert bench.most_a() == float("inf")
        assert await bench.table.load() == ()

    await running(bench, story)


async def test_what_was_put_just_before_the_end_is_recorded() -> None:
    """A source that does not wait, and the end in the same instant: the next run has the limit all the same."""
    bench = Bench(SlowStore())

    async def story() -> None:
        await asyncio.sleep(1.0)
        BatteryLimit(bench.book.source("eebus"), "a", "charge").publish(960.0, None, state="Limited", reason="written")

    await running(bench, story)
    assert [each.limit_w for each in await bench.table.load()] == [960.0]


async def test_grants_are_ordered_by_their_revision() -> None:
    """A later one replaces, a repeat is done, an earlier one is refused with the number; so is one that comes after the end."""
    bench = Bench(SlowStore())
    await bench.put(960.0, "node:m", revision=3)
    assert (await bench.put(960.0, "node:m", revision=3)).number == 1
    with pytest.raises(StaleRevisionError) as refused:
        await bench.put(4800.0, "node:m", revision=2)
    assert refused.value.metadata["actual"] == "3"
    await bench.put(None, "node:m", revision=4)
    assert (bench.most_a(), bench.book.standing()) == (float("inf"), ())
    again = Bench(bench.store)
    await again.book.load()
    with pytest.raises(StaleRevisionError):
        await again.put(960.0, "node:m", revision=4)
    await again.put(960.0, "node:m", revision=5)
    assert again.most_a() == 20.0
    await again.book.remove("node:m", "a", "charge", who="admin")  # a node that never comes back
    assert again.most_a() == float("inf")
    with pytest.raises(StaleRevisionError):
        await again.put(960.0, "node:m", revision=6)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"limit_w": -1.0}, "limit_w -1 is no limit"),
        ({"limit_w": float("nan")}, "limit_w nan is no limit"),
        ({"limit_a": float("inf")}, "limit_a inf is no limit"),
        ({"limit_w": 1e308}, "limit_w 1e\\+308 is no limit: a magnitude, 0 or more and at most 1e\\+08"),
        ({"limit_a": 1.01e8}, "limit_a 1.01e\\+08 is no limit"),
        ({"limit_w": 1.0, "limit_a": 1.0}, "give one of limit_w and limit_a"),
        ({"limit_w": 1.0, "direction": "both"}, "direction 'both' is none"),
        ({"limit_w": 1.0, "source": ""}, "source ''"),
        ({"limit_w": 1.0, "identity": "x" * 65}, "identity 'xxx"),
    ],
)
async def test_what_is_no_limit(wrong: dict[str, Any], words: str) -> None:
    """Refused with what would be right; the book is as it was."""
    bench = Bench(SlowStore())
    with pytest.raises(InvalidArgumentError, match=words):
        await bench.book.put(Limit(**{"source": "operator", "battery": "a", "direction": "charge", **wrong}))
    assert bench.book.standing() == ()


async def test_what_is_beyond_measure_and_not_a_persons_counts_as_the_most_there_is() -> None:
    """The grid operator's is in force all the same: 2e9 W as 1e8 W."""
    bench = Bench(SlowStore())
    await bench.book.source("eebus").put("a", "charge", 2e9)
    bench.book.source("eebus").post("a", "discharge", math.inf)
    assert [each.limit.limit_w for each in bench.book.standing()] == [1e8, 1e8]


async def test_names_and_ends() -> None:
    """No such battery, nothing to remove, an end before the begin or past by a clock that is trusted."""
    bench = Bench(SlowStore())
    with pytest.raises(BadNameError):
        await bench.book.put(Limit(source="operator", battery="nope", direction="charge", limit_w=1.0))
    with pytest.raises(BadNameError, match="operator has no charge limit on a"):
        await bench.book.remove("operator", "a", "charge")
    with pytest.raises(InvalidArgumentError, match="not after its begin"):
        await bench.put(1.0, begins=Moment(in_s=20.0), ends=Moment(in_s=10.0))
    with pytest.raises(InvalidArgumentError, match="or is past"):
        await bench.put(1.0, ends=Moment(utc_s=UTC_S - 3600.0))
    bench.doubted = "the kernel does not call it synchronised"
    await bench.put(1.0, ends=Moment(utc_s=UTC_S - 3600.0))  # who knows


async def test_the_history_is_bounded() -> None:
    """Of more than is kept the oldest go."""
    bench = Bench(SlowStore())
    limit = Limit(source="operator", battery="a", direction="charge", limit_w=1.0, number=1)
    events = [LimitEvent(at_utc_s=float(number), event="put", limit=limit) for number in range(KEPT_EVENTS + 5)]
    await bench.table.put(limit, events)
    kept = await bench.table.history(2 * KEPT_EVENTS)
    assert (len(kept), kept[0].at_utc_s) == (KEPT_EVENTS, 5.0)


async def test_watching() -> None:
    """All at once, then each change."""
    bench = Bench(SlowStore())
    changes = bench.book.watch()
    assert await anext(changes) == ()
    await bench.put(480.0)
    assert [each.limit.limit_w for each in await anext(changes)] == [480.0]
    await changes.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("trusted_s", [60.0, 120.0], ids=["before", "after"])
async def test_a_duration_by_an_untrusted_clock_is_kept_over_a_restart(trusted_s: float) -> None:
    """10 min are asked for while the clock is three days slow; it is set 60 s later; the node restarts before or after that.

    By the clock of then the end was days ago. It goes on: for ten minutes at the least, and no longer than by the time of doubt.
    """
    bench = Bench(SlowStore())
    began_s = bench.clock.now_s()
    bench.clock.wrong_s, bench.doubted = -3.0 * 86400.0, "the kernel does not call it synchronised"

    async def story() -> None:
        await bench.put(960.0, ends=Moment(in_s=600.0))
        await asyncio.sleep(60.0)
        if trusted_s > 60.0:
            bench.clock.wrong_s, bench.doubted = 0.0, ""
            await asyncio.sleep(60.0)

    await running(bench, story)
    again = Bench(bench.store)
    again.doubted, again.clock.wrong_s = bench.doubted, bench.clock.wrong_s
    await again.book.load()

    async def rest() -> None:
        again.clock.wrong_s, again.doubted = 0.0, ""
        await asyncio.sleep(began_s + 600.0 - 1.0 - again.clock.now_s())
        assert again.most_a() == 20.0
        (standing,) = again.book.standing()
        assert standing.limit.until_utc_s == pytest.approx(UTC_S + began_s + 600.0, abs=61.0)
        await asyncio.sleep(63.0)
        assert again.most_a() == float("inf")

    await running(again, rest)


async def test_a_looser_limit_that_the_store_took_too_late_is_not_in_force_after_a_restart() -> None:
    """The disk answers after the deadline, and the limit was being committed just then: refused is refused, in the next run."""
    bench = Bench(SlowStore())

    async def story() -> None:
        await bench.put(480.0)
        bench.store.late = True
        with pytest.raises(StoreError):
            await bench.put(4800.0)
        with pytest.raises(StoreError):
            await bench.book.remove("operator", "a", "charge")
        bench.store.late = False
        assert bench.most_a() == 10.0
        await asyncio.sleep(2.0 * RETRY_S)

    await running(bench, story)
    again = Bench(bench.store)
    await again.book.load()
    assert again.most_a() == 10.0
    await again.book.remove("operator", "a", "charge")
    last = Bench(bench.store)
    await last.book.load()
    assert last.most_a() == float("inf")


async def test_what_nobody_waits_for_any_more_is_one_of_those_that_were_not_recorded() -> None:
    """A hung disk, and a node that tells its part anew each 2.5 s, its calls end after 2 s: the tightest stands, and no heap."""
    bench = Bench(SlowStore())
    await bench.put(4800.0, "node:m", revision=1)
    bench.store.go.clear()

    async def story() -> None:
        for number in range(50):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2.0):
                    await bench.put(960.0 + number % 7, "node:m", revision=2 + number)
            await asyncio.sleep(0.5)
        assert bench.most_a() == 20.0
        assert len(bench.book.standing()) <= 3  # the recorded one, the tightest, the last
        bench.store.go.set()
        await asyncio.sleep(RETRY_S + 1.0)
        assert [each.limit.limit_w for each in bench.book.standing()] == [960.0]  # 960 W + 49 % 7 W, the last

    await running(bench, story)


class FickleStore(SlowStore):
    """A store that refuses what `refuses` says, one write after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: list[bool] = []

    async def transact(self, work: Callable[..., Any]) -> Any:
        await self.go.wait()
        if self.refuses and self.refuses.pop(0):
            raise StoreError("the disk is gone")
        return await super().transact(work)


async def test_what_was_taken_stands_though_those_before_and_after_it_were_refused() -> None:
    """480 W is refused by the disk while 960 W and 720 W wait for it; 960 W is taken and acknowledged, 720 W is refused."""
    bench = Bench(store := FickleStore())
    await bench.put(4800.0)
    store.go.clear()
    puts = [asyncio.ensure_future(bench.put(limit_w)) for limit_w in (480.0, 960.0, 720.0)]
    await asyncio.sleep(1.0)
    store.refuses = [True, False, True]
    store.go.set()
    first, second, third = await asyncio.gather(*puts, return_exceptions=True)
    assert isinstance(first, StoreError)
    assert isinstance(second, Limit)
    assert isinstance(third, StoreError)
    bench.book.attend_due()
    assert bench.most_a() == 20.0  # 960 W at 48 V
