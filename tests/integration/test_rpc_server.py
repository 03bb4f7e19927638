"""The gRPC server on a real connection, a node without devices behind it."""

import asyncio
import math
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bosd.bal.status import BatteryStatus, Link, Quality
from bosd.errors import BosError, ClaimedError, ConfigError
from bosd.node.api import Edit
from bosd.rpc import edge
from bosd.rpc.server import RpcServer
from bosd.rpc.status import from_rpc_error
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from bosd.v1.topology_pb2_grpc import TopologyServiceStub
from tests.support.fake_node import FakeNode

DEADLINE_S = 5.0


@dataclass
class Served:
    """A served node and a client's view of it."""

    node: FakeNode
    server: RpcServer
    address: str
    channel: grpc.aio.Channel
    bugs: list[BaseException]

    @property
    def batteries(self) -> Any:
        return BatteryServiceStub(self.channel)

    @property
    def topology(self) -> Any:
        return TopologyServiceStub(self.channel)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A node with batteries b1 and b2."""
    node = FakeNode()
    node.put("b1", voltage_v=13.0)
    node.put("b2", voltage_v=14.0)
    bugs: list[BaseException] = []
    async with RpcServer(node, bugs.append) as server:
        (address,) = await server.start(["127.0.0.1:0"])
        async with grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
            yield Served(node, server, address, channel, bugs)


async def refusal(call: Any) -> tuple[grpc.StatusCode, BosError]:
    """Return how a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), from_rpc_error(refused.value)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for `condition`, at most the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 (what a server holds has no event)
            await asyncio.sleep(0.005)


async def test_get_status(served: Served) -> None:
    """A status arrives as the node has it."""
    status = await served.batteries.GetStatus(pb.GetStatusRequest(name="b1", max_age_s=2.0), timeout=DEADLINE_S)
    assert (status.name, status.voltage_v, status.quality) == ("b1", 13.0, pb.QUALITY_GOOD)
    assert ("fresh_status", "b1", 2.0) in served.node.calls


async def test_list_statuses(served: Served) -> None:
    """All, or those named; only what is too old is refreshed."""
    everything = await served.batteries.ListStatuses(pb.ListStatusesRequest(), timeout=DEADLINE_S)
    assert [status.name for status in everything.statuses] == ["b1", "b2"]
    assert (everything.node, served.node.calls) == ("n1", [])
    served.node.put("b2", quality=Quality.STALE)
    some = await served.batteries.ListStatuses(pb.ListStatusesRequest(names=["b2"]), timeout=DEADLINE_S)
    assert [status.name for status in some.statuses] == ["b2"]
    assert served.node.calls == [("fresh_status", "b2", None)]
    code, error = await refusal(served.batteries.ListStatuses(pb.ListStatusesRequest(names=["b1", "b9"])))
    assert (code, error.reason) == (grpc.StatusCode.NOT_FOUND, "BAD_NAME")


async def test_set_current_says_who_asks(served: Served) -> None:
    """Arguments, the holder's name and the end of the set point travel."""
    request = pb.SetCurrentRequest(name="b1", current_a=-3.0, ttl_s=30.0, request_id="r1", dry_run=True)
    answer = await served.batteries.SetCurrent(request, timeout=DEADLINE_S, metadata=(("bosd-client", "me@home"),))
    assert ("set_current", "b1", -3.0, 30.0, "me@home", "r1", True) in served.node.calls
    assert answer.ttl_s == pytest.approx(30.0, abs=1.0)
    assert answer.setpoint_ends_at == pytest.approx(served.node.clock.utc_s() + 30.0, abs=1.0)
    assert [(leaf.name, leaf.new_current_a) for leaf in answer.leaves] == [("b1", -3.0)]


async def test_who_does_not_say_is_the_peer(served: Served) -> None:
    """Without metadata the holder is the transport's peer without its port; no ttl is the node's default."""
    await served.batteries.SetCurrent(pb.SetCurrentRequest(name="b1", current_a=1.0), timeout=DEADLINE_S)
    assert served.node.calls[-1] == ("set_current", "b1", 1.0, None, "peer:ipv4:127.0.0.1", "", False)


