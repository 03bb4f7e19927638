"""Set points on devices that confirm, refuse, hang or lose the answer (control.md)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.setpoint import Fence, Lease
from bosd.bal.spec import AggregatorSpec, BatterySpec, PartitionSpec, PseudoSpec, SplitterSpec, Topology
from bosd.clock import LoopClock
from bosd.errors import (
    BatteryInUseError,
    ClaimedError,
    CurrentOutOfRangeError,
    FencedError,
    InvalidArgumentError,
    ShuttingDownError,
    StoppedError,
    UnavailableError,
    UnsupportedError,
)
from bosd.node.api import SetCurrentResult
from bosd.node.controller import Controller
from bosd.node.execute import Executor
from bosd.node.moves import Move, phases_of
from bosd.policy.registry import policy
from tests.support.by_lease import ByLease
from tests.support.fake_leaf import FakeLeaf, Wire, limit

pytestmark = pytest.mark.jumping


HALVES = SplitterSpec(
    name="sp",
    policy="proportional",
    source="s",
    partitions=(PartitionSpec(name="p1", fraction=0.5), PartitionSpec(name="p2", fraction=0.5)),
)
"""Of `s`."""


def whole(name: str, *sources: str) -> AggregatorSpec:
    """Return an aggregate around 48 V."""
    return AggregatorSpec(name=name, sources=sources, voltage_v=48.0, voltage_tolerance_v=4.0)


def pseudo(name: str, limit_a: float = 40.0, charge_ah: float = 50.0) -> PseudoSpec:
    """Return a pseudo battery of 100 Ah."""
    return PseudoSpec(
        name=name,
        voltage_v=48.0,
        charge_ah=charge_ah,
        capacity_ah=100.0,
        max_discharge_current_a=limit_a,
        max_charge_current_a=limit_a,
    )


class Bench:
    """A controller over a directory, running on the loop's clock."""

    def __init__(self, topology: Topology) -> None:
        self.clock = LoopClock(asyncio.get_running_loop())
        self.wire = Wire()
        self.directory = Directory(lambda spec: FakeLeaf(spec.name, self.wire), policy)
        self.directory.change(topology, 0.0)
        self.settled: list[str] = []
        self.executor = Executor(self.clock, lambda leaf: self.settled.append(leaf.name))
        self.controller = Controller(self.directory, self.clock, self.executor, default_ttl_s=60.0, longest_ttl_s=3600.0)

    def __getitem__(self, name: str) -> Battery:
        return self.directory[name]

    def leaf(self, name: str) -> FakeLeaf:
        leaf = self.directory[name]
        assert isinstance(leaf, FakeLeaf)
        return leaf

    async def set(
        self,
        name: str,
        current_a: float,
        *,
        ttl_s: float | None = None,
        holder: str = "h",
        request_id: str = "",
        dry_run: bool = False,
        fence: Fence | None = None,
    ) -> SetCurrentResult:
        return await self.controller.set_current(
            name, current_a, ttl_s=ttl_s, holder=holder, request_id=request_id, dry_run=dry_run, fence=fence
        )

    async def stop(self, *names: str) -> list[str]:
        batteries = [self[name] for name in names]
        for battery in batteries:
            battery.latch(stopped=True)
        return await self.controller.stop(batteries, 2.0)

    def change(self, topology: Topology) -> None:
        self.directory.change(topology, self.clock.now_s())
        self.controller.topology_changed()

    def applied(self) -> dict[str, float]:
        return {battery.name: battery.applied_a for battery in self.directory}


@asynccontextmanager
async def bench(*specs: BatterySpec, splitters: tuple[SplitterSpec, ...] = ()) -> AsyncIterator[Bench]:
    """Run a controller over these batteries until the block ends."""
    made = Bench(Topology(batteries=specs, splitters=splitters))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.controller.run(group))
        yield made
        task.cancel()


def device(name: str) -> BatterySpec:
    """Return a fake device of 40 A both ways."""
    return BatterySpec(name=name)


