"""The networked battery over real connections: loss, silence, nonsense and return, with timers a fraction of the real ones."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog

from bosd.bal.facts import Facts
from bosd.bal.setpoint import Claim
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import BatteryStatus, Link
from bosd.clock import SystemClock
from bosd.errors import BadNameError, BosError, ClaimedError, UnavailableError
from bosd.fleet.timers import SessionTimers
from bosd.rpc.client import LinkTimers, RemotePool
from bosd.rpc.remote_battery import RemoteBattery
from bosd.rpc.server import RpcServer
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceServicer, add_BatteryServiceServicer_to_server
from bosd.v1.node_pb2_grpc import NodeServiceStub
from tests.support.fake_node import FakeNode

WAIT_S = 10.0
TIMERS = LinkTimers(
    lost_s=0.6,
    first_s=0.5,
    pause_least_s=0.02,
    pause_most_s=0.1,
    call_s=1.0,
    probe_period_s=0.2,
    session=SessionTimers(heartbeat_s=0.1, stale_s=0.3, lease_s=0.6, max_command_age_s=0.2, sync_pause_s=0.1),
)


class Skewed(SystemClock):
    """A machine whose wall clock is an hour ahead."""

    def utc_s(self) -> float:
        return super().utc_s() + 3600.0


class Heard:
    """A sink that keeps what it hears and can be waited for."""

    def __init__(self) -> None:
        self.statuses: list[BatteryStatus] = []
        self.links: list[tuple[Link, str]] = []
        self.snapshots: list[tuple[float | None, float | None]] = []
        self._news = asyncio.Event()

    def on_status(self, status: BatteryStatus, half_rtt_s: float) -> None:
        assert half_rtt_s >= 0.0
        self.statuses.append(status)
        self._news.set()

    def on_link(self, link: Link, reason: str) -> None:
        self.links.append((link, reason))
        self._news.set()

    def on_snapshot(self, claim_a: float | None, facts: Facts) -> bool:
        self.snapshots.append((claim_a, facts.safe_within_s))
        return claim_a is not None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds, looking whenever something is heard."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def course(self) -> list[Link]:
        """Return the states of the link; SYNC, while a session is agreed on, may be too short to be seen."""
        return [link for link, _ in self.links if link is not Link.SYNC]

    async def until_link(self, link: Link) -> str:
        """Wait for the link to be in a state; return the reason."""
        await self.until(lambda: bool(self.links) and self.links[-1][0] is link)
        return self.links[-1][1]


@pytest.fixture
async def node() -> FakeNode:
    """The remote node: b1 and b2, beats ten times a second."""
    node = FakeNode("far", beat_s=0.1)
    node.put("b1", voltage_v=13.0, commandable=True, controllable=True, max_discharge_current_a=40.0)
    node.put("b2", voltage_v=14.0)
    return node


@pytest.fixture
async def address(node: FakeNode) -> AsyncIterator[str]:
    """Where the remote node is served."""
    bugs: list[BaseException] = []
    async with RpcServer(node, bugs.append, sessions=node.sessions()) as server:
        (address,) = await server.start(["127.0.0.1:0"])
        yield address
    assert bugs == []


@pytest.fixture
async def pool() -> AsyncIterator[RemotePool]:
    """The links of this node, running."""
    pool = RemotePool("here", SystemClock(), timers=TIMERS)
    task = asyncio.create_task(pool.run())
    yield pool
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_first_status_then_changes(node: FakeNode, address: str, pool: RemotePool) -> None:
    """The state at once, then every change; the age counts from the remote's sample."""
    heard = Heard()
    pool.attach(address, "b1", heard)
    await heard.until_link(Link.READY)
    assert heard.course() == [Link.CONNECTING, Link.READY]
    node.put("b1", voltage_v=15.0)
    await heard.until(lambda: heard.statuses[-1].voltage_v == 15.0)
    status = heard.statuses[-1]
    age_s = status.age_s(pool.clock.now_s())
    assert age_s is not None
    assert 0.0 <= age_s < 5.0
    assert status.reason == ""


async def test_all_stubs_of_a_node_share_one_watch(node: FakeNode, address: str, pool: RemotePool) -> None:
    """A second battery joins the stream of the first; the last to leave ends it."""
    first, second = Heard(), Heard()
    links = [pool.attach(address, "b1", first)]
    await first.until_link(Link.READY)
    links.append(pool.attach(address, "b2", second))
    await second.until_link(Link.READY)
    assert node.watching == 1
    assert first.course() == [Link.CONNECTING, Link.READY]
    for link in links:
        link.close()
    await until(lambda: node.watching == 0)


