"""Mutual TLS and rights over real connections on loopback (control.md, "Transport security", and the table of rights)."""

import asyncio
import contextlib
import importlib
import pkgutil
import ssl
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509

import bosd.v1
from bosd.bal.facts import Facts
from bosd.bal.schedule import Moment
from bosd.bal.status import BatteryStatus, Link
from bosd.clock import SystemClock
from bosd.errors import BatteryInUseError, BosError, ConfigError, InvalidArgumentError, StoreError, UnsupportedError
from bosd.pki.authority import Authority
from bosd.pki.bundle import Bundle
from bosd.pki.identity import ANY_NODE, Role, identity_of, server_name
from bosd.pki.renewal import Request, approve
from bosd.rpc import connections
from bosd.rpc import guard as guard_module
from bosd.rpc.client import RemotePool
from bosd.rpc.guard import Guard
from bosd.rpc.rights import METHODS, Rights
from bosd.rpc.server import RpcServer
from bosd.rpc.status import from_rpc_error
from bosd.rpc.tls import Keyring, Shown
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import schedule_pb2, security_pb2, topology_pb2
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from bosd.v1.security_pb2_grpc import SecurityServiceStub
from bosd.v1.topology_pb2_grpc import TopologyServiceStub
from tests.support.certificates import authority, issue, secured
from tests.support.fake_node import FakeNode
from tests.support.malformed import list_with_x400_name, of_version_10

GRANTS: dict[str, tuple[str, ...]] = {"tenant:anna": ("b1",), "node:hut": ("b2",), "operator:eve": ("b1",)}
END_WITHIN_S = 5.0
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
DENIED = grpc.StatusCode.PERMISSION_DENIED
FENCED = grpc.StatusCode.ABORTED
"""A node is let through to its battery, and told to command through a session."""
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


