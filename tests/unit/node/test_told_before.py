"""What a regulator is about to be told is on the disk before: what a run after this one counts (bosd/store/told_book.py)."""

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bosd.bal.physical import PhysicalBattery
from bosd.bal.told import FILE
from bosd.clock import LoopClock
from bosd.errors import BosError, UnavailableError, UnsupportedError
from bosd.node.adopt import adopt
from bosd.node.execute import Executor
from bosd.node.moves import Move
from bosd.node.outcome import Outcome
from bosd.store import noted_book
from bosd.store.told_book import ToldBook
from tests.support.bal_makers import FakeDevice, jbd_spec

PLACE = jbd_spec("b").commanded_place


class Supply(FakeDevice):
    """A device that follows, and remembers what the file said when it was told."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.told_a: list[float] = []
        self.written_a: list[float] = []
        self.error: BosError | None = None

    async def set_current(self, current_a: float) -> None:
        if self.error is not None:
            raise self.error
        self.told_a.append(current_a)
        self.written_a.append(ToldBook(self.state_dir).left_a(PLACE))

    async def make_safe(self) -> str:
        await self.set_current(0.0)
        return "at 0 A"


class Site:
    """A battery whose regulator is told, and the book of what it was told."""

    def __init__(self, state_dir: Path, control: str = "external") -> None:
        self.device = Supply(state_dir)
        self.battery = PhysicalBattery(jbd_spec("b", current_control=control), self.device)
        self.book = ToldBook(state_dir)
        self.battery.keep_told(self.book)

    async def tell(self, new_a: float, check: Callable[[], None] | None = None) -> str:
        """Tell the device; return what became of it."""
        return (await self._told(new_a, check)).states["b"]

    async def refused(self, new_a: float) -> BosError:
        """Tell the device; return why it was not told."""
        return (await self._told(new_a, None)).errors["b"]

    async def _told(self, new_a: float, check: Callable[[], None] | None) -> Outcome:
        executor = Executor(LoopClock(asyncio.get_running_loop()), lambda _leaf: None)
        move = Move(self.battery, self.battery.counts_at_a, new_a, self.battery.applied_a, None)
        return await executor.tell([move], check)


@contextmanager
def hanging_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Have a write take until the second event is set; the first says that one began."""
    begun, goes_on = threading.Event(), threading.Event()
    replace = noted_book._replace

    def hang(path: Path, values: dict[str, float]) -> None:
        begun.set()
        goes_on.wait(10.0)
        replace(path, values)

    with monkeypatch.context() as patch:
        patch.setattr(noted_book, "_replace", hang)
        yield begun, goes_on


async def _until(event: threading.Event) -> None:
    async with asyncio.timeout(10.0):
        await asyncio.to_thread(event.wait, 10.0)


async def test_the_file_says_it_before_the_device_is_told(tmp_path: Path) -> None:
    """Raised to 4 A and 9 A: each is on the disk when the device hears of it; 2 A wait for nothing."""
    site = Site(tmp_path)
    assert [await site.tell(current_a) for current_a in (4.0, 9.0, 2.0)] == ["new"] * 3
    assert site.device.written_a == [4.0, 9.0, 9.0]


async def test_what_cannot_be_noted_is_not_told(tmp_path: Path) -> None:
    """The directory is gone: the device hears nothing, nothing is counted, and what runs may be lowered all the same."""
    site = Site(tmp_path / "gone")
    assert await site.tell(4.0) == "old"
    assert (site.device.told_a, site.battery.counts_at_a) == ([], 0.0)
    site.battery.settled(6.0, 0.0)
    assert [await site.tell(current_a) for current_a in (3.0, 0.0)] == ["new", "new"]
    assert site.device.told_a == [3.0, 0.0]