async def test_shares_reach_the_devices() -> None:
    """20 A over two alike: 10 A each, confirmed, applied, each sampled at once."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        result = await node.set("ab", 20.0)
        assert (result.applied_current_a, result.requested_current_a, result.setpoint_ends_s) == (20.0, 20.0, 60.0)
        assert node.wire.confirmed == [("a", 10.0), ("b", 10.0)]
        assert node.applied() == {"a": 10.0, "b": 10.0, "ab": 20.0}
        assert node.settled == ["a", "b"]
        assert node["ab"].status(0.0).requested_current_a == 20.0
        assert node["a"].status(0.0).requested_current_a == 10.0


async def test_lower_before_raise() -> None:
    """From p1 30, p2 0 to p1 0, p2 30 the devices: the one to lower is confirmed before the other is told."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        limit(node["b"], 0.0)
        await node.set("ab", 30.0)
        assert node.applied() == {"a": 30.0, "b": 0.0, "ab": 30.0}
        limit(node["b"], 40.0)
        limit(node["a"], 0.0)
        node.leaf("a").takes_s = 0.5
        node.wire.told.clear()
        await asyncio.sleep(0.3)
        assert node.wire.told == [("a", 0.0)]
        await asyncio.sleep(0.5)
        assert node.wire.told == [("a", 0.0), ("b", 30.0)]


async def test_a_refusal_brings_back_what_was_raised() -> None:
    """B refuses: a goes back to 0, nothing is in force, the error names both."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        node.leaf("b").raises = UnsupportedError("not now")
        with pytest.raises(UnsupportedError, match="b: not now") as refusal:
            await node.set("ab", 20.0)
        assert refusal.value.metadata == {"a": "old", "b": "old"}
        assert node.applied() == {"a": 0.0, "b": 0.0, "ab": 0.0}
        assert node["ab"].setpoint is None
        assert node.leaf("a").runs_a == 0.0


async def test_a_failed_lowering_restores_the_others() -> None:
    """At 20 A, lowering to 10: b refuses, so a is put back to 10 A and the old request stays in force."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 20.0)
        node.leaf("b").raises = UnsupportedError("not now")
        with pytest.raises(UnsupportedError):
            await node.set("ab", 10.0)
        assert node.applied() == {"a": 10.0, "b": 10.0, "ab": 20.0}
        assert node["ab"].setpoint is not None
        assert node["ab"].setpoint.current_a == 20.0


async def test_a_lost_answer_counts_at_the_larger_magnitude() -> None:
    """B is lost at 10 A: a is brought back, b counts at 10 A until it is told 0 again a second later."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        node.leaf("b").raises = UnavailableError("silence")
        with pytest.raises(UnavailableError) as failure:
            await node.set("ab", 20.0)
        assert failure.value.metadata == {"a": "old", "b": "unknown"}
        assert (node.leaf("b").counts_at_a, node.leaf("a").runs_a) == (10.0, 0.0)
        node.leaf("b").raises = None
        await asyncio.sleep(2.0)
        assert (node.leaf("b").counts_at_a, node.leaf("b").runs_a) == (0.0, 0.0)


async def test_a_device_that_hangs_is_given_up() -> None:
    """No answer within 5 s: unknown, counted, the caller told."""
    async with bench(device("a")) as node:
        node.leaf("a").hangs = True
        with pytest.raises(UnavailableError, match="no answer within 5 s"):
            await node.set("a", 20.0)
        assert asyncio.get_running_loop().time() == pytest.approx(5.0)
        assert node.leaf("a").counts_at_a == 20.0


async def test_a_stop_overtakes_a_hanging_command() -> None:
    """While 20 A hang in the device, stop tells it 0 at once; what hung is refused and nothing stays applied."""
    async with bench(device("a")) as node:
        leaf = node.leaf("a")
        leaf.hangs = True
        async with asyncio.TaskGroup() as group:
            request = group.create_task(_refusal(node.set("a", 20.0)))
            await asyncio.sleep(1.0)
            leaf.hangs = False
            assert await node.stop("a") == []
            assert node.wire.told == [("a", 20.0), ("a", 0.0)]
            assert asyncio.get_running_loop().time() == pytest.approx(1.0)
            leaf.go_on.set()
        assert isinstance(request.result(), UnavailableError)
        await asyncio.sleep(0.5)
        assert (node["a"].setpoint, leaf.counts_at_a, leaf.runs_a) == (None, 0.0, 0.0)
        with pytest.raises(StoppedError):
            await node.set("a", 1.0)


async def _refusal(request: Awaitable[SetCurrentResult]) -> BaseException | None:
    try:
        await request
    except UnavailableError as error:
        return error
    return None


async def test_a_stop_names_what_did_not_confirm() -> None:
    """A hanging device is named after the deadline of 2 s; software batteries and other devices are down at once."""
    async with bench(device("a"), device("b"), pseudo("p")) as node:
        for name in ("a", "b", "p"):
            await node.set(name, 10.0)
        node.leaf("a").hangs = True
        unconfirmed = await node.stop("a", "b", "p")
        assert unconfirmed == ["a"]
        assert (node["b"].applied_a, node["p"].applied_a) == (0.0, 0.0)
        assert node.leaf("a").counts_at_a == 10.0


async def test_a_member_that_refuses_does_not_make_the_others_swing() -> None:
    """20 A over two end at 10 s while b refuses: a goes to 0 A once and stays there, b is told once a second until it follows."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 20.0, ttl_s=10.0)
        node.leaf("b").raises = UnsupportedError("not now")
        node.wire.told.clear()
        await asyncio.sleep(15.5)
        assert [told for told in node.wire.told if told[0] == "a"] == [("a", 0.0)]
        assert node.wire.told.count(("b", 0.0)) in (5, 6)
        node.leaf("b").raises = None
        await asyncio.sleep(1.1)
        assert node.applied() == {"a": 0.0, "b": 0.0, "ab": 0.0}


