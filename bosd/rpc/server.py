"""The gRPC server of a node: services, addresses, bounds, graceful stop."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import grpc
import grpc.aio

from bosd.errors import ConfigError
from bosd.fleet.owner import OwnerSessions
from bosd.node.api import NodeApi
from bosd.node.audit import AuditLog
from bosd.node.faults import Faults
from bosd.rpc import addresses
from bosd.rpc.battery_service import BatteryService
from bosd.rpc.clock_service import ClockService
from bosd.rpc.connections import IDLE_S
from bosd.rpc.edge import BugSink, Edge
from bosd.rpc.node_service import NodeService
from bosd.rpc.parsing import Reading
from bosd.rpc.topology_service import GrantedTo, TopologyService
from bosd.v1 import battery_pb2, clock_pb2, node_pb2, topology_pb2
from bosd.v1.battery_pb2_grpc import add_BatteryServiceServicer_to_server
from bosd.v1.clock_pb2_grpc import add_ClockServiceServicer_to_server
from bosd.v1.node_pb2_grpc import add_NodeServiceServicer_to_server
from bosd.v1.topology_pb2_grpc import add_TopologyServiceServicer_to_server

if TYPE_CHECKING:
    from bosd.limits.service import Limits
    from bosd.rpc.eebus import Eebus
    from bosd.rpc.fleet import Fleet
    from bosd.rpc.guard import Guard  # a node without [security] loads no cryptography
    from bosd.rpc.tls import Keyring

MAX_RECEIVED_BYTES = 4 * 1024 * 1024
MAX_STREAMS_PER_CONNECTION = 1024
MAX_CALLS = 4096
MAX_CONNECTIONS = 384
"""Of one listener, handshakes included: who fills one leaves files for devices, and the unix socket for `bosctl stop`."""
HANDSHAKE_S = 5.0
"""What says nothing for so long is hung up on."""
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.so_reuseport", 0),  # a second daemon on the same port is refused, not load-balanced with
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
    ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_S * 1000)),
    ("grpc.max_connection_idle_ms", int(IDLE_S * 1000)),
    ("grpc.keepalive_time_ms", 10_000),  # a peer that lost its power ends its streams within 15 s
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
)
_UMASK = 0o117
_REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
_HEALTH = "grpc.health.v1.Health"
_AUDIT = "bosd.v1.AuditService"
_DEVICE = "bosd.v1.DeviceService"
_EEBUS = "bosd.v1.EebusService"
_ERRORS = "bosd.v1.ErrorService"
_FLEET = "bosd.v1.FleetService"
_LEDGER = "bosd.v1.LedgerService"
_LIMITS = "bosd.v1.LimitService"
_SECURITY = "bosd.v1.SecurityService"


class RpcServer:
    """Serves a node, and its audit if it has one.

    `on_bug` gets every exception that is no BosError; it should stop the daemon loudly. Servers of one
    node share its `sessions`; without them other nodes may only read.
    `security` stands before every call; with it TCP listeners have mutual TLS.
    """

    def __init__(  # noqa: PLR0913 (each is another part of the node)
        self,
        node: NodeApi,
        on_bug: BugSink,
        audit: AuditLog | None = None,
        *,
        faults: Faults | None = None,
        sessions: OwnerSessions | None = None,
        fleet: "Fleet | None" = None,
        security: "Guard | None" = None,
        eebus: "Eebus | None" = None,
    ) -> None:
        self._node = node
        self._audit = audit
        self._faults = faults
        self.edge = Edge(on_bug)
        if audit is not None:
            self.edge.refused = lambda action, error, who, names: audit.refused(action, error, who=who, names=names)
        self._keyring = security.keyring if security is not None else None
        if security is not None:
            security.refused = self.edge.refused
        guards = (security,) if security is not None else ()
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS, interceptors=guards)
        self._sockets: list[tuple[Path, int]] = []
        self._health: Any = None
        self._stopping = False
        self._sessions = sessions
        self._fleet = fleet
        self._eebus = eebus
        self._add_services((lambda _: None) if security is None else security.granted_to)

    def _add_services(self, granted_to: GrantedTo) -> None:
        reading = Reading(self._server)
        add_BatteryServiceServicer_to_server(BatteryService(self._node, self.edge, self._sessions), reading)
        add_ClockServiceServicer_to_server(ClockService(self._node, self.edge), reading)
        add_TopologyServiceServicer_to_server(TopologyService(self._node, self.edge, granted_to), reading)
        if (sessions := self._sessions) is not None:
            add_NodeServiceServicer_to_server(NodeService(self._node, self.edge, sessions), reading)
        lazy = (
            _LazyService(_DEVICE, self._load_device),
            _LazyService(_EEBUS, self._load_eebus),
            _LazyService(_HEALTH, self._load_health),
            _LazyService(_LEDGER, self._load_ledger),
            _LazyService(_REFLECTION, _load_reflection, alias=_REFLECTION_V1),
        )
        self._server.add_generic_rpc_handlers(lazy)
        if self._audit is not None:
            audit = self._audit
            self._server.add_generic_rpc_handlers((_LazyService(_AUDIT, lambda: self._load_audit(audit)),))

        if self._faults is not None:
            faults = self._faults
            self._server.add_generic_rpc_handlers((_LazyService(_ERRORS, lambda: self._load_errors(faults)),))
        if self._fleet is not None:
            fleet = self._fleet
            self._server.add_generic_rpc_handlers((_LazyService(_FLEET, lambda: self._load_fleet(fleet)),))
        if self._keyring is not None:
            keyring = self._keyring
            self._server.add_generic_rpc_handlers((_LazyService(_SECURITY, lambda: self._load_security(keyring)),))

    def serve_limits(self, limits: "Limits | None") -> None:
        """Serve the limit book, too, if there is one; before `start`."""
        if limits is not None:
            self._server.add_generic_rpc_handlers((_LazyService(_LIMITS, lambda: self._load_limits(limits)),))

    def check(self, address: str) -> None:
        """Raise ConfigError for a TCP address that is malformed, or off loopback without mutual TLS."""
        addresses.check_tcp(address, secured=self._keyring is not None)

    async def start(self, listen: Sequence[str]) -> tuple[str, ...]:
        """Listen on every address (`host:port`, port 0 for any free one, or `unix:PATH`) and return them as bound.

        Raises ConfigError for an address that is malformed, off loopback (it needs mutual TLS) or in use; then none is served.
        """
        try:
            bound = tuple(self._bind(address) for address in listen)
        except ConfigError:
            self.edge.shut()
            await self._server.start()  # below grpcio what never began is never freed
            await self.stop(0.0)
            raise
        await self._server.start()
        return bound

    def _bind(self, address: str) -> str:
        if address.startswith(addresses.UNIX):
            return self._bind_unix(addresses.unix_path(address))
        self.check(address)
        port = self._add_port(address, address)
        return f"{address.rpartition(':')[0]}:{port}"

    def _bind_unix(self, path: Path) -> str:
        addresses.clear_stale_socket(path)
        address = f"{addresses.UNIX}{path}"
        umask = os.umask(_UMASK)
        try:
            self._add_port(address, address)
        finally:
            os.umask(umask)
        addresses.restrict(path)
        self._sockets.append((path, path.stat().st_ino))
        return address

    def _add_port(self, grpc_address: str, address: str) -> int:
        try:
            if self._keyring is None or self._keyring.is_plain(address):
                port = self._server.add_insecure_port(grpc_address)
            else:
                port = self._server.add_secure_port(grpc_address, self._keyring.server_credentials())
        except RuntimeError:
            port = 0
        if port == 0:
            raise addresses.in_use(address)
        return port

    async def stop(self, grace_s: float = 1.0) -> None:
        """Refuse new calls and end streams at once, give running calls `grace_s` seconds; remove socket files.

        Stopping again does nothing.
        """
        if self._stopping:
            return
        self._stopping = True
        self.edge.shut()
        if self._health is not None:
            self._health.stopping = True
        await self._server.stop(grace_s)
        for path, inode in self._sockets:
            try:
                if path.stat().st_ino == inode:
                    path.unlink()
            except FileNotFoundError:
                continue
        self._sockets.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    def _load_audit(self, audit: AuditLog) -> dict[str, Any]:
        from bosd.rpc.audit_service import AuditService  # noqa: PLC0415 (imported when first asked)
        from bosd.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server  # noqa: PLC0415

        return _handlers(lambda server: add_AuditServiceServicer_to_server(AuditService(audit, self.edge), server))

    def _load_eebus(self) -> dict[str, Any]:
        from bosd.rpc.eebus_service import EebusService  # noqa: PLC0415 (imported when first asked)
        from bosd.v1.eebus_pb2_grpc import add_EebusServiceServicer_to_server  # noqa: PLC0415

        return _handlers(lambda server: add_EebusServiceServicer_to_server(EebusService(self._eebus, self.edge), server))

    def _load_errors(self, faults: Faults) -> dict[str, Any]:
        from bosd.rpc.error_service import ErrorService  # noqa: PLC0415 (imported when first asked)
        from bosd.v1.errors_pb2_grpc import add_ErrorServiceServicer_to_server  # noqa: PLC0415

        return _handlers(lambda server: add_ErrorServiceServicer_to_server(ErrorService(faults, self.edge), server))

    def _load_fleet(self, fleet: "Fleet") -> dict[str, Any]:
        from bosd.rpc.fleet_service import FleetService  # noqa: PLC0415 (imported when first asked)
        from bosd.v1.fleet_pb2_grpc import add_FleetServiceServicer_to_server  # noqa: PLC0415

        return _handlers(lambda server: add_FleetServiceServicer_to_server(FleetService(fleet, self.edge, self._audit), server))

    def _load_security(self, keyring: "Keyring") -> dict[str, Any]:
        from bosd.rpc.security_service import SecurityService  # noqa: PLC0415 (imported when first asked)
        from bosd.v1.security_pb2_grpc import add_SecurityServiceServicer_to_server  # noqa: PLC0415

        service = SecurityService(keyring, self.edge, self._audit)
        return _handlers(lambda server: add_SecurityServiceServicer_to_server(service, server))

    def _load_device(self) -> dict[str, Any]:
        from bosd.rpc.device_service import DeviceService  # noqa: PLC0415 (imported when first asked)
        from bosd.v1.device_pb2_grpc import add_DeviceServiceServicer_to_server  # noqa: PLC0415

        return _handlers(lambda server: add_DeviceServiceServicer_to_server(DeviceService(self._node, self.edge), server))

    def _load_ledger(self) -> dict[str, Any]:
        from bosd.rpc.ledger_service import LedgerService  # noqa: PLC0415 (imported when first asked)
        from bosd.v1.ledger_pb2_grpc import add_LedgerServiceServicer_to_server  # noqa: PLC0415

        return _handlers(lambda server: add_LedgerServiceServicer_to_server(LedgerService(self._node, self.edge), server))

    def _load_limits(self, limits: "Limits") -> dict[str, Any]:
        from bosd.rpc.limit_service import LimitService  # noqa: PLC0415 (imported when first asked)
        from bosd.v1.limits_pb2_grpc import add_LimitServiceServicer_to_server  # noqa: PLC0415

        return _handlers(lambda server: add_LimitServiceServicer_to_server(LimitService(limits, self.edge), server))

    def _load_health(self) -> dict[str, Any]:
        from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server  # noqa: PLC0415 (imported when first asked)

        from bosd.rpc.health import HealthService  # noqa: PLC0415

        self._health = HealthService(self._node, self.edge)
        self._health.stopping = self._stopping
        return _handlers(lambda server: add_HealthServicer_to_server(self._health, server))


def _load_reflection() -> dict[str, Any]:
    from grpc_health.v1 import health_pb2  # noqa: PLC0415 (so that its descriptor is known)
    from grpc_reflection.v1alpha import _async, reflection_pb2_grpc  # noqa: PLC0415 (imported when first asked)

    from bosd.v1 import (  # noqa: PLC0415
        audit_pb2,
        device_pb2,
        eebus_pb2,
        errors_pb2,
        fleet_pb2,
        ledger_pb2,
        limits_pb2,
        security_pb2,
    )

    names = [
        service.full_name
        for file in (
            audit_pb2.DESCRIPTOR,
            battery_pb2.DESCRIPTOR,
            device_pb2.DESCRIPTOR,
            eebus_pb2.DESCRIPTOR,
            errors_pb2.DESCRIPTOR,
            fleet_pb2.DESCRIPTOR,
            ledger_pb2.DESCRIPTOR,
            limits_pb2.DESCRIPTOR,
            clock_pb2.DESCRIPTOR,
            node_pb2.DESCRIPTOR,
            security_pb2.DESCRIPTOR,
            topology_pb2.DESCRIPTOR,
            health_pb2.DESCRIPTOR,
        )
        for service in file.services_by_name.values()
    ]
    servicer = _async.ReflectionServicer([*names, _REFLECTION, _REFLECTION_V1])
    return _handlers(lambda server: reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server))


class _Recorder:
    """Stands where a server would, to learn a service's handlers from its generated code."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Take no notice: the same handlers come one by one."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Keep the handlers by method."""
        del service
        self.handlers.update(handlers)


def _handlers(register: Callable[[Any], object]) -> dict[str, Any]:
    recorder = _Recorder()
    register(Reading(recorder))
    return recorder.handlers


class _LazyService(grpc.GenericRpcHandler[Any, Any] if TYPE_CHECKING else grpc.GenericRpcHandler):  # type: ignore[misc]
    """A service that is imported when somebody first calls it, so that a cold start does not pay for it."""

    def __init__(self, name: str, load: Callable[[], dict[str, Any]], alias: str = "") -> None:
        self._prefixes = tuple(f"/{each}/" for each in (name, alias) if each)
        self._load = load
        self._methods: dict[str, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return the handler of a method of this service."""
        method: str = handler_call_details.method
        if not method.startswith(self._prefixes):
            return None
        if not self._methods:
            self._methods = self._load()
        handler: grpc.RpcMethodHandler[Any, Any] | None = self._methods.get(method.rpartition("/")[2])
        return handler
