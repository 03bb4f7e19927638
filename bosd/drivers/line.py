"""A line: one byte transport on which one request at a time is in flight, whichever device asks."""

import asyncio
from collections import Counter, deque
from itertools import islice
from typing import Any, Protocol, TypeVar

import structlog

from bosd.drivers.sending import look_again
from bosd.drivers.transport import SERIAL_REPLY_S, ByteTransport
from bosd.drivers.turnstile import Turnstile
from bosd.errors import BosError, DriverError, UnavailableError

_PAUSES_S = (0.0, 0.0, 0.2)
"""Pause before each attempt: a sleeping board swallows the first, so the second follows at once."""

_PROBE_SHARE = 5 / 6
"""Of a transport's `reply_s` a device that was silent gets to begin its answer: 0.25 s on a serial line, where the slowest
recorded reply lies, so that one attempt each 2 s takes less than 15 % of the line."""

_SLOWER_THAN_OTHERS = 2.0
_LATEST = 60
"""Behind a bridge, whose `reply_s` is a second for the slow ones, it gets twice what the slowest of the line's latest answers
took, but no less than on a serial line."""

_PROBE_LINE_SHARE = 0.15
"""Of a line that others stand on the attempts at a silent device take at most so much: the longer one takes, the fewer."""

SILENT = "SILENT"
"""`metadata["cause"]` of an error that means: the line is up, and the device on it said nothing."""

LATENCIES_KEPT = 600
"""Of a device's latest answers the times are kept: ten minutes at one a second."""

_HEARD_LIMIT_BYTES = 300
"""Bytes of an unanswered attempt kept for the debug log: more than the longest frame."""

_log = structlog.get_logger()

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ReplyReader(Protocol[T_co]):
    """Finds the reply to one request in a stream of bytes; `rejects` counts by reason what it refused."""

    rejects: Counter[str]

    def begin(self) -> None:
        """Forget earlier bytes: a request is about to go out."""
        ...

    def feed(self, data: bytes) -> T_co | None:
        """Take bytes; return the reply once it is whole."""
        ...

    def expire(self) -> T_co | None:
        """The line fell silent: give up what is unfinished, return a reply that stood behind it."""
        ...


class RequestLine(Protocol):
    """What a driver needs of a line: its own, or its part in a shared one."""

    port: str
    counters: Counter[str]
    latencies_s: deque[float]

    def share(self) -> None:
        """Count one more device; each calls `close` once."""
        ...

    def close(self) -> None:
        """Take one device off the line; idempotent for a part in a shared one."""
        ...

    async def transact(self, request: bytes, reader: ReplyReader[T], reply_bytes: int, *, urgent: bool = False) -> T:
        """Send `request` until `reader` finds its reply, and return that; an urgent one goes before those that wait."""
        ...


