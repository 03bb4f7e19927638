"""Requests for less and limits that fall, while others are under way or wait for their turn (control.md, "Stop always works")."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from bosd.bal.spec import PartitionSpec, SplitterSpec
from bosd.errors import BosError, ClaimedError, ShuttingDownError, UnavailableError
from bosd.node.api import SetCurrentResult
from bosd.node.moves import Move
from tests.support.fake_leaf import limit
from tests.unit.node.test_controller import Bench, bench, device, whole

pytestmark = pytest.mark.jumping

PARTS = SplitterSpec(
    name="sp",
    policy="proportional",
    source="ab",
    partitions=(PartitionSpec(name="p1", fraction=0.5), PartitionSpec(name="p2", fraction=0.5)),
)


async def _refusal(request: Awaitable[SetCurrentResult]) -> BosError | None:
    try:
        await request
    except BosError as error:
        return error
    return None


@asynccontextmanager
async def _slow() -> AsyncIterator[Bench]:
    """Give p1 and p2, 10 A each, of a and b; p2 is raised to 12 A meanwhile, for which a takes 3 s, and told 11 A as b is."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b"), splitters=(PARTS,)) as node:
        await node.set("p1", 10.0, holder="one")
        await node.set("p2", 10.0, holder="two")
        node.leaf("a").takes_s = 3.0
        async with asyncio.TaskGroup() as group:
            raising = group.create_task(_refusal(node.set("p2", 12.0, holder="two")))
            await asyncio.sleep(0.5)
            node.wire.told.clear()
            yield node
            assert await raising is None


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_still_less_comes_while_a_raise_ends(turns: int) -> None:
    """Two requests for less, some turns of the loop apart: the second one meets a raise that ends already."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 10.0)
        for name in "ab":
            node.leaf(name).hangs = True
        async with asyncio.TaskGroup() as group:
            raising = group.create_task(_refusal(node.set("ab", 30.0)))
            await asyncio.sleep(0.5)
            for name in "ab":
                node.leaf(name).hangs = False
            group.create_task(_refusal(node.set("ab", 8.0)))
            for _ in range(turns):
                await asyncio.sleep(0.0)
            least = group.create_task(_refusal(node.set("ab", 6.0)))
        assert isinstance(raising.result(), UnavailableError)
        assert least.result() is None
        assert node.applied() == {"a": 3.0, "b": 3.0, "ab": 6.0}


async def test_a_raise_that_waits_for_its_turn_is_not_begun_when_its_holder_asks_for_less() -> None:
    """20 A wait, then 4 A are asked: b is told (4 + 12) / 2 A at once, and never more."""
    async with _slow() as node, asyncio.TaskGroup() as group:
        raising = group.create_task(_refusal(node.set("p1", 20.0, holder="one")))
        await asyncio.sleep(0.5)
        lowering = group.create_task(_refusal(node.set("p1", 4.0, holder="one")))
    assert "asked for less of p1 meanwhile" in str(raising.result())
    assert lowering.result() is None
    assert node.wire.told == [("b", 8.0), ("a", 8.0)]


async def test_a_device_does_not_wait_for_what_another_one_is_told_ahead() -> None:
    """B takes 4 s for what overtakes; a, whose raise ends sooner, is told at once then, and both once more for the new end."""
    async with _slow() as node:
        node.leaf("b").takes_s = 4.0
        async with asyncio.TaskGroup() as group:
            lowering = group.create_task(_refusal(node.set("p1", 4.0, holder="one")))
            await asyncio.sleep(2.0)
            assert node.wire.told == [("b", 8.0)]
            node.leaf("a").takes_s = 0.1
            await asyncio.sleep(1.0)
            assert node.applied()["a"] == 8.0
            assert not lowering.done()
        assert lowering.result() is None
        assert node.wire.told == [("b", 8.0), ("a", 8.0), ("b", 8.0)]


async def test_what_waits_to_be_enforced_does_not_take_a_lowering_back() -> None:
    """A limit, which binds nothing, moved before 4 A were asked: what is looked at first tells no more than that."""
    async with _slow() as node:
        limit(node["a"], 39.0)
        await asyncio.sleep(0.5)
        assert await _refusal(node.set("p1", 4.0, holder="one")) is None
        assert node.wire.told == [("b", 8.0), ("a", 8.0)]


async def test_less_of_a_claim_that_was_taken_lowers_nothing() -> None:
    """The one asks for 4 A behind who takes the claim: what that raises is not lowered, and it hears who holds it."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 20.0, holder="one")
        node.leaf("a").takes_s = 2.0
        async with asyncio.TaskGroup() as group:
            group.create_task(_refusal(node.set("ab", 22.0, holder="one")))
            await asyncio.sleep(0.5)
            taking = node.controller.force_current("ab", 24.0, ttl_s=None, holder="admin", request_id="", dry_run=False)
            forced = group.create_task(_refusal(taking))
            await asyncio.sleep(0.25)
            lowering = group.create_task(_refusal(node.set("ab", 4.0, holder="one")))
            await asyncio.sleep(0.25)
            node.wire.told.clear()
        assert forced.result() is None
        assert isinstance(lowering.result(), ClaimedError)
        assert node.wire.told == [("a", 0.0), ("b", 0.0), ("a", 12.0), ("b", 12.0)]


