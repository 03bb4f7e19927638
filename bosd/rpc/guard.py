"""Stands before every call: who comes over TLS is who the certificate says, and may do what the rights say.

The identity takes the place of what a caller calls itself in the metadata. Calls without TLS come from this machine (loopback,
unix socket) and have all rights. `run` ends streams whose certificate is revoked or over.
"""

import asyncio
import contextlib
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from cryptography import x509

from bosd.clock import SystemClock
from bosd.errors import BosError, NoResourcesError, NotAllowedError, UnauthenticatedError
from bosd.node.api import NodeApi
from bosd.node.stub_bookings import SEPARATOR
from bosd.pki.identity import Identity, identity_of
from bosd.rpc.connections import Connections, hang_up
from bosd.rpc.edge import CLIENT_KEY
from bosd.rpc.parsing import Malformed
from bosd.rpc.rights import METHODS, Rights, action_of
from bosd.rpc.status import abort
from bosd.rpc.tls import Keyring
from bosd.rpc.veil import veil, veil_status, veil_text

Trailing: TypeAlias = tuple[tuple[str, str | bytes], ...]

MAX_STREAMS_PER_PEER = 128
MAX_CALLS_PER_PEER = 512
HANG_UP_S = 0.5
"""For a refusal to get through before its connection is shut."""
LOOK_PERIOD_S = 1.0
LOOK_DEADLINE_S = 1.0
"""For reading the files; a disk that hangs ends no stream later than the 5 s that are allowed for it (control.md)."""
_CANCEL = "/bosd.v1.BatteryService/CancelSchedule"
_STOP = "/bosd.v1.BatteryService/Stop"
"""It has places of its own beside those of its bearer's other calls."""
_PEM_KEY = "x509_pem_cert"
_TRANSPORT_KEY = "transport_security_type"
_clock = SystemClock()


