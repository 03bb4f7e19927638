"""Taking over a claim by force: the safe value is confirmed first, and a refusal takes nothing (control.md, "Owners")."""

import asyncio
from dataclasses import replace

import pytest

from bosd.bal.setpoint import Booked, Lease
from bosd.errors import BosError, ClaimedError, CurrentOutOfRangeError, DriverError, StoppedError, UnavailableError
from bosd.node.api import SetCurrentResult
from bosd.node.taking import MOST_KEPT, Taken
from tests.unit.node.test_controller import Bench, bench, device, whole

pytestmark = pytest.mark.jumping


async def force(node: Bench, current_a: float, *, name: str = "x", by: str = "boss", dry_run: bool = False) -> SetCurrentResult:
    """Ask for a current over whoever holds the battery."""
    return await node.controller.force_current(name, current_a, ttl_s=20.0, holder=by, request_id="", dry_run=dry_run)


async def test_the_safe_value_comes_first() -> None:
    """From +20 to -5 A the device is told 0 A, and only when it confirmed what is asked; the loser is named."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0, holder="ann")
        leaf = node.leaf("x")
        leaf.hangs = True
        forcing = asyncio.create_task(force(node, -5.0))
        await asyncio.sleep(1.0)
        assert node.wire.told == [("x", 20.0), ("x", 0.0)]
        assert leaf.setpoint is None
        leaf.hangs = False
        leaf.go_on.set()
        result = await forcing
        assert node.wire.confirmed == [("x", 20.0), ("x", 0.0), ("x", -5.0)]
        assert (result.taken_from, result.applied_current_a) == ("ann", -5.0)
        with pytest.raises(ClaimedError) as refused:
            await node.set("x", 20.0, holder="ann")
        assert refused.value.metadata["holder"] == "boss"


async def test_its_own_safe_value_counts_and_no_booking() -> None:
    """A safe value of 2 A is passed through, although 9 A are booked below the set point."""
    async with bench(device("x")) as node:
        leaf = node.leaf("x")
        leaf.spec = replace(leaf.spec, safe_current_a=2.0)
        leaf.booked = Booked(number=1, current_a=9.0, ends_s=1e9)
        await node.set("x", 20.0, holder="ann")
        await force(node, 12.0)
        assert node.wire.told == [("x", 20.0), ("x", 2.0), ("x", 12.0)]


async def test_what_nobody_else_holds_is_set_as_ever() -> None:
    """Free, one's own, or with a lease that is over: nothing is taken, and the device is told once."""
    async with bench(device("x")) as node:
        assert (await force(node, 5.0)).taken_from == ""
        assert (await force(node, 6.0)).taken_from == ""
        assert node.wire.told == [("x", 5.0), ("x", 6.0)]
        setpoint = node["x"].setpoint
        assert setpoint is not None
        node["x"].setpoint = replace(setpoint, holder="node:far", lease=Lease(0.0))
        assert (await force(node, 7.0)).taken_from == ""
        assert not node.controller.taken.of("node:far")


@pytest.mark.parametrize(("stopped", "current_a", "error"), [(False, 41.0, CurrentOutOfRangeError), (True, 5.0, StoppedError)])
async def test_what_is_refused_takes_nothing(stopped: bool, current_a: float, error: type[BosError]) -> None:
    """Beyond the limits, or stopped: the other's set point stays."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0, holder="ann")
        if stopped:
            await node.stop("x")
        told = list(node.wire.told)
        with pytest.raises(error):
            await force(node, current_a)
        setpoint = node["x"].setpoint
        assert setpoint is not None
        assert (setpoint.holder, node.wire.told, node.controller.taken.of("ann")) == ("ann", told, {})


async def test_a_dry_run_takes_nothing() -> None:
    """It says from whom it would."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0, holder="ann")
        result = await force(node, 5.0, dry_run=True)
        assert (result.taken_from, result.leaves[0].new_current_a) == ("ann", 5.0)
        assert node.wire.told == [("x", 20.0)]


async def test_a_device_that_does_not_confirm_the_safe_value_is_raised_no_more() -> None:
    """The claim has ended all the same, which the refusal says; the device is told its safe value until it confirms."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0, holder="ann")
        node.leaf("x").raises = UnavailableError("no answer")
        with pytest.raises(UnavailableError, match="the claim of ann on x has ended all the same") as refused:
            await force(node, 30.0)
        assert refused.value.metadata["taken_from"] == "ann"
        assert ("x", 30.0) not in node.wire.told
        assert node["x"].setpoint is None
        node.leaf("x").raises = None
        await asyncio.sleep(3.0)
        assert (node.leaf("x").runs_a, node.applied()) == (0.0, {"x": 0.0})
        assert (await force(node, 30.0)).taken_from == ""


async def test_a_device_that_refuses_the_new_current_stays_at_its_safe_value() -> None:
    """Nobody holds it then."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0, holder="ann")
        leaf = node.leaf("x")
        leaf.takes_s = 1.0
        forcing = asyncio.create_task(force(node, 30.0))
        await asyncio.sleep(1.5)  # its safe value is confirmed
        leaf.raises = DriverError("no")
        with pytest.raises(DriverError, match="the claim of ann"):
            await forcing
        leaf.raises = None
        await asyncio.sleep(10.0)
        assert (leaf.runs_a, leaf.setpoint) == (0.0, None)


async def test_a_stop_in_between_holds() -> None:
    """A stop that comes while the safe value is confirmed: refused as stopped, nothing is raised."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0, holder="ann")
        node.leaf("x").takes_s = 1.0
        forcing = asyncio.create_task(force(node, 5.0))
        await asyncio.sleep(0.5)
        await node.stop("x")
        with pytest.raises((StoppedError, UnavailableError)):
            await forcing
        assert ("x", 5.0) not in node.wire.told


async def test_a_whole_is_taken_with_all_its_members() -> None:
    """All members are lowered and confirmed before any is raised."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 20.0, holder="ann")
        node.wire.confirmed.clear()
        assert (await force(node, 30.0, name="ab")).taken_from == "ann"
        assert sorted(node.wire.confirmed[:2]) == [("a", 0.0), ("b", 0.0)]
        assert sorted(node.wire.confirmed[2:]) == [("a", 15.0), ("b", 15.0)]


def test_who_lost_a_claim_is_told_until_it_knows() -> None:
    """Of one battery when it holds that again, of all when it says so; who took it has lost nothing; bounded."""
    taken = Taken()
    taken.note("a", "node:n", "ann")
    taken.note("b", "node:n", "bob")
    taken.note("a", "ann", "bob")
    assert taken.of("node:n") == {"a": "ann", "b": "bob"}
    taken.told("node:n", "a")
    assert taken.of("node:n") == {"b": "bob"}
    taken.note("b", "bob", "node:n")
    assert (taken.of("node:n"), taken.of("bob")) == ({}, {"b": "node:n"})
    taken.told("bob")
    assert taken.of("bob") == {}
    for number in range(MOST_KEPT + 10):
        taken.note(f"b{number}", "node:n", "ann")
    assert len(taken.of("node:n")) <= MOST_KEPT
    assert "b0" not in taken.of("node:n")