async def test_a_stop_that_turns_the_source_takes_its_devices_to_zero() -> None:
    """P out 20 A, q in 10 A: stopping p turns a and b from +5 A to -5 A. B is lost: nothing is raised until it is at 0 A."""
    parts = (PartitionSpec(name="p", fraction=0.5), PartitionSpec(name="q", fraction=0.5))
    sp = SplitterSpec(name="sp", policy="proportional", source="ab", partitions=parts)
    async with bench(device("a"), device("b"), whole("ab", "a", "b"), splitters=(sp,)) as node:
        await node.set("p", 20.0)
        await node.set("q", -10.0)
        assert (node.leaf("a").runs_a, node.leaf("b").runs_a) == (5.0, 5.0)
        node.leaf("b").raises = UnavailableError("silence")
        node.wire.told.clear()
        assert await node.stop("p") == ["b"]
        assert node.wire.told == [("a", 0.0), ("b", 0.0)]
        await asyncio.sleep(3.0)
        assert [told for told in node.wire.told if told[0] == "a"] == [("a", 0.0)]
        node.leaf("b").raises = None
        await asyncio.sleep(1.1)
        assert node.applied() == {"a": -5.0, "b": -5.0, "ab": -10.0, "p": 0.0, "q": -10.0}


async def test_a_stopped_member_leaves_its_share_to_the_others() -> None:
    """30 A over two, one stopped: it is at 0, the other takes 30; released, 15 each again."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 30.0)
        assert await node.stop("a") == []
        assert node.leaf("a").runs_a == 0.0
        await asyncio.sleep(2.0)
        assert node.applied() == {"a": 0.0, "b": 30.0, "ab": 30.0}
        node["a"].latch(stopped=False)
        await asyncio.sleep(2.0)
        assert node.applied() == {"a": 15.0, "b": 15.0, "ab": 30.0}


@pytest.mark.parametrize("spec", [device("x"), pseudo("x")])
async def test_a_set_point_ends(spec: BatterySpec) -> None:
    """After its 10 s the safe value, 0 A, is in force and nothing is asked any more."""
    async with bench(spec) as node:
        await node.set("x", 20.0, ttl_s=10.0)
        await asyncio.sleep(9.9)
        assert node["x"].applied_a == 20.0
        await asyncio.sleep(0.2)
        assert (node["x"].applied_a, node["x"].setpoint) == (0.0, None)


async def test_asking_again_keeps_it() -> None:
    """Three times 10 s, asked every 8 s: in force for 26 s; each renewal tells the device its new end."""
    async with bench(device("x")) as node:
        for _ in range(3):
            await node.set("x", 20.0, ttl_s=10.0)
            await asyncio.sleep(8.0)
        assert node["x"].applied_a == 20.0
        assert node.leaf("x").lifetimes_s == pytest.approx([10.0, 10.0, 10.0])
        await asyncio.sleep(2.1)
        assert node["x"].applied_a == 0.0


async def test_clamped_and_back() -> None:
    """The limit falls to 5 A and returns: 5 A applied with the reason while 20 stay requested, then 20 again."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0)
        limit(node["x"], 5.0)
        await asyncio.sleep(0.5)
        status = node["x"].status(node.clock.now_s())
        assert (status.applied_current_a, status.requested_current_a) == (5.0, 20.0)
        assert "clamped to the present discharge limit 5 A" in status.reason
        repeated = await node.set("x", 20.0)
        assert (repeated.applied_current_a, repeated.requested_current_a) == (5.0, 20.0)
        limit(node["x"], 40.0)
        await asyncio.sleep(0.5)
        assert node["x"].applied_a == 20.0


