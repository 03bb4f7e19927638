"""The daemon: builds a node from its configuration, serves it, and makes its batteries safe at the end.

The only module that knows everyone. Order of start: store, topology, listeners, tasks, ready. Order of stop: refuse new calls
while devices are made safe (all lines at the same time), let go of lines, store.
"""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from bosd import __version__
from bosd.clock import Clock, SteppedClock, SystemClock
from bosd.config import Config
from bosd.drivers.far_end.program import ending_signals
from bosd.errors import BadNameError, BosError, UnavailableError
from bosd.fleet.owner import OwnerSessions
from bosd.fleet.timers import SessionTimers
from bosd.garbage import spare_collections
from bosd.kept import Kept
from bosd.node.audit import NODE, AuditLog
from bosd.node.audited import audited
from bosd.node.clock_trust import trust_of
from bosd.node.faults import Severity
from bosd.node.hooks import Hooks
from bosd.node.links import NetworkLeaf
from bosd.node.node import Node
from bosd.node.noticed import store_unwritable
from bosd.rpc.about import About
from bosd.rpc.client import LinkTimers, RemotePool
from bosd.rpc.eebus_opening import eebus_in
from bosd.rpc.error_feed import ErrorFeed
from bosd.rpc.fleet import Fleet
from bosd.rpc.limiting import Limits, go_by_sessions, limits_of
from bosd.rpc.listening import Listening
from bosd.rpc.neighbourhood import Neighbourhood
from bosd.rpc.peer_faults import PeerFaults
from bosd.rpc.remote_battery import RemoteBattery
from bosd.rpc.remote_node import RemoteNode
from bosd.rpc.securing import guard_of, renewer_of
from bosd.rpc.seeking import Seeker
from bosd.rpc.server import RpcServer
from bosd.safeguard.device_list import devices_of
from bosd.safeguard.keeper import Keeper
from bosd.safeguard.taking_over import take_over
from bosd.sdnotify import Notifier
from bosd.store.audit import AuditTable
from bosd.store.store import Store

if TYPE_CHECKING:
    from bosd.limits.service import Limits
    from bosd.rpc.eebus import Eebus
    from bosd.rpc.guard import Guard
    from bosd.rpc.renewing import Renewer
    from bosd.rpc.tls import Keyring

STOP_DEADLINE_S = 4.5
CLOSE_DEADLINE_S = 1.0
CALLS_GRACE_S = 0.5

_log = structlog.get_logger("daemon")


class _Ended(Exception):  # noqa: N818 (not an error: the way out of the task group)
    """The daemon was asked to end."""


def _leave() -> NoReturn:
    raise _Ended


