"""What others count on of alone limits, over restarts, on a disk that answers late, or not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from bosd.bal.alone import AloneW, Commanders, Told
from bosd.errors import InDoubtError, StoreError
from bosd.fleet import told_alone
from bosd.fleet.owner import OwnerSessions
from bosd.fleet.told_alone import ToldAlone
from tests.support.fake_node import FakeCommands
from tests.unit.fleet.test_owner import Clock

A, B = "node:a", "node:b"
KNOWN = AloneW(None, 96.0)
CONFIGURED = {"b1": KNOWN, "b2": KNOWN}


class Disk:
    """Keeps the table; `late` it takes what it is given, and says so when nobody waits any more."""

    def __init__(self) -> None:
        self.told: Told = {}
        self.commanders: Commanders = {}
        self.late = False

    async def load(self) -> tuple[Told, Commanders]:
        return self.told, self.commanders

    async def save(self, told: Told, commanders: Commanders) -> None:
        self.told, self.commanders = dict(told), dict(commanders)
        if self.late:
            raise InDoubtError("the disk did not answer within 10 s")


@asynccontextmanager
async def run_of(disk: Disk, configured: Mapping[str, AloneW]) -> AsyncIterator[ToldAlone]:
    """Have a run of which `a` was told 96 W of b1."""
    told = ToldAlone()
    await told.load(disk, lambda: configured)
    told.tell(A, {"b1": KNOWN})

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            told.start(group)
            await asyncio.Event().wait()

    running = asyncio.create_task(run())
    try:
        yield told
    finally:
        running.cancel()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gather for no second what is to be written."""
    monkeypatch.setattr(told_alone, "GATHER_S", 0.001)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is written."""
    async with asyncio.timeout(5.0):
        while not holds():  # noqa: ASYNC110 (what writes tells nobody)
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("gone", [False, True])
async def test_an_edit_that_may_be_stored_all_the_same_leaves_what_is_counted_on(*, gone: bool) -> None:
    """The disk hangs under an edit that removes 96 W, or its asker goes: a restart may put it in force, until the next edit."""
    disk = Disk()
    error = asyncio.CancelledError() if gone else InDoubtError("it is not known whether it is stored")
    async with run_of(disk, CONFIGURED) as told:
        with pytest.raises(type(error)):
            async with told.kept({}):
                raise error
        for _ in range(20):
            await asyncio.sleep(0.0)
        assert disk.told == {(A, "b1"): KNOWN}
        with pytest.raises(StoreError):
            async with told.kept({}):
                raise StoreError("no space left on device")  # that one is not
        await until(lambda: disk.told == {})


async def test_what_the_disk_took_late_is_taken_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk refuses, late, an edit that removes 96 W: it has them. Then `a` agrees to no limit, and counts on none."""
    monkeypatch.setattr(told_alone, "RETRY_S", 0.001)
    disk = Disk()
    async with run_of(disk, CONFIGURED) as told:
        disk.late = True
        with pytest.raises(StoreError, match="what others count on"):
            async with told.kept({}):
                raise AssertionError
        assert disk.told == {(A, "b1"): KNOWN}
        disk.late = False
        told.agreed(A, {})
        await until(lambda: disk.told == {})


def sessions(clock: Clock) -> OwnerSessions:
    """Return the sessions of another run."""
    return OwnerSessions(clock, FakeCommands(), boot_id="owner", config_digest=lambda: "1")


async def test_all_who_commanded_in_an_earlier_run_are_missed_until_somebody_does_in_this_one() -> None:
    """A commands b1, b commands b2 that rests on it, a once more. Of the next run b alone is heard: a counts on its limit."""
    disk, clock = Disk(), Clock()
    owner = sessions(clock)
    await owner.load(disk, lambda: CONFIGURED)
    async with asyncio.TaskGroup() as group:
        for peer in (A, B):
            owner.tell_alone(owner.hello(peer, nonce=peer, boot_id=peer), CONFIGURED)
        for battery, peer in (("b1", A), ("b2", B), ("b1", A)):
            owner.commanded(battery, peer)
        writer = group.create_task(owner.told._run())
        await until(lambda: disk.commanders == {"b1": A, "b2": B})
        writer.cancel()
    owner = sessions(clock)
    await owner.load(disk, lambda: CONFIGURED)
    session = owner.hello(B, nonce="again", boot_id=B)
    assert owner.ready(session, owner.digest(session), {}, clock.at_s)
    assert owner.unheard(["b1", "b2"]) == A
    owner.commanded("b2", B)
    assert owner.unheard(["b1", "b2"]) == ""


async def test_who_is_gone_and_what_is_no_battery_any_more_is_kept_for_no_run() -> None:
    """A person says that `a` is gone, and it is back: it commands nothing yet. An edit takes b2 out: nobody commands that."""
    disk = Disk()
    async with run_of(disk, CONFIGURED) as told:
        told.tell(B, {"b1": KNOWN})
        for battery, peer in (("b1", A), ("b2", B)):
            told.commanded(battery, peer)
        await until(lambda: disk.commanders == {"b1": A, "b2": B})
        told.forget(A)
        told.tell(A, {"b1": KNOWN})
        await until(lambda: disk.commanders == {"b2": B})
        async with told.kept({"b1": KNOWN}):
            pass
        await until(lambda: disk.commanders == {})


async def test_a_thousand_first_commands_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart each battery is commanded once: all that is known is looked through a few times, not at each."""
    monkeypatch.setattr(told_alone, "GATHER_S", 0.2)
    disk, looks = Disk(), list[None]()
    told = ToldAlone()

    def configured() -> Mapping[str, AloneW]:
        looks.append(None)
        return CONFIGURED

    await told.load(disk, configured)
    told.tell(A, {"b1": KNOWN})
    running = asyncio.create_task(told._run())
    for number in range(1000):
        told.commanded(f"b{number}", A)
        await asyncio.sleep(0.0)
    await until(lambda: len(disk.commanders) == 1000)
    assert len(looks) < 100
    running.cancel()
