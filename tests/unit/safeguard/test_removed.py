"""`removed.json`: what was taken out and may run on, over a power cut."""

import asyncio
import errno
import threading
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bosd.bal.pseudo import InPlace
from bosd.bal.spec import JbdSpec
from bosd.errors import StoreError
from bosd.safeguard import removed
from bosd.safeguard.removed import RemovedBook
from bosd.safeguard.report import REMOVED, Report, forget_report, write_removed, write_report
from bosd.safeguard.safe_action import Outcome

gate = partial(JbdSpec, current_control="gate", max_discharge_current_a=60.0, max_charge_current_a=30.0)
ONE, OTHER = gate(name="a", port="/dev/ttyUSB0"), gate(name="b", port="/dev/ttyUSB1")


def files(path: Path) -> list[str]:
    """Return what is in a directory."""
    return [each.name for each in path.iterdir()]


async def test_what_was_noted_is_there_after_a_crash(tmp_path: Path) -> None:
    """`note` returns when it is on the disk: another book, as after a power cut, has it; without any there is no file."""
    book = RemovedBook(tmp_path)
    assert book.left == ()
    await book.note((ONE, OTHER))
    assert RemovedBook(tmp_path).left == (ONE, OTHER)
    await book.note(())
    assert (RemovedBook(tmp_path).left, files(tmp_path)) == ((), [])


async def test_what_confirmed_goes_soon(tmp_path: Path) -> None:
    """`note_soon` returns at once; `run` writes it."""
    book = RemovedBook(tmp_path)
    await book.note((ONE, OTHER))
    async with asyncio.timeout(10.0), asyncio.TaskGroup() as group:
        running = group.create_task(book.run())
        book.note_soon((OTHER,))
        while RemovedBook(tmp_path).left != (OTHER,):  # noqa: ASYNC110 (another process would look at the file, too)
            await asyncio.sleep(0.01)
        running.cancel()


async def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails, or hangs, refuses the note; what hung is overtaken by nothing."""
    with pytest.raises(StoreError, match="is taken out when that can be noted"):
        await RemovedBook(tmp_path / "gone").note((ONE,))
    book, write, may_go = RemovedBook(tmp_path), write_removed, threading.Event()

    def hangs(*arguments: object) -> None:
        may_go.wait(10.0)
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(removed, "write_removed", hangs)
    monkeypatch.setattr(removed, "DEADLINE_S", 0.01)
    with pytest.raises(StoreError, match="did not answer within"):
        await book.note((ONE,))
    monkeypatch.setattr(removed, "DEADLINE_S", 10.0)
    may_go.set()
    await book.note((OTHER,))
    assert RemovedBook(tmp_path).left == (OTHER,)


async def test_a_note_that_was_refused_is_not_kept_when_the_disk_takes_it_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edit was refused, and nothing is to be kept: the hanging write is not the last one."""
    book, may_go, wrote = RemovedBook(tmp_path), threading.Event(), list[object]()

    def hangs(state_dir: Path, specs: tuple[JbdSpec, ...]) -> None:
        may_go.wait(10.0)
        write_removed(state_dir, specs)
        wrote.append(specs)

    monkeypatch.setattr(removed, "write_removed", hangs)
    monkeypatch.setattr(removed, "DEADLINE_S", 0.01)
    async with asyncio.timeout(10.0), asyncio.TaskGroup() as group:
        running = group.create_task(book.run())
        with pytest.raises(StoreError, match="did not answer within"):
            await book.note((ONE,))
        book.note_soon(())
        may_go.set()
        while len(wrote) < 2:  # noqa: ASYNC110 (a thread writes)
            await asyncio.sleep(0.001)
        running.cancel()
    assert (wrote, files(tmp_path)) == ([(ONE,), ()], [])