async def test_a_wrong_name_harms_nobody_else(node: FakeNode, address: str, pool: RemotePool) -> None:
    """A battery the remote does not have is REFUSED; the others go on; when it appears it is found."""
    good, bad = Heard(), Heard()
    pool.attach(address, "b1", good)
    pool.attach(address, "b9", bad)
    assert "BAD_NAME" in await bad.until_link(Link.REFUSED)
    await good.until_link(Link.READY)
    node.put("b9", voltage_v=1.0)
    await bad.until_link(Link.READY)
    node.drop("b9")
    assert "BAD_NAME" in await bad.until_link(Link.REFUSED)
    assert good.links[-1][0] is Link.READY


async def test_only_a_wrong_name(node: FakeNode, address: str, pool: RemotePool) -> None:
    """A link whose only battery is unknown never watches everything instead, and finds it when it comes."""
    bad = Heard()
    pool.attach(address, "b9", bad)
    await bad.until_link(Link.REFUSED)
    assert [call for call in node.calls if call[0] == "watch"] == []
    node.put("b9", voltage_v=1.0)
    await bad.until_link(Link.READY)


async def test_a_restarted_remote_is_found_again(node: FakeNode, pool: RemotePool) -> None:
    """Loss and return are each told once in the log, however many attempts lie between."""
    heard, bugs = Heard(), list[BaseException]()
    server = RpcServer(node, bugs.append, sessions=node.sessions())
    (address,) = await server.start(["127.0.0.1:0"])
    with structlog.testing.capture_logs() as logs:
        link = pool.attach(address, "b1", heard)
        await heard.until_link(Link.READY)
        await server.stop(0.0)
        await heard.until(lambda: heard.links[-1] == (Link.LOST, f"{address}: connection refused"))
        with pytest.raises(UnavailableError):
            await link.set_current(1.0, 5.0, 2.0)
        async with RpcServer(node, bugs.append, sessions=node.sessions()) as again:
            await again.start([address])
            await heard.until_link(Link.READY)
            link.close()
    assert [entry["event"] for entry in logs] == ["remote_ready", "remote_lost", "remote_ready"]


