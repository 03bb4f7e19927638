"""Last addresses over restarts: a hint that may be garbage."""

import asyncio
import json
from pathlib import Path

import pytest

from bosd.store.address_book import FILE, MOST, AddressBook


async def written(book: AddressBook, path: Path, serial: str) -> None:
    """Have it written."""
    running = asyncio.create_task(book.run())
    async with asyncio.timeout(10.0):
        while not (path.exists() and serial in path.read_text()):  # noqa: ASYNC110, ASYNC240 (a file tells nobody)
            await asyncio.sleep(0.01)
    running.cancel()


async def test_what_worked_is_known_after_a_restart(tmp_path: Path) -> None:
    """The newest address of each."""
    book = AddressBook(tmp_path)
    assert book.find("hut") == ""
    book.note("hut", "192.0.2.1:4004")
    book.note("hut", "192.0.2.2:4004")
    await written(book, tmp_path / FILE, "192.0.2.2")
    assert AddressBook(tmp_path).find("hut") == "192.0.2.2:4004"
    assert [each.name for each in tmp_path.iterdir()] == [FILE]  # noqa: ASYNC240


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "null",
        '{"hut": 1}',
        '{"hut": "no address"}',
        '{"-": "192.0.2.1:1"}',
        '{"hut": "h:0"}',
        "[" * 100_000,
        "\xff",
    ],
)
async def test_garbage_is_an_empty_book(tmp_path: Path, text: str) -> None:
    """Whoever wrote it, the node starts."""
    (tmp_path / FILE).write_bytes(text.encode("latin-1"))
    book = AddressBook(tmp_path)
    assert (book.find("hut"), book.find("-")) == ("", "")


async def test_the_book_is_bounded(tmp_path: Path) -> None:
    """The oldest goes."""
    (tmp_path / FILE).write_text(json.dumps({f"n{index}": "192.0.2.1:1" for index in range(MOST)}))
    book = AddressBook(tmp_path)
    book.note("one-more", "192.0.2.2:1")
    assert (book.find("n0"), book.find("n1"), book.find("one-more")) == ("", "192.0.2.1:1", "192.0.2.2:1")
