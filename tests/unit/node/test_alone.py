"""Alone limits in force as a lease ends: at once, and by a look at the batteries that it is about alone."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import NoReturn, cast

import pytest

from bosd.bal.alone import AloneW
from bosd.bal.setpoint import Lease
from bosd.bal.spec import NetworkSpec, PseudoSpec, Topology
from bosd.clock import LoopClock
from bosd.errors import UnsupportedError
from bosd.node.node import Node
from bosd.store.store import Store
from tests.support.by_lease import ByLease
from tests.support.memory_store import MemoryStore

pytestmark = pytest.mark.jumping

NAMES = tuple(f"b{number}" for number in range(20))


def pack(name: str) -> PseudoSpec:
    """Return a battery that runs 2 A at most while it is alone."""
    return PseudoSpec(
        name=name,
        voltage_v=48.0,
        charge_ah=50.0,
        capacity_ah=100.0,
        max_discharge_current_a=50.0,
        max_charge_current_a=50.0,
        alone_discharge_limit_w=96.0,
    )


def no_stub(spec: NetworkSpec) -> NoReturn:
    """Make nothing: no battery here is another node's."""
    raise UnsupportedError(spec.name)


class OneController:
    """The peer that commands all; it is heard while its lease lives. Counts how often that is asked."""

    def __init__(self, clock: LoopClock, lease: Lease) -> None:
        self.announced = NAMES
        self.asked = 0
        self._clock, self._lease = clock, lease

    def unheard(self, batteries: Sequence[str], limiters: Iterable[str] = ()) -> str:
        """Return it when its lease is over."""
        del batteries, limiters
        self.asked += 1
        return "" if self._clock.now_s() < self._lease.ends_s else "node:m"

    def known_alone(self, battery: str, batteries: Sequence[str], limiters: Iterable[str] = ()) -> AloneW:
        """Return nothing that is tighter."""
        del battery, batteries, limiters
        return AloneW()

    def kept_alone(self, coming: Mapping[str, AloneW]) -> AbstractAsyncContextManager[None]:
        """Keep nothing."""
        del coming
        return nullcontext()


async def test_the_end_of_a_lease_looks_at_each_battery_a_few_times() -> None:
    """20 batteries of one lost node: all are alone at once; 20 looks at all 20 would have been 400, and a second at 200."""
    clock, lease = LoopClock(asyncio.get_running_loop()), Lease(1e9)
    node = Node(
        name="n",
        clock=clock,
        store=cast(Store, MemoryStore()),
        make_remote=no_stub,
        default_ttl_s=60.0,
        longest_ttl_s=60.0,
    )
    batteries = tuple(map(pack, NAMES))
    await node.load(Topology(batteries=batteries))
    node.alone.peers = peers = OneController(clock, lease)

    async def live() -> None:
        async with asyncio.TaskGroup() as group:
            node.start(group)

    living = asyncio.create_task(live())
    for name in NAMES:
        await node.set_current(name, 5.0, ttl_s=60.0, holder="node:m", fence=ByLease(lease))
    await asyncio.sleep(1.01)
    lease.ends_s = clock.now_s() + 0.1
    node.look_again(list(node.directory))
    await asyncio.sleep(0.09)
    before = peers.asked
    await asyncio.sleep(0.02)
    assert {(each.alone, each.setpoint) for each in node.directory} == {("node:m", None)}
    assert peers.asked - before <= 3 * len(NAMES)
    living.cancel()
    with suppress(asyncio.CancelledError):
        await living
