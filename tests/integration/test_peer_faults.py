"""What happens to other nodes as errors of this one, each cause by itself (satellites.md 3.11)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from bosd.bal.facts import Facts
from bosd.bal.status import BatteryStatus, Link
from bosd.clock import SystemClock
from bosd.fleet.loop_lag import LoopLag
from bosd.fleet.timers import SessionTimers
from bosd.node.faults import Faults, Severity
from bosd.rpc.about import About
from bosd.rpc.client import LinkTimers, RemotePool
from bosd.rpc.fleet import Fleet
from bosd.rpc.peer_faults import PeerFaults
from bosd.rpc.server import RpcServer
from tests.support.fake_node import FakeNode
from tests.support.processes import free_port

TIMERS = SessionTimers(heartbeat_s=0.05, stale_s=0.15, lease_s=0.3, max_command_age_s=0.1)


class Sink:
    """Wants a battery and keeps nothing."""

    def on_status(self, status: BatteryStatus, half_rtt_s: float) -> None:
        pass

    def on_link(self, link: Link, reason: str) -> None:
        pass

    def on_snapshot(self, claim_a: float | None, facts: Facts) -> bool:
        return False


class World:
    """A node that follows others, and what it notices."""

    def __init__(self) -> None:
        self.node = FakeNode("near")
        self.sessions = self.node.sessions()
        self.faults = Faults("near", SystemClock())
        self.pool = RemotePool("near", SystemClock(), timers=LinkTimers(session=TIMERS))
        self.fleet = Fleet(About(self.node, self.faults, self.sessions), self.pool, self.sessions, stubs=lambda: ())
        self.lag = LoopLag(TIMERS.lease_s / 4.0)
        self.watched = PeerFaults(self.fleet, self.faults, TIMERS, self.lag)
        self.pool.follow_events(self.watched.on_remote)

    def now(self) -> list[tuple[str, Severity, str]]:
        return [(each.kind, each.severity, each.module) for each in self.watched.noticed()]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A node `near` that follows others."""
    made = World()
    running = asyncio.create_task(made.pool.run())
    yield made
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def soon(world: World, wanted: list[tuple[str, Severity, str]]) -> None:
    """Wait until exactly that is noticed."""
    async with asyncio.timeout(15.0):
        while world.now() != wanted:  # noqa: ASYNC110 (as the node itself looks)
            await asyncio.sleep(0.02)


async def test_a_node_without_sessions_is_incompatible_and_not_lost(world: World) -> None:
    """One cause, one line; it still describes how it stands as far as it can."""
    old = FakeNode("old")
    old.put("b", voltage_v=13.0)
    bugs: list[BaseException] = []
    async with RpcServer(old, bugs.append) as server:
        (target,) = await server.start(["127.0.0.1:0"])
        world.pool.attach(target, "b", Sink())
        await soon(world, [("INCOMPATIBLE", Severity.MEDIUM, "node:old")])
        (peer,) = await world.fleet.peers(2.0)
        assert (peer.node, peer.failure) == ("old", "UNSUPPORTED")
    await soon(world, [("LINK_LOST", Severity.MEDIUM, "node:old")])
    assert not bugs


async def test_a_node_that_was_never_reached_is_lost_too(world: World) -> None:
    """After one lease, by the target that its stubs name."""
    target = f"127.0.0.1:{free_port()}"
    world.pool.attach(target, "b", Sink())
    assert world.now() == []
    await soon(world, [("LINK_LOST", Severity.MEDIUM, f"node:{target}")])


async def test_a_late_loop_stands_for_a_minute(world: World) -> None:
    """Above a quarter of the lease (control.md, "Sessions and restarts")."""
    running = asyncio.create_task(world.lag.run())
    await asyncio.sleep(0.01)
    time.sleep(0.25 + 2.0 * TIMERS.lease_s / 4.0)  # noqa: ASYNC251 (a loop that stands still is what is tested)
    await soon(world, [("LOOP_LAG", Severity.MEDIUM, "loop")])
    running.cancel()


async def test_events_of_sessions_kept_here(world: World) -> None:
    """A restart is cleared when the session is ready, a crash loop after its pause."""
    world.watched.on_session("peer_restarted", "node:main", {})
    assert [(each.type, each.severity, each.battery) for each in world.faults.own()] == [("PEER_RESTARTED", Severity.LOW, "")]
    world.watched.on_session("session_ready", "node:main", {})
    assert world.faults.own() == []
    world.watched.on_session("crash_loop", "node:main", {"boots": 6})
    world.watched.on_session("identity_moved", "node:main", {"before": "a", "now": "b"})
    assert world.now() == [("CRASH_LOOP", Severity.HIGH, "node:main"), ("IDENTITY_MOVED", Severity.HIGH, "node:main")]