async def test_a_link_that_ends_as_a_beat_fails(node: FakeNode, pool: RemotePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session ends when it is cancelled, though gRPC answers that with the failure of the call that beats."""
    heard, gone, ended, struck = Heard(), asyncio.Event(), asyncio.Event(), list[Any]()

    class Stub(NodeServiceStub):
        def __init__(self, channel: grpc.aio.Channel) -> None:
            super().__init__(channel)  # type: ignore[no-untyped-call]
            self._beat, self.Heartbeat = self.Heartbeat, self.beat

        def beat(self, *arguments: Any, **options: Any) -> Any:
            call = self._beat(*arguments, **options)
            if gone.is_set() and not struck:
                struck.append(call)
                call.add_done_callback(strike)
            return call

    def strike(_: object) -> None:
        (session,) = [task for task in asyncio.all_tasks() if task.get_name().startswith("session ")]
        session.cancel()
        session.add_done_callback(lambda _: ended.set())

    monkeypatch.setattr("bosd.rpc.session.NodeServiceStub", Stub)
    async with RpcServer(node, lambda _: None, sessions=node.sessions()) as server:
        (address,) = await server.start(["127.0.0.1:0"])
        pool.attach(address, "b1", heard)
        await heard.until_link(Link.READY)
        gone.set()
        await server.stop(0.0)
        async with asyncio.timeout(WAIT_S):
            await ended.wait()


async def test_silence_is_loss(node: FakeNode, address: str, pool: RemotePool) -> None:
    """A remote whose stream stops while its session stands is LOST, and READY when it speaks again."""
    heard = Heard()
    pool.attach(address, "b1", heard)
    await heard.until_link(Link.READY)
    node.silent = True
    assert "silent" in await heard.until_link(Link.LOST)
    node.silent = False
    await heard.until_link(Link.READY)


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection to its end, whatever the other side did."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


class Stranger:
    """A TCP server that is no node: sends `greeting` to whoever connects, then waits for the other side to go."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.connections = 0
        self.open = 0
        self._greeting = greeting

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        writer.write(self._greeting)
        with contextlib.suppress(ConnectionError):
            await reader.read(-1)
        await closed(writer)
        self.open -= 1

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve; at the end wait for all connections to be gone."""
        async with await asyncio.start_server(self._accept, "127.0.0.1", 0) as server:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await until(lambda: self.open == 0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what tells nobody."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (what a server holds has no event)
            await asyncio.sleep(0.005)


async def test_a_remote_that_accepts_and_says_nothing(pool: RemotePool) -> None:
    """A stopped process, seen from outside: connections stand, nothing comes; tries go on, each on its own connection."""
    stranger, heard = Stranger(), Heard()
    async with stranger.serving() as address:
        link = pool.attach(address, "b1", heard)
        await until(lambda: stranger.connections >= 3)
        assert {state for state, _ in heard.links} == {Link.CONNECTING}
        assert heard.links[-1][1] == f"{address} is silent"
        link.close()


async def test_a_remote_that_speaks_something_else(pool: RemotePool) -> None:
    """Rubbish instead of HTTP/2 keeps the link down with a reason, and hurts nothing."""
    stranger, heard = Stranger(b"\xff\x00garbage\r\n" * 1000), Heard()
    async with stranger.serving() as address:
        link = pool.attach(address, "b1", heard)
        await until(lambda: stranger.connections >= 3)
        assert {state for state, _ in heard.links} == {Link.CONNECTING}
        assert heard.links[-1][1].startswith(address)
        assert heard.statuses == []
        link.close()


class Liar(BatteryServiceServicer):
    """A server that sends what it is told to."""

    def __init__(self, *messages: pb.WatchResponse) -> None:
        self.messages = messages

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802
        for message in self.messages:
            await context.write(message)
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def lying(*messages: pb.WatchResponse) -> AsyncIterator[str]:
    """Serve a liar."""
    server = grpc.aio.server()
    add_BatteryServiceServicer_to_server(Liar(*messages), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0.0)


GOOD: dict[str, Any] = {"name": "b1", "kind": "jbd", "quality": pb.QUALITY_GOOD, "link": pb.LINK_LOCAL, "max_staleness_s": 1.5}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (pb.WatchResponse(statuses=[pb.BatteryStatus(**{**GOOD, "voltage_v": math.nan})]), "nonsense"),
        (pb.WatchResponse(statuses=[pb.BatteryStatus(**{**GOOD, "age_s": -5.0})]), "nonsense"),
        (pb.WatchResponse(statuses=[pb.BatteryStatus(**{**GOOD, "quality": 9})]), "unknown enum"),
        (pb.WatchResponse(statuses=[pb.BatteryStatus(**{**GOOD, "name": "other"})]), "not asked for"),
        (pb.WatchResponse(sent_at=math.inf), "sent_at"),
    ],
    ids=["NaN", "negative age", "unknown quality", "wrong name", "no clock"],
)
async def test_a_lying_remote_is_refused(pool: RemotePool, message: pb.WatchResponse, reason: str) -> None:
    """Values no battery has, and batteries nobody asked for, never arrive; the reason says what was wrong."""
    async with lying(message) as address:
        heard = Heard()
        link = pool.attach(address, "b1", heard)
        assert reason in await heard.until_link(Link.REFUSED)
        assert heard.statuses == []
        link.close()


@pytest.mark.parametrize(
    ("claim_a", "facts"),
    [
        (math.nan, Facts()),
        (None, Facts(unconfirmed_a=math.inf)),
        (None, Facts(safe_within_s=-1.0)),
        (None, Facts(alone_charge_limit_w=math.nan)),
    ],
)
async def test_a_sync_with_nonsense(
    node: FakeNode, address: str, pool: RemotePool, monkeypatch: pytest.MonkeyPatch, claim_a: float | None, facts: Facts
) -> None:
    """Nothing of it is taken; the batteries are read meanwhile, and the session is tried until it is sense."""
    with monkeypatch.context() as lies:
        lies.setattr(node, "facts", lambda _unheard_s, _names=(): {"b1": facts})
        if claim_a is not None:
            node.peer_commands.held["node:here"] = (Claim(name="b1", current_a=claim_a, ttl_s=10.0),)
        heard = Heard()
        link = pool.attach(address, "b1", heard)
        await heard.until(lambda: heard.statuses != [] and "sent nonsense: b1: " in heard.links[-1][1])
        assert heard.links[-1][0] is Link.SYNC
        assert heard.snapshots == []
        node.peer_commands.held.clear()
    await heard.until_link(Link.READY)
    link.close()


async def test_a_server_of_something_else(pool: RemotePool) -> None:
    """A gRPC server without our service is REFUSED."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    heard = Heard()
    link = pool.attach(f"127.0.0.1:{port}", "b1", heard)
    await heard.until_link(Link.REFUSED)
    link.close()
    await server.stop(0.0)


async def test_clocks_an_hour_apart(pool: RemotePool) -> None:
    """The remote's wall clock is named and never used: ages, quality and the end of a set point are right."""
    node = FakeNode("far", clock=Skewed(), beat_s=0.1)
    node.put("b1", voltage_v=13.0, setpoint_ends_s=node.clock.now_s() + 30.0)
    heard, bugs = Heard(), list[BaseException]()
    async with RpcServer(node, bugs.append, sessions=node.sessions()) as server:
        (address,) = await server.start(["127.0.0.1:0"])
        link = pool.attach(address, "b1", heard)
        await heard.until(lambda: bool(heard.statuses))
        link.close()
    status, now_s = heard.statuses[0], pool.clock.now_s()
    age_s = status.age_s(now_s)
    assert age_s is not None
    assert age_s < 5.0
    assert status.setpoint_ends_s == pytest.approx(now_s + 30.0, abs=5.0)
    assert status.reason == f"the clock of {address} is 3600 s ahead"


async def test_commands(node: FakeNode, address: str, pool: RemotePool) -> None:
    """Set points, their end and refreshes reach the owner under this node's name; its refusals come back as they were."""
    heard = Heard()
    link = pool.attach(address, "b1", heard)
    await heard.until_link(Link.READY)
    answer = await link.set_current(-2.0, 12.5, 2.0)
    assert answer.applied_current_a == -2.0
    await link.clear(2.0)
    await link.refresh(recursive=True)
    assert [call for call in node.calls if call[0] != "watch"] == [
        ("set_current", "b1", -2.0, 12.5, "node:here", "", False),
        ("clear_current", "b1", "node:here"),
        ("refresh", "b1", True),
    ]
    node.raises = ClaimedError("held", holder="n3", remaining_s=1.0)
    with pytest.raises(ClaimedError) as refused:
        await link.set_current(1.0, None, 2.0)
    assert refused.value.metadata == {"holder": "n3", "remaining_s": "1.0"}
    node.raises = BadNameError("gone", name="b1")
    with pytest.raises(BadNameError):
        await link.refresh()


async def test_an_answer_that_does_not_come(node: FakeNode, address: str, pool: RemotePool) -> None:
    """A command has a deadline of its own; without an answer it is UnavailableError."""
    heard = Heard()
    link = pool.attach(address, "b1", heard)
    await heard.until_link(Link.READY)
    node.hang = asyncio.Event()
    with pytest.raises(UnavailableError, match="deadline"):
        await link.set_current(1.0, 5.0, 2.0)


async def test_a_connection_lost_under_a_command(node: FakeNode, address: str, pool: RemotePool) -> None:
    """When the link is given up, a command on it ends with an error and not with a cancelled task."""
    heard = Heard()
    link = pool.attach(address, "b1", heard)
    await heard.until_link(Link.READY)
    node.hang = asyncio.Event()
    command = asyncio.create_task(link.set_current(1.0, 5.0, 2.0))
    await asyncio.sleep(0.05)
    node.silent = True
    with pytest.raises(BosError) as lost:
        await command
    assert isinstance(lost.value, UnavailableError)


async def test_a_stub_on_a_stub(node: FakeNode, address: str, pool: RemotePool) -> None:
    """Two hops: the middle node serves its stub; path and hops grow, the sample's time stays the leaf's."""
    middle = RemoteBattery(NetworkSpec(name="m", target=address, remote_name="b1"), pool)
    relay = FakeNode("here", beat_s=0.1)
    bugs: list[BaseException] = []
    async with RpcServer(relay, bugs.append, sessions=relay.sessions()) as server:
        (relay_address,) = await server.start(["127.0.0.1:0"])
        heard = Heard()
        watching = pool.attach(address, "b1", heard)
        await heard.until(lambda: middle.status(pool.clock.now_s()).commandable)
        seen = middle.status(pool.clock.now_s())
        relay.put_status(seen)
        far = RemotePool("edge", SystemClock(), timers=TIMERS)
        task = asyncio.create_task(far.run())
        stub, last = RemoteBattery(NetworkSpec(name="top", target=relay_address, remote_name="m"), far), Heard()
        link = far.attach(relay_address, "m", last)
        await last.until(lambda: stub.status(far.clock.now_s()).commandable)
        top = stub.status(far.clock.now_s())
        assert (top.path, top.hops) == (("edge/top", "here/m", "far/b1"), 2)
        assert (top.voltage_v, top.sampled_from) == (13.0, node.statuses["b1"].sampled_from)
        assert top.sampled_from_s is not None
        assert seen.sampled_from_s is not None
        assert top.sampled_from_s <= seen.sampled_from_s + 0.01
        assert (top.commandable, top.max_discharge_current_a) == (True, 40.0)
        watching.close()
        link.close()
        stub.close()
        middle.close()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert bugs == []


async def test_two_connections_a_node(address: str, node: FakeNode, pool: RemotePool) -> None:
    """However many batteries of a node are followed: one connection for all of them, and one for the beats alone."""
    heard = [Heard() for _ in range(5)]
    for number in range(5):
        node.put(f"many{number}")
    links = [pool.attach(address, f"many{number}", each) for number, each in enumerate(heard)]
    for each in heard:
        await each.until_link(Link.READY)
    established = f":{int(address.rpartition(':')[2]):04X} 01 "
    tables = [await asyncio.to_thread(Path("/proc/net", name).read_text, encoding="ascii") for name in ("tcp", "tcp6")]
    assert sum(established in line for table in tables for line in table.splitlines()) == 2
    for link in links:
        link.close()