async def test_a_lost_member_holds_nobody_up() -> None:
    """B goes at 10 of 20 A: it counts; 15 A may be asked of the rest, of which a gives 5; back, b gets its half."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 20.0)
        leaf = node.leaf("b")
        leaf.good, leaf.raises = False, UnavailableError("silence")
        leaf.touch()
        await asyncio.sleep(1.0)
        await node.set("ab", 15.0)
        assert (node["a"].applied_a, leaf.counts_at_a, node["ab"].applied_a) == (5.0, 10.0, 15.0)
        leaf.good, leaf.raises = True, None
        leaf.touch()
        await asyncio.sleep(2.0)
        assert node.applied() == {"a": 7.5, "b": 7.5, "ab": 15.0}


@pytest.mark.parametrize("current_a", [40.1, -40.1])
async def test_out_of_range(current_a: float) -> None:
    """Beyond what it can do now: refused with the bounds, nothing told."""
    async with bench(device("x")) as node:
        with pytest.raises(CurrentOutOfRangeError) as refusal:
            await node.set("x", current_a)
        assert (refusal.value.metadata["lower_a"], refusal.value.metadata["upper_a"]) == ("-40.0", "40.0")
        assert node.wire.told == []


@pytest.mark.parametrize(
    ("current_a", "ttl_s"), [(float("nan"), None), (float("inf"), None), (1.0, 0.0), (1.0, 3601.0), (1.0, float("nan"))]
)
async def test_nonsense_is_refused(current_a: float, ttl_s: float | None) -> None:
    """NaN, infinity, a life of 0 or above the longest: INVALID_ARGUMENT."""
    async with bench(device("x")) as node:
        with pytest.raises(InvalidArgumentError):
            await node.set("x", current_a, ttl_s=ttl_s)


async def test_one_holder_at_a_time() -> None:
    """Another holder is refused with who and how long, also when clearing; after the end it may."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0, ttl_s=10.0, holder="one")
        with pytest.raises(ClaimedError) as refusal:
            await node.set("x", 5.0, holder="two")
        assert (refusal.value.metadata["holder"], refusal.value.metadata["remaining_s"]) == ("one", "10.000")
        with pytest.raises(ClaimedError):
            await node.controller.clear_current("x", holder="two")
        await asyncio.sleep(10.5)
        assert (await node.set("x", 5.0, holder="two")).applied_current_a == 5.0


async def test_a_battery_in_use_is_not_commanded_around_its_user() -> None:
    """Refused with the user's name."""
    async with bench(device("a"), whole("ab", "a")) as node:
        with pytest.raises(BatteryInUseError, match="ab"):
            await node.set("a", 1.0)


async def test_a_repeat_gets_the_old_answer() -> None:
    """The same request id, also while the first is under way: told once, one answer; of another holder it is another request."""
    async with bench(device("x")) as node:
        node.leaf("x").takes_s = 0.5
        first, second = await asyncio.gather(node.set("x", 20.0, request_id="r"), node.set("x", 20.0, request_id="r"))
        assert first is second
        assert node.wire.told == [("x", 20.0)]
        with pytest.raises(ClaimedError):
            await node.set("x", 20.0, request_id="r", holder="two")


async def test_a_dry_run_changes_nothing() -> None:
    """It says what each leaf would be told."""
    async with bench(device("a"), pseudo("p"), whole("ap", "a", "p")) as node:
        result = await node.set("ap", 20.0, dry_run=True, request_id="r")
        assert {leaf.name: (leaf.old_current_a, leaf.new_current_a) for leaf in result.leaves} == {
            "a": (0.0, 10.0),
            "p": (0.0, 10.0),
        }
        assert (node.wire.told, node["ap"].setpoint, node.applied()) == ([], None, {"a": 0.0, "p": 0.0, "ap": 0.0})
        assert (await node.set("ap", 20.0, request_id="r")).leaves == ()


