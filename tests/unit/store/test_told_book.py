"""What regulators were told, over restarts (bosd/store/told_book.py)."""

import asyncio
import json
from pathlib import Path

import pytest

from bosd.bal.told import FILE
from bosd.store.told_book import ToldBook

PLACE = "/dev/supply"


def on_disk(path: Path) -> dict[str, float]:
    """Return what the file says."""
    found: dict[str, float] = json.loads((path / FILE).read_text())
    return found


async def test_what_is_raised_is_written_first(tmp_path: Path) -> None:
    """5 A, then 3 A, which is less and waits for no disk, then 8 A and -2 A: `note` returns when each of these is there."""
    book = ToldBook(tmp_path)
    waited = [await book.note(PLACE, current_a) for current_a in (5.0, 3.0, 5.0)]
    assert (waited, on_disk(tmp_path)) == ([True, False, False], {PLACE: 5.0})
    for current_a in (8.0, -2.0):
        assert await book.note(PLACE, current_a)
        assert on_disk(tmp_path) == {PLACE: current_a}
    assert ToldBook(tmp_path).left_a(PLACE) == -2.0


async def test_what_rises_a_little_all_the_time_is_written_now_and_then(tmp_path: Path) -> None:
    """From 8 A by a thousandth a second to twice that in 694 s: ln(2) / ln(1.1 * 1.001) = 7.2 writes, none too late."""
    book = ToldBook(tmp_path)
    current_a, writes = 8.0, 0
    for _ in range(694):
        writes += await book.note(PLACE, current_a)
        assert on_disk(tmp_path)[PLACE] >= current_a
        current_a *= 1.001
    assert writes <= 1 + 8


@pytest.mark.parametrize(("confirmed_a", "kept_a"), [(8.0, 8.0), (4.0, 8.0), (3.9, 3.9), (-8.0, -8.0), (0.0, 0.0)])
async def test_what_is_confirmed_is_written_where_it_is_less_by_far(tmp_path: Path, confirmed_a: float, kept_a: float) -> None:
    """8 A are noted: half of them and more leave the card alone; the next run counts what is written."""
    book = ToldBook(tmp_path)
    await book.note(PLACE, 8.0)
    book.confirmed(PLACE, confirmed_a)
    await book.close()
    assert ToldBook(tmp_path).left_a(PLACE) == kept_a


async def test_a_raise_while_the_end_is_being_written_is_written_behind_it(tmp_path: Path) -> None:
    """Told 8 A, 0 A and 8 A again, with no pause: the file says 8 A when the last `note` returns."""
    book = ToldBook(tmp_path)
    await book.note(PLACE, 8.0)
    book.confirmed(PLACE, 0.0)
    closing = asyncio.create_task(book.close())
    await asyncio.sleep(0.0)
    await book.note(PLACE, 8.0)
    assert on_disk(tmp_path) == {PLACE: 8.0}
    await closing


async def test_what_is_refused_again_and_again_is_written_once(tmp_path: Path) -> None:
    """A device refuses 8 A each second: one write, and at the end that it was told nothing, or what it goes on with."""
    book = ToldBook(tmp_path)
    waited = []
    for _ in range(3):
        waited.append(await book.note(PLACE, 8.0))
        book.not_told(PLACE, 0.0)
        assert (book.left_a(PLACE), on_disk(tmp_path)) == (0.0, {PLACE: 8.0})
    assert waited == [True, False, False]
    await book.close()
    assert on_disk(tmp_path) == {}
    book.not_told(PLACE, 2.0)
    await book.close()
    assert on_disk(tmp_path) == {PLACE: 2.0}


@pytest.mark.parametrize("value", ["true", '"x"', "[]", "null", "NaN", "Infinity", "1" + 400 * "0"])
def test_what_is_no_current_counts_as_none(tmp_path: Path, value: str) -> None:
    """It is no reason not to start."""
    (tmp_path / FILE).write_text(f'{{"{PLACE}": {value}}}')
    assert ToldBook(tmp_path).left_a(PLACE) == 0.0
