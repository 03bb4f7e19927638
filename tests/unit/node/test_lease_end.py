"""A device command that is under way when its set point ends: not waited for, counted, and lowered at once (control.md)."""

import asyncio

import pytest

from bosd.bal.setpoint import Lease
from bosd.errors import UnavailableError
from tests.support.by_lease import ByLease
from tests.support.fake_leaf import limit
from tests.unit.node.test_controller import Bench, bench, device, whole

pytestmark = pytest.mark.jumping

SLOW_S = 5.0
"""As long as a device may take to confirm."""


async def at(node: Bench, instant_s: float) -> None:
    """Wait for an instant."""
    await asyncio.sleep(instant_s - node.clock.now_s())


async def test_a_raise_is_not_waited_for_beyond_the_lease() -> None:
    """5 A run, 20 A are asked, the lease ends 0.3 s later: refused then, counted at 20 A, 0 A told at once and confirmed."""
    async with bench(device("a")) as node:
        lease = Lease(1.3)
        await node.set("a", 5.0, fence=ByLease(lease))
        await at(node, 1.0)
        leaf = node.leaf("a")
        leaf.takes_s = SLOW_S
        with pytest.raises(UnavailableError, match="over before all of a confirmed"):
            await node.set("a", 20.0, fence=ByLease(lease))
        assert node.clock.now_s() == pytest.approx(1.3, abs=0.01)
        assert leaf.counts_at_a == 20.0
        leaf.takes_s = 0.2
        await at(node, 1.4)
        assert node.wire.told == [("a", 5.0), ("a", 20.0), ("a", 0.0)]
        await at(node, 1.6)
        assert (leaf.counts_at_a, leaf.runs_a, leaf.setpoint) == (0.0, 0.0, None)


async def test_beats_that_renew_the_lease_let_it_go_on() -> None:
    """The lease is 0.3 s at each beat, the device takes a second: done, since the lease lives by then."""
    async with bench(device("a")) as node:
        lease = Lease(0.3)
        node.leaf("a").takes_s = 1.0
        asking = asyncio.create_task(node.set("a", 20.0, fence=ByLease(lease)))
        for beat in range(1, 12):
            await at(node, 0.1 * beat)
            lease.ends_s = node.clock.now_s() + 0.3
        assert (await asking).applied_current_a == 20.0
        assert node.wire.confirmed == [("a", 20.0)]


async def test_nor_beyond_its_time_to_live() -> None:
    """20 A for 0.5 s over 5 A for a minute: the 5 A are in force again when the 0.5 s are over."""
    async with bench(device("a")) as node:
        await node.set("a", 5.0, ttl_s=60.0)
        leaf = node.leaf("a")
        leaf.takes_s = SLOW_S
        with pytest.raises(UnavailableError, match="over before"):
            await node.set("a", 20.0, ttl_s=0.5)
        leaf.takes_s = 0.0
        await at(node, 0.7)
        assert node.wire.confirmed == [("a", 5.0), ("a", 5.0)]
        assert leaf.counts_at_a == 5.0


async def test_nor_is_what_nobody_asked_for() -> None:
    """A limit lifts 0.3 s before the lease ends, and the raise hangs: both members are told 0 A at the end of the lease."""
    async with bench(device("a"), device("b"), whole("ab", "a", "b")) as node:
        lease = Lease(10.0)
        await node.set("ab", 20.0, fence=ByLease(lease))
        await at(node, 5.0)
        limit(node["a"], 5.0)
        await at(node, 9.7)
        assert node.applied()["a"] == 5.0
        node.wire.told.clear()
        node.leaf("a").takes_s = SLOW_S
        limit(node["a"], 40.0)
        await at(node, 9.95)
        assert ("a", 10.0) in node.wire.told
        assert node.leaf("b").runs_a > 0.0
        await at(node, 10.1)
        assert sorted(node.wire.told[-2:]) == [("a", 0.0), ("b", 0.0)]
        assert node.leaf("b").runs_a == 0.0


async def test_nor_is_a_request_that_lowers() -> None:
    """From 20 A to 4 A, 0.3 s before the lease ends, the device hangs: 0 A is told then, and 20 A count until it is confirmed."""
    async with bench(device("a")) as node:
        lease = Lease(1.0)
        await node.set("a", 20.0, fence=ByLease(lease))
        await at(node, 0.7)
        leaf = node.leaf("a")
        leaf.takes_s = SLOW_S
        with pytest.raises(UnavailableError, match="over before"):
            await node.set("a", 4.0, fence=ByLease(lease))
        assert node.clock.now_s() == pytest.approx(1.0, abs=0.01)
        leaf.takes_s = 0.2
        assert leaf.counts_at_a == 20.0
        await at(node, 1.3)
        assert node.wire.told == [("a", 20.0), ("a", 4.0), ("a", 0.0)]
        assert (leaf.runs_a, leaf.counts_at_a) == (0.0, 0.0)
