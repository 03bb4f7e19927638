"""A stand-in for the external EEBUS service, made from the tables of its wire: it plays every event, error, hang and loss.

As a program it is the service and a control box in one:

    python -m tests.support.eebus_mock --grpc-port 50051 --limit 4200 --after 10

It sends heartbeats and, after a while, a limit; further lines on standard input are played as they come: `heartbeat`,
`limit WATTS [SECONDS]`, `unlimited`, `failsafe WATTS`, `duration SECONDS`, `support`, `silent`, `heard`, `lose` (both
streams), `quit`.
"""

import argparse
import asyncio
import contextlib
import math
import os
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from tests.support.eebus_tables import CONTROL, CONTROL_SERVICE, LPC, LPC_SERVICE, message_class

SKI = "a" * 40
NS = 1_000_000_000
CONTROLLABLE_SYSTEM, LIMITATION_OF_POWER_CONSUMPTION = 6, 15

Behaviour = Callable[[Any, Any], Awaitable[Any]]
"""Takes the request and the context; returns a response, or None to go on as usual."""


class Stopped(Exception):  # noqa: N818
    """Ends a stream."""


def limit(value_w: float, *, active: bool = True, duration_s: float = 0.0, delete_duration: bool = False) -> Any:
    """Return a limit as the wire has it."""
    return message_class("common_types.LoadLimit")(
        value=value_w,
        is_active=active,
        is_changeable=True,
        duration_nanoseconds=round(duration_s * NS),
        delete_duration=delete_duration,
    )


async def hang(_request: Any, _context: Any) -> Any:
    """Never answer."""
    await asyncio.Event().wait()


def error(code: grpc.StatusCode, text: str) -> Behaviour:
    """Return a behaviour that ends every call so."""

    async def refuse(_request: Any, context: Any) -> Any:
        await context.abort(code, text)

    return refuse


