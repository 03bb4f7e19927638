"""What a daemon must survive: faulty configurations, missing devices, nonsense from clients and from other nodes."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest

from bosd.v1 import battery_pb2 as pb
from bosd.v1 import ledger_pb2 as lpb
from bosd.v1 import limits_pb2 as gpb
from bosd.v1 import topology_pb2 as tpb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from bosd.v1.ledger_pb2_grpc import LedgerServiceStub
from bosd.v1.limits_pb2_grpc import LimitServiceStub
from bosd.v1.topology_pb2_grpc import TopologyServiceStub
from tests.support.forked import Done, run_process
from tests.support.processes import (
    CALL_S,
    REPOSITORY,
    START_S,
    Caller,
    Node,
    Pack,
    Program,
    aggregator,
    battery,
    free_port,
    pseudo,
    recording,
    table,
    until,
)

FAULTY = """
[node]
name = "home"
listen = ["127.0.0.1:4004"]
default_setpoint_ttl_s = "60s"
colour = "green"

[[battery]]
name = "b1"
kind = "jbd"
port = "/dev/ttyUSB0"
refresh_period = 1.0
max_discharge_current_a = "50 A"

[[battery]]
name = "p"
kind = "pseudo"
voltage_v = nan
charge_ah = 50.0
capacity_ah = 100.0
max_discharge_current_a = 50.0
max_charge_current_a = 50.0

[[battery]]
name = "q"
kind = "pseudo"
voltage_v = 13.0
charge_ah = 50.0
capacity_ah = -100.0
max_discharge_current_a = 50.0
max_charge_current_a = 50.0

[[battery]]
name = "n"
kind = "null"
voltage_v = 48.0

[[battery]]
name = "n"
kind = "null"
voltage_v = 12.0

[[battery]]
name = "x"
kind = "aggregator"
sources = ["y", "missing"]
voltage_v = 13.0
voltage_tolerance_v = 1.0

