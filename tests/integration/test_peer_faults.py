"""What happens to other nodes as errors of this one, each cause by itself (satellites.md 3.11)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from bosd import __version__
from bosd.bal.facts import Facts
from bosd.bal.status import BatteryStatus, Link
from bosd.clock import SystemClock
from bosd.fleet.loop_lag import LoopLag
from bosd.fleet.timers import SessionTimers
from bosd.node.faults import Faults, Severity
from bosd.rpc import node_service
from bosd.rpc.about import About
from bosd.rpc.client import LinkTimers, RemotePool
from bosd.rpc.edge import Context
from bosd.rpc.fleet import Fleet
from bosd.rpc.peer_faults import PeerFaults
from bosd.rpc.server import RpcServer
from bosd.v1 import node_pb2 as pb
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

    def __init__(self, timers: SessionTimers = TIMERS) -> None:
        self.node = FakeNode("near")
        self.sessions = self.node.sessions()
        self.faults = Faults("near", SystemClock())
        self.pool = RemotePool("near", SystemClock(), timers=LinkTimers(session=timers))
        self.fleet = Fleet(About(self.node, self.faults, self.sessions), self.pool, self.sessions, stubs=lambda: ())
        self.lag = LoopLag(timers.lease_s / 4.0)
        self.watched = PeerFaults(self.fleet, self.faults, timers, self.lag)
        self.pool.follow_events(self.watched.on_remote)

    def now(self) -> list[tuple[str, Severity, str]]:
        return [(each.kind, each.severity, each.module) for each in self.watched.noticed()]


@pytest.fixture
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A node `near` that follows others."""
    made = World(getattr(request, "param", TIMERS))
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


async def test_a_node_that_refuses_is_named(world: World) -> None:
    """It answers, so it is not lost; nothing of it can be used, so it is said."""
    far = FakeNode("far")
    far.put("b", voltage_v=13.0)
    bugs: list[BaseException] = []
    async with RpcServer(far, bugs.append, sessions=far.sessions()) as server:
        (target,) = await server.start(["127.0.0.1:0"])
        world.pool.attach(target, "nothing", Sink())
        async with asyncio.timeout(15.0):
            while [each[:2] for each in world.now()] != [("LINK_REFUSED", Severity.MEDIUM)]:  # noqa: ASYNC110 (as the node looks)
                await asyncio.sleep(0.02)
        (refused,) = world.watched.noticed()
        assert refused.message == f"{target} has none of the batteries wanted"
        await asyncio.sleep(2.0 * TIMERS.lease_s)
        assert [each[0] for each in world.now()] == ["LINK_REFUSED"]
    assert not bugs


async def test_two_names_of_one_node_do_not_fence_each_other(world: World) -> None:
    """The first link keeps the session, undisturbed; the second says whose it is, and takes over when the first is lost."""
    far = FakeNode("far")
    far.put("a", voltage_v=13.0)
    far.put("b", voltage_v=13.0)
    bugs: list[BaseException] = []
    async with RpcServer(far, bugs.append, sessions=(sessions := far.sessions())) as server:
        first, second = await server.start(["127.0.0.1:0", "127.0.0.1:0"])
        link = world.pool.attach(first, "a", Sink())
        one = world.pool.remotes[first]
        async with asyncio.timeout(15.0):
            while one.standing[0] is not Link.READY:  # noqa: ASYNC110 (as the node looks)
                await asyncio.sleep(0.02)
        epoch = one.session.state.epoch
        world.pool.attach(second, "b", Sink())
        await soon(world, [("SAME_NODE", Severity.MEDIUM, "node:far")])
        (same,) = world.watched.noticed()
        assert f"{second} and {first} are one node" in same.message
        (peer,) = await world.fleet.peers(2.0)  # one node is one line
        assert (peer.node, peer.target) == ("far", first)
        assert same.message in peer.reason
        assert world.fleet.state()[1] == ""
        await asyncio.sleep(2.0 * TIMERS.lease_s)
        assert one.standing[0] is Link.READY
        session = sessions.peers()["node:near"]
        assert session is not None
        assert session.epoch == one.session.state.epoch == epoch
        link.close()
        async with asyncio.timeout(15.0):
            while world.pool.remotes[second].standing[0] is not Link.READY:  # noqa: ASYNC110 (as the node looks)
                await asyncio.sleep(0.02)
        assert world.now() == []
    assert not bugs


async def test_two_names_at_once_come_to_rest(world: World) -> None:
    """Both say hello at the same time: one is ready and stays so, the other one is refused."""
    far = FakeNode("far")
    far.put("a", voltage_v=13.0)
    bugs: list[BaseException] = []
    async with RpcServer(far, bugs.append, sessions=far.sessions()) as server:
        for target in await server.start(["127.0.0.1:0", "127.0.0.1:0"]):
            world.pool.attach(target, "a", Sink())
        ready = 0
        async with asyncio.timeout(15.0):
            while ready < 2:  # it was seen so for two leases
                await asyncio.sleep(TIMERS.lease_s)
                links = {remote.standing[0] for remote in world.pool.remotes.values()}
                ready = ready + 1 if links == {Link.READY, Link.SYNC} and world.now()[0][0] == "SAME_NODE" else 0
    assert not bugs


async def test_another_version_stands_while_it_is_in_session(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet of two versions works, and is not left so unseen."""
    monkeypatch.setattr(node_service, "__version__", "9.9.9")
    far = FakeNode("far")
    far.put("b", voltage_v=13.0)
    bugs: list[BaseException] = []
    async with RpcServer(far, bugs.append, sessions=far.sessions()) as server:
        (target,) = await server.start(["127.0.0.1:0"])
        world.pool.attach(target, "b", Sink())
        await soon(world, [("MIXED_VERSIONS", Severity.HIGH, "node:far")])
        (mixed,) = world.watched.noticed()
        assert mixed.message == f"it runs bosd 9.9.9, this node {__version__}"
    await soon(world, [("LINK_LOST", Severity.MEDIUM, "node:far")])
    assert not bugs


@pytest.mark.parametrize(
    "world", [SessionTimers(heartbeat_s=0.05, stale_s=0.15, lease_s=3.0, max_command_age_s=1.0)], indirect=True
)
async def test_late_beats_are_a_word_before_the_loss(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stale while no beat is answered for `stale_s`, and gone with the next answer."""
    answers, beat = asyncio.Event(), node_service.NodeService.Heartbeat
    answers.set()

    async def held(
        self: node_service.NodeService, beats: AsyncIterator[pb.Beat], context: Context
    ) -> AsyncIterator[pb.BeatReply]:
        async for reply in beat(self, beats, context):
            await answers.wait()
            yield reply

    monkeypatch.setattr(node_service.NodeService, "Heartbeat", held)
    far = FakeNode("far")
    far.put("b", voltage_v=13.0)
    bugs: list[BaseException] = []
    async with RpcServer(far, bugs.append, sessions=far.sessions()) as server:
        (target,) = await server.start(["127.0.0.1:0"])
        world.pool.attach(target, "b", Sink())
        async with asyncio.timeout(15.0):
            while world.pool.remotes[target].standing[0] is not Link.READY:  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.02)
        answers.clear()
        await soon(world, [("LINK_STALE", Severity.LOW, "node:far")])
        answers.set()
        await soon(world, [])
    assert not bugs


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
    world.watched.on_session("identity_moved", "node:main", {"before": "a", "now": "a"})
    assert "two nodes at a say to be node:main: each ends the other's session" in {
        each.message for each in world.watched.noticed()
    }
