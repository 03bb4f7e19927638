"""The fleet: hosts with power and a kernel, the node processes on them, and the links between; who is told of everything judges.

A node is what `bosd/daemon.py` builds, without sockets and with its store in memory: `Node`, `RemotePool`, `OwnerSessions` and
the services behind the generated code.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc.aio

from bosd.bal.battery import Battery
from bosd.bal.physical import PhysicalBattery
from bosd.bal.pseudo import InPlace
from bosd.bal.spec import AggregatorSpec, BatterySpec, JbdSpec, NetworkSpec, PhysicalSpec, SimulatedRegulatorSpec, Topology
from bosd.drivers.renewing import Renewing
from bosd.errors import BosError
from bosd.fleet.owner import OwnerSessions
from bosd.limits.service import Limits
from bosd.node.api import SetCurrentResult
from bosd.node.clock_trust import ClockTrust
from bosd.node.node import Node
from bosd.rpc.battery_service import BatteryService
from bosd.rpc.client import LinkTimers, RemotePool
from bosd.rpc.edge import Edge
from bosd.rpc.limit_service import LimitService
from bosd.rpc.limiting import go_by_sessions, limits_of
from bosd.rpc.node_service import NodeService
from bosd.rpc.remote_battery import RemoteBattery
from bosd.store.store import Store
from bosd.store.told_book import ToldBook
from bosd.v1.battery_pb2_grpc import add_BatteryServiceServicer_to_server
from bosd.v1.limits_pb2_grpc import add_LimitServiceServicer_to_server
from bosd.v1.node_pb2_grpc import add_NodeServiceServicer_to_server
from tests.support.fleet.channels import Listener, Registry, Sent, SimChannel
from tests.support.fleet.packs import Pack, PackDriver
from tests.support.fleet.process_loop import Life, ProcessLoop, context_of
from tests.support.fleet.wires import Wires
from tests.support.memory_store import MemoryStore

T = TypeVar("T")
UTC_S = 1_800_000_000.0
PORT = 7000
DEV = "/dev/"
MOST_DRIFT = 200e-6


def pack_spec(name: str, pack: str, *, limit_a: float = 20.0, period_s: float = 1.0) -> JbdSpec:
    """Return battery `name` on a pack of the simulation."""
    return JbdSpec(
        name=name,
        port=DEV + pack,
        refresh_period_s=period_s,
        current_control="external",
        regulator=SimulatedRegulatorSpec(port=DEV + pack),
        max_discharge_current_a=limit_a,
        max_charge_current_a=limit_a,
    )


def stub_spec(name: str, host: str, remote_name: str) -> NetworkSpec:
    """Return stub `name` of a battery of a host."""
    return NetworkSpec(name=name, target=f"{host}:{PORT}", remote_name=remote_name)


def sum_spec(name: str, *sources: str) -> AggregatorSpec:
    """Return an aggregator of 48 V batteries."""
    return AggregatorSpec(name=name, sources=sources, voltage_v=48.0, voltage_tolerance_v=4.0)


class Judge:
    """Who looks at everything from outside; each kind of judge hears of what it judges."""

    def call_arrived(self, path: str, request: bytes, sent: Sent, server: "Process") -> None:
        """Hear of a call when it arrives."""

    def call_done(self, path: str, request: bytes, sent: Sent, server: "Process") -> None:
        """Hear of a call that was carried out."""

    def current_changed(self, pack: Pack) -> None:
        """Hear that what flows has changed."""

    def edited(self) -> None:
        """Hear that some node's topology is another one from now on."""


class HostClock:
    """A host's two clocks: each begins somewhere and runs a little wrong."""

    def __init__(self, loop: asyncio.AbstractEventLoop, begun_s: float, drift: float, utc_wrong_s: float) -> None:
        self._loop = loop
        self._begun_s = begun_s
        self._rate = 1.0 + drift
        self.utc_wrong_s = utc_wrong_s

    def now_s(self) -> float:
        return self._begun_s + self._loop.time() * self._rate

    def utc_s(self) -> float:
        return UTC_S + self._loop.time() * self._rate + self.utc_wrong_s