async def test_clearing() -> None:
    """The holder ends its set point: 0 A; clearing nothing is done."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0)
        assert (await node.controller.clear_current("x", holder="h")).applied_current_a == 0.0
        assert node.leaf("x").runs_a == 0.0
        assert (await node.controller.clear_current("x", holder="two")).setpoint_ends_s is None


async def test_shares_move_at_most_once_a_second() -> None:
    """A limit that flutters every 100 ms for 10 s moves shares by more than 1 % each time: at most 12 moves are told."""
    async with bench(device("a"), device("b"), pseudo("p", charge_ah=50.0), whole("abp", "a", "b", "p")) as node:
        await node.set("abp", 30.0)
        node.wire.told.clear()
        directory_p = node["p"]
        for number in range(100):
            directory_p.modify({"charge_ah": 50.0 - (number % 2) * 20.0}, node.clock.now_s())  # type: ignore[attr-defined]
            await asyncio.sleep(0.1)
        assert 1 <= len([name for name, _ in node.wire.told if name == "a"]) <= 12


async def test_partitions_follow_together() -> None:
    """Two halves at 15 A each; the source's limit falls to 20: both are clamped at once, the source runs their sum."""
    async with bench(device("s"), splitters=(HALVES,)) as node:
        await node.set("p1", 15.0, holder="one")
        await node.set("p2", 15.0, holder="two")
        assert node.applied() == {"s": 30.0, "p1": 15.0, "p2": 15.0}
        limit(node["s"], 20.0)
        await asyncio.sleep(0.5)
        assert node.applied() == {"s": 20.0, "p1": 10.0, "p2": 10.0}


async def test_a_partition_that_runs_empty_ends_its_set_point() -> None:
    """30 Ah of 50 at 30 A: after an hour its request is over at the exact moment, the source follows, the sibling's goes on."""
    parts = (
        PartitionSpec(name="p1", fraction=0.5, charge_fraction=0.6),
        PartitionSpec(name="p2", fraction=0.5, charge_fraction=0.4),
    )
    splitter = SplitterSpec(name="sp", policy="proportional", source="s", partitions=parts)
    async with bench(pseudo("s", 80.0), splitters=(splitter,)) as node:
        await node.set("p1", 30.0, ttl_s=3600.0)
        await asyncio.sleep(10.0)
        await node.set("p1", 30.0, ttl_s=3600.0)
        await node.set("p2", -5.0, ttl_s=3600.0)
        await asyncio.sleep(3600.0 - 10.0 - 0.001)
        assert node.applied() == {"s": 25.0, "p1": 30.0, "p2": -5.0}
        await asyncio.sleep(0.002)
        assert node.applied() == {"s": -5.0, "p1": 0.0, "p2": -5.0}
        now_s = node.clock.now_s()
        assert (node["p1"].setpoint, node["p1"].status(now_s).reason) == (None, "empty")
        assert node["p1"].status(now_s).expected_ah(now_s) == pytest.approx(0.0, abs=1e-9)


async def test_a_software_battery_that_runs_empty_is_clamped() -> None:
    """50 Ah at 40 A are gone after 4500 s: applied 0 while the request lives; what it is given then may be drawn again."""
    async with bench(pseudo("p")) as node:
        await node.set("p", 40.0, ttl_s=3600.0)
        await asyncio.sleep(3000.0)
        await node.set("p", 40.0, ttl_s=3600.0)
        await asyncio.sleep(1500.1)
        status = node["p"].status(node.clock.now_s())
        assert (status.applied_current_a, status.requested_current_a, status.charge_ah) == (0.0, 40.0, 0.0)


async def test_an_edit_that_takes_a_running_battery_into_use() -> None:
    """A follows 20 A and becomes a member: the aggregate, of which nothing is asked, brings it to 0."""
    async with bench(device("a"), device("b")) as node:
        await node.set("a", 20.0)
        node.change(Topology(batteries=(device("a"), device("b"), whole("ab", "a", "b"))))
        await asyncio.sleep(0.5)
        assert node.applied() == {"a": 0.0, "b": 0.0, "ab": 0.0}
        assert node.leaf("a").runs_a == 0.0


async def test_an_edit_that_frees_a_running_member() -> None:
    """Without its aggregate a member at 10 A goes to its safe value."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 20.0)
        node.change(Topology(batteries=(device("a"), device("b"))))
        await asyncio.sleep(0.5)
        assert node.applied() == {"a": 0.0, "b": 0.0}


async def test_an_edit_during_a_command() -> None:
    """The aggregate is removed while its members are being told: refused, nothing is left running, later commands work."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        for name in "ab":
            node.leaf(name).takes_s = 1.0
        async with asyncio.TaskGroup() as group:
            request = group.create_task(_refusal(node.set("ab", 20.0)))
            await asyncio.sleep(0.5)
            node.change(Topology(batteries=(device("a"), device("b"))))
        assert isinstance(request.result(), UnavailableError)
        await asyncio.sleep(3.0)
        assert [node.leaf(name).runs_a for name in "ab"] == [0.0, 0.0]
        assert (await node.set("a", 5.0)).applied_current_a == 5.0