async def test_other_commands(served: Served) -> None:
    """Clear, stop, release, refresh and pseudo reach the node as they were sent."""
    batteries, who = served.batteries, (("bosd-client", "me"),)
    await batteries.ClearCurrent(pb.ClearCurrentRequest(name="b1"), timeout=DEADLINE_S, metadata=who)
    stopped = await batteries.Stop(pb.StopRequest(names=["b1"], reason="smoke"), timeout=DEADLINE_S, metadata=who)
    released = await batteries.Release(pb.ReleaseRequest(names=["b1"]), timeout=DEADLINE_S, metadata=who)
    await batteries.Refresh(pb.RefreshRequest(name="b1", recursive=True), timeout=DEADLINE_S)
    pseudo = await batteries.ModifyPseudo(pb.ModifyPseudoRequest(name="b1", voltage_v=0.0), timeout=DEADLINE_S)
    assert served.node.calls == [
        ("clear_current", "b1", "me"),
        ("stop", ("b1",), False, False, "smoke", "me"),
        ("release", ("b1",), "me"),
        ("refresh", "b1", True),
        ("modify_pseudo", "b1", {"voltage_v": 0.0}),
    ]
    assert (list(stopped.stopped), list(released.released)) == (["b1"], ["b1"])
    assert pseudo.HasField("voltage_v")


BAD = {
    "NaN current": ("SetCurrent", pb.SetCurrentRequest(name="b1", current_a=math.nan), "current_a"),
    "infinite current": ("SetCurrent", pb.SetCurrentRequest(name="b1", current_a=math.inf), "current_a"),
    "negative ttl": ("SetCurrent", pb.SetCurrentRequest(name="b1", ttl_s=-1.0), "ttl_s"),
    "no time to live at all": ("SetCurrent", pb.SetCurrentRequest(name="b1", ttl_s=0.0), "ttl_s"),
    "NaN ttl": ("SetCurrent", pb.SetCurrentRequest(name="b1", ttl_s=math.nan), "ttl_s"),
    "no name": ("SetCurrent", pb.SetCurrentRequest(current_a=1.0), "name"),
    "endless request id": ("SetCurrent", pb.SetCurrentRequest(name="b1", request_id="x" * 2000), "request_id"),
    "status of nothing": ("GetStatus", pb.GetStatusRequest(), "name"),
    "negative age": ("GetStatus", pb.GetStatusRequest(name="b1", max_age_s=-1.0), "max_age_s"),
    "an empty name among names": ("ListStatuses", pb.ListStatusesRequest(names=["b1", ""]), "names"),
    "clear nothing": ("ClearCurrent", pb.ClearCurrentRequest(), "name"),
    "stop nothing": ("Stop", pb.StopRequest(), "names"),
    "release nothing": ("Release", pb.ReleaseRequest(), "names"),
    "refresh nothing": ("Refresh", pb.RefreshRequest(), "name"),
    "infinite voltage": ("ModifyPseudo", pb.ModifyPseudoRequest(name="b1", voltage_v=math.inf), "voltage_v"),
    "pseudo without values": ("ModifyPseudo", pb.ModifyPseudoRequest(name="b1"), "voltage_v"),
}


