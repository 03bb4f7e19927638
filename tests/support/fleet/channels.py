"""gRPC without sockets: channels and servers whose messages, serialised as ever, travel over `Wires`.

What the production code uses of `grpc.aio` and nothing more. A call goes to whatever process listens at its target when it
arrives: a late one meets the next run of a node, which must fence it. A stream belongs to the run that answered it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, Protocol, Self

import grpc
import grpc.aio

from tests.support.fleet.process_loop import Life, context_of
from tests.support.fleet.wires import Pipe, Wires

KEEPALIVE_S = 15.0
"""After so long a silence a server gives up a connection (bosd/rpc/server.py: 10 s, then 5 s)."""
_LOOK_S = 5.0
_ANSWERED_S = 10.0
Metadata = Sequence[tuple[str, str | bytes]]


class Listener(Protocol):
    """A process that serves."""

    life: Life
    host: str
    handlers: dict[str, Any]
    tasks: "set[asyncio.Task[None]]"


class Hosts(Protocol):
    """Who knows what listens where."""

    wires: Wires

    def listening(self, target: str) -> Listener | None:
        """Return the process that listens at a target now."""
        ...

    def host_at(self, target: str) -> str:
        """Return the host of a target."""
        ...

    def powered(self, host: str) -> bool:
        """Tell whether the host's kernel answers, if only by refusing."""
        ...

    def arrived(self, path: str, request: bytes, sent: "Sent", server: Listener) -> None:
        """Hear of a call's arrival, to judge it independently."""
        ...

    def answered(self, path: str, request: bytes, sent: "Sent", server: Listener) -> None:
        """Hear of a call that was carried out."""
        ...

    def repeats_after_s(self, path: str) -> float | None:
        """Return when a call arrives a second time, sent by nobody; None: never."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """When and by which run a message was sent, to what then was there; for whoever judges from outside."""

    at_s: float
    client: Life
    server: Life | None


@dataclass(slots=True)
class _End:
    """The end of a call."""

    code: grpc.StatusCode
    details: str = ""
    trailing: Metadata = ()
    reply: bytes = b""

    def error(self) -> grpc.aio.AioRpcError:
        trailing = grpc.aio.Metadata(*self.trailing)
        return grpc.aio.AioRpcError(self.code, grpc.aio.Metadata(), trailing, details=self.details)


class _Context:
    """What a servicer sees of one call."""

    def __init__(self, peer: str, metadata: Metadata, ends_s: float | None, write: Callable[[Any], None]) -> None:
        self._peer = peer
        self._metadata = tuple(metadata)
        self._ends_s = ends_s
        self._write = write
        self.end = _End(grpc.StatusCode.OK)

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    def peer(self) -> str:
        return f"sim:{self._peer}:1"

    def time_remaining(self) -> float | None:
        return None if self._ends_s is None else max(0.0, self._ends_s - asyncio.get_running_loop().time())

    async def write(self, message: Any) -> None:
        self._write(message)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()) -> NoReturn:
        self.end = _End(code, details, trailing_metadata)
        raise grpc.aio.AbortError


class Registry:
    """Stands where a server would, to learn the handlers of services."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Take no notice: the same come by name."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Keep handlers by their paths."""
        self.handlers.update({f"/{service}/{method}": handler for method, handler in handlers.items()})


@dataclass(eq=False)
class _Call:
    """One call as both ends and the wires know it; one that is `alone` may overtake others, and be lost."""

    channel: "SimChannel"
    path: str
    metadata: Metadata
    ends_s: float | None
    on_reply: Callable[[bytes | _End], None]
    alone: bool
    requests: Pipe = field(default_factory=Pipe)
    replies: Pipe = field(default_factory=Pipe)
    server: Listener | None = None
    task: "asyncio.Task[None] | None" = None
    inbox: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    over: bool = False

    def to_server(self, label: str, act: Callable[[Listener], None]) -> None:
        """Have something happen at the serving process; where none is, or another run, the connection is refused."""
        channel = self.channel

        def arrive() -> None:
            now = channel.hosts.listening(channel.target)
            if now is None or (self.server is not None and now is not self.server):
                if channel.hosts.powered(channel.host):
                    self.to_client("reset", _End(grpc.StatusCode.UNAVAILABLE, "connection refused"), last=True)
                return
            act(now)

        pipe = None if self.alone else self.requests
        channel.hosts.wires.send(channel.life_host, channel.host, f"{self.path} {label}", arrive, pipe)

    def to_client(self, label: str, what: bytes | _End, *, last: bool) -> None:
        """Send a reply, or the end."""
        channel = self.channel

        def arrive() -> None:
            if not self.over and not channel.life.dead:
                self.over = last
                channel.loop.call_soon(self.on_reply, what, context=context_of(channel.life))

        pipe = None if self.alone else self.replies
        channel.hosts.wires.send(channel.host, channel.life_host, f"{self.path} {label}", arrive, pipe)

    def _cancel(self, server: Listener) -> None:
        if self.task is not None:
            self.channel.loop.call_soon(self.task.cancel, context=context_of(server.life))

    def give_up(self) -> None:
        """Let the server know, if it hears that, that nobody waits any more."""
        if not self.over:
            self.over = True
            self.to_server("cancel", self._cancel)


class _Unary:
    """`unary_unary` of a channel."""

    def __init__(self, channel: "SimChannel", path: str, serialize: Any, deserialize: Any) -> None:
        self._channel, self._path, self._serialize, self._deserialize = channel, path, serialize, deserialize

    async def __call__(self, request: Any, *, timeout: float | None = None, metadata: Metadata | None = None) -> Any:  # noqa: ASYNC109
        channel, data = self._channel, self._serialize(request)
        loop = channel.loop
        done: asyncio.Future[_End] = loop.create_future()

        def on_reply(end: bytes | _End) -> None:
            assert isinstance(end, _End)
            if not done.done():
                done.set_result(end)

        ends_s = None if timeout is None else loop.time() + timeout
        call = _Call(channel, self._path, metadata or (), ends_s, on_reply, alone=True)
        sent = Sent(loop.time(), channel.life, channel.server_life())
        channel.open[done] = call
        call.to_server(f"call {len(data)}", lambda server: serve_unary(server, call, data, sent))
        if (after_s := channel.hosts.repeats_after_s(self._path)) is not None:
            again = _Call(channel, self._path, call.metadata, loop.time() + after_s + _ANSWERED_S, lambda _end: None, alone=True)
            repeat = Sent(sent.at_s, sent.client, sent.server)
            arrive = partial(again.to_server, f"repeat {len(data)}", lambda server: serve_unary(server, again, data, repeat))
            loop.call_later(after_s, arrive, context=context_of(None))
        try:
            async with asyncio.timeout(timeout):
                end = await done
        except TimeoutError:
            raise _End(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded").error() from None
        finally:
            channel.open.pop(done, None)
            call.give_up()
        if end.code is not grpc.StatusCode.OK:
            raise end.error()
        return self._deserialize(end.reply)


class _Stream:
    """A streaming call: iterate it for replies; `cancel` ends it."""

    def __init__(self, channel: "SimChannel", path: str, codec: tuple[Any, Any], request: Any, metadata: Metadata) -> None:
        serialize, self._deserialize = codec
        self._channel = channel
        self._got: deque[bytes | _End] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._cancelled = False
        self.call = _Call(channel, path, metadata, None, self._take, alone=False)
        self._pump: asyncio.Task[None] | None = None
        channel.open[self] = self.call
        if isinstance(request, AsyncIterable):
            self.call.to_server("open", lambda server: serve_stream(server, self.call, None))
            self._pump = channel.loop.create_task(self._send_all(request, serialize), name=f"requests {path}")
        else:
            data = serialize(request)
            self.call.to_server(f"open {len(data)}", lambda server: serve_stream(server, self.call, data))

    async def _send_all(self, requests: AsyncIterable[Any], serialize: Any) -> None:
        async for request in requests:
            data = serialize(request)
            self.call.to_server(f"message {len(data)}", partial(self._arrived, data))

    def _arrived(self, data: bytes, server: Listener) -> None:
        self._channel.loop.call_soon(self.call.inbox.put_nowait, data, context=context_of(server.life))

    def _take(self, what: bytes | _End) -> None:
        self._got.append(what)
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while not self._got:
            if self._cancelled:
                raise asyncio.CancelledError
            self._waiting = self._channel.loop.create_future()
            await self._waiting
        what = self._got.popleft()
        if isinstance(what, bytes):
            return self._deserialize(what)
        self._close()
        if what.code is grpc.StatusCode.OK:
            raise StopAsyncIteration
        raise what.error()

    def _close(self) -> None:
        self._channel.open.pop(self, None)
        if self._pump is not None:
            self._pump.cancel()

    def cancel(self) -> bool:
        """End the call; whoever reads it is cancelled."""
        if self._cancelled:
            return False
        self._cancelled = True
        self._close()
        self.call.give_up()
        self._wake()
        return True


class SimChannel(grpc.aio.Channel):
    """The channel of the process `life` on `life_host` to a target."""

    def __init__(self, hosts: Hosts, life: Life, life_host: str, target: str) -> None:
        self.hosts, self.life, self.life_host, self.target = hosts, life, life_host, target
        self.loop = asyncio.get_running_loop()
        self.host = hosts.host_at(target)
        self.open: dict[Any, _Call] = {}
        """The call of each stream, and of each future that a unary call waits for."""
        self.closed = False
        self._state = grpc.ChannelConnectivity.IDLE
        self._changed: asyncio.Future[None] | None = None

    def server_life(self) -> Life | None:
        """Return the run that listens at the other end now."""
        server = self.hosts.listening(self.target)
        return None if server is None else server.life

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return READY or TRANSIENT_FAILURE once the other end, or its kernel, has answered."""
        if try_to_connect and self._state is grpc.ChannelConnectivity.IDLE:
            self._state = grpc.ChannelConnectivity.CONNECTING
            self._changed = self.loop.create_future()
            self.hosts.wires.send(self.life_host, self.host, "connect", self._knocked, Pipe())
        return self._state

    def _knocked(self) -> None:
        if self.hosts.powered(self.host):
            accepted = self.hosts.listening(self.target) is not None
            state = grpc.ChannelConnectivity.READY if accepted else grpc.ChannelConnectivity.TRANSIENT_FAILURE
            self.hosts.wires.send(self.host, self.life_host, state.name, lambda: self._decided(state), Pipe())

    def _decided(self, state: grpc.ChannelConnectivity) -> None:
        self._state = state
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state is another."""
        if self._state is last_observed_state and self._changed is not None:
            await asyncio.shield(self._changed)

    def unary_unary(self, method: str, request_serializer: Any = None, response_deserializer: Any = None, **_: object) -> Any:
        """Return what makes unary calls."""
        return _Unary(self, method, request_serializer, response_deserializer)

    def _streaming(self, method: str, serialize: Any, deserialize: Any) -> Any:
        def call(request: Any, *, timeout: float | None = None, metadata: Metadata | None = None) -> _Stream:
            del timeout
            return _Stream(self, method, (serialize, deserialize), request, metadata or ())

        return call

    def unary_stream(self, method: str, request_serializer: Any = None, response_deserializer: Any = None, **_: object) -> Any:
        """Return what makes calls with many replies."""
        return self._streaming(method, request_serializer, response_deserializer)

    def stream_stream(self, method: str, request_serializer: Any = None, response_deserializer: Any = None, **_: object) -> Any:
        """Return what makes calls with many messages both ways."""
        return self._streaming(method, request_serializer, response_deserializer)

    def stream_unary(self, method: str, *_: object, **__: object) -> NoReturn:
        """Refuse: nothing of this project does that."""
        raise NotImplementedError(method)

    async def channel_ready(self) -> None:
        """Wait for the first answer."""
        while (state := self.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            await self.wait_for_state_change(state)

    async def close(self, grace: float | None = None) -> None:
        """End every call."""
        del grace
        self.closed = True
        for each in tuple(self.open):
            each.cancel()
        self._state = grpc.ChannelConnectivity.SHUTDOWN

    def abandoned(self) -> None:
        """Have the kernel of a process that was killed close its connection: the server ends what it does for it."""
        for call in self.open.values():
            call.give_up()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Once:
    """Gives way to what is ready, as a real server does between messages."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def _finish(call: _Call, context: _Context, work: Any) -> _End:
    """Return how a handler ended."""
    try:
        reply = await work
    except grpc.aio.AbortError:
        return context.end
    except asyncio.CancelledError:
        call.over = True
        raise
    return _End(grpc.StatusCode.OK, reply=reply)