@dataclass
class Secured:
    """A node behind mutual TLS, its authority, and what it refused: action, reason, who, batteries."""

    node: FakeNode
    by: Authority
    address: str
    files: Path
    guard: Guard
    refused: list[tuple[str, str, str, tuple[str, ...]]]
    server: RpcServer

    @contextlib.asynccontextmanager
    async def as_(self, who: Bundle | str, *, name: str = ANY_NODE, ca_pem: bytes = b"") -> AsyncIterator[Any]:
        bundle = issue(self.by, who) if isinstance(who, str) else who
        credentials = grpc.ssl_channel_credentials(ca_pem or bundle.ca_pem, bundle.key_pem, bundle.certificate_pem)
        options = (("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1))
        async with grpc.aio.secure_channel(self.address, credentials, options=options) as channel:
            yield channel


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Secured]:
    """A node `home` with batteries b1 and b2."""
    fake = FakeNode()
    fake.put("b1", voltage_v=13.0)
    fake.put("b2", voltage_v=14.0)
    by = authority(tmp_path / "ca")
    guard = Guard(fake, Keyring(secured(by, tmp_path / "tls", "home", GRANTS), "home"), Rights(GRANTS))
    refused: list[tuple[str, str, str, tuple[str, ...]]] = []
    bugs: list[BaseException] = []

    def note(action: str, error: BosError, who: str, names: Sequence[str]) -> None:
        refused.append((action, error.reason, who, tuple(names)))

    async with RpcServer(fake, bugs.append, sessions=fake.sessions(), security=guard) as server:
        guard.refused = note
        (address,) = await server.start(["127.0.0.1:0"])
        looking = asyncio.create_task(guard.run())
        yield Secured(fake, by, address, tmp_path / "tls", guard, refused, server)
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
    assert not bugs


async def code(call: Any) -> grpc.StatusCode:
    """Return how a call ended."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def set_(channel: Any, name: str) -> Any:
    """Ask for 1 A, calling oneself an admin."""
    request = pb.SetCurrentRequest(name=name, current_a=1.0, ttl_s=1.0)
    return BatteryServiceStub(channel).SetCurrent(request, timeout=5.0, metadata=(("bosd-client", "admin:forged"),))


def test_every_method_is_classified() -> None:
    """A method that nobody thought about must not slip through: it is refused, and this test says so first."""
    modules = [each.name for each in pkgutil.iter_modules(bosd.v1.__path__) if each.name.endswith("_pb2")]
    files = [importlib.import_module(f"bosd.v1.{name}") for name in modules]
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    methods = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
    assert methods == {method for method in METHODS if method.startswith("/bosd.")}


async def test_without_a_certificate_of_our_ca_there_is_no_connection(node: Secured, tmp_path: Path) -> None:
    """None, a foreign one, one that has expired: UNAVAILABLE, and nothing changed."""
    ca_pem = issue(node.by, "viewer:v").ca_pem
    foreign = issue(authority(tmp_path / "foreign"), "admin:mallory")
    expired = issue(node.by, "admin:late", life_s=5.0, ago_s=6.0)
    for bundle in (foreign, expired):
        async with node.as_(bundle, ca_pem=ca_pem) as channel:
            assert await code(set_(channel, "b1")) is UNAVAILABLE
    options = (("grpc.ssl_target_name_override", ANY_NODE),)
    async with grpc.aio.secure_channel(node.address, grpc.ssl_channel_credentials(ca_pem), options=options) as channel:
        assert await code(set_(channel, "b1")) is UNAVAILABLE
    async with grpc.aio.insecure_channel(node.address) as channel:
        assert await code(set_(channel, "b1")) is UNAVAILABLE
    assert not [call for call in node.node.calls if call[0] == "set_current"]
    assert not node.refused


async def test_a_client_demands_a_node_and_the_very_node(node: Secured) -> None:
    """The server's certificate names it; another node's name does not do."""
    for name, wanted in ((server_name("home"), grpc.StatusCode.OK), (server_name("hut"), UNAVAILABLE)):
        async with node.as_(issue(node.by, f"admin:{name[:8]}"), name=name) as channel:
            assert await code(set_(channel, "b1")) is wanted


@pytest.mark.parametrize(
    ("who", "set_b1", "set_b2", "read_b2", "stop_b2", "release"),
    [
        ("viewer:v", DENIED, DENIED, None, DENIED, DENIED),
        ("operator:max", None, None, None, None, DENIED),
        ("operator:eve", None, DENIED, None, None, DENIED),
        ("node:hut", DENIED, FENCED, None, None, DENIED),
        ("node:other", DENIED, DENIED, DENIED, DENIED, DENIED),
        ("tenant:anna", None, DENIED, DENIED, DENIED, DENIED),
        ("admin:root", None, None, None, None, None),
    ],
)
async def test_the_table_of_rights(
    node: Secured, who: str, set_b1: Any, set_b2: Any, read_b2: Any, stop_b2: Any, release: Any
) -> None:
    """Each role may do what the table says; each refusal is recorded with who, and what was refused changed nothing."""
    async with node.as_(who) as channel:
        stub = BatteryServiceStub(channel)
        calls = [
            (set_b1, set_(channel, "b1")),
            (set_b2, set_(channel, "b2")),
            (read_b2, stub.GetStatus(pb.GetStatusRequest(name="b2"), timeout=5.0)),
            (stop_b2, stub.Stop(pb.StopRequest(names=["b2"]), timeout=5.0)),
            (release, stub.Release(pb.ReleaseRequest(names=["b2"]), timeout=5.0)),
        ]
        found = [(wanted or grpc.StatusCode.OK, await code(call)) for wanted, call in calls]
    assert [wanted for wanted, _ in found] == [got for _, got in found]
    denied = sum(wanted is DENIED for wanted, _ in found)
    assert [(reason, asker) for _, reason, asker, _ in node.refused] == [("NOT_ALLOWED", who)] * denied


@pytest.mark.parametrize(
    ("who", "wanted"), [("operator:max", DENIED), ("tenant:anna", DENIED), ("node:hut", DENIED), ("admin:root", None)]
)
async def test_force_needs_an_admin(node: Secured, who: str, wanted: grpc.StatusCode | None) -> None:
    """Whoever may set the battery may not take it over; the refusal names the role, is recorded, and changed nothing."""
    request = pb.SetCurrentRequest(name="b1", current_a=1.0, force=True)
    async with node.as_(who) as channel:
        call = BatteryServiceStub(channel).SetCurrent(request, timeout=5.0)
        if wanted is None:
            assert (await call).taken_from == "ann"
            assert [call[0] for call in node.node.calls] == ["force_current"]
            return
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
    error = from_rpc_error(refused.value)
    assert (refused.value.code(), error.metadata["role"]) == (wanted, "admin")
    assert error.message == f"{who} may not force: that needs the role admin"
    assert node.refused == [("force", "NOT_ALLOWED", who, ("b1",))]
    assert not node.node.calls


async def test_the_certificate_is_the_only_source_of_identity(node: Secured) -> None:
    """What a caller calls itself in the metadata counts for nothing."""
    async with node.as_("operator:max") as channel:
        await set_(channel, "b1")
    assert "operator:max" in repr(node.node.calls)
    assert "forged" not in repr(node.node.calls)


async def test_a_refusal_says_who_what_and_which_role(node: Secured) -> None:
    """For people, and for the audit."""
    async with node.as_("viewer:v") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await set_(channel, "b1")
    assert from_rpc_error(refused.value).message == "viewer:v may not set: that needs the role operator"


async def test_what_may_not_be_read_is_not_listed(node: Secured) -> None:
    """A tenant sees its own in lists, streams and the topology."""
    async with node.as_("tenant:anna") as channel:
        stub = BatteryServiceStub(channel)
        listed = await stub.ListStatuses(pb.ListStatusesRequest(), timeout=5.0)
        assert [status.name for status in listed.statuses] == ["b1"]
        first = await stub.Watch(pb.WatchRequest(), timeout=5.0).read()
        assert [status.name for status in first.statuses] == ["b1"]
        topology = await TopologyServiceStub(channel).Get(topology_pb2.GetTopologyRequest(), timeout=5.0)
        assert "b2" not in str(topology)
        assert await code(stub.Watch(pb.WatchRequest(names=["b2"]), timeout=5.0).read()) is DENIED


async def test_revocation_ends_streams_and_refuses_calls(node: Secured) -> None:
    """Within 5 s, without a restart; recorded."""
    async with node.as_("operator:max") as channel:
        watch = BatteryServiceStub(channel).Watch(pb.WatchRequest())
        assert (await watch.read()).statuses
        node.by.revoke("operator:max", time.time())
        (node.files / "revoked.crl").write_bytes((node.by.directory / "revoked.crl").read_bytes())
        async with asyncio.timeout(END_WITHIN_S):
            assert await code(_drained(watch)) is UNAUTHENTICATED
        assert await code(set_(channel, "b1")) is UNAUTHENTICATED
    assert {(reason, who) for _, reason, who, _ in node.refused} == {("UNAUTHENTICATED", "operator:max")}
    assert not [call for call in node.node.calls if call[0] == "set_current"]


@pytest.mark.parametrize("disk", ["works", "hangs"])
async def test_expiry_ends_streams(node: Secured, monkeypatch: pytest.MonkeyPatch, disk: str) -> None:
    """A certificate of 2 s life: its stream ends within 5 s of its end, also where the files cannot be read."""
    reading = threading.Event()
    if disk == "hangs":
        monkeypatch.setattr(node.guard.keyring, "look", lambda: reading.wait(60.0))
    try:
        async with node.as_(issue(node.by, "operator:max", life_s=2.0)) as channel:
            watch = BatteryServiceStub(channel).Watch(pb.WatchRequest())
            assert (await watch.read()).statuses
            async with asyncio.timeout(2.0 + END_WITHIN_S):
                assert await code(_drained(watch)) is UNAUTHENTICATED
    finally:
        reading.set()


async def _drained(watch: Any) -> None:
    while await watch.read() is not grpc.aio.EOF:
        pass


async def test_certificates_are_exchanged_without_a_restart(node: Secured, tmp_path: Path) -> None:
    """New files of another authority: its clients get in, those of the old one no more."""
    other = authority(tmp_path / "other")
    issue(other, "node:home").install(node.files)
    node.guard.keyring.look()
    async with node.as_(issue(other, "operator:new")) as channel:
        assert await code(set_(channel, "b1")) is grpc.StatusCode.OK
    async with node.as_("operator:old") as channel:
        assert await code(set_(channel, "b1")) is UNAVAILABLE


def test_a_listener_is_told_of_another_certificate_once(tmp_path: Path) -> None:
    """Not at each connection, where gRPC frees what other connections begin with; a new list of the revoked is none."""
    by = authority(tmp_path / "ca")
    keyring = Keyring(secured(by, tmp_path / "tls", "home", {}), "home")
    shown = Shown(keyring)
    assert shown() is None
    issue(by, "operator:eve")
    by.revoke("operator:eve", time.time())
    keyring.install_revocations(by.revoked_pem)
    assert shown() is None
    by.issue(Role.NODE, "home", time.time(), again=True).install(tmp_path / "tls")
    keyring.look()
    assert isinstance(shown(), grpc.ServerCertificateConfiguration)
    assert [shown() for _ in range(3)] == [None] * 3


async def test_a_unix_socket_has_all_rights_beside_tls(node: Secured, tmp_path: Path) -> None:
    """File permission stands for it (control.md: the unix socket's group)."""
    async with RpcServer(node.node, lambda bug: None, sessions=node.node.sessions(), security=node.guard) as server:
        tls, socket = await server.start(["127.0.0.1:0", f"unix:{tmp_path}/s"])
        async with grpc.aio.insecure_channel(socket) as channel:
            stub = BatteryServiceStub(channel)
            assert await code(stub.Release(pb.ReleaseRequest(names=["b1"]), timeout=5.0)) is grpc.StatusCode.OK
        async with grpc.aio.insecure_channel(tls) as channel:
            assert await code(set_(channel, "b1")) is UNAVAILABLE


async def test_stopping_everything_needs_an_operator(node: Secured) -> None:
    """Nodes and tenants stop what is granted to them, by name."""
    for who, wanted in (("tenant:anna", DENIED), ("node:hut", DENIED), ("operator:eve", grpc.StatusCode.OK)):
        async with node.as_(who) as channel:
            stub = BatteryServiceStub(channel)
            assert await code(stub.Stop(pb.StopRequest(node=True), timeout=5.0)) is wanted
            assert await code(stub.Stop(pb.StopRequest(all=True), timeout=5.0)) is wanted


async def test_a_tenant_cancels_no_booking_of_others(node: Secured) -> None:
    """Whether the booking exists or not makes no difference to what it hears."""
    async with node.as_("tenant:anna") as channel:
        stub = BatteryServiceStub(channel)
        assert await code(stub.CancelSchedule(schedule_pb2.CancelScheduleRequest(id="7"), timeout=5.0)) is DENIED


async def test_who_gives_up_while_its_booking_is_looked_for_has_its_connection_no_more(
    node: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the one connection that is allowed; it was closed, so that another one counts in its place."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS_PER_PEER", 1)
    monkeypatch.setattr(connections, "LOOK_S", 0.0)
    anna = issue(node.by, "tenant:anna")
    node.node.hang = asyncio.Event()
    async with node.as_(anna) as channel:
        request = schedule_pb2.CancelScheduleRequest(id="7")
        assert await code(BatteryServiceStub(channel).CancelSchedule(request, timeout=0.5)) is grpc.StatusCode.DEADLINE_EXCEEDED
    node.node.hang = None
    async with asyncio.timeout(END_WITHIN_S):
        while True:
            async with node.as_(anna) as channel:
                reading = BatteryServiceStub(channel).GetStatus(pb.GetStatusRequest(name="b1"), timeout=5.0)
                if await code(reading) is grpc.StatusCode.OK:
                    return


async def test_a_stubs_booking_is_cancelled_by_whom_the_stub_is_granted(node: Secured) -> None:
    """Its bookings are at its owner, which this node does not list among its own; its id says whose."""
    start = Moment(in_s=60.0), Moment(in_s=120.0)
    at_owner = (await node.node.book("b1", 5.0, *start, holder="operator:eve")).booking
    node.node.booked = {"b1/4": replace(at_owner, booking_id="4"), "b2/4": replace(at_owner, booking_id="4", name="b2")}
    async with node.as_("operator:eve") as channel:
        stub = BatteryServiceStub(channel)
        assert await code(stub.CancelSchedule(schedule_pb2.CancelScheduleRequest(id="b2/4"), timeout=5.0)) is DENIED
        assert await code(stub.CancelSchedule(schedule_pb2.CancelScheduleRequest(id="b1/4"), timeout=5.0)) is grpc.StatusCode.OK
    assert "b1/4" not in node.node.booked


async def test_a_refusal_names_no_battery_of_others(node: Secured) -> None:
    """Neither in its message nor in its metadata."""
    node.node.raises = BatteryInUseError("b1 is a source of b2; command what rests on it", battery="b1", users="b2")
    async with node.as_("tenant:anna") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await set_(channel, "b1")
    error = from_rpc_error(refused.value)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.message == "b1 is a source of (other); command what rests on it"
    assert error.metadata == {"battery": "b1", "users": "(other)"}


async def test_streams_of_one_identity_are_bounded(node: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all its connections; others are not concerned, and the place of one that ended is free again."""
    monkeypatch.setattr(guard_module, "MAX_STREAMS_PER_PEER", 2)
    bundle = issue(node.by, "viewer:v")
    async with node.as_(bundle) as first, node.as_(bundle) as second, node.as_("viewer:w") as other:
        watches = [BatteryServiceStub(channel).Watch(pb.WatchRequest()) for channel in (first, second)]
        for watch in watches:
            assert (await watch.read()).statuses
        third = BatteryServiceStub(second).Watch(pb.WatchRequest())
        assert await code(third.read()) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await BatteryServiceStub(other).Watch(pb.WatchRequest()).read()).statuses
        watches[0].cancel()
        async with asyncio.timeout(5.0):
            stub = BatteryServiceStub(second)
            while await code(stub.Watch(pb.WatchRequest()).read()) is not grpc.StatusCode.OK:  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.01)


async def test_a_stop_waits_for_no_calls_of_its_bearer(node: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board at which an operator's calls hang keeps that operator from no stop; it has as many places again, and no more."""
    monkeypatch.setattr(guard_module, "MAX_CALLS_PER_PEER", 1)
    begun, over = asyncio.Event(), asyncio.Event()

    async def hangs(*_args: object, **_kw: object) -> None:
        begun.set()
        await over.wait()

    monkeypatch.setattr(node.node, "refresh", hangs)
    async with node.as_("operator:max") as channel:
        stub = BatteryServiceStub(channel)
        hanging = stub.Refresh(pb.RefreshRequest(name="b1"), timeout=30.0)
        async with asyncio.timeout(5.0):
            await begun.wait()
        assert await code(stub.GetStatus(pb.GetStatusRequest(name="b1"), timeout=5.0)) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await code(stub.Stop(pb.StopRequest(names=["b1"]), timeout=5.0)) is grpc.StatusCode.OK
        monkeypatch.setattr(node.node, "stop", hangs)
        begun.clear()
        stopping = stub.Stop(pb.StopRequest(names=["b1"]), timeout=30.0)
        async with asyncio.timeout(5.0):
            await begun.wait()
        assert await code(stub.Stop(pb.StopRequest(names=["b1"]), timeout=5.0)) is grpc.StatusCode.RESOURCE_EXHAUSTED
        stopping.cancel()
        hanging.cancel()


async def test_files_that_do_not_fit_leave_the_old_ones_in_use(node: Secured, tmp_path: Path) -> None:
    """A key of another certificate, a list of another authority: nothing is exchanged, and nobody is let in for it."""
    keyring = node.guard.keyring
    before = keyring.material
    (node.files / "bosd.key").write_bytes(issue(node.by, "node:other").key_pem)
    keyring.look()
    assert keyring.material is before
    (node.files / "bosd.key").write_bytes(before.key_pem)
    foreign = authority(tmp_path / "foreign")
    (node.files / "revoked.crl").write_bytes((foreign.directory / "revoked.crl").read_bytes())
    keyring.look()
    assert keyring.material is before


class Heard:
    """A sink that keeps the last link and its reason."""

    def __init__(self) -> None:
        self.told: tuple[Link, str] = (Link.CONNECTING, "")

    def on_status(self, status: BatteryStatus, half_rtt_s: float) -> None: ...

    def on_link(self, link: Link, reason: str) -> None:
        self.told = (link, reason)

    def on_snapshot(self, claim_a: float | None, facts: Facts) -> bool:
        del facts
        return claim_a is not None


async def test_a_node_follows_what_it_is_granted(node: Secured, tmp_path: Path) -> None:
    """With its own certificate; what is not granted does not keep the rest from being followed."""
    keyring = Keyring(secured(node.by, tmp_path / "hut", "hut", {}), "hut")
    pool = RemotePool("hut", SystemClock(), dial=keyring.dial)
    granted, other = Heard(), Heard()
    pool.attach(node.address, "b2", granted)
    pool.attach(node.address, "b1", other)
    following = asyncio.create_task(pool.run())
    async with asyncio.timeout(10.0):
        while (granted.told[0], other.told[0]) != (Link.READY, Link.REFUSED):  # noqa: ASYNC110 (a sink has no event)
            await asyncio.sleep(0.01)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    assert other.told[1] == "node:hut may not read b1: not granted to it in [security.grants]"


def test_what_does_not_fit_is_refused_at_start(tmp_path: Path) -> None:
    """A key others can read, and another's certificate; the message holds the remedy, and nothing shows the key."""
    by = authority(tmp_path / "ca")
    config = secured(by, tmp_path / "tls", "home", {})
    with pytest.raises(ConfigError, match="bosctl ca issue --node hut"):
        Keyring(config, "hut")
    keyring = Keyring(config, "home")
    secret = config.key.read_text().splitlines()[1]
    assert secret not in repr(keyring.material) + repr(config)
    config.key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"can be read by others .*chmod 600"):
        Keyring(config, "home")


def test_a_list_of_the_revoked_is_taken_once_it_is_newer_and_ours(tmp_path: Path) -> None:
    """Number 2 after 1, in the file and in use; again it is done; an older one, another CA's and no list are refused."""
    by, foreign = authority(tmp_path / "ca"), authority(tmp_path / "foreign")
    config = secured(by, tmp_path / "tls", "home", {})
    keyring = Keyring(config, "home")
    first = by.revoked_pem
    by.issue(Role.NODE, "hut", time.time())
    (hut,) = by.revoke("node:hut", time.time())
    assert keyring.install_revocations(by.revoked_pem) == (1, 2)
    assert keyring.material.revocations.serials == {hut.serial}
    assert config.revoked is not None
    assert config.revoked.read_bytes() == by.revoked_pem
    assert keyring.install_revocations(by.revoked_pem) == (2, 2)
    foreign.issue(Role.NODE, "hut", time.time())
    foreign.revoke("node:hut", time.time())
    lists = ((first, "list 1 is older than 2"), (foreign.revoked_pem, "not signed by our CA"), (b"x", "no revocation list"))
    for wrong, why in lists:
        with pytest.raises(InvalidArgumentError, match=why):
            keyring.install_revocations(wrong)
    assert config.revoked.read_bytes() == by.revoked_pem
    with pytest.raises(UnsupportedError, match="names no file"):
        Keyring(replace(config, revoked=None), "home").install_revocations(by.revoked_pem)


def test_revocation_waits_for_no_certificate(tmp_path: Path) -> None:
    """A key that fits no certificate keeps the pair in use, and keeps nobody in: brought or copied, the list is taken."""
    by = authority(tmp_path / "ca")
    keyring = Keyring(secured(by, tmp_path / "tls", "home", {}), "home")
    pair = keyring.material.certificate_pem
    (tmp_path / "tls" / "bosd.key").write_bytes(issue(by, "node:hut").key_pem)
    (hut,) = by.revoke("node:hut", time.time())
    assert keyring.install_revocations(by.revoked_pem) == (1, 2)
    assert keyring.material.revocations.serials == {hut.serial}
    issue(by, "tenant:eve")
    (eve,) = by.revoke("tenant:eve", time.time())
    (tmp_path / "tls" / "revoked.crl").write_bytes(by.revoked_pem)
    keyring.look()
    assert keyring.material.revocations.serials == {hut.serial, eve.serial}
    assert keyring.material.certificate_pem == pair


def test_revocation_waits_for_no_disk(tmp_path: Path) -> None:
    """Where the list cannot be written it is in use all the same, and is written when it is brought again."""
    by = authority(tmp_path / "ca")
    keyring = Keyring(secured(by, tmp_path / "tls", "home", {}), "home")
    issue(by, "node:hut")
    (hut,) = by.revoke("node:hut", time.time())
    (tmp_path / "tls").rename(tmp_path / "away")
    with pytest.raises(StoreError, match="list 2 is in use until the next start"):
        keyring.install_revocations(by.revoked_pem)
    assert keyring.material.revocations.serials == {hut.serial}
    (tmp_path / "away").rename(tmp_path / "tls")
    assert keyring.install_revocations(by.revoked_pem) == (2, 2)
    assert (tmp_path / "tls" / "revoked.crl").read_bytes() == by.revoked_pem


def test_a_bundle_from_before_a_revocation(tmp_path: Path) -> None:
    """Its certificate is taken, whatever its list; its list lets nobody in again, in this run or the next."""
    by = authority(tmp_path / "ca")
    config = secured(by, tmp_path / "tls", "home", {})
    keyring = Keyring(config, "home")
    bundle = by.issue(Role.NODE, "home", time.time(), again=True)
    issue(by, "node:hut")
    (hut,) = by.revoke("node:hut", time.time())
    keyring.install_revocations(by.revoked_pem)
    bundle.install(tmp_path / "tls")
    keyring.look()
    assert keyring.material.certificate_pem == bundle.certificate_pem
    assert keyring.material.revocations.serials == {hut.serial}
    assert Keyring(config, "home").material.revocations.serials == {hut.serial}
    (tmp_path / "tls" / "revoked.crl").write_bytes(bundle.revoked_pem)  # copied by hand: not while this run lasts
    keyring.look()
    assert keyring.material.revocations.serials == {hut.serial}


# --- certificates that renew themselves

LATER_S = 300.0 * 86400.0
"""Into the last third of a certificate's year."""


async def asked(channel: Any, later_s: float = LATER_S) -> security_pb2.CertificateRequestResponse:
    """Ask for a signing request, with a clock that is ahead."""
    request = security_pb2.CertificateRequestRequest(nonce=bytes(32), asked_at=time.time() + later_s)
    answer: security_pb2.CertificateRequestResponse = await SecurityServiceStub(channel).CertificateRequest(request, timeout=5.0)
    return answer


def signed(by: Authority, answer: security_pb2.CertificateRequestResponse, **changed: Any) -> bytes:
    """Sign what a node asked for, as it is or with another identity."""
    request = Request(
        certificate_pem=answer.certificate_pem,
        signing_request_der=answer.signing_request_der,
        signature=answer.signature,
    )
    approved = approve(request, bytes(32), by.certificate, by.revocations, time.time())
    return by.renew(replace(approved, identity=replace(approved.identity, **changed)), time.time())


def install(channel: Any, certificate_pem: bytes) -> Any:
    """Bring a certificate."""
    request = security_pb2.InstallCertificateRequest(certificate_pem=certificate_pem)
    return SecurityServiceStub(channel).InstallCertificate(request, timeout=5.0)


async def test_a_certificate_is_renewed_by_call(node: Secured) -> None:
    """Nothing before it is due, the same request until it is answered, then the next one shown to new connections."""
    before = node.guard.keyring.material.identity
    await asyncio.sleep(1.0)  # certificates end on whole seconds: the next one has to end later
    async with node.as_("node:other") as channel:
        assert not (await asked(channel, 0.0)).signing_request_der
        answer = await asked(channel)
        assert answer.signing_request_der == (await asked(channel)).signing_request_der
        pem = signed(node.by, answer)
        taken = await install(channel, pem)
        after = node.guard.keyring.material.identity
        assert (taken.serial, after.holder) == (f"{after.serial:x}", before.holder)
        assert after.serial != before.serial
        assert await code(install(channel, pem)) is DENIED  # once
    shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", int(node.address.rpartition(":")[2])), timeout=5.0)
    assert identity_of(x509.load_pem_x509_certificate(shown.encode())).serial == after.serial
    async with node.as_("operator:max") as channel:
        assert await code(set_(channel, "b1")) is grpc.StatusCode.OK


async def test_a_node_changes_no_certificate_into_something_else(node: Secured, tmp_path: Path) -> None:
    """Another name or role, a foreign authority, one in use elsewhere, junk: refused and recorded, the old pair stays in use."""
    before = node.guard.keyring.material
    files = {path.name: path.read_bytes() for path in node.files.iterdir()}
    foreign = authority(tmp_path / "foreign")
    node.server.edge.refused = node.guard.refused
    async with node.as_("node:other") as channel:
        answer = await asked(channel)
        for pem, wanted in (
            (signed(node.by, answer, name="other"), DENIED),
            (signed(node.by, answer, role=Role.ADMIN), DENIED),
            (foreign.issue(Role.NODE, "home", time.time()).certificate_pem, DENIED),
            (node.by.issue(Role.NODE, "home", time.time(), again=True).certificate_pem, DENIED),
            (before.certificate_pem, DENIED),
            (b"x", grpc.StatusCode.INVALID_ARGUMENT),
            (of_version_10(before.certificate_pem), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            assert await code(install(channel, pem)) is wanted
        brought = security_pb2.InstallRevocationsRequest(revoked_pem=list_with_x400_name(node.by))
        bringing = SecurityServiceStub(channel).InstallRevocations(brought, timeout=5.0)
        assert await code(bringing) is grpc.StatusCode.INVALID_ARGUMENT
    assert node.guard.keyring.material is before
    assert {path.name: path.read_bytes() for path in node.files.iterdir()} == files
    assert [(action, who) for action, _, who, _ in node.refused] == [("certificate", "node:other")] * 8


@pytest.mark.parametrize("who", ["viewer:v", "operator:max", "tenant:anna"])
async def test_who_may_not_renew(node: Secured, who: str) -> None:
    """Only nodes and admins ask, and bring."""
    async with node.as_(who) as channel:
        assert await code(asked(channel)) is DENIED
        assert await code(install(channel, b"x")) is DENIED


async def test_what_is_no_message_is_refused_behind_certificates_too(node: Secured) -> None:
    """By role first: whoever may not call at all learns that; the others learn what was wrong."""
    for who, wanted in (("viewer:v", DENIED), ("tenant:anna", grpc.StatusCode.INVALID_ARGUMENT)):
        async with node.as_(who) as channel:
            for method in ("BatteryService/SetCurrent", "BatteryService/CancelSchedule"):
                assert await code(channel.unary_unary(f"/bosd.v1.{method}")(b"\xff\xff", timeout=5.0)) is wanted
    assert {action for action, *_ in node.refused} == {"set", "cancel"}
    assert not node.node.calls


async def test_no_certificate_takes_the_connections_of_the_others(node: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection too many is refused by name, and hung up on; those it has go on, and so do others."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS_PER_PEER", 2)
    anna = issue(node.by, "tenant:anna")
    async with contextlib.AsyncExitStack() as opened:
        channels = [await opened.enter_async_context(node.as_(anna)) for _ in range(3)]
        codes = [await code(BatteryServiceStub(each).GetStatus(pb.GetStatusRequest(name="b1"), timeout=5.0)) for each in channels]
        assert codes == [grpc.StatusCode.OK, grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED]
        async with asyncio.timeout(END_WITHIN_S):
            await channels[2].wait_for_state_change(grpc.ChannelConnectivity.READY)
        assert channels[0].get_state() is grpc.ChannelConnectivity.READY
        async with node.as_("admin:root") as channel:
            assert await code(set_(channel, "b1")) is grpc.StatusCode.OK
    assert [each[1:3] for each in node.refused] == [("NO_RESOURCES", "tenant:anna")]