[[battery]]
name = "y"
kind = "aggregator"
sources = ["x"]
voltage_v = 13.0
voltage_tolerance_v = true
"""


def bosd(*arguments: str) -> Done:
    """Run a `bosd` command that ends by itself."""
    return run_process("bosd", arguments, REPOSITORY, START_S)


# --- configuration


@pytest.mark.parametrize("command", ["check", "run"])
def test_all_faults_of_a_configuration_in_one_message(tmp_path: Path, command: str) -> None:
    """Unknown key, wrong type, unit as text, NaN, negative capacity, duplicate name, missing source: each with its place."""
    config = tmp_path / "bosd.toml"
    config.write_text(FAULTY)
    done = bosd(command, "--config", str(config))
    assert (done.returncode, done.stdout) == (1, "")
    for place in (
        "node.default_setpoint_ttl_s",
        "node.colour",
        "refresh_period",
        "max_discharge_current_a",
        "voltage_v",
        "capacity_ah",
        '"n"',
        '"missing"',
        "voltage_tolerance_v",
    ):
        assert place in done.stderr
    assert str(config) in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home.state").exists()


def test_a_cycle_in_a_configuration(tmp_path: Path) -> None:
    """Two aggregates that rest on each other: both are named."""
    config = tmp_path / "bosd.toml"
    config.write_text(aggregator("x", "y") + aggregator("y", "x"))
    done = bosd("check", "--config", str(config))
    assert done.returncode == 1
    assert "cycle" in done.stderr.lower()
    assert "x" in done.stderr
    assert "y" in done.stderr


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    """Missing, a directory, not TOML, not text: one line with the path, exit 1."""
    garbage, text = tmp_path / "garbage", tmp_path / "text"
    garbage.write_bytes(b"\xff\xfe\x00\x01")
    text.write_text("[node\nname = ")
    for path in (tmp_path / "missing.toml", tmp_path, garbage, text):
        done = bosd("check", "--config", str(path))
        assert (done.returncode, done.stdout) == (1, "")
        assert str(path) in done.stderr
        assert "Traceback" not in done.stderr


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    """The file may be for another machine: good, with a warning that names what is missing and that no daemon starts so."""
    config = tmp_path / "bosd.toml"
    missing = tmp_path / "node.key"
    files = {"ca": str(tmp_path / "ca.crt"), "certificate": str(tmp_path / "node.crt"), "key": str(missing)}
    config.write_text(table("[node]", {"name": "home"}) + table("[security]", dict(files)) + pseudo("p"))
    done = bosd("check", "--config", str(config))
    assert done.returncode == 0, done.stderr
    assert str(missing) in done.stderr
    assert "the daemon does not start with it" in done.stderr


def test_a_port_in_use(tmp_path: Path) -> None:
    """A second node on the port and the devices of the first: exit 1, the address named, and no device told anything."""
    with Pack(tmp_path, "pack") as pack, Node(tmp_path / "one", pack.regulated("own") + pseudo("p")) as first:
        until(lambda: first.status("own")["quality"] == "GOOD")
        first.ask("set", "own", "10")
        second = Node(tmp_path / "two", pack.regulated("own"), listen=[first.target])
        second.launch()
        assert second.wait() == 1
        assert first.target in second.output()
        assert "in use" in second.output()
        assert "Traceback" not in second.output()
        assert not second.events("made_safe")
        assert pack.load_a == 10.0
        assert first.status("own")["applied_current_a"] == 10.0


@pytest.mark.parametrize("obstacle", ["a file", "proc"])
def test_a_state_directory_that_cannot_be(tmp_path: Path, obstacle: str) -> None:
    """A file in its place, or a place where nothing can be made: exit 1, the path named."""
    path = tmp_path / "state" if obstacle == "a file" else Path("/proc/bosd-state")
    if obstacle == "a file":
        path.write_text("in the way")
    node = Node(tmp_path, pseudo("p"), state_dir=str(path))
    node.launch()
    assert node.wait() == 1
    assert str(path) in node.output()
    assert "Traceback" not in node.output()


def test_two_daemons_on_one_state_directory(tmp_path: Path) -> None:
    """The second is refused, and the first goes on writing."""
    with Node(tmp_path / "one", pseudo("p")) as first:
        second = Node(tmp_path / "two", pseudo("p"), state_dir=str(first.state_dir))
        second.launch()
        assert second.wait() == 1
        assert "Traceback" not in second.output()
        with Caller(first.target) as caller:
            assert caller.add(pseudo("q")).revision == 2


# --- devices


def test_a_missing_serial_device(tmp_path: Path) -> None:
    """The node starts anyway with the battery UNAVAILABLE and the port in its reason; GOOD when the device appears."""
    pack = Pack(tmp_path, "late")
    with Node(tmp_path, pack.toml("late", refresh_period_s=0.5) + pseudo("p")) as node:
        status = until(lambda: (found := node.status("late"))["reason"] != "never sampled" and found)
        assert (status["quality"], status["voltage_v"], status["age_s"]) == ("UNAVAILABLE", None, None)
        assert str(pack.port) in status["reason"]
        assert node.status("p")["quality"] == "GOOD"
        assert node.refusal("refresh", "late")["reason"] == "UNAVAILABLE"
        with pack:
            assert until(lambda: (found := node.status("late"))["quality"] == "GOOD" and found)["voltage_v"] == pytest.approx(
                13.2, abs=0.1
            )
        assert len(node.events("battery_lost", battery="late")) >= 1
        assert len(node.events("battery_back", battery="late")) == 1


def test_a_device_that_is_no_serial_port(tmp_path: Path) -> None:
    """A regular file and a directory as ports: UNAVAILABLE with the reason, and the node lives."""
    (tmp_path / "file").write_text("no port")
    topology = battery("f", "jbd", port=str(tmp_path / "file")) + battery("d", "jbd", port=str(tmp_path)) + pseudo("p")
    with Node(tmp_path, topology) as node:
        until(
            lambda: all(node.status(name)["reason"].startswith("no current control; /") for name in ("f", "d")),
            because="both were tried",
        )
        found = node.statuses()
        assert [found[name]["quality"] for name in ("f", "d", "p")] == ["UNAVAILABLE", "UNAVAILABLE", "GOOD"]
        assert node.terminate() == 0


# --- clients


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node for what clients do wrong; each test leaves it as it was."""
    topology = "".join(pseudo(f"p{number}") for number in range(100)) + aggregator(
        "all", *(f"p{number}" for number in range(100))
    )
    with Node(tmp_path_factory.mktemp("clients"), topology) as node:
        yield node


@pytest.mark.parametrize("current_a", [float("nan"), float("inf"), float("-inf")])
def test_currents_that_are_none(node: Node, current_a: float) -> None:
    """NaN and infinities are INVALID_ARGUMENT, and nothing moves."""
    with Caller(node.target) as caller, pytest.raises(grpc.RpcError) as caught:
        caller.set("all", current_a)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert node.status("all")["requested_current_a"] is None