class Line:
    """A transport shared by devices, each with its own reply reader.

    The transport is opened by the first request and again by the first one after a loss. `counters` holds `requests`,
    `attempts`, `replies`, `resyncs` (a reply found behind something rejected), `opens`, `losses`, `stray_bytes`, and every reject
    by its reason. `latencies_s` holds the times from sending to the whole reply, of the latest ones.
    """

    def __init__(self, transport: ByteTransport) -> None:
        self.port = transport.port
        self.counters: Counter[str] = Counter()
        self.latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._counters = self.counters
        self._transport = transport
        self._turns = Turnstile()
        self._is_open = False
        self._closed = False
        self._users = 0
        self._reader: ReplyReader[Any] | None = None
        self._waiter: asyncio.Future[Any] | None = None
        self._gap_timer: asyncio.TimerHandle | None = None
        self._rejects: tuple[str, ...] = ()
        self._heard = bytearray()
        self._last_byte_s = 0.0
        self._quiet_at_s = 0.0
        self._answered: Counter[str] | None = None

    @property
    def shared(self) -> bool:
        """Whether several devices stand on it."""
        return self._users > 1

    @property
    def is_open(self) -> bool:
        """Whether its transport is open."""
        return self._is_open

    def share(self) -> None:
        """Count one more device on the line; each calls `close` once."""
        self._users += 1
        self._closed = False

    def close(self) -> None:
        """Take one device off the line; the last one closes the transport and fails what is in flight."""
        self._users -= 1
        if self._users <= 0:
            self._closed = True
            self._drop("closed")

    async def transact(self, request: bytes, reader: ReplyReader[T], reply_bytes: int, *, urgent: bool = False) -> T:
        """Send `request` until `reader` finds its reply, at most three times, and return that.

        `reply_bytes` is the longest reply expected; each attempt may take the transport's `reply_s` plus the bytes' time.
        Raises UnavailableError when nothing answers or the port cannot be opened, DriverError when only nonsense came, and what
        `reader` raises.
        Bytes of an earlier request that was resent, cancelled or given up are awaited and dropped before this one goes out.
        """
        return await self.exchange(request, reader, reply_bytes, self.counters, urgent=urgent)

    async def exchange(
        self,
        request: bytes,
        reader: ReplyReader[T],
        reply_bytes: int,
        counters: Counter[str],
        *,
        urgent: bool = False,
        begin_s: float | None = None,
    ) -> T:
        """Do as `transact` for a device that has its own `counters`; one that was silent gets one attempt, begun by `begin_s`."""
        probing = begin_s is not None
        async with self._turns.turn(urgent=urgent):
            self._counters = counters
            counters["requests"] += 1
            if not self._is_open:
                await self._open()
            if self._quiet_at_s:
                await self._await_quiet()
            deadline_s = self._transport.reply_s + (len(request) + reply_bytes) * self._transport.byte_s
            pauses_s = _PAUSES_S[:1] if probing else _PAUSES_S
            for pause_s in pauses_s:
                if pause_s:
                    await asyncio.sleep(pause_s)
                reply = await self._attempt(request, reader, deadline_s, deadline_s if begin_s is None else begin_s)
                if reply is not None:
                    return reply
                _log.debug("no_reply", port=self.port, request=request.hex(), heard=self._heard.hex(), rejects=self._rejects)
                if self._heard or not (probing and self.shared):  # what is late on a shared line tells whose it is
                    self._quiet_at_s = asyncio.get_running_loop().time() + self._transport.gap_s
            raise self._no_answer(len(pauses_s), probing=probing)

    def probe_s(self, request: bytes, *, patient: bool) -> float:
        """Return how long an attempt with `request` at a silent device waits for the answer to begin."""
        begin_s = self._transport.reply_s * _PROBE_SHARE
        if self.shared and self.latencies_s and not patient:
            slowest_s = max(islice(reversed(self.latencies_s), _LATEST))
            begin_s = min(begin_s, max(SERIAL_REPLY_S * _PROBE_SHARE, _SLOWER_THAN_OTHERS * slowest_s))
        return begin_s + len(request) * self._transport.byte_s

    def rest_s(self, attempt_s: float) -> float:
        """Return how long a silent device on a shared line is left alone after an attempt that took so long."""
        return attempt_s * (1.0 / _PROBE_LINE_SHARE - 1.0) if self.shared else 0.0

    async def _open(self) -> None:
        self._check_used()
        await self._transport.open(self)
        try:
            self._check_used()
        except UnavailableError:
            self._transport.close()  # the last device left while it opened: nobody else would
            raise
        self._is_open = True
        self._quiet_at_s = 0.0
        self._answered = None
        self.counters["opens"] += 1

    def _check_used(self) -> None:
        if self._closed:
            raise UnavailableError(f"{self.port}: closed", port=self.port)

    async def _await_quiet(self) -> None:
        delay_s = self._quiet_at_s - asyncio.get_running_loop().time()
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        self._quiet_at_s = 0.0

    async def _attempt(self, request: bytes, reader: ReplyReader[T], deadline_s: float, begin_s: float) -> T | None:
        """Send once and wait; return the reply, or None when the time is over, or when nothing has begun by `begin_s`."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T | None] = loop.create_future()
        reader.begin()
        self._heard.clear()
        self._reader, self._waiter = reader, waiter
        timer = loop.call_later(deadline_s, self._give_up)
        begin = loop.call_later(begin_s, self._give_up_if_silent) if begin_s < deadline_s else None
        sent_s = loop.time()
        reply: T | None = None
        try:
            look_again()
            self._send(request)
            reply = await waiter
        except asyncio.CancelledError:
            self._quiet_at_s = timer.when()
            raise
        finally:
            timer.cancel()
            if begin is not None:
                begin.cancel()
            if self._gap_timer is not None:
                self._gap_timer.cancel()
                self._gap_timer = None
            self._reader = self._waiter = None
            self._rejects = ()
            if reader.rejects:
                self._rejects = tuple(reader.rejects)
                self._counters.update(reader.rejects)
                if reply is not None and not all(each.startswith("status_") for each in self._rejects):
                    self._counters["resyncs"] += 1
                reader.rejects.clear()
        if reply is not None:
            self.latencies_s.append(loop.time() - sent_s)
            self._answered = self._counters
        return reply

    def _send(self, request: bytes) -> None:
        if not self._is_open:
            raise UnavailableError(f"{self.port}: lost", port=self.port)
        self._counters["attempts"] += 1
        self._transport.discard_input()
        try:
            self._transport.write(request)
        except UnavailableError:
            self._waiter = None
            self._drop("closed")
            raise

    def data_received(self, data: bytes) -> None:
        """Feed the waiting request's reader; without one, bytes are strays."""
        reader, waiter = self._reader, self._waiter
        if reader is None or waiter is None or waiter.done():
            self.counters["stray_bytes"] += len(data)
            return
        try:
            reply = reader.feed(data)
        except Exception as error:  # noqa: BLE001 (a reader's defect belongs to who gave it, and not to the loop)
            self._fail(waiter, error)
            return
        if reply is not None:
            self._counters["replies"] += 1
            waiter.set_result(reply)
            return
        if len(self._heard) < _HEARD_LIMIT_BYTES:
            self._heard += data[:_HEARD_LIMIT_BYTES]
        loop = asyncio.get_running_loop()
        self._last_byte_s = loop.time()
        if self._gap_timer is None:
            self._gap_timer = loop.call_later(self._transport.gap_s, self._check_gap)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request in flight; the next one opens the transport again."""
        self._drop(str(error) if error is not None and str(error) else "lost")

    def _check_gap(self) -> None:
        loop = asyncio.get_running_loop()
        silent_from_s = self._last_byte_s + self._transport.gap_s
        if loop.time() < silent_from_s:
            self._gap_timer = loop.call_at(silent_from_s, self._check_gap)
            return
        self._gap_timer = None
        self._give_up()

    def _give_up(self) -> None:
        """End the attempt with what the reader makes of the bytes so far."""
        reader, waiter = self._reader, self._waiter
        if reader is None or waiter is None or waiter.done():
            return
        try:
            reply = reader.expire()
        except Exception as error:  # noqa: BLE001 (as in data_received)
            self._fail(waiter, error)
            return
        if reply is not None:
            self._counters["replies"] += 1
        waiter.set_result(reply)

    def _fail(self, waiter: "asyncio.Future[Any]", error: Exception) -> None:
        """End the request with what its reader raised; what is still coming is awaited and dropped before the next one."""
        self._quiet_at_s = asyncio.get_running_loop().time() + self._transport.gap_s
        waiter.set_exception(error)

    def _give_up_if_silent(self) -> None:
        if not self._heard:
            self._give_up()

    def _drop(self, cause: str) -> None:
        if self._is_open:
            self._is_open = False
            self.counters["losses"] += 1
            self._transport.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(UnavailableError(f"{self.port}: {cause}", port=self.port))

    def _may_be_dead(self, *, probing: bool) -> bool:
        """Return whether the silence may be the connection's: not while another device answered last and was not silent since."""
        others_answer = self._answered is not None and self._answered is not self._counters
        if not probing:
            self._answered = None
        return not others_answer

    def _no_answer(self, attempts: int, *, probing: bool) -> BosError:
        tries = f"{attempts} attempts" if attempts > 1 else "1 attempt"
        nonsense = ", ".join(reason for reason in self._rejects if reason != "timeout")
        if nonsense:
            message = f"{self.port}: no valid answer in {tries}: {nonsense}"
            if "register_mismatch" in self._rejects:
                message += "; these are answers to somebody else: does another program use this line or bridge?"
            return DriverError(message, port=self.port, rejects=nonsense)
        if self._transport.reopen_on_silence and self._may_be_dead(probing=probing):
            self._drop("silent")
        return UnavailableError(f"{self.port}: no answer in {tries}", port=self.port, cause=SILENT)