class SimNode(Node):
    """A node whose physical batteries are packs of the simulation."""

    packs: dict[str, Pack]

    def _make_leaf(self, spec: BatterySpec) -> Battery:
        if isinstance(spec, JbdSpec):
            pack = self.packs[spec.port.removeprefix(DEV)]
            driver = PackDriver(pack, self.clock)
            return PhysicalBattery(spec, driver if pack.hold_s is None else Renewing(driver, pack.hold_s))
        return super()._make_leaf(spec)


class Process:
    """One run of a node on a host."""

    def __init__(self, host: "Host", number: int) -> None:
        fleet = host.fleet
        self.life = Life(f"{host.name}.{number}")
        self.host = host.name
        self.handlers: dict[str, Any] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.channels: list[SimChannel] = []
        self.serving = False
        self.fleet = fleet
        self._store = host.store
        self.node = SimNode(
            name=host.name,
            clock=host.clock,
            store=cast(Store, host.store),
            make_remote=lambda spec: RemoteBattery(spec, self.pool),
            default_ttl_s=60.0,
            longest_ttl_s=86400.0,
            trust=(trust := ClockTrust(lambda: host.clock_trusted, overridden=False)),
        )
        self._trust = trust
        self.limits: Limits | None = None
        self.node.packs = fleet.packs
        self.node.followers.append(fleet.edited)
        self.node.keep(unowned_s=fleet.timers.lease_s, told=host.told)
        self.boot_id = self.node.faults.boot_id = self.life.name
        self.pool = RemotePool(host.name, host.clock, timers=fleet.links, dial=self._dial, boot_id=self.boot_id)
        self.pool.running, self.node.orphans.book = host.notes, host.removed
        self.sessions = OwnerSessions(
            host.clock, self.node.peer_commands, boot_id=self.boot_id, config_digest=self.node.config_digest, timers=fleet.timers
        )
        self.main = fleet.loop.create_task(self._run(host.topology), name=f"main {self.life.name}", context=self.context())
        self.main.add_done_callback(self._ended)

    def context(self) -> Any:
        """Return a context in which code belongs to this process."""
        return context_of(self.life)

    def _dial(self, target: str, options: Sequence[tuple[str, int]]) -> grpc.aio.Channel:
        del options
        channel = SimChannel(self.fleet, self.life, self.host, target)
        self.channels = [each for each in self.channels if each.open or not each.closed]
        self.channels.append(channel)
        return channel

    async def _run(self, topology: Topology) -> None:
        await self.node.load(topology)
        store = cast(Store, self._store)
        self.limits = limits = await limits_of(self.node, store, self._trust)
        await go_by_sessions(self.node, limits, self.sessions, store)
        edge, registry = Edge(self.fleet.bugs.append), Registry()
        add_BatteryServiceServicer_to_server(BatteryService(self.node, edge, self.sessions), registry)
        add_NodeServiceServicer_to_server(NodeService(self.node, edge, self.sessions), registry)
        add_LimitServiceServicer_to_server(LimitService(limits, edge), registry)
        self.handlers = registry.handlers
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pool.run(), name="links")
            group.create_task(self.sessions.lag.run(), name="loop lag")
            self.node.start(group)
            self.serving = True
            await asyncio.Event().wait()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (bug := task.exception()) is not None:
            self.fleet.bugs.append(bug)


class Notes(dict[str, float | None]):
    """What a host keeps of its stubs over its restarts."""

    def bound_s(self, key: str) -> float | None:
        """Return a stub's bound."""
        return self[key]

    async def note(self, key: str, value: float | None) -> bool:
        """Keep it."""
        self[key] = value
        return False

    def note_soon(self, key: str, value: float | None) -> None:
        """Keep it."""
        self[key] = value

    def forget(self, key: str) -> None:
        """Keep it no more."""
        self.pop(key, None)


class Told(ToldBook):
    """What a host keeps of what its own devices were told, over its restarts: in memory, by the rules of the file."""

    def __init__(self) -> None:
        super().__init__(Path("in memory"))

    async def note(self, key: str, value: float) -> bool:
        """Keep it."""
        self.take(key, value)
        return False


class Removed:
    """What a host keeps of devices that were taken out, over its restarts."""

    def __init__(self) -> None:
        self.left: tuple[PhysicalSpec, ...] = ()
        self.in_place: tuple[InPlace, ...] = ()

    async def note(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...]) -> None:
        """Keep them."""
        self.note_soon(specs, in_place)

    def note_soon(self, specs: tuple[PhysicalSpec, ...], in_place: tuple[InPlace, ...]) -> None:
        """Keep them."""
        self.left, self.in_place = specs, in_place