class Guard(grpc.aio.ServerInterceptor):
    """Decides for all services of a node, unary calls and streams alike. `refused` gets action, error, who, batteries."""

    def __init__(self, node: NodeApi, keyring: Keyring, rights: Rights) -> None:
        self._node = node
        self.keyring = keyring
        self._rights = rights
        self._streams: dict[asyncio.Task[Any], Identity] = {}
        self._connections = Connections()
        self._hung_up: set[str] = set()
        self._ended: set[asyncio.Task[Any]] = set()
        self._running: Counter[tuple[str, bool]] = Counter()
        self.exchanged: Callable[[], None] = lambda: None
        """Hears that this node's certificate is another one."""
        self.refused: Callable[[str, BosError, str, Sequence[str]], None] = lambda *_: None

    async def run(self) -> None:
        """Take exchanged files into use, and end the streams of those who may not be here any more, until cancelled.

        Files that cannot be read for now are waited for, one reading at a time; what is known already is judged meanwhile.
        """
        shown = self.keyring.material.certificate_pem
        looking: asyncio.Future[None] | None = None
        while True:
            await asyncio.sleep(LOOK_PERIOD_S)
            looking = looking or asyncio.get_running_loop().run_in_executor(None, self.keyring.look)
            await asyncio.wait((looking,), timeout=LOOK_DEADLINE_S)
            if looking.done():
                looking.result()
                looking = None
            if (now := self.keyring.material.certificate_pem) != shown:
                shown = now
                self.exchanged()
            for task, identity in tuple(self._streams.items()):
                try:
                    self._check_certificate(identity)
                except UnauthenticatedError:
                    self._ended.add(task)
                    task.cancel()

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:  # noqa: ANN401 (grpc's handlers)
        """Return the method's handler with the checks before it."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method: str = handler_call_details.method
        inner = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        make: Any = getattr(grpc, f"{_kind(handler)}_rpc_method_handler")
        if not handler.response_streaming:
            outer: Any = self._unary(method, inner, named=not handler.request_streaming)
        elif inspect.isasyncgenfunction(inner):
            outer = self._generator(method, inner, named=not handler.request_streaming)
        else:
            outer = self._writer(method, inner, named=not handler.request_streaming)
        return make(outer, handler.request_deserializer, handler.response_serializer)

    def _unary(self, method: str, inner: Any, *, named: bool) -> Any:  # noqa: ANN401
        async def call(request: Any, context: Any) -> Any:  # noqa: ANN401
            if _is_local(context):
                return await inner(request, context)
            peer: str = context.peer()  # asked in time: of a call that is over it ends the process, below grpcio
            identity = await self._admit(method, request if named else None, context, stream=False)
            key = (identity.holder, False)
            self._running[key] += 1
            try:
                seen = _Seen(context, self, identity)
                return seen.veiled(await inner(request, seen))
            finally:
                self._running[key] -= 1
                self._connections.end(identity.holder, peer)

        return call

    def _writer(self, method: str, inner: Any, *, named: bool) -> Any:  # noqa: ANN401
        async def call(request: Any, context: Any) -> None:  # noqa: ANN401
            if _is_local(context):
                await inner(request, context)
                return
            peer: str = context.peer()  # as above
            identity = await self._admit(method, request if named else None, context, stream=True)
            task = self._begin(identity)
            try:
                await inner(request, _Seen(context, self, identity))
            except asyncio.CancelledError:
                await self._end_or_raise(task, method, identity, context)
            finally:
                self._finish(task, identity, peer)

        return call

    def _generator(self, method: str, inner: Any, *, named: bool) -> Any:  # noqa: ANN401
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
            if _is_local(context):
                async for message in inner(request, context):
                    yield message
                return
            peer: str = context.peer()  # as above
            identity = await self._admit(method, request if named else None, context, stream=True)
            task = self._begin(identity)
            seen = _Seen(context, self, identity)
            try:
                async for message in inner(request, seen):
                    yield seen.veiled(message)
            except asyncio.CancelledError:
                await self._end_or_raise(task, method, identity, context)
            finally:
                self._finish(task, identity, peer)

        return call

    def _begin(self, identity: Identity) -> asyncio.Task[Any]:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (gRPC runs every handler in one)
        self._streams[task] = identity
        self._running[identity.holder, True] += 1
        return task

    def _finish(self, task: asyncio.Task[Any], identity: Identity, peer: str) -> None:
        self._streams.pop(task, None)
        self._ended.discard(task)
        self._running[identity.holder, True] -= 1
        self._connections.end(identity.holder, peer)

    async def _end_or_raise(self, task: asyncio.Task[Any], method: str, identity: Identity, context: Any) -> NoReturn:  # noqa: ANN401
        if task not in self._ended:
            raise asyncio.CancelledError
        task.uncancel()
        try:
            self._check_certificate(identity)
        except UnauthenticatedError as error:
            await self._refuse(action_of(method, None), error, identity.holder, (), context)
        raise asyncio.CancelledError

    async def _admit(self, method: str, request: Any, context: Any, *, stream: bool) -> Identity:  # noqa: ANN401
        """Return who calls, or end the call with the reason why not, recorded."""
        peer: str = context.peer()
        who = peer.rpartition(":")[0]
        names: tuple[str, ...] = ()
        begun = admitted = False
        try:
            identity = _identity(context)
            who = identity.holder
            self._check_certificate(identity)
            self._connections.begin(who, peer, _clock.now_s())
            begun = True
            rule = METHODS.get(method)
            request = None if isinstance(request, Malformed) else request
            names = tuple(rule.names(request))[:100] if rule is not None and request is not None else ()
            most = MAX_STREAMS_PER_PEER if stream else MAX_CALLS_PER_PEER * (2 if method == _STOP else 1)
            if self._running[who, stream] >= most:
                kind = "streams" if stream else "calls"
                raise NoResourcesError(f"{who} has {most} {kind} running, which is the most", most=most)
            self._rights.check(method, identity, request)
            if method == _CANCEL and request is not None:
                await self._check_booking(identity, request.id)
        except BosError as error:
            if isinstance(error, UnauthenticatedError) or not begun:
                self._hang_up_soon(peer)
            await self._refuse(action_of(method, request), error, who, names, context)
        else:
            admitted = True
            return identity
        finally:
            if begun and not admitted:  # refused, or its caller went
                self._connections.end(who, peer)

    def _hang_up_soon(self, peer: str) -> None:
        """Shut a connection that may not be here, once for however many calls over it are refused."""
        if peer not in self._hung_up:
            self._hung_up.add(peer)
            asyncio.get_running_loop().call_later(HANG_UP_S, self._hang_up, peer)

    def _hang_up(self, peer: str) -> None:
        self._hung_up.discard(peer)
        with contextlib.suppress(RuntimeError):  # the loop has no threads any more: the process ends, and so do its connections
            asyncio.get_running_loop().run_in_executor(None, hang_up, peer)

    async def _check_booking(self, identity: Identity, booking_id: str) -> None:
        granted = self._rights.commanded(identity)
        if granted is None:
            return
        stub, at_owner, _ = booking_id.partition(SEPARATOR)
        if at_owner and stub in granted:
            return  # it cancels none but this battery's
        if not any(each.booking_id == booking_id and each.name in granted for each in await self._node.bookings()):
            raise NotAllowedError(f"{identity.holder} may not cancel {booking_id[:64]}: no booking of a battery granted to it")

    def _check_certificate(self, identity: Identity) -> None:
        if identity.serial in self.keyring.material.revocations.serials:
            raise UnauthenticatedError(
                f"the certificate {identity.serial:x} of {identity.holder} is revoked; its CA may issue another",
                who=identity.holder,
            )
        if identity.ends_utc_s <= SystemClock().utc_s():
            raise UnauthenticatedError(
                f"the certificate of {identity.holder} has expired: `bosctl ca renew {identity.holder}`", who=identity.holder
            )

    async def _refuse(self, action: str, error: BosError, who: str, names: Sequence[str], context: Any) -> NoReturn:  # noqa: ANN401
        self.refused(action, error, who, names)
        await abort(context, error)

    def veil(self, message: Any, identity: Identity) -> Any:  # noqa: ANN401
        """Return a message as the asker may see it."""
        seen = self._rights.seen(identity)
        if seen is not None and hasattr(message, "ListFields"):
            veil(message, seen, self._known(), identity.holder)
        return message

    def granted_to(self, holder: str) -> frozenset[str] | None:
        """Return the batteries that are granted to `ROLE:NAME`; None for all of them."""
        return self._rights.granted_to(holder)

    def _known(self) -> set[str]:
        return {*self._node.names(), *(entry.splitter for entry in self._node.topology().entries if entry.splitter)}

    def veil_refusal(self, text: str, trailing: Trailing, identity: Identity) -> tuple[str, Trailing]:
        """Return a refusal as the asker may see it."""
        seen = self._rights.seen(identity)
        if seen is None:
            return text, trailing
        known = self._known()
        covered = tuple((key, veil_status(value, seen, known) if isinstance(value, bytes) else value) for key, value in trailing)
        return veil_text(text, seen, known), covered


class _Seen:
    """A call's context as the services see it: the caller is who the certificate says, and reads what it may."""

    def __init__(self, context: Any, guard: Guard, identity: Identity) -> None:  # noqa: ANN401
        self._context = context
        self._guard = guard
        self._identity = identity

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Return what the context has."""
        return getattr(self._context, name)

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return the metadata with the certificate's identity for what the caller calls itself."""
        told = tuple((key, value) for key, value in self._context.invocation_metadata() or () if key != CLIENT_KEY)
        return (*told, (CLIENT_KEY, self._identity.holder))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Trailing = ()) -> NoReturn:
        """End the call with a refusal as the caller may see it."""
        await self._context.abort(code, *self._guard.veil_refusal(details, trailing_metadata, self._identity))
        raise AssertionError  # abort raises

    def veiled(self, message: Any) -> Any:  # noqa: ANN401
        """Return a message as the caller may see it."""
        return self._guard.veil(message, self._identity)

    async def write(self, message: Any) -> None:  # noqa: ANN401
        """Write a message as the caller may see it."""
        await self._context.write(self.veiled(message))


def _kind(handler: Any) -> str:  # noqa: ANN401
    return f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"


def _is_local(context: Any) -> bool:  # noqa: ANN401
    """Tell whether a call came without TLS; such listeners are on loopback or unix sockets only."""
    transport = context.auth_context().get(_TRANSPORT_KEY)
    return transport is not None and list(transport) == [b"insecure"]


def _identity(context: Any) -> Identity:  # noqa: ANN401
    found = context.auth_context().get(_PEM_KEY)
    if not found:
        raise UnauthenticatedError("the caller shows no certificate")
    return _parsed(bytes(found[0]))


@lru_cache(maxsize=1024)
def _parsed(pem: bytes) -> Identity:
    return identity_of(x509.load_pem_x509_certificate(pem))