class Daemon:
    """One node as a process; `guarded`: with a guard beside it, which kills a process whose loop stands still for 1 s."""

    def __init__(
        self, config: Config, clock: Clock | None = None, notifier: Notifier | None = None, *, guarded: bool = False
    ) -> None:
        self._config = config
        self._guarded = guarded
        self._keeper: Keeper | None = None
        self._unconfirmed: tuple[str, ...] | None = ()
        self._clock = clock or SystemClock()
        self._notifier = notifier or Notifier.from_environment()
        self._end = asyncio.Event()
        self._bug: BaseException | None = None
        self._commands = False
        self._node: Node | None = None
        self._audit: AuditLog | None = None
        self._session_clock = self._clock if isinstance(self._clock, SystemClock) else SystemClock()
        fleet = config.fleet
        self._timers = SessionTimers(
            heartbeat_s=fleet.heartbeat_s, stale_s=fleet.stale_s, lease_s=fleet.lease_s, max_command_age_s=fleet.max_command_age_s
        )
        self._sessions: OwnerSessions | None = None
        self._limits: Limits | None = None
        self._security: Guard | None = None
        self._fleet: Fleet | None = None
        self._peer_faults: PeerFaults | None = None
        self._near: Neighbourhood | None = None
        self._renewer: Renewer | None = None
        self._eebus: Eebus | None = None
        self._kept = Kept(config.node.state_dir, real=self._clock is self._session_clock)
        self._store: Store | None = None
        self._more: dict[str, RpcServer] = {}
        self._listening = Listening(config.node.listen, self.open)

    @property
    def bound(self) -> tuple[str, ...]:
        """Where it listens."""
        return self._listening.bound

    async def open(self, address: str) -> str:
        """Listen on one more address, until `shut`; return it as bound. Raises ConfigError where that cannot be."""
        if self._node is None or self._audit is None:
            raise UnavailableError("the daemon does not serve yet")
        server = self._server(self._node, self._audit)
        (bound,) = await server.start((address,))
        self._more[bound] = server
        return bound

    async def shut(self, address: str) -> str:
        """Listen no more on an address that was opened; return it. Raises BadNameError."""
        server = self._more.pop(address, None)
        if server is None:
            raise BadNameError(f"nothing was opened at {address}", name=address, known=", ".join(self._more))
        await server.stop(CALLS_GRACE_S)
        return address

    def end(self) -> None:
        """Ask the daemon to stop; idempotent."""
        self._end.set()

    def _on_bug(self, bug: BaseException) -> None:
        _log.critical("bug", exc_info=bug)
        self._bug = self._bug or bug
        self._end.set()

    async def run(self) -> None:
        """Serve until `end`. Raises ConfigError or StoreError where the start fails; any programming error after making safe."""
        config = self._config
        store = await Store.open(config.node.state_dir, config.store.url)
        try:
            guarded = self._keyring()
            trust = trust_of(self._clock, overridden=config.node.trust_clock)
            self._store = store
            node = Node(
                name=config.node.name,
                clock=self._clock,
                store=store,
                make_remote=lambda spec: RemoteBattery(spec, pool),
                default_ttl_s=config.node.default_setpoint_ttl_s,
                longest_ttl_s=config.node.max_setpoint_ttl_s,
                trust=trust,
            )
            pool = RemotePool(
                config.node.name,
                self._clock,
                timers=LinkTimers(session=self._timers),
                boot_id=node.faults.boot_id,
                session_clock=self._session_clock,
                seeker=Seeker(guarded, book=self._kept.addresses, configured=config.fleet.addresses, announced=self._announced),
            )
            pool.feed, pool.running, node.orphans.book = ErrorFeed(node.faults), self._kept.running, self._kept.removed
            self._settle(node, store)
            await node.load(config.topology)
            audit = await self._open_audit(store, node)
            self._security = guard_of(node, guarded, config.security)
            self._limits = await limits_of(node, store, trust, audit)
            self._sessions = self._owner_sessions(node)
            await go_by_sessions(node, self._limits, self._sessions, store)
            about = About(node, node.faults, self._sessions, lambda: trust.doubt(self._clock.utc_s()), guarded)
            self._follow_fleet(node, about, pool, self._sessions)
            self._renewer = renewer_of(node, guarded, config.security, pool, audit)
            self._eebus = await eebus_in(self._limits.book, config, node, store, audit, trust)
            server = self._server(node, audit)
            try:
                await self._serve(node, pool, server, audit)
            finally:
                await self._stop(node, server)
                await self._close_audit(audit)
        finally:
            with contextlib.suppress(BosError):
                async with asyncio.timeout(CLOSE_DEADLINE_S):
                    await store.close()
            if self._keeper is not None:
                await self._keeper.end(self._unconfirmed)
            self._notifier.close()
        if self._bug is not None:
            raise self._bug

    def _settle(self, node: Node, store: Store) -> None:
        """Give the node what its configuration says before it loads what it stored, and have the store watched."""
        config = self._config
        node.notices.sources.append(lambda: store_unwritable(store.unwritable))
        node.ledger.keep(days=config.store.ledger_retention_days, most_entries=config.store.ledger_max_entries)
        node.keep(unowned_s=self._timers.lease_s, told=self._kept.told)
        node.capture_into(config.node.state_dir / "captures")

    def _owner_sessions(self, node: Node) -> OwnerSessions:
        return OwnerSessions(
            self._session_clock,
            node.peer_commands,
            boot_id=node.faults.boot_id,
            config_digest=node.config_digest,
            timers=self._timers,
            events=self,
            standing=self._session_clock is not self._clock,
        )

    def _server(self, node: Node, audit: AuditLog) -> RpcServer:
        server = RpcServer(
            audited(node, audit),
            self._on_bug,
            audit,
            faults=node.faults,
            sessions=self._sessions,
            fleet=self._fleet,
            security=self._security,
            eebus=self._eebus,
        )
        server.serve_limits(self._limits)
        return server

    def _follow_fleet(self, node: Node, about: About, pool: RemotePool, sessions: OwnerSessions) -> None:
        """Have what happens to other nodes seen, and raised as errors."""
        if self._security is not None:
            self._security.exchanged = pool.redial
        stubs = lambda: (leaf for leaf in node.directory if isinstance(leaf, NetworkLeaf))  # noqa: E731
        self._fleet = Fleet(about, pool, sessions, stubs=stubs, required=self._config.fleet.required)
        if self._limits is not None:
            self._fleet.forget_grants = self._limits.forget_granted
        self._peer_faults = PeerFaults(self._fleet, node.faults, self._timers, sessions.lag)
        pool.follow_events(self._on_remote)
        if self._config.security is not None:  # without certificates nothing decides who is there
            asked = self._config.fleet.announce
            announces = bool(self._config.node.off_loopback) if asked is None else asked
            self._near = Neighbourhood(announces=announces, listen=lambda: self.bound, announcement=about.announcement)
            node.notices.sources.append(self._near.noticed)
        node.notices.sources.append(self._peer_faults.noticed)

    def _announced(self, serial: str) -> Sequence[str]:
        return () if self._near is None else self._near.announced(serial)

    def on_session(self, event: str, peer: str, **facts: object) -> None:
        """Log what happens to the sessions that other nodes keep here, and audit what a person should know."""
        (_log.info if event == "session_ready" else _log.warning)(event, peer=peer, **facts)
        if self._audit is not None and event != "session_ready":
            self._audit.note(event, who=peer, after=dict(facts))
        if self._peer_faults is not None:
            self._peer_faults.on_session(event, peer, facts)

    def _keyring(self) -> "Keyring | None":
        """Return the files of `[security]`, None without it. Raises ConfigError."""
        if self._config.security is None:
            return None
        from bosd.rpc.tls import Keyring  # noqa: PLC0415 (a node without [security] loads no cryptography)

        return Keyring(self._config.security, self._config.node.name)

    def _on_remote(self, event: str, remote: RemoteNode) -> None:
        for hears in (self._peer_faults, self._renewer):
            if hears is not None:
                hears.on_remote(event, remote)

    def _make_keeper(self, node: Node) -> Keeper | None:
        """Return what keeps the guard, None where none is wanted."""
        if not self._guarded:
            return None
        return Keeper(
            self._config.node.state_dir,
            lambda: devices_of((*node.directory.topology.batteries, *node.orphans.specs())),
            lost=lambda message: node.faults.raise_("GUARD_LOST", severity=Severity.HIGH, message=message, module="guard"),
            kept=lambda: node.faults.clear("GUARD_LOST", module="guard"),
        )

    async def _open_audit(self, store: Store, node: Node) -> AuditLog:
        """Return the audit with the start recorded."""
        keep = self._config.store
        audit = AuditLog(AuditTable(store), self._clock, retention_days=keep.audit_retention_days, max_mib=keep.audit_max_mib)
        await audit.load()
        node.peer_commands.follow_ends(audit.lease_over)
        audit.note("start", who=NODE, after={"boot": store.boots, "version": __version__})
        if store.boots == 1:
            audit.note("apply", who="configuration", names=node.names(), comment="first start", after={"revision": 1})
        return audit

    async def _close_audit(self, audit: AuditLog) -> None:
        audit.note(
            "end", who=NODE, outcome="done" if self._bug is None else "failed", reason="" if self._bug is None else "INTERNAL"
        )
        try:
            async with asyncio.timeout(CLOSE_DEADLINE_S):
                await audit.close()
        except (BosError, TimeoutError) as error:
            _log.error("audit_unwritten", records=audit.unwritten, detail=str(error) or "the disk did not answer in time")

    async def _serve(self, node: Node, pool: RemotePool, server: RpcServer, audit: AuditLog) -> None:
        self._keeper = self._make_keeper(node)
        if self._keeper is not None:
            tell = lambda outcome, after: audit.note("guard", who=NODE, outcome=outcome, after=after)  # noqa: E731
            state_dir = self._config.node.state_dir
            await self._keeper.begin(self._end.is_set, lambda: take_over(state_dir, tell, node.orphans.inherit))
        await self._listening.begin(server)
        self._commands, self._unconfirmed = True, None
        self._node, self._audit = node, audit
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pool.run(), name="links")
                node.notices.sources += [audit.noticed, self._listening.noticed]
                node.start(group)
                group.create_task(audit.run(), name="audit")
                for name, part in self._parts():
                    if part is not None:
                        group.create_task(part.run(), name=name)
                if (asked := self._config.hooks).command:
                    hooks = Hooks(node.name, self._clock, asked.command, asked.events, asked.timeout_s)
                    node.attach(hooks)
                    group.create_task(hooks.run(), name="hooks")
                group.create_task(self._notifier.keep_alive(), name="watchdog")
                spare_collections()
                self._notifier.ready(f"{len(node.names())} batteries on {', '.join(self.bound)}")
                _log.info("serving", node=node.name, listen=list(self.bound), batteries=len(node.names()))
                await self._end.wait()
                self._notifier.stopping("making batteries safe")
                await self._make_safe(node, server)
                _leave()
        except* _Ended:
            pass

    def _parts(self) -> tuple[tuple[str, Any], ...]:
        return (
            ("kept", self._kept),
            ("listening", self._listening),
            ("guard", self._keeper),
            ("store", self._store),
            ("loop lag", self._sessions.lag if self._sessions is not None else None),
            ("fleet", self._fleet),
            ("neighbourhood", self._near),
            ("security", self._security),
            ("certificates", self._renewer),
            ("eebus", self._eebus),
        )

    async def _make_safe(self, node: Node, server: RpcServer) -> None:
        """Refuse new calls and make devices safe while links and lines are still served."""
        try:
            async with asyncio.timeout(STOP_DEADLINE_S), asyncio.TaskGroup() as group:
                for each in (server, *self._more.values()):
                    group.create_task(each.stop(CALLS_GRACE_S), name="refuse calls")
                safe = group.create_task(node.shut_down(), name="make safe")
        except TimeoutError:
            _log.error("stop_timed_out", after_s=STOP_DEADLINE_S)
        else:
            self._unconfirmed = safe.result()
            if self._unconfirmed:
                _log.error("safe_action_unconfirmed", batteries=list(self._unconfirmed))
        self._commands = False

    async def _stop(self, node: Node, server: RpcServer) -> None:
        """Whatever ended the daemon, hold no line and leave no device commanded; one that never served has commanded none."""
        deadline_s = STOP_DEADLINE_S if self._commands else CLOSE_DEADLINE_S
        try:
            async with asyncio.timeout(deadline_s):
                await server.stop(0.0)
                if self._commands:
                    self._unconfirmed = await node.shut_down()
                await node.close()
        except TimeoutError:
            _log.error("stop_timed_out", after_s=deadline_s)
        await self._kept.close(CLOSE_DEADLINE_S)
        _log.info("stopped", node=node.name)


async def serve(config: Config, *, simulated: bool = False, guarded: bool = True) -> None:
    """Run the daemon until SIGTERM, SIGINT or SIGHUP; on a simulated clock time moves by ticks alone, and no guard is needed."""
    daemon = Daemon(config, SteppedClock(SystemClock()) if simulated else None, guarded=guarded and not simulated)
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, daemon.end)
    await daemon.run()


def run(config: Config, *, simulated: bool = False, guarded: bool = True) -> int:
    """Run the daemon in this process; return its exit status, 0 after a stop that was asked for."""
    import uvloop  # noqa: PLC0415 (the daemon's loop; nothing else needs it)

    try:
        uvloop.run(serve(config, simulated=simulated, guarded=guarded))
    except BosError as error:
        sys.stderr.write(f"bosd: {error.message}\n")
        return 1
    return 0