async def test_an_end_while_devices_are_told_is_waited_for_at_rest() -> None:
    """The request of x ends while its device hangs for 5 s over a clamp: the controller turns a few times, not for ever."""
    async with bench(device("x")) as node:
        await node.set("x", 20.0, ttl_s=10.0)
        await asyncio.sleep(9.0)
        node.leaf("x").hangs = True
        limit(node["x"], 5.0)
        turns, attend = 0, node.controller.attend_due

        def counted() -> None:
            nonlocal turns
            turns += 1
            attend()

        node.controller.attend_due = counted  # type: ignore[method-assign]
        await asyncio.sleep(4.0)
        assert turns < 20
        node.leaf("x").hangs = False
        node.leaf("x").go_on.set()
        await asyncio.sleep(2.0)
        assert (node["x"].setpoint, node.leaf("x").runs_a) == (None, 0.0)


async def test_closing_refuses() -> None:
    """A node that shuts down takes no new command."""
    async with bench(device("x")) as node:
        node.controller.closing = True
        with pytest.raises(ShuttingDownError):
            await node.set("x", 1.0)


async def test_nothing_is_looked_after_for_ever() -> None:
    """When nothing is asked and nothing runs, the controller sleeps."""
    async with bench(device("a"), pseudo("p"), whole("ap", "a", "p")) as node:
        await node.set("ap", 10.0, ttl_s=5.0)
        await asyncio.sleep(10.0)
        assert node.controller._active == {}
        assert node.controller._due_s == {}


async def test_ends_of_batteries_looked_at_in_one_instant_are_all_kept() -> None:
    """Of 50 Ah, 40 : 10: at 30 A the second is empty after 20 min, although the first one's look found that end as well."""
    parts = (
        PartitionSpec(name="p1", fraction=0.8, current_fraction=0.2),
        PartitionSpec(name="p2", fraction=0.2, current_fraction=0.8),
    )
    splitter = SplitterSpec(name="sp", policy="proportional", source="s", partitions=parts)
    async with bench(pseudo("s"), splitters=(splitter,)) as node:
        await node.set("p1", 5.0, ttl_s=3600.0)
        await node.set("p2", 30.0, ttl_s=3600.0)
        await asyncio.sleep(1200.0 - 0.5)
        assert node.applied() == pytest.approx({"s": 35.0, "p1": 5.0, "p2": 30.0})
        await asyncio.sleep(1.0)
        assert node.applied() == pytest.approx({"s": 5.0, "p1": 5.0, "p2": 0.0})
        assert node["p2"].setpoint is None


async def test_a_member_that_turns_goes_by_way_of_zero() -> None:
    """30 A to -30 A over two: both to 0 A, confirmed, then on. B is lost on its way to 0: it counts at 15 A, not at -15 A."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 30.0)
        node.wire.told.clear()
        await node.set("ab", -30.0)
        assert sorted(node.wire.told[:2]) == [("a", 0.0), ("b", 0.0)]
        assert sorted(node.wire.told[2:]) == [("a", -15.0), ("b", -15.0)]
        await node.set("ab", 30.0)
        node.leaf("b").raises = UnavailableError("silence")
        with pytest.raises(UnavailableError):
            await node.set("ab", -30.0)
        assert node.leaf("b").counts_at_a == 15.0


async def test_one_device_alone_turns_at_once() -> None:
    """Nobody shares with it: 10 A to -10 A is one command."""
    async with bench(device("a")) as node:
        await node.set("a", 10.0)
        node.wire.told.clear()
        await node.set("a", -10.0)
        assert node.wire.told == [("a", -10.0)]


async def test_an_answer_names_what_may_still_run() -> None:
    """B follows no more while it cannot be commanded: 0 A for all is accepted, and the answer says what b may run."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 20.0)
        node.leaf("b").good = False
        node.leaf("b").raises = UnavailableError("silence")
        node.leaf("b").touch()
        answer = await node.set("ab", 0.0)
        assert (answer.applied_current_a, answer.may_run_a) == (0.0, 10.0)
        assert answer.reason == "may still run: b +10 A"