@pytest.mark.parametrize("way", ["stop", "safe action"])
async def test_what_waits_for_the_disk_is_void_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """The disk hangs over 4 A; 0 A is told meanwhile, or the device made safe: 4 A are not told when the disk is back."""
    site = Site(tmp_path)
    with hanging_disk(monkeypatch) as (begun, goes_on):
        async with asyncio.TaskGroup() as group:
            raising = group.create_task(site.tell(4.0))
            await _until(begun)
            if way == "stop":
                assert await site.tell(0.0) == "new"
            else:
                await site.battery.make_safe()
            goes_on.set()
        assert raising.result() == "old"
    assert (site.device.told_a, site.battery.counts_at_a) == ([0.0], 0.0)


def test_what_was_left_counts_while_there_is_no_answer(tmp_path: Path) -> None:
    """Another run finds 4 A noted: counted once the device gave no answer, and no more when it is found at rest."""
    asyncio.run(Site(tmp_path).tell(4.0))
    battery = Site(tmp_path).battery
    battery.unread_until_s = math.inf
    assert (battery.counts_at_a, battery.left_a) == (0.0, 4.0)
    battery.gave_no_answer()
    assert (battery.counts_at_a, battery.is_unread(0.0), battery.is_waited_for(0.0)) == (4.0, True, False)
    assert "earlier run" in battery.status(0.0).reason
    assert battery.found_at_rest()
    assert (battery.counts_at_a, battery.left_a) == (0.0, 0.0)
    assert not battery.found_at_rest()


def test_a_gate_keeps_nothing(tmp_path: Path) -> None:
    """The load decides what flows through closed switches: what it was asked for says nothing of it."""
    assert asyncio.run(Site(tmp_path, "gate").tell(4.0)) == "new"
    assert list(tmp_path.iterdir()) == []


async def test_a_stop_before_the_first_look_failed_hides_nothing(tmp_path: Path) -> None:
    """4 A are noted; 0 A are told while the first look is under way, and nothing answers either: 4 A count all the same."""
    await Site(tmp_path).tell(4.0)
    site = Site(tmp_path)
    site.battery.unread_until_s = math.inf
    site.device.error = UnavailableError("no answer")
    assert await site.tell(0.0) == "unknown"
    site.battery.gave_no_answer()
    assert site.battery.counts_at_a == 4.0
    site.device.error = None
    assert await site.tell(0.0) == "new"
    site.battery.gave_no_answer()
    assert site.battery.counts_at_a == 0.0


async def test_a_device_that_holds_no_set_point_any_more_counts_nothing(tmp_path: Path) -> None:
    """4 A are noted and counted; then the device answers that it holds nothing, as in a mode of its own (device.py: None)."""
    await Site(tmp_path).tell(4.0)
    site, looked_again = Site(tmp_path), asyncio.Event()
    site.battery.gave_no_answer()
    assert site.battery.counts_at_a == 4.0
    await adopt(site.battery, looked_again.set, kept_s=lambda _found_a: 3.0)
    assert (site.battery.counts_at_a, site.battery.left_a, looked_again.is_set()) == (0.0, 0.0, True)


async def test_what_was_found_running_and_is_asked_for_is_noted(tmp_path: Path) -> None:
    """6 A were switched on at its panel, and 5 A of it are asked for: nothing waits for the disk, and a next run counts 5 A."""
    site = Site(tmp_path)
    site.battery.found_running(6.0)
    assert await site.tell(5.0) == "new"
    await site.book.close()
    assert ToldBook(tmp_path).left_a(PLACE) == 5.0


@pytest.mark.parametrize(("runs_a", "noted_a"), [(0.0, 0.0), (3.0, 3.0)])
async def test_what_was_refused_is_noted_no_more(tmp_path: Path, runs_a: float, noted_a: float) -> None:
    """9 A are noted and refused by the device: a next run counts what it was told before that, nothing where it is at rest."""
    site = Site(tmp_path)
    if runs_a:
        await site.tell(runs_a)
    site.device.error = UnsupportedError("it cannot do that")
    assert await site.tell(9.0) == "old"
    await site.book.close()
    assert ToldBook(tmp_path).left_a(PLACE) == noted_a