@pytest.mark.parametrize(("method", "request_", "field"), BAD.values(), ids=BAD.keys())
async def test_bad_arguments_name_their_field(served: Served, method: str, request_: Any, field: str) -> None:
    """Nonsense is refused at the door with the field's name; the node hears nothing of it."""
    code, error = await refusal(getattr(served.batteries, method)(request_, timeout=DEADLINE_S))
    assert (code, error.reason, error.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", field)
    assert served.node.calls == []


@pytest.mark.parametrize("request_", [pb.WatchRequest(min_interval_s=math.nan), pb.WatchRequest(max_staleness_s=-1.0)])
async def test_watch_with_bad_arguments(served: Served, request_: pb.WatchRequest) -> None:
    """A stream refuses like a call."""
    code, error = await refusal(served.batteries.Watch(request_).read())
    assert (code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")


async def test_unknown_names(served: Served) -> None:
    """A battery that is not there is NOT_FOUND, with its name, in a call and in a stream."""
    code, error = await refusal(served.batteries.GetStatus(pb.GetStatusRequest(name="b9"), timeout=DEADLINE_S))
    assert (code, error.reason, error.metadata) == (grpc.StatusCode.NOT_FOUND, "BAD_NAME", {"name": "b9"})
    code, error = await refusal(served.batteries.Watch(pb.WatchRequest(names=["b1", "b8", "b9"])).read())
    assert (code, error.metadata) == (grpc.StatusCode.NOT_FOUND, {"names": "b8,b9"})


async def test_a_nodes_refusal_arrives_whole(served: Served) -> None:
    """Code, reason, message and data of what the node raises."""
    served.node.raises = ClaimedError("b1 is held by n2", holder="n2", remaining_s=4.5)
    code, error = await refusal(served.batteries.SetCurrent(pb.SetCurrentRequest(name="b1"), timeout=DEADLINE_S))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert isinstance(error, ClaimedError)
    assert (error.message, error.metadata) == ("b1 is held by n2", {"holder": "n2", "remaining_s": "4.5"})


async def test_a_programming_error_is_reported_and_not_leaked(served: Served) -> None:
    """The caller learns INTERNAL, the daemon gets the exception itself."""
    served.node.raises = bug = ZeroDivisionError("secret detail")
    code, error = await refusal(served.batteries.GetStatus(pb.GetStatusRequest(name="b1"), timeout=DEADLINE_S))
    assert (code, error.message) == (grpc.StatusCode.INTERNAL, "internal error")
    assert served.bugs == [bug]


async def test_a_call_without_deadline_gets_one(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that would wait for ever is answered within the server's own deadline."""
    monkeypatch.setattr(served.server.edge, "_default_deadline_s", 0.05)
    served.node.hang = asyncio.Event()
    code, error = await refusal(served.batteries.GetStatus(pb.GetStatusRequest(name="b1")))
    assert (code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "UNAVAILABLE")


async def test_a_long_deadline_is_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody occupies the node for hours."""
    monkeypatch.setattr(edge, "LONGEST_DEADLINE_S", 0.05)
    served.node.hang = asyncio.Event()
    code, _ = await refusal(served.batteries.GetStatus(pb.GetStatusRequest(name="b1"), timeout=3600.0))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_ten_megabytes_are_refused(served: Served) -> None:
    """A message beyond 4 MiB ends with RESOURCE_EXHAUSTED and the server goes on."""
    code, error = await refusal(served.batteries.GetStatus(pb.GetStatusRequest(name="x" * 10_000_000), timeout=DEADLINE_S))
    assert (code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_RESOURCES")
    await served.batteries.GetStatus(pb.GetStatusRequest(name="b1"), timeout=DEADLINE_S)


async def test_watch_begins_at_once_then_changes_then_beats(served: Served) -> None:
    """The current statuses first; a change as soon as it is made; a beat when nothing changes."""
    watch = served.batteries.Watch(pb.WatchRequest(min_interval_s=0.0, max_staleness_s=0.6))
    first = await watch.read()
    assert [status.name for status in first.statuses] == ["b1", "b2"]
    assert (first.node, first.beat_s) == ("n1", 0.1)
    served.node.put("b2", voltage_v=15.0)
    second = await watch.read()
    assert [(status.name, status.voltage_v) for status in second.statuses] == [("b2", 15.0)]
    beat = await watch.read()
    assert beat.sent_at > second.sent_at
    assert ("watch", None, 0.0, 0.6) in served.node.calls
    watch.cancel()


async def test_watch_names_what_was_removed(served: Served) -> None:
    """A battery that leaves the topology is told."""
    watch = served.batteries.Watch(pb.WatchRequest(names=["b1", "b2"]))
    await watch.read()
    served.node.drop("b2")
    assert list((await watch.read()).removed) == ["b2"]
    watch.cancel()


async def test_min_interval_reaches_the_node(served: Served) -> None:
    """The rate the caller asked for, and one name in the field `name`."""
    watch = served.batteries.Watch(pb.WatchRequest(name="b1", min_interval_s=0.25))
    await watch.read()
    assert ("watch", ("b1",), 0.25, 0.0) in served.node.calls
    watch.cancel()


async def test_a_client_that_vanishes_ends_its_watch(served: Served) -> None:
    """Neither a cancelled call nor a dropped connection leaves a watcher behind."""
    watch = served.batteries.Watch(pb.WatchRequest())
    await watch.read()
    watch.cancel()
    await until(lambda: served.node.watching == 0)
    async with grpc.aio.insecure_channel(served.address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        other = BatteryServiceStub(channel).Watch(pb.WatchRequest())
        await other.read()
        assert served.node.watching == 1
    await until(lambda: served.node.watching == 0)
    assert (served.server.edge.watchers, served.bugs) == (0, [])


async def test_watchers_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the bound is NO_RESOURCES; when one goes there is room again."""
    monkeypatch.setattr(served.server.edge, "_max_watchers", 2)
    watches = [served.batteries.Watch(pb.WatchRequest()) for _ in range(2)]
    for watch in watches:
        await watch.read()
    code, error = await refusal(served.batteries.Watch(pb.WatchRequest()).read())
    assert (code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_RESOURCES")
    watches[0].cancel()
    await until(lambda: served.server.edge.watchers == 1)
    await served.batteries.Watch(pb.WatchRequest()).read()


async def test_two_hundred_watchers_one_of_which_never_reads(served: Served) -> None:
    """The silent one holds up nobody: all others see the last change."""
    silent = served.batteries.Watch(pb.WatchRequest())
    watches = [served.batteries.Watch(pb.WatchRequest()) for _ in range(199)]
    for watch in watches:
        await watch.read()
    text = "x" * 8000
    for step in range(100):
        served.node.put("b1", voltage_v=float(step), reason=text)
        await asyncio.sleep(0)
    served.node.put("b1", voltage_v=1000.0)

    async def last(watch: Any) -> None:
        while all(status.voltage_v != 1000.0 for status in (await watch.read()).statuses):
            pass

    async with asyncio.timeout(30.0):
        await asyncio.gather(*(last(watch) for watch in watches))
    assert served.node.watching == 200
    silent.cancel()


async def test_a_snapshot_larger_than_a_message_is_split(served: Served) -> None:
    """A client with gRPC's default bound of 4 MiB gets 3000 large statuses in several messages."""
    now_s = served.node.clock.now_s()
    for number in range(3000):
        name = f"big{number}"
        served.node.statuses[name] = BatteryStatus(
            name=name, kind="jbd", reason="x" * 2000, quality=Quality.GOOD, link=Link.LOCAL, sampled_from_s=now_s
        )
        served.node._versions[name] = 1
    watch = served.batteries.Watch(pb.WatchRequest())
    names: set[str] = set()
    messages = 0
    async with asyncio.timeout(DEADLINE_S):
        while len(names) < 3002:
            message = await watch.read()
            messages += 1
            names.update(status.name for status in message.statuses)
    assert messages >= 3  # 6 MB in messages of at most 2 MiB
    watch.cancel()


async def test_topology_calls(served: Served) -> None:
    """Get, plan, apply, history and watch reach the node and come back."""
    topology = served.topology
    view = await topology.Get(tpb.GetTopologyRequest(), timeout=DEADLINE_S)
    assert ([entry.name for entry in view.entries], view.revision, view.node) == (["b1", "b2"], 1, "n1")
    edit = tpb.TopologyEdit(remove=tpb.TopologyEdit.Remove(name="b1"))
    plan = await topology.Plan(tpb.ApplyTopologyRequest(edits=[edit]), timeout=DEADLINE_S)
    assert [(change.action, change.name) for change in plan.changes] == [(tpb.TopologyChange.ACTION_REMOVE, "b1")]
    request = tpb.ApplyTopologyRequest(edits=[edit], expected_revision=1, comment="why", request_id="r")
    applied = await topology.Apply(request, timeout=DEADLINE_S, metadata=(("bosd-client", "me"),))
    assert (applied.revision, list(applied.warnings)) == (2, ["mind the gap"])
    removal = (Edit(action="remove", name="b1"),)
    assert served.node.calls == [("plan", removal, None), ("apply", removal, 1, "me", "why", "r")]
    history = await topology.History(tpb.TopologyHistoryRequest(), timeout=DEADLINE_S)
    assert [line.who for line in history.revisions] == ["someone"]
    watch = topology.Watch(tpb.WatchTopologyRequest())
    assert (await watch.read()).revision == 2
    watch.cancel()


async def test_health(served: Served) -> None:
    """The node serves; a battery serves while GOOD; an unknown one is NOT_FOUND, or SERVICE_UNKNOWN in a stream."""
    health: Any = health_pb2_grpc.HealthStub(served.channel)
    request, answer = health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    assert (await health.Check(request(), timeout=DEADLINE_S)).status == answer.SERVING
    assert (await health.Check(request(service="battery/b1"), timeout=DEADLINE_S)).status == answer.SERVING
    served.node.put("b1", quality=Quality.STALE)
    assert (await health.Check(request(service="battery/b1"), timeout=DEADLINE_S)).status == answer.NOT_SERVING
    for service in ("battery/b9", "other"):
        code, _ = await refusal(health.Check(request(service=service), timeout=DEADLINE_S))
        assert code is grpc.StatusCode.NOT_FOUND
        watch = health.Watch(request(service=service))
        assert (await watch.read()).status == answer.SERVICE_UNKNOWN
        watch.cancel()


async def test_reflection(served: Served) -> None:
    """Tools find the services and their messages."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="bosd.v1.BatteryService"),
    ]
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]
    names = [service.name for service in answers[0].list_services_response.service]
    assert {"bosd.v1.BatteryService", "bosd.v1.TopologyService", "grpc.health.v1.Health"} <= set(names)
    assert answers[1].file_descriptor_response.file_descriptor_proto


async def test_an_unknown_method(served: Served) -> None:
    """What is not served is UNIMPLEMENTED."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.channel.unary_unary("/bosd.v1.Other/Do", request_serializer=bytes, response_deserializer=bytes)(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_port_in_use(served: Served) -> None:
    """A second daemon is refused with the address and what to do, not load-balanced with the first."""
    second = RpcServer(served.node, served.bugs.append)
    with pytest.raises(ConfigError, match=rf"{served.address}.*stop the other daemon or change"):
        await second.start([served.address])
    await second.stop(0.0)


async def test_what_cannot_listen_is_let_go_of(served: Served) -> None:
    """An address that came, and is in use, is tried each 2 s: 8 kB were never freed each time, 350 MB a day."""
    for _ in range(2):
        server = RpcServer(served.node, served.bugs.append)
        with pytest.raises(ConfigError):
            await server.start(["127.0.0.1:0", served.address])
        async with asyncio.timeout(DEADLINE_S):
            await server._server.wait_for_termination()
    stub: Any = BatteryServiceStub(served.channel)
    await stub.SetCurrent(pb.SetCurrentRequest(name="b1"), timeout=DEADLINE_S)


async def test_off_loopback_is_refused(served: Served) -> None:
    """Without mutual TLS nothing is served to the network."""
    second = RpcServer(served.node, served.bugs.append)
    with pytest.raises(ConfigError, match="mutual TLS"):
        await second.start(["0.0.0.0:0"])
    await second.stop(0.0)


async def test_unix_socket(tmp_path: Path) -> None:
    """A socket of a killed daemon is replaced, open to owner and group alone, and removed at the end."""
    node = FakeNode()
    node.put("b1")
    path = tmp_path / "bosd.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    bugs: list[BaseException] = []
    async with RpcServer(node, bugs.append) as server:
        (address,) = await server.start([f"unix:{path}"])
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660  # noqa: PTH116 (of the socket itself)
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = BatteryServiceStub(channel)
            await stub.SetCurrent(pb.SetCurrentRequest(name="b1"), timeout=DEADLINE_S)
        assert node.calls[-1][4] == "peer:unix:"
        second = RpcServer(node, bugs.append)
        with pytest.raises(ConfigError, match="in use"):
            await second.start([address])
        await second.stop(0.0)
    assert not path.exists()


async def test_graceful_stop(served: Served) -> None:
    """A running call is finished, a stream told at once, new calls refused."""
    served.node.hang = asyncio.Event()
    watch = served.batteries.Watch(pb.WatchRequest())
    await watch.read()
    call = served.batteries.GetStatus(pb.GetStatusRequest(name="b1"), timeout=DEADLINE_S)
    await until(lambda: len(served.node.calls) == 2)
    stopping = asyncio.create_task(served.server.stop(DEADLINE_S))
    assert await watch.code() is grpc.StatusCode.UNAVAILABLE
    assert "shutting down" in await watch.details()
    served.node.hang.set()
    assert (await call).name == "b1"
    await stopping
    code, _ = await refusal(served.batteries.GetStatus(pb.GetStatusRequest(name="b1"), timeout=1.0))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert (served.node.watching, served.bugs) == (0, [])


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("BatteryService/SetCurrent", "unary_unary"),
        ("BatteryService/Watch", "unary_stream"),
        ("LedgerService/List", "unary_unary"),  # of those that are imported when first asked
    ],
)
async def test_what_is_no_message_is_an_invalid_argument(served: Served, method: str, kind: str) -> None:
    """Bytes that no protobuf message of that type begins with: the refusal names the type, and nothing is called."""
    call = getattr(served.channel, kind)(f"/bosd.v1.{method}")(b"\xff\xff\xff", timeout=DEADLINE_S)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (call if kind == "unary_unary" else call.read())
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = from_rpc_error(refused.value)
    assert (error.reason, error.metadata["field"]) == ("INVALID_ARGUMENT", "request")
    assert "3 bytes are no protobuf message bosd.v1." in error.message
    assert not served.node.calls


async def test_a_beat_that_is_no_message_ends_the_stream() -> None:
    """So also where a client streams."""
    node, bugs = FakeNode(), list[BaseException]()
    async with RpcServer(node, bugs.append, sessions=node.sessions()) as server:
        (address,) = await server.start(["127.0.0.1:0"])
        async with grpc.aio.insecure_channel(address) as channel:
            beats: Any = channel.stream_stream("/bosd.v1.NodeService/Heartbeat")(metadata=(("bosd-client", "node:home"),))
            await beats.write(b"\xff\xff\xff")
            assert await beats.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not bugs