def _serving(server: Listener, call: _Call, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Have the serving process do work, and keep it until it is done."""
    task = call.channel.loop.create_task(work, name=f"serve {call.path}", context=context_of(server.life))
    server.tasks.add(task)
    task.add_done_callback(server.tasks.discard)
    return task


def serve_unary(server: Listener, call: _Call, data: bytes, sent: Sent) -> None:
    """Handle a call that arrived."""
    hosts = call.channel.hosts
    hosts.arrived(call.path, data, sent, server)
    handler = server.handlers.get(call.path)
    if handler is None:
        call.to_client("end", _End(grpc.StatusCode.UNIMPLEMENTED, "unknown method"), last=True)
        return

    async def handle() -> None:
        context = _Context(call.channel.life_host, call.metadata, call.ends_s, lambda _: None)
        request = handler.request_deserializer(data)
        async with asyncio.timeout_at(call.ends_s) as deadline:
            end = await _finish(call, context, handler.unary_unary(request, context))
        if deadline.expired():
            return
        if end.code is grpc.StatusCode.OK:
            end.reply = handler.response_serializer(end.reply)
            hosts.answered(call.path, data, sent, server)
        call.to_client(f"end {end.code.name} {len(end.reply)}", end, last=True)

    async def bounded() -> None:
        try:
            await handle()
        except TimeoutError:
            return

    call.task = _serving(server, call, bounded())


def serve_stream(server: Listener, call: _Call, data: bytes | None) -> None:
    """Handle a stream that arrived: `data` is its one request, None where requests come as messages."""
    loop = call.channel.loop
    call.server = server
    handler = server.handlers.get(call.path)
    if handler is None:
        call.to_client("end", _End(grpc.StatusCode.UNIMPLEMENTED, "unknown method"), last=True)
        return

    def write(message: Any) -> None:
        reply = handler.response_serializer(message)
        call.to_client(f"message {len(reply)}", reply, last=False)

    async def requests() -> AsyncIterator[Any]:
        while True:
            yield handler.request_deserializer(await call.inbox.get())

    async def answer(context: _Context) -> None:
        if data is None:
            async for message in handler.stream_stream(requests(), context):
                write(message)
                await _Once()
        else:
            await handler.unary_stream(handler.request_deserializer(data), context)

    async def handle() -> None:
        context = _Context(call.channel.life_host, call.metadata, None, write)
        end = await _finish(call, context, answer(context))
        end.reply = b""
        call.to_client(f"end {end.code.name}", end, last=True)

    call.task = _serving(server, call, handle())
    loop.call_later(_LOOK_S, _keep_alive, call, context=context_of(None))


def _keep_alive(call: _Call) -> None:
    """Give up a stream whose other end was not heard for as long as a server waits."""
    channel = call.channel
    if call.task is None or call.task.done() or call.over:
        return
    if channel.life.dead or channel.hosts.wires.silent_s(channel.life_host, channel.host) >= KEEPALIVE_S:
        call.over = True
        task = call.task
        channel.loop.call_soon(task.cancel, context=context_of(call.server.life if call.server else None))
        return
    channel.loop.call_later(_LOOK_S, _keep_alive, call, context=context_of(None))