@pytest.mark.parametrize("way", ["cancelled", "refused"])
async def test_what_was_given_up_at_the_disk_is_noted_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """The disk hangs over 4 A; the asker goes, or a limit fell meanwhile: the device was never told, and nothing is counted."""
    site = Site(tmp_path)

    def fell() -> None:
        raise UnavailableError("a limit fell meanwhile")

    with hanging_disk(monkeypatch) as (begun, goes_on):
        raising = asyncio.create_task(site.tell(4.0, fell))
        await _until(begun)
        if way == "cancelled":
            raising.cancel()
        goes_on.set()
        await asyncio.wait([raising])
    await site.book.close()
    assert (site.device.told_a, site.battery.counts_at_a, ToldBook(tmp_path).left_a(PLACE)) == ([], 0.0, 0.0)


async def test_a_disk_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the disk that did not answer, and no device: which file, and that nothing was raised, is said in time."""
    site = Site(tmp_path)
    assert site.battery.command_deadline_s > noted_book.DEADLINE_S
    monkeypatch.setattr(noted_book, "DEADLINE_S", 0.05)
    with hanging_disk(monkeypatch) as (_begun, goes_on):
        error = await site.refused(4.0)
        goes_on.set()
        await site.book.close()
    why = "the disk did not answer within 0.05 s: what cannot be noted for a restart is not raised"
    assert error.message == f"{tmp_path / FILE}: {why}"
    assert error.metadata == {"path": str(tmp_path / FILE)}
    assert (site.device.told_a, site.battery.counts_at_a) == ([], 0.0)


async def test_who_waited_for_what_another_writes_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk hangs over another's note; 4 A, which are written already, wait for that: a limit that fell meanwhile counts."""
    site = Site(tmp_path)
    await site.tell(6.0)
    await site.tell(3.0)

    def fell() -> None:
        raise UnavailableError("a limit fell meanwhile")

    with hanging_disk(monkeypatch) as (begun, goes_on):
        async with asyncio.TaskGroup() as group:
            group.create_task(site.book.note("/dev/other", 7.0))
            await _until(begun)
            raising = group.create_task(site.tell(4.0, fell))
            goes_on.set()
    assert (raising.result(), site.device.told_a) == ("old", [6.0, 3.0])


async def test_what_is_counted_is_said_as_it_is(tmp_path: Path) -> None:
    """4 A are left, -8 A are told in vain: that is no current of an earlier run."""
    await Site(tmp_path).tell(4.0)
    site = Site(tmp_path)
    site.battery.gave_no_answer()
    site.device.error = UnavailableError("no answer")
    assert await site.tell(-8.0) == "unknown"
    assert "last command unconfirmed, counted at -8 A" in site.battery.status(0.0).reason


async def test_what_is_looked_for_at_another_place_is_noted_there(tmp_path: Path) -> None:
    """4 A may run on; an edit says that it is at another port now: a next run counts them there, too."""
    site = Site(tmp_path)
    await site.tell(4.0)
    spec = replace(jbd_spec("b", current_control="external"), port="/dev/moved")
    moved = PhysicalBattery(spec, Supply(tmp_path))
    moved.succeed(site.battery)
    moved.keep_told(site.book)
    await site.book.close()
    again = ToldBook(tmp_path)
    assert (again.left_a(spec.commanded_place), again.left_a(PLACE)) == (4.0, 4.0)


def test_what_is_noted_was_there(tmp_path: Path) -> None:
    """4 A are noted, and no sample is stored: an edit that takes it out before the first look waits for that all the same."""
    asyncio.run(Site(tmp_path).tell(4.0))
    battery = Site(tmp_path).battery
    battery.unread_until_s = math.inf
    assert battery.left_for_s(0.0) == math.inf