class Host:
    """One board: its power, its clock, its disk, and the process on it, if any."""

    def __init__(self, fleet: "Fleet", name: str, topology: Topology, clock: HostClock) -> None:
        self.fleet = fleet
        self.name = name
        self.topology = topology
        self.clock = clock
        self.clock_trusted = True
        self.store = MemoryStore()
        self.notes = Notes()
        self.removed = Removed()
        self.told = Told()
        self.powered = True
        self.stalled = False
        self.process: Process | None = None
        self._last: Process | None = None
        self._runs = 0

    @property
    def up(self) -> Process:
        """The process that runs. Raises where none does."""
        assert self.process is not None, f"{self.name} is down"
        return self.process

    @property
    def in_force(self) -> Topology:
        """What the node has by now, edits included; while it is down what its last run had."""
        if self.process is not None and self.process.serving:
            self._last = self.process
        return self.topology if self._last is None else self._last.node.directory.topology

    def start(self) -> Process:
        """Power the board, where it has none, and start the node."""
        assert self.process is None, f"{self.name} runs"
        self.powered = True
        self._runs += 1
        self.process = Process(self, self._runs)
        self.fleet.wires.trace.note(self.fleet.loop.time(), f"start {self.name}.{self._runs}")
        return self.process

    def kill(self) -> None:
        """`kill -9`: the kernel closes what the process had open."""
        process = self._end()
        for channel in process.channels:
            channel.abandoned()

    def cut_power(self) -> None:
        """The board goes dark: nobody closes anything. Its devices run on."""
        self._end()
        self.powered = False

    def _end(self) -> Process:
        process = self.up
        self._last = process if process.serving else self._last
        self.fleet.wires.trace.note(self.fleet.loop.time(), f"end {self.name}")
        process.life.end()
        self.fleet.graves.append(process)
        self.process = None
        return process


