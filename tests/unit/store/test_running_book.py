"""What batteries of other nodes may run, over restarts and on disks that are full or wrong."""

import asyncio
import json
import threading
from pathlib import Path

import pytest

from bosd.errors import UnavailableError
from bosd.store import noted_book
from bosd.store.running_book import FILE, RunningBook

NOTED = {"agg@b:4004": 17.09, "pack@c:4004": None}


async def noted(path: Path) -> RunningBook:
    """Return a book with `NOTED`."""
    book = RunningBook(path)
    for key, bound_s in NOTED.items():
        await book.note(key, bound_s)
    return book


async def test_what_was_noted_is_there_after_a_crash(tmp_path: Path) -> None:
    """`note` returns when it is on the disk: another book, as after `kill -9`, has it."""
    await noted(tmp_path)
    found = RunningBook(tmp_path)
    assert {key: found.bound_s(key) for key in NOTED if key in found} == NOTED


async def test_forgetting_is_written_soon(tmp_path: Path) -> None:
    """What runs nothing any more is gone at once here, and from the disk when `run` has had its turn."""
    book = await noted(tmp_path)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(book.run())
        book.forget("agg@b:4004")
        book.forget("unknown")
        assert "agg@b:4004" not in book
        async with asyncio.timeout(10.0):
            while "agg@b:4004" in json.loads((tmp_path / FILE).read_text()):  # noqa: ASYNC110 (another process would look at the file, too)
                await asyncio.sleep(0.01)
        running.cancel()
    assert "pack@c:4004" in RunningBook(tmp_path)


async def test_noted_again_after_it_was_forgotten(tmp_path: Path) -> None:
    """What is forgotten and noted again before that was written stays on the disk."""
    book = await noted(tmp_path)
    book.forget("pack@c:4004")
    await book.note("pack@c:4004", None)
    assert "pack@c:4004" in RunningBook(tmp_path)


async def test_another_bound_replaces_the_first(tmp_path: Path) -> None:
    """What holds now, and expired before, is noted as such."""
    book = await noted(tmp_path)
    await book.note("agg@b:4004", None)
    assert RunningBook(tmp_path).bound_s("agg@b:4004") is None


async def test_the_bound_of_what_runs_already_is_written_soon(tmp_path: Path) -> None:
    """`note_soon` returns at once, whatever the disk does; `run` writes it."""
    book = await noted(tmp_path)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(book.run())
        book.note_soon("pack@c:4004", 3.0)
        assert book.bound_s("pack@c:4004") == 3.0
        async with asyncio.timeout(10.0):
            while json.loads((tmp_path / FILE).read_text())["pack@c:4004"] != 3.0:  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.01)
        running.cancel()


async def test_a_write_whose_asker_went_is_not_overtaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk hangs over a note that is given up; what is noted next is what the file has in the end."""
    book = await noted(tmp_path)
    goes_on, begun = threading.Event(), threading.Event()
    replace = noted_book._replace

    def hang(path: Path, bounds_s: dict[str, float | None]) -> None:
        begun.set()
        goes_on.wait(10.0)
        replace(path, bounds_s)

    with monkeypatch.context() as patch:
        patch.setattr(noted_book, "_replace", hang)
        book.forget("pack@c:4004")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await book.note("agg@b:4004", 5.0)
    assert begun.is_set()
    async with asyncio.TaskGroup() as group:
        noting = group.create_task(book.note("pack@c:4004", None))
        await asyncio.sleep(0.05)
        assert not noting.done()
        goes_on.set()
    found = RunningBook(tmp_path)
    assert (found.bound_s("agg@b:4004"), found.bound_s("pack@c:4004")) == (5.0, None)


async def test_a_directory_that_takes_nothing(tmp_path: Path) -> None:
    """What cannot be noted is refused, with the place and why."""
    book = RunningBook(tmp_path / "gone")
    with pytest.raises(UnavailableError, match=r"running\.json: No such file or directory"):
        await book.note("agg@b:4004", 9.0)


@pytest.mark.parametrize("text", ["", "[1]", "{", "7", chr(0)])
def test_a_file_that_is_no_good_counts_as_empty(tmp_path: Path, text: str) -> None:
    """It is no reason not to start."""
    (tmp_path / FILE).write_text(text)
    assert "agg@b:4004" not in RunningBook(tmp_path)


@pytest.mark.parametrize("value", ["-1", "true", '"x"', "[]"])
def test_a_bound_that_is_none_never_ends(tmp_path: Path, value: str) -> None:
    """A battery with a bound that cannot be read may run on until contact."""
    (tmp_path / FILE).write_text(f'{{"agg@b:4004": {value}}}')
    assert RunningBook(tmp_path).bound_s("agg@b:4004") is None


@pytest.mark.parametrize("value", ["1" + 400 * "0", "Infinity", "NaN", "-1", "true"])
def test_what_is_no_bound_never_ends(tmp_path: Path, value: str) -> None:
    """It is no reason not to start."""
    (tmp_path / FILE).write_text(f'{{"agg@b:4004": {value}}}')
    assert RunningBook(tmp_path).bound_s("agg@b:4004") is None