def test_unknown_batteries(node: Node) -> None:
    """Reading, watching, setting, stopping and removing what is not there: BAD_NAME, exit 1."""
    for arguments in (
        ("status", "ghost"),
        ("set", "ghost", "1"),
        ("stop", "ghost"),
        ("release", "ghost"),
        ("rm", "ghost"),
        ("refresh", "ghost"),
    ):
        assert node.refusal(*arguments)["reason"] == "BAD_NAME", arguments
    with Caller(node.target) as caller, pytest.raises(grpc.RpcError) as caught:
        list(caller.batteries.Watch(pb.WatchRequest(name="ghost"), timeout=10.0))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_numbers_beyond_the_stores(node: Node) -> None:
    """SQLite's integers have 63 bits: no entry is behind the largest number, no revision has it, and no grant."""
    most = 2**64 - 1
    with grpc.insecure_channel(node.target) as channel:
        entries = LedgerServiceStub(channel).List(lpb.ListLedgerRequest(name="p0", after_number=most), timeout=CALL_S)
        assert not entries.entries
        limit = gpb.GrantRequest(battery="p0", direction=gpb.DIRECTION_CHARGE, limit_w=1.0, revision=most)
        with pytest.raises(grpc.RpcError) as unknown:
            TopologyServiceStub(channel).GetRevision(tpb.GetRevisionRequest(revision=most), timeout=CALL_S)
        with pytest.raises(grpc.RpcError) as refused:
            LimitServiceStub(channel).Grant(limit, timeout=CALL_S, metadata=(("bosd-client", "node:far"),))
        assert {each.value.code() for each in (unknown, refused)} == {grpc.StatusCode.INVALID_ARGUMENT}
    assert node.running
    assert node.status("p0")["quality"] == "GOOD"


def test_a_10_mb_message(node: Node) -> None:
    """Refused with RESOURCE_EXHAUSTED before it is read; the same connection goes on."""
    with Caller(node.target) as caller:
        with pytest.raises(grpc.RpcError) as caught:
            caller.status("x" * 10_000_000)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError):
            caller.add("#" * 10_000_000)
        assert caller.status("p0").name == "p0"


def test_garbage_instead_of_a_message(node: Node) -> None:
    """Bytes that are no message, and a connection that speaks no HTTP/2: refused, and the node goes on."""
    with grpc.insecure_channel(node.target) as channel:
        call = channel.unary_unary("/bosd.v1.BatteryService/GetStatus", request_serializer=bytes, response_deserializer=bytes)
        with pytest.raises(grpc.RpcError):
            call(b"\xff\xff\xff\xff", timeout=10.0)
        unknown = channel.unary_unary("/bosd.v1.BatteryService/Explode", request_serializer=bytes, response_deserializer=bytes)
        with pytest.raises(grpc.RpcError) as caught:
            unknown(b"", timeout=10.0)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    host, port = node.target.split(":")
    with socket.create_connection((host, int(port)), 5.0) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(10_000))
    assert node.status("p0")["quality"] == "GOOD"
    assert not node.events("bug")


WATCHING = """
import sys, grpc
from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
channel = grpc.insecure_channel(sys.argv[1])
for number, _ in enumerate(BatteryServiceStub(channel).Watch(pb.WatchRequest(max_staleness_s=float(sys.argv[2])))):
    if number == 0:
        print("watching", flush=True)
"""


@contextmanager
def watching_process(target: str, log: Path, max_staleness_s: float = 0.0) -> Iterator[Program]:
    """Run a client of its own that watches everything."""
    with Program("watcher", [sys.executable, "-c", WATCHING, target, str(max_staleness_s)], log) as client:
        client.launch()
        until(lambda: "watching" in client.output(), timeout_s=START_S, because="the client watches")
        yield client


def test_a_client_that_vanishes(node: Node, tmp_path: Path) -> None:
    """Killed in mid-stream while statuses change: the others' streams go on, and the node says nothing of a bug."""
    with recording(node.target, "p0") as record, Caller(node.target) as caller:
        with watching_process(node.target, tmp_path / "client.log") as client:
            for step in range(20):
                caller.modify("p0", charge_ah=float(step))
                if step == 10:
                    client.kill()
        caller.modify("p0", charge_ah=99.0)
        until(lambda: record.seen[-1].status.charge_ah == 99.0)
    assert not node.events("bug")


WATCHERS = 200
ROUNDS = 40
BEHIND_MIB = 8.0
"""Far below what the deaf watcher leaves unread: about 100 beats a second of 20 kB each."""


async def read_all(channel: grpc.aio.Channel, started: asyncio.Barrier) -> int:
    """Watch two batteries until the last round; return the messages it took."""
    count = 0
    async for message in BatteryServiceStub(channel).Watch(pb.WatchRequest(names=["p0", "all"])):
        count += 1
        if count == 1:
            await started.wait()
        if any(status.name == "p0" and status.charge_ah == ROUNDS for status in message.statuses):
            break
    return count