class Fleet:
    """All hosts and packs; everything random comes from `seed`."""

    def __init__(self, loop: ProcessLoop, seed: int, links: LinkTimers | None = None) -> None:
        self.loop = loop
        self.chance = random.Random(seed)
        self.links = links or LinkTimers()
        self.timers = self.links.session
        self.wires = Wires(loop, random.Random(self.chance.random()))
        self.hosts: dict[str, Host] = {}
        self.packs: dict[str, Pack] = {}
        self.graves: list[Process] = []
        self.bugs: list[BaseException] = []
        self.judges: list[Judge] = []
        self.repeats: Mapping[str, tuple[float, float]] = {}
        """By path how long after it each call arrives a second time, at least and at most."""
        loop.set_exception_handler(self._unhandled)

    # --- what is there

    def add_pack(self, name: str, *, hold_s: float | None = 2.0, limit_a: float = 20.0, **more: Any) -> Pack:
        """Put a pack there; it `expires` after `hold_s`, or holds with None."""
        pack = Pack(name, self.loop, random.Random(self.chance.random()), hold_s, limit_a, **more)
        pack.changed = self._current_changed
        self.packs[name] = pack
        return pack

    def add_host(self, name: str, topology: Topology, *, utc_wrong_s: float = 0.0) -> Host:
        """Put a host there, powered and without a process."""
        drift = self.chance.uniform(-MOST_DRIFT, MOST_DRIFT)
        clock = HostClock(self.loop, self.chance.uniform(10.0, 1e6), drift, utc_wrong_s)
        self.hosts[name] = Host(self, name, topology, clock)
        return self.hosts[name]

    def start(self) -> None:
        """Start every node."""
        for host in self.hosts.values():
            host.start()

    # --- what channels ask

    def host_at(self, target: str) -> str:
        """Return the host of a target."""
        return target.partition(":")[0]

    def listening(self, target: str) -> Listener | None:
        """Return the process that listens there now."""
        host = self.hosts.get(self.host_at(target))
        return host.process if host is not None and host.process is not None and host.process.serving else None

    def powered(self, host: str) -> bool:
        """Tell whether a host's kernel answers."""
        return self.hosts[host].powered

    def arrived(self, path: str, request: bytes, sent: Sent, server: Listener) -> None:
        """Let all judges know."""
        self._judge(lambda judge: judge.call_arrived(path, request, sent, cast(Process, server)))

    def answered(self, path: str, request: bytes, sent: Sent, server: Listener) -> None:
        """Let all judges know."""
        self._judge(lambda judge: judge.call_done(path, request, sent, cast(Process, server)))

    def repeats_after_s(self, path: str) -> float | None:
        """Return when a call arrives again."""
        return self.chance.uniform(*self.repeats[path]) if path in self.repeats else None

    def edited(self) -> None:
        """Let all judges know."""
        self._judge(lambda judge: judge.edited())

    def _current_changed(self, pack: Pack) -> None:
        self._judge(lambda judge: judge.current_changed(pack))

    def _judge(self, ask: Callable[[Judge], None]) -> None:
        try:
            for judge in self.judges:
                ask(judge)
        except AssertionError as violation:
            self.bugs.append(violation)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        del loop
        if not self.wires.over:
            self.bugs.append(context.get("exception") or AssertionError(context.get("message", "unknown")))

    # --- what a test does

    def cut(self, one: str, other: str) -> None:
        """Cut both ways."""
        self.wires.cut(one, other)
        self.wires.cut(other, one)

    def heal(self, one: str, other: str) -> None:
        """Heal both ways."""
        self.wires.heal(one, other)
        self.wires.heal(other, one)

    async def stall(self, host: Host, duration_s: float) -> None:
        """Freeze the node of a host for a while (SIGSTOP), if it lives that long."""
        process = host.up
        process.life.freeze()
        await asyncio.sleep(duration_s)
        process.life.thaw(self.loop)

    async def within(self, host: Host, work: Coroutine[Any, Any, T], deadline_s: float = 10.0) -> T:
        """Run something in a host's process, as a call of a person at it; raises that, or TimeoutError when it dies or stands."""
        process = host.up
        if host.stalled:
            work.close()
            raise TimeoutError

        async def bounded() -> T:
            async with asyncio.timeout(deadline_s):
                return await work

        task = self.loop.create_task(bounded(), name=f"person at {host.name}", context=process.context())
        waiting, _ = await asyncio.wait({task}, timeout=deadline_s + 10.0)
        if not waiting:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody waits for it any more
            raise TimeoutError
        return task.result()

    async def set(self, host: Host, name: str, current_a: float, *, ttl_s: float = 3600.0) -> SetCurrentResult:
        """Ask for a current at a node as a person does. Raises BosError or TimeoutError."""
        return await self.within(host, host.up.node.set_current(name, current_a, ttl_s=ttl_s, holder="person"))

    async def until(self, holds: Callable[[], bool], *, within_s: float, because: str, step_s: float = 0.05) -> float:
        """Wait until something holds; return how long that took. Fails after `within_s`."""
        began_s = self.loop.time()
        while not holds():
            assert self.loop.time() - began_s < within_s, f"not within {within_s:g} s: {because}"
            await asyncio.sleep(step_s)
        return self.loop.time() - began_s

    def ready(self, host: Host) -> bool:
        """Tell whether every battery of a node may be commanded."""
        if host.process is None or not host.process.serving:
            return False
        node = host.process.node
        return all(node.status(name).commandable for name in node.names())

    def all_ready(self) -> bool:
        """Tell whether every battery of every node may be commanded."""
        return all(map(self.ready, self.hosts.values()))

    def why_not(self, hosts: Iterable[Host]) -> str:
        """Return what keeps batteries from being commanded, for a person."""
        lines = []
        for host in hosts:
            if host.process is None:
                lines.append(f"{host.name} is down")
                continue
            node = host.process.node
            states = [node.status(name) for name in node.names()]
            lines += [f"{host.name}/{each.name}: {each.link.name} {each.reason}" for each in states if not each.commandable]
        return "; ".join(lines)

    def check_bugs(self) -> None:
        """Fail if a node ended by itself or met a programming error."""
        for bug in self.bugs:
            raise AssertionError(repr(bug)) from bug

    async def close(self) -> None:
        """End all there is."""
        self.wires.over = True
        processes = [*self.graves, *(host.process for host in self.hosts.values() if host.process is not None)]
        for process in processes:
            process.life.bury(self.loop)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def refused(self, work: Coroutine[Any, Any, object]) -> BosError | None:
        """Return what a call is refused with, None if it is not."""
        try:
            await work
        except BosError as error:
            return error
        return None
