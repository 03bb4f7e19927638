"""What a regulator is about to be told is on the disk before: what a run after this one counts (bosd/store/told_book.py)."""

import asyncio
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bosd.bal.physical import PhysicalBattery
from bosd.clock import LoopClock
from bosd.errors import BosError, UnavailableError
from bosd.node.adopt import adopt
from bosd.node.execute import Executor
from bosd.node.moves import Move
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
        self.battery.keep_told(ToldBook(state_dir))

    async def tell(self, new_a: float) -> str:
        """Tell the device; return what became of it."""
        executor = Executor(LoopClock(asyncio.get_running_loop()), lambda _leaf: None)
        move = Move(self.battery, self.battery.counts_at_a, new_a, self.battery.applied_a, None)
        return (await executor.tell([move])).states["b"]


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