async def test_200_watchers_one_of_which_never_reads(node: Node, tmp_path: Path) -> None:
    """199 watchers see every battery's last value, and the node's memory does not grow with what the one leaves unread."""
    with watching_process(node.target, tmp_path / "client.log", max_staleness_s=0.03) as deaf:
        deaf.signal(signal.SIGSTOP)
        channels = [grpc.aio.insecure_channel(node.target, options=(("grpc.use_local_subchannel_pool", 1),)) for _ in range(4)]
        started = asyncio.Barrier(WATCHERS)
        sizes_mib = []
        async with asyncio.timeout(45.0), asyncio.TaskGroup() as group:
            readers = [group.create_task(read_all(channels[each % 4], started)) for each in range(WATCHERS - 1)]
            await started.wait()
            stub = BatteryServiceStub(channels[0])
            for step in range(1, ROUNDS + 1):
                await stub.ModifyPseudo(pb.ModifyPseudoRequest(name="p0", charge_ah=step), timeout=15.0)
                sizes_mib.append(node.resident_mib())
                await asyncio.sleep(0.1)  # time for ten beats of the deaf one
        assert all(2 <= reader.result() <= 2 * ROUNDS for reader in readers)
        for channel in channels:
            await channel.close(None)
        assert sizes_mib[-1] - sizes_mib[ROUNDS // 4] < BEHIND_MIB, sizes_mib
        assert node.status("p0")["charge_ah"] == ROUNDS


# --- other nodes


class Nonsense:
    """A server that says something to whoever connects, and nothing else."""

    def __init__(self, greeting: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._greeting = greeting
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, name="nonsense")
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                with contextlib.suppress(OSError):
                    connection.sendall(self._greeting)

    @property
    def visits(self) -> int:
        """How often somebody came."""
        return len(self._connections)

    def close(self) -> None:
        """Hang up."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5.0)
        for connection in self._connections:
            connection.close()


def test_remote_nodes_that_answer_nonsense_or_nothing(tmp_path: Path) -> None:
    """Silence, random bytes, HTTP/1, a port where nobody listens: stubs are UNAVAILABLE with a reason; the node goes on."""
    greetings = {"silent": b"", "random": os.urandom(4096), "http1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"}
    servers = {name: Nonsense(greeting) for name, greeting in greetings.items()}
    targets = {**{name: server.target for name, server in servers.items()}, "nobody": f"127.0.0.1:{free_port()}"}
    try:
        stubs = "".join(battery(name, "network", target=target, remote_name="far") for name, target in targets.items())
        with Node(tmp_path, stubs + pseudo("p")) as node:
            until(lambda: all(server.visits >= 3 for server in servers.values()), because="it tries again")
            found = node.statuses()
            for name in targets:
                assert (found[name]["quality"], found[name]["voltage_v"]) == ("UNAVAILABLE", None), name
                assert found[name]["reason"], name
                assert not found[name]["commandable"]
                assert node.refusal("set", name, "1")["reason"] in ("UNAVAILABLE", "UNSUPPORTED"), name
            assert found["p"]["quality"] == "GOOD"
            assert not node.events("bug")
            assert node.terminate(10.0) == 0
    finally:
        for server in servers.values():
            server.close()


def test_a_remote_without_the_battery(tmp_path: Path) -> None:
    """A stub of a battery that the remote does not have says BAD_NAME; it is GOOD once the remote has it."""
    with Node(tmp_path, pseudo("p"), name="remote") as remote:
        stubs = battery("ghost", "network", target=remote.target, remote_name="ghost")
        stubs += battery("p", "network", target=remote.target, remote_name="p")
        with Node(tmp_path, stubs, name="local") as local:
            until(lambda: local.status("p")["quality"] == "GOOD" and "BAD_NAME" in local.status("ghost")["reason"])
            found = local.statuses()
            assert found["ghost"]["link"] == "refused"
            with Caller(remote.target) as caller:
                caller.add(pseudo("ghost"))
            until(lambda: local.status("ghost")["quality"] == "GOOD")


def test_two_nodes_in_a_circle(tmp_path: Path) -> None:
    """Each node's stub is of the other's stub: both are UNAVAILABLE with CYCLE, and both nodes go on."""
    left = Node(tmp_path, "", name="left")
    right = Node(tmp_path, "", name="right")
    for one, other in ((left, right), (right, left)):
        stub = battery("loop", "network", target=other.target, remote_name="loop")
        one.config.write_text(one.config.read_text() + stub + pseudo("p"))
    with left, right:
        for one in (left, right):
            found = until(lambda one=one: (all_ := one.statuses())["loop"]["reason"].count("CYCLE") and all_)  # type: ignore[misc]
            assert found["loop"]["quality"] == "UNAVAILABLE"
            assert found["p"]["quality"] == "GOOD"


def test_an_empty_configuration(tmp_path: Path) -> None:
    """A node without batteries serves, and says so."""
    config = tmp_path / "empty.toml"
    config.write_text(table("[node]", {"listen": [f"127.0.0.1:{free_port()}"], "state_dir": str(tmp_path / "state")}))
    assert bosd("check", "--config", str(config)).returncode == 0
    with Node(tmp_path, "") as node:
        assert node.ask("status") == []