async def test_a_command_of_before_raises_nothing_after_its_asker_agreed_anew() -> None:
    """A new session while the first phase is under way: what its Sync said is certain, so the second phase does not come."""
    async with bench(device("a"), device("b"), whole("both", "a", "b")) as node:
        lease = Lease(30.0)
        await node.set("both", 20.0, fence=ByLease(lease))
        for name in ("a", "b"):
            node.leaf(name).takes_s = 1.0
        async with asyncio.TaskGroup() as group:
            turning = group.create_task(_refusal(node.set("both", -20.0, fence=ByLease(lease))))
            await asyncio.sleep(0.5)
            lease.superseded = True
        assert isinstance(turning.result(), UnavailableError)
        assert min(node.leaf("a").runs_a, node.leaf("b").runs_a) >= 0.0
        assert all(current_a >= 0.0 for _, current_a in node.wire.told)


async def test_the_same_again_to_who_may_run_less_is_a_raise() -> None:
    """A member whose answer is missing may run nothing: it is told the same again only after what is to be lowered was."""
    async with bench(device("a"), device("b")) as node:
        uncertain, lowered = node.leaf("a"), node.leaf("b")
        same = Move(uncertain, 4.8, 4.8, 0.0, None, certain=False)
        less = Move(lowered, 13.1, 12.0, 13.1, None, certain=False)
        assert phases_of([same, less]) == ([], [less], [same])
        ended = Move(uncertain, 4.8, 0.0, 0.0, None, certain=False)
        again = Move(lowered, 12.0, 12.0, 12.0, None)
        assert phases_of([ended, again]) == ([ended, again], [], [])


async def test_what_may_turn_out_a_raise_waits_for_what_is_lowered() -> None:
    """A member counts at 19 A and runs nothing; 7 A of it, less than it counts at, is told when the other made room.

    20 A are asked, 21 A run or count elsewhere: at no time do more than 21 A flow (control.md, "When something dies").
    """
    async with bench(device("a"), device("b"), whole("both", "a", "b")) as node:
        uncertain, lowered = node.leaf("a"), node.leaf("b")
        settled = Move(uncertain, 19.0, 7.0, 0.0, None, certain=False)
        less, more = Move(lowered, 21.0, 13.0, 21.0, None), Move(lowered, 0.0, 1.0, 0.0, None)
        assert phases_of([settled, more, less]) == ([less], [settled], [more])
        await node.set("both", 20.0)
        uncertain.lost_answer(10.0)
        lowered.takes_s = 1.0
        begun = len(node.wire.told)
        await node.set("both", 10.0)
        assert node.wire.told[begun:] == [("b", 5.0), ("a", 5.0)]


async def test_a_lower_request_stays_though_its_device_did_not_hear_it() -> None:
    """At 10 A the device is lost; 4 A is asked, then 0 A: what comes back with the device is the last, never the first."""
    async with bench(device("a")) as node:
        await node.set("a", 10.0)
        node.leaf("a").raises = UnavailableError("silence")
        for lower_a in (4.0, 0.0):
            with pytest.raises(UnavailableError, match=f"silence; {lower_a:g} A is asked of a all the same"):
                await node.set("a", lower_a)
        begun = len(node.wire.told)
        node.leaf("a").raises = None
        await asyncio.sleep(3.0)
        assert node.leaf("a").runs_a == 0.0
        assert {current_a for _, current_a in node.wire.told[begun:]} == {0.0}


class _Late:
    """The fence of a command that comes too late for all but lowering."""

    def stands(self, battery: str) -> bool:
        return bool(battery)

    def check(self, battery: str, *, lowers: bool) -> Lease | None:
        if lowers:
            return None
        raise FencedError(f"{battery}: too old", check="AGE")


async def test_a_late_command_does_not_undo_a_lower_request_its_device_did_not_hear() -> None:
    """At 10 A the device is lost, 3 A are asked: 10 A and 4 A of before, which come late, would raise that; 2 A lower it."""
    async with bench(device("a")) as node:
        await node.set("a", 10.0, fence=ByLease(Lease(100.0)))
        node.leaf("a").raises = UnavailableError("silence")
        with pytest.raises(UnavailableError, match="3 A is asked of a all the same"):
            await node.set("a", 3.0, fence=ByLease(Lease(100.0)))
        for late_a in (10.0, 4.0):
            with pytest.raises(FencedError):
                await node.set("a", late_a, fence=_Late())
        with pytest.raises(UnavailableError, match="2 A is asked of a all the same"):
            await node.set("a", 2.0, fence=_Late())
        node.leaf("a").raises = None
        await asyncio.sleep(3.0)
        assert node.leaf("a").runs_a == 2.0