class EebusMock:
    """One service; `calls` holds every call in order, `behaviours` by method stand in for what it does by itself.

    `at_once` is the most calls that were ever answered at the same time.
    """

    def __init__(self, *, resets: bool = False, discovers: bool = True) -> None:
        self.resets = resets
        self.discovers = discovers
        self.calls: list[tuple[str, Any]] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.state = "Setup"
        self.use_case_added = False
        self.limit = limit(0.0, active=False)
        self.failsafe_w = 0.0
        self.failsafe_duration_ns = 0
        self.pending: dict[int, Any] = {}
        self.decisions: dict[int, tuple[bool, str]] = {}
        self.registered: list[str] = []
        self.at_once = 0
        self.port = 0
        self.endpoint_port = 0
        self._answering = 0
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._discoveries: asyncio.Queue[Any] = asyncio.Queue()
        self._server: Any = None
        self._lpc_server: Any = None
        self._changed = asyncio.Event()

    # --- life

    async def start(self, port: int = 0) -> int:
        """Listen; return the port."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self._control_handlers(),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port or self.port}")
        await self._server.start()
        return self.port

    async def kill(self) -> None:
        """Be gone at once, with all streams; what it knew is lost, as a process's memory is."""
        for server in (self._server, self._lpc_server):
            if server is not None:
                await server.stop(None)
        self._server = self._lpc_server = None
        self._forget()

    def _forget(self) -> None:
        self.state, self.use_case_added, self.registered = "Setup", False, []
        self._events, self._discoveries = asyncio.Queue(), asyncio.Queue()

    def lose_streams(self) -> None:
        """End both streams in order; the service lives on."""
        self._events.put_nowait(Stopped())
        self._discoveries.put_nowait(Stopped())

    def hang_all(self) -> None:
        """Answer no call any more; the connections stay."""
        self.behaviours = dict.fromkeys((*CONTROL, *LPC), hang)

    # --- what the peer does

    def emit(self, event: str, ski: str = SKI) -> None:
        """Send an event of the use case."""
        message = message_class("control_service.SubscribeUseCaseEventsResponse")(remote_ski=ski)
        message.remote_entity_address.entity_address.append(1)
        message.use_case_event.event = event
        message.use_case_event.use_case.actor = CONTROLLABLE_SYSTEM
        message.use_case_event.use_case.name = LIMITATION_OF_POWER_CONSUMPTION
        self._events.put_nowait(message)

    def heartbeat(self, ski: str = SKI) -> None:
        """The peer is there."""
        self.emit("DataUpdateHeartbeat", ski)

    def show_limit(self, shown: Any, ski: str = SKI) -> None:
        """A limit stands in the data."""
        self.limit = shown
        self.emit("DataUpdateLimit", ski)

    def ask(self, counter: int, wanted: Any, ski: str = SKI, event: str = "WriteApprovalRequired") -> None:
        """The peer writes; the write waits for approval."""
        self.pending[counter] = wanted
        self.emit(event, ski)

    async def write(self, counter: int, wanted: Any, ski: str = SKI) -> bool:
        """Write as a peer does: ask, and show the limit once it is approved."""
        self.ask(counter, wanted, ski)
        await self.until(lambda: counter in self.decisions)
        approved, _ = self.decisions[counter]
        if approved:
            self.show_limit(wanted, ski)
        return approved

    def write_failsafe(self, *, power_w: float | None = None, duration_s: float | None = None, ski: str = SKI) -> None:
        """The peer writes failsafe values."""
        if power_w is not None:
            self.failsafe_w = power_w
            self.emit("DataUpdateFailsafeConsumptionActivePowerLimit", ski)
        if duration_s is not None:
            self.failsafe_duration_ns = round(duration_s * NS)
            self.emit("DataUpdateFailsafeDurationMinimum", ski)

    def discover(self, ski: str, *, trusted: bool = False, kind: int = 1) -> None:
        """A peer is seen on the network (1), or gone (2)."""
        message = message_class("control_service.DiscoveryEvent")(type=kind, remote_ski=ski, brand="box", is_trusted=trusted)
        self._discoveries.put_nowait(message)

    # --- what a test looks at

    def named(self, method: str) -> list[Any]:
        """Return the requests of one method, in order."""
        return [request for name, request in self.calls if name == method]

    async def until(self, is_so: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait until something is so; looked at after each call. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    # --- serving

    def _control_handlers(self) -> Any:
        handlers = {}
        for name, (request, response) in CONTROL.items():
            take = message_class(f"control_service.{request}").FromString
            make = message_class(f"control_service.{response}").SerializeToString
            if name.startswith("Subscribe"):
                handlers[name] = grpc.unary_stream_rpc_method_handler(self._streaming(name), take, make)
            elif name != "ResetService" or self.resets:
                handlers[name] = grpc.unary_unary_rpc_method_handler(
                    self._answering_to(name, f"control_service.{response}"), take, make
                )
        if not self.discovers:
            del handlers["SubscribeDiscoveryEvents"]
        return grpc.method_handlers_generic_handler(CONTROL_SERVICE, handlers)

    def _lpc_handlers(self) -> Any:
        return grpc.method_handlers_generic_handler(
            LPC_SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    self._answering_to(name, f"cs_lpc.{name}Response"),
                    message_class(f"cs_lpc.{name}Request").FromString,
                    message_class(f"cs_lpc.{name}Response").SerializeToString,
                )
                for name in LPC
            },
        )

    def _answering_to(self, name: str, response: str) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            self._answering += 1
            self.at_once = max(self.at_once, self._answering)
            try:
                self.calls.append((name, request))
                self._changed.set()
                if (behave := self.behaviours.get(name)) is not None and (made := await behave(request, context)) is not None:
                    return made
                act = getattr(self, f"_on_{name}", None)
                made = None if act is None else await act(request, context)
                self._changed.set()
                return message_class(response)() if made is None else made
            finally:
                self._answering -= 1

        return answer

    def _streaming(self, name: str) -> Any:
        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            self.calls.append((name, request))
            self._changed.set()
            if (behave := self.behaviours.get(name)) is not None:
                await behave(request, context)
            queue = self._events if name == "SubscribeUseCaseEvents" else self._discoveries
            while True:
                message = await queue.get()
                if isinstance(message, Stopped):
                    return
                yield message

        return stream

    async def _need(self, context: Any, *states: str) -> None:
        if self.state not in states:
            await context.abort(grpc.StatusCode.UNKNOWN, f"service is not in {' or '.join(states).lower()} state")

    async def _on_SetConfig(self, request: Any, context: Any) -> None:  # noqa: N802
        await self._need(context, "Setup")

    async def _on_StartSetup(self, request: Any, context: Any) -> None:  # noqa: N802
        await self._need(context, "Setup")
        self.state = "Ready"

    async def _on_RegisterRemoteSki(self, request: Any, context: Any) -> None:  # noqa: N802
        await self._need(context, "Ready", "Running")
        self.registered.append(request.remote_ski)

    async def _on_AddUseCase(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.use_case.name != LIMITATION_OF_POWER_CONSUMPTION:
            await context.abort(grpc.StatusCode.UNKNOWN, "Not implemented")
        if self.use_case_added:
            await context.abort(grpc.StatusCode.UNKNOWN, "Use case already supported")
        self.use_case_added = True
        if self._lpc_server is None:
            self._lpc_server = grpc.aio.server()
            self._lpc_server.add_generic_rpc_handlers((self._lpc_handlers(),))
            self.endpoint_port = self._lpc_server.add_insecure_port("127.0.0.1:0")
            await self._lpc_server.start()
        return message_class("control_service.AddUseCaseResponse")(endpoint=f"localhost:{self.endpoint_port}")

    async def _on_StartService(self, request: Any, context: Any) -> None:  # noqa: N802
        await self._need(context, "Ready")
        self.state = "Running"

    async def _on_StopService(self, request: Any, context: Any) -> None:  # noqa: N802
        await self._need(context, "Running")
        self.state = "Stopped"

    async def _on_ResetService(self, request: Any, context: Any) -> None:  # noqa: N802
        self._forget()

    async def _on_ConsumptionLimit(self, request: Any, context: Any) -> Any:  # noqa: N802
        return message_class("cs_lpc.ConsumptionLimitResponse")(load_limit=self.limit)

    async def _on_SetConsumptionLimit(self, request: Any, context: Any) -> None:  # noqa: N802
        self.limit = request.load_limit

    async def _on_PendingConsumptionLimit(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = message_class("cs_lpc.PendingConsumptionLimitResponse")()
        for counter, wanted in self.pending.items():
            response.load_limits[counter].CopyFrom(wanted)
        return response

    async def _on_ApproveOrDenyConsumptionLimit(self, request: Any, context: Any) -> None:  # noqa: N802
        if request.msg_counter not in self.pending:
            await context.abort(grpc.StatusCode.UNKNOWN, f"no write {request.msg_counter} is pending")
        del self.pending[request.msg_counter]
        self.decisions[request.msg_counter] = request.approve, request.reason

    async def _on_FailsafeConsumptionActivePowerLimit(self, request: Any, context: Any) -> Any:  # noqa: N802
        return message_class("cs_lpc.FailsafeConsumptionActivePowerLimitResponse")(limit=self.failsafe_w, is_changeable=True)

    async def _on_SetFailsafeConsumptionActivePowerLimit(self, request: Any, context: Any) -> None:  # noqa: N802
        self.failsafe_w = request.value

    async def _on_FailsafeDurationMinimum(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = message_class("cs_lpc.FailsafeDurationMinimumResponse")
        return response(duration_nanoseconds=self.failsafe_duration_ns, is_changeable=True)

    async def _on_SetFailsafeDurationMinimum(self, request: Any, context: Any) -> None:  # noqa: N802
        self.failsafe_duration_ns = request.duration_nanoseconds


class Box:
    """A control box at a terminal: heartbeats, and what is asked for by lines."""

    def __init__(self, mock: EebusMock, heartbeat_s: float) -> None:
        self._mock = mock
        self._heartbeat_s = heartbeat_s
        self._silent = False
        self._counter = 0

    async def beat(self) -> None:
        """Send heartbeats, for ever, from when a service is started, while the box is not silent."""
        await self._mock.until(lambda: self._mock.state == "Running", math.inf)
        while True:
            if self._mock.state == "Running" and not self._silent:
                self._mock.heartbeat()
            await asyncio.sleep(self._heartbeat_s)

    async def limit(self, value_w: float, duration_s: float = 0.0, *, active: bool = True) -> None:
        """Write a limit, and say what became of it."""
        self._counter += 1
        wanted = limit(value_w, active=active, duration_s=duration_s)
        try:
            approved = await self._mock.write(self._counter, wanted)
        except TimeoutError:
            print("not answered", flush=True)  # noqa: T201
            return
        said = "approved" if approved else f"denied: {self._mock.decisions[self._counter][1]}"
        print(f"{'limit' if active else 'unlimited'} {value_w:g} W: {said}", flush=True)  # noqa: T201

    async def play(self, line: str) -> bool:
        """Do what a line says; return whether to go on."""
        word, *rest = line.split()
        numbers = [float(each) for each in rest]
        mock = self._mock
        match word, numbers:
            case "heartbeat", []:
                mock.heartbeat()
            case "limit", [value_w, *more]:
                await self.limit(value_w, *more[:1])
            case "unlimited", []:
                await self.limit(0.0, active=False)
            case "failsafe", [value_w]:
                mock.write_failsafe(power_w=value_w)
            case "duration", [duration_s]:
                mock.write_failsafe(duration_s=duration_s)
            case "support", []:
                mock.emit("UseCaseSupportUpdate")
            case (("silent" | "heard"), []):
                self._silent = word == "silent"
            case "lose", []:
                mock.lose_streams()
            case "quit", []:
                return False
            case _:
                print(f"what is {line.strip()!r}?", flush=True)  # noqa: T201
        return True


async def main(arguments: argparse.Namespace) -> None:
    """Serve until `quit`."""
    mock = EebusMock(resets=arguments.resets, discovers=not arguments.old)
    port = await mock.start(arguments.grpc_port)
    print(f"the EEBUS service stands at localhost:{port}", flush=True)  # noqa: T201
    box = Box(mock, arguments.heartbeat)
    reader = asyncio.StreamReader()
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if sys.stdin.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    else:
        reader.feed_eof()

    async def later(delay_s: float, act: Callable[[], Awaitable[None]]) -> None:
        await mock.until(lambda: bool(mock.named("StartHeartbeat")), math.inf)
        if math.isfinite(delay_s):
            await asyncio.sleep(delay_s)
            await act()

    async def write() -> None:
        await box.limit(arguments.limit, arguments.duration)

    async def lose() -> None:
        mock.lose_streams()

    async with asyncio.TaskGroup() as group:
        limit_after_s = math.inf if math.isnan(arguments.limit) else arguments.after
        tasks = [group.create_task(each) for each in (box.beat(), later(limit_after_s, write), later(arguments.lose_after, lose))]
        while line := await reader.readline():
            try:
                if line.strip() and not await box.play(line.decode()):
                    break
            except ValueError:
                print(f"what is {line.decode(errors='replace').strip()!r}?", flush=True)  # noqa: T201
        else:
            await asyncio.Event().wait()
        for task in tasks:
            task.cancel()
    await mock.kill()


def parsed(words: list[str] | None = None) -> argparse.Namespace:
    """Return the options; those of the real binary are taken too."""
    parser = argparse.ArgumentParser(description="a stand-in for the EEBUS service and a control box")
    parser.add_argument("--grpc-port", "-port", type=int, default=50051)
    parser.add_argument("-certificate-path", default="", help="taken, as the real binary does; not used")
    parser.add_argument("-private-key-path", default="", help="likewise")
    parser.add_argument("--heartbeat", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--limit", type=float, default=math.nan, metavar="WATTS", help="write this limit")
    parser.add_argument("--after", type=float, default=10.0, metavar="SECONDS", help="when, after the start")
    parser.add_argument("--duration", type=float, default=0.0, metavar="SECONDS", help="for how long; 0: no end")
    parser.add_argument("--lose-after", type=float, default=math.inf, metavar="SECONDS", help="end the streams once")
    parser.add_argument("--resets", action="store_true", help="has ResetService")
    parser.add_argument("--old", action="store_true", help="has no discovery")
    return parser.parse_args(words)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(parsed()))