async def test_what_confirmed_goes_although_the_disk_was_full_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first try fails: it is tried again."""
    book, left = RemovedBook(tmp_path), [OSError(errno.ENOSPC, "No space left on device")]
    await book.note((ONE,))

    def fails_first(*arguments: object) -> None:
        if left:
            raise left.pop()
        write_removed(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(removed, "write_removed", fails_first)
    monkeypatch.setattr(removed, "RETRY_S", 0.01)
    async with asyncio.timeout(10.0), asyncio.TaskGroup() as group:
        running = group.create_task(book.run())
        book.note_soon(())
        while (tmp_path / REMOVED).exists():  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.001)
        running.cancel()


@pytest.mark.parametrize("rubbish", [b"", b"[]", b"{}", b'{"unconfirmed_toml": "[[battery]]"}'])
def test_what_is_not_understood_is_told(tmp_path: Path, rubbish: bytes) -> None:
    """It stops no start, and is named in the log."""
    (tmp_path / REMOVED).write_bytes(rubbish)
    with capture_logs() as logs:
        assert RemovedBook(tmp_path).left == ()
    assert [each["event"] for each in logs] == ["removed_not_understood"]
    assert REMOVED in logs[0]["detail"]


@pytest.mark.parametrize("by", ["bosd safe", "an orderly end"])
def test_what_is_not_understood_is_kept(tmp_path: Path, by: str) -> None:
    """Nobody has told the devices it may name: a person has to look at it, whatever else was made safe since."""
    (tmp_path / REMOVED).write_bytes(b"rubbish")
    if by == "bosd safe":
        assert write_report(tmp_path, Report(by="safe", why="", at_utc_s=0.0, outcomes=(), specs=())) == ""
    else:
        forget_report(tmp_path)
    assert (tmp_path / REMOVED).read_bytes() == b"rubbish"


async def test_a_report_takes_its_place(tmp_path: Path) -> None:
    """What the guard could not make safe is in `guard.json`; after an orderly end nothing is left of either."""
    await RemovedBook(tmp_path).note((ONE,))
    outcome = Outcome("a", "/dev/ttyUSB0", "open", "no answer")
    write_report(tmp_path, Report(by="guard", why="", at_utc_s=0.0, outcomes=(outcome,), specs=(ONE,)))
    assert files(tmp_path) == ["guard.json"]
    await RemovedBook(tmp_path).note((ONE,))
    forget_report(tmp_path)
    assert files(tmp_path) == []


async def test_one_that_is_not_understood_makes_way_for_another_and_is_not_lost(tmp_path: Path) -> None:
    """An edit takes out what may run on, and that confirms: what nobody understood is still there, and named at each start."""
    (tmp_path / REMOVED).write_bytes(b"[]")
    book = RemovedBook(tmp_path)
    for specs in ((ONE,), ()):
        await book.note(specs)
        with capture_logs() as logs:
            assert RemovedBook(tmp_path).left == specs
        assert [each["event"] for each in logs] == ["removed_not_understood"]
        assert "removed.odd.json" in logs[0]["detail"]
    assert (tmp_path / "removed.odd.json").read_bytes() == b"[]"


async def test_what_stands_in_place_of_what_was_taken_out_outlives_a_report(tmp_path: Path) -> None:
    """The guard's report has the device, and no null battery: what that stands for is still there, until nothing is left."""
    book, stands = RemovedBook(tmp_path), InPlace("n", ONE.commanded_place, -10.5)
    await book.note((ONE,), (stands,))
    outcome = Outcome("a", "/dev/ttyUSB0", "open", "no answer")
    write_report(tmp_path, Report(by="guard", why="", at_utc_s=0.0, outcomes=(outcome,), specs=(ONE,)))
    assert (RemovedBook(tmp_path).left, RemovedBook(tmp_path).in_place) == ((), (stands,))
    assert RemovedBook(tmp_path, inherits=False).in_place == ()
    await book.note(())
    assert (RemovedBook(tmp_path).in_place, files(tmp_path)) == ((), ["guard.json"])


STANDS = '[{"name": "n", "place": "p", "may_run_a": %s}]'


@pytest.mark.parametrize("rubbish", ["", "[7]", "7", "[{}]", STANDS % "NaN", STANDS % ("1" * 400)])
def test_what_stands_in_place_and_is_not_understood_is_told(tmp_path: Path, rubbish: str) -> None:
    """It stops no start, and is named in the log."""
    (tmp_path / "in_place.json").write_text(rubbish)
    with capture_logs() as logs:
        assert RemovedBook(tmp_path).in_place == ()
    assert [each["event"] for each in logs] == ["in_place_not_understood"]