async def test_a_device_is_told_less_once() -> None:
    """A limit of b falls to 5 A; all that rest on it are looked at in one instant, and one command goes out."""
    async with _slow() as node:
        node.leaf("b").takes_s = 0.2
        limit(node["b"], 5.0)
        await asyncio.sleep(0.3)
        assert node.wire.told == [("b", 5.0)]


async def test_less_that_nobody_waits_for_is_asked_all_the_same() -> None:
    """The asker of 4 A gives up before its turn: what was told at once does not come back."""
    async with _slow() as node:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await node.set("p1", 4.0, holder="one")
        await asyncio.sleep(6.0)
        assert node.wire.told == [("b", 8.0), ("a", 8.0)]
        assert node.applied() == {"a": 8.0, "b": 8.0, "ab": 16.0, "p1": 4.0, "p2": 12.0}


async def test_an_end_that_nobody_waits_for_is_one_all_the_same() -> None:
    """The same, where the set point is ended."""
    async with _slow() as node:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await node.controller.clear_current("p1", holder="one")
        await asyncio.sleep(6.0)
        assert node.wire.told == [("b", 6.0), ("a", 6.0)]
        assert (node["p1"].setpoint, node["p1"].applied_a) == (None, 0.0)


async def test_a_repeat_of_what_was_answered_ends_nothing() -> None:
    """5 A are asked and answered, then 20 A; a repeat of the first request gets its answer, and the second is done."""
    async with bench(device("a")) as node:
        first = await node.set("a", 5.0, request_id="x")
        node.leaf("a").takes_s = 1.0
        async with asyncio.TaskGroup() as group:
            raising = group.create_task(_refusal(node.set("a", 20.0)))
            await asyncio.sleep(0.5)
            assert await node.set("a", 5.0, request_id="x") == first
        assert raising.result() is None
        assert node.applied() == {"a": 20.0}


async def test_nothing_overtakes_while_devices_are_made_safe() -> None:
    """Less is asked, and an end, of a node that shuts down, while a command is under way: nothing is told behind that."""
    async with _slow() as node:
        node.controller.closing = True
        assert isinstance(await _refusal(node.set("p1", 4.0, holder="one")), ShuttingDownError)
        clearing = asyncio.create_task(_refusal(node.controller.clear_current("p1", holder="one")))
        await asyncio.sleep(0.5)
        assert node.wire.told == []
        node.controller.closing = False
        await clearing


async def test_two_commands_under_way_to_one_device_both_count() -> None:
    """The first is confirmed, and the second one counts on: it is not idle, and its room is nobody's."""
    async with bench(device("a")) as node:
        await node.set("a", 10.0)
        leaf, executor = node.leaf("a"), node.executor
        leaf.takes_s = 1.0
        first = asyncio.create_task(executor.tell([Move(leaf, 10.0, 8.0, 10.0, None)]))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(executor.tell([Move(leaf, 10.0, 12.0, 10.0, None)]))
        await first
        assert (leaf.applied_a, leaf.telling_a, leaf.counts_at_a) == (8.0, 12.0, 12.0)
        await second
        assert leaf.applied_a == 12.0
        await asyncio.sleep(3.0)
        assert (leaf.applied_a, leaf.telling_a) == (10.0, None)  # what is asked


async def test_a_stop_comes_while_a_turn_waits_for_what_overtook_it() -> None:
    """The next turn waits until b was told 5 A, which takes 3 s; b is stopped meanwhile: that turn tells it nothing more."""
    async with _slow() as node:
        node.leaf("b").takes_s = 3.0
        limit(node["b"], 5.0)
        await asyncio.sleep(3.0)
        assert [told for told in node.wire.told if told[0] == "b"] == [("b", 5.0)]
        node.leaf("b").takes_s = 0.0
        assert "b" not in await node.stop("b")
        await asyncio.sleep(6.0)
        assert [told for told in node.wire.told if told[0] == "b" and told[1] != 0.0] == [("b", 5.0)]


async def test_the_first_request_of_another_part_is_not_taken_back() -> None:
    """P2 is asked for the first time and one of its devices is slow: the other one keeps what it was told, and hears it once."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b"), splitters=(PARTS,)) as node:
        await node.set("p1", 10.0, holder="one")
        node.leaf("a").takes_s = 1.0
        node.wire.told.clear()
        await node.set("p2", 10.0, holder="two")
        assert node.wire.told == [("a", 10.0), ("b", 10.0)]
