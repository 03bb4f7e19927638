"""The turnstile of a line: order, and who is cancelled while waiting."""

import asyncio

import pytest

from bosd.drivers.turnstile import Turnstile

pytestmark = pytest.mark.jumping


async def _pass(turns: Turnstile, name: str, passed: list[str], *, urgent: bool = False) -> None:
    async with turns.turn(urgent=urgent):
        passed.append(name)
        await asyncio.sleep(1.0)


async def test_urgent_ones_first_then_in_order() -> None:
    """Whoever holds it ends; then the urgent one, then those that came before it."""
    turns, passed = Turnstile(), list[str]()
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(_pass(turns, name, passed))
        await asyncio.sleep(0.5)
        group.create_task(_pass(turns, "urgent", passed, urgent=True))
    assert passed == ["a", "urgent", "b", "c"]
    assert not turns.held


async def test_all_cancelled_at_once() -> None:
    """Holder and waiters are cancelled in one turn of the loop, as when a node stops: each ends as cancelled, and it is free."""
    turns, passed = Turnstile(), list[str]()
    tasks = [asyncio.create_task(_pass(turns, name, passed)) for name in ("a", "b", "c")]
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * 3
    assert passed == ["a"]
    async with asyncio.timeout(2.0):
        await asyncio.create_task(_pass(turns, "d", passed))
    assert passed == ["a", "d"]


async def test_cancelled_with_the_turn_in_hand() -> None:
    """Who was given the turn and is cancelled before it could begin hands it on."""
    turns, passed = Turnstile(), list[str]()
    async with turns.turn():
        second, third = (asyncio.create_task(_pass(turns, name, passed)) for name in ("b", "c"))
        await asyncio.sleep(0.5)
    second.cancel()
    await asyncio.wait([second, third])
    assert second.cancelled()
    assert passed == ["c"]