async def test_a_raise_that_its_device_did_not_hear_is_not_asked() -> None:
    """At 4 A the device is lost; 10 A is refused, and 4 A is what it is told when it is back."""
    async with bench(device("a")) as node:
        await node.set("a", 4.0)
        node.leaf("a").raises = UnavailableError("silence")
        with pytest.raises(UnavailableError, match=r"silence; 4 A, asked of a before, goes on$"):
            await node.set("a", 10.0)
        node.leaf("a").raises = None
        await asyncio.sleep(3.0)
        assert (node.leaf("a").runs_a, node.applied()) == (4.0, {"a": 4.0})


async def test_a_failure_says_what_goes_on_whatever_its_members_say() -> None:
    """-9 A run and 6 A fail at a member: it says that 0 A is asked of that one, and who asked read that as the whole."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", -9.0)
        node.leaf("b").raises = UnavailableError("silence; 0 A is asked of far all the same, and told until it is confirmed")
        with pytest.raises(UnavailableError, match=r"of far all the same, .*; -9 A, asked of ab before, goes on$"):
            await node.set("ab", 6.0)
        node.leaf("b").raises = None
        await asyncio.sleep(3.0)
        assert node.applied()["ab"] == -9.0


async def test_a_failure_of_the_first_request_says_nothing_of_one_before() -> None:
    """Nothing was asked: nothing goes on."""
    async with bench(device("a")) as node:
        node.leaf("a").raises = UnavailableError("silence")
        with pytest.raises(UnavailableError, match=r"silence$"):
            await node.set("a", 10.0)


async def test_a_lower_request_stays_though_its_asker_did_not_wait() -> None:
    """The device hangs for longer than the asker's deadline: 4 A is what it is told in the end, not 10 A again."""
    async with bench(device("a")) as node:
        await node.set("a", 10.0)
        node.leaf("a").hangs = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await node.set("a", 4.0)
        node.leaf("a").hangs = False
        await asyncio.sleep(3.0)
        assert (node.leaf("a").runs_a, node.applied()) == (4.0, {"a": 4.0})


async def test_a_lower_request_stays_over_an_edit_of_its_battery() -> None:
    """The table of the aggregate changes while its members are told 10 A: what is asked of the new one is 10 A, not 40 again."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        await node.set("ab", 40.0)
        for name in "ab":
            node.leaf(name).takes_s = 1.0
        async with asyncio.TaskGroup() as group:
            request = group.create_task(_refusal(node.set("ab", 10.0)))
            await asyncio.sleep(0.5)
            changed = AggregatorSpec(name="ab", sources=("a", "b"), voltage_v=48.0, voltage_tolerance_v=5.0)
            node.change(Topology(batteries=(device("a"), device("b"), changed)))
        assert "10 A is asked of ab all the same" in str(request.result())
        await asyncio.sleep(5.0)
        assert node.applied() == {"a": 5.0, "b": 5.0, "ab": 10.0}


async def test_a_command_is_cut_where_what_runs_beside_it_ends() -> None:
    """P1 hangs in the device both rest on when the set point of p2 ends: p2 runs no longer than it was asked."""
    async with bench(device("s"), splitters=(HALVES,)) as node:
        await node.set("p1", 5.0, holder="one")
        await node.set("p2", 15.0, holder="two", ttl_s=2.0)
        node.leaf("s").takes_s = 4.0
        async with asyncio.TaskGroup() as group:
            request = group.create_task(_refusal(node.set("p1", 6.0, holder="one")))
            await asyncio.sleep(1.0)
            node.leaf("s").takes_s = 0.0
            await asyncio.sleep(1.5)
            assert node.leaf("s").runs_a == 5.0
        assert "was over before" in str(request.result())


async def test_a_stop_during_a_lower_request_binds_it() -> None:
    """A stop comes while 4 A waits for its device: 0 A, and once released never the 10 A of before."""
    async with bench(device("a")) as node:
        await node.set("a", 10.0)
        node.leaf("a").hangs = True
        async with asyncio.TaskGroup() as group:
            lowering = group.create_task(_refusal(node.set("a", 4.0)))
            await asyncio.sleep(0.5)
            node.leaf("a").hangs = False
            await node.stop("a")
            node.leaf("a").go_on.set()
        assert isinstance(lowering.result(), UnavailableError)
        await asyncio.sleep(0.5)
        assert node.leaf("a").runs_a == 0.0
        node["a"].latch(stopped=False)
        node.controller.look_again([node["a"]])
        await asyncio.sleep(3.0)
        assert node.leaf("a").runs_a == 4.0
