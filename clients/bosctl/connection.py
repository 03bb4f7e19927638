"""One connection to a node: stubs, identity, deadlines."""

import getpass
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Self

import grpc

from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from clients.bosctl.errors import from_rpc
from clients.bosctl.trust import Trust

DEFAULT_TARGET = "127.0.0.1:4004"
DEFAULT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
"""Longer than any device may take: a gate closes 5 s after its last switching and has 2 s to show it."""
FORCE_TIMEOUT_S = 20.0
"""Taking over tells a device twice: to its safe value, then what is asked."""
LONG_TIMEOUT_S = 60.0
"""Deadline of calls that wait for many devices or for the store, where none is given."""
PATIENCE_S = 1.0
"""After this a person wants to see that something is going on."""

MAX_IDENTITY = 128
MAX_MESSAGE_BYTES = 64 * 2**20
_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.enable_http_proxy", 0),  # a node is never behind a web proxy
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection: a hung one is not found again
)


class Stub(Protocol):
    """The future half of a generated unary call."""

    def future(self, request: Any, timeout: float | None = None, metadata: Any = None) -> Any:  # noqa: ANN401
        """Start the call."""
        ...


class Connection:
    """A channel to one node, `node` where it is given; closed by the end of its `with` block."""

    def __init__(
        self, target: str, timeout_s: float | None = None, trust: Trust | None = None, *, node: str | None = None
    ) -> None:
        self.target = target
        self.timeout_s = timeout_s
        self.metadata = (("bosd-client", identity()),)
        self.trust = trust or Trust()
        self.channel = self.trust.channel(target, _OPTIONS, node)
        self.batteries = BatteryServiceStub(self.channel)

    @property
    def topology(self) -> Any:  # noqa: ANN401 (generated stubs ship no types)
        """The stub of the topology's service."""
        from bosd.v1.topology_pb2_grpc import TopologyServiceStub  # noqa: PLC0415 (most commands do without)

        return TopologyServiceStub(self.channel)

    @property
    def clock(self) -> Any:  # noqa: ANN401 (see topology)
        """The stub of the clock's service."""
        from bosd.v1.clock_pb2_grpc import ClockServiceStub  # noqa: PLC0415 (most commands do without)

        return ClockServiceStub(self.channel)

    @property
    def audit(self) -> Any:  # noqa: ANN401 (as above)
        """The stub of the audit's service."""
        from bosd.v1.audit_pb2_grpc import AuditServiceStub  # noqa: PLC0415 (as above)

        return AuditServiceStub(self.channel)

    @property
    def ledger(self) -> Any:  # noqa: ANN401 (as above)
        """The stub of the ledger's service."""
        from bosd.v1.ledger_pb2_grpc import LedgerServiceStub  # noqa: PLC0415 (as above)

        return LedgerServiceStub(self.channel)

    @property
    def devices(self) -> Any:  # noqa: ANN401 (as above)
        """The stub of the devices' service."""
        from bosd.v1.device_pb2_grpc import DeviceServiceStub  # noqa: PLC0415 (as above)

        return DeviceServiceStub(self.channel)

    @property
    def errors(self) -> Any:  # noqa: ANN401 (as above)
        """The stub of the errors' service."""
        from bosd.v1.errors_pb2_grpc import ErrorServiceStub  # noqa: PLC0415 (as above)

        return ErrorServiceStub(self.channel)

    @property
    def eebus(self) -> Any:  # noqa: ANN401 (as above)
        """The stub of the service of limits asked for over EEBUS."""
        from bosd.v1.eebus_pb2_grpc import EebusServiceStub  # noqa: PLC0415 (as above)

        return EebusServiceStub(self.channel)

    @property
    def limits(self) -> Any:  # noqa: ANN401 (as above)
        """The stub of the limit book's service."""
        from bosd.v1.limits_pb2_grpc import LimitServiceStub  # noqa: PLC0415 (as above)

        return LimitServiceStub(self.channel)

    @property
    def fleet(self) -> Any:  # noqa: ANN401 (as above)
        """The stub of the fleet's service."""
        from bosd.v1.fleet_pb2_grpc import FleetServiceStub  # noqa: PLC0415 (as above)

        return FleetServiceStub(self.channel)

    def call(
        self, method: Stub, request: object, *, long: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S, doing: str = "waiting"
    ) -> Any:  # noqa: ANN401
        """Return the answer within the deadline, with a spinner on a terminal after a second. Raises Failure."""
        deadline_s = self.timeout_s or (LONG_TIMEOUT_S if long else timeout_s)
        future = method.future(request, timeout=deadline_s, metadata=self.metadata)
        try:
            return _result(future, doing)
        except grpc.RpcError as error:
            raise self.trust.explained(from_rpc(error, self.target, deadline_s), self.target) from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Close the connection."""
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def identity() -> str:
    """Return `user@host` as ASCII, for the node's record of who asked."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a process without an account
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}".encode("ascii", "replace").decode("ascii")[:MAX_IDENTITY]


def _result(future: Any, doing: str) -> Any:  # noqa: ANN401
    try:
        return future.result(timeout=PATIENCE_S)
    except grpc.FutureTimeoutError:
        with _spinner(doing):
            return future.result()


@contextmanager
def _spinner(doing: str) -> Iterator[None]:
    from clients.bosctl.console import stderr_console  # noqa: PLC0415 (only slow calls draw)

    console = stderr_console()
    if not console.is_terminal:
        yield
        return
    with console.status(f"{doing} …"):
        yield
