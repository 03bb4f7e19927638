"""The `[eebus]` section at work: the limitation, its client and its binary as one part of a node, or why there is none."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Self

import structlog

from bosd.clock import Clock
from bosd.config.eebus import EebusConfig
from bosd.errors import BosError
from bosd.limits.lpc.binary import Binary, command_of
from bosd.limits.lpc.client import Client
from bosd.limits.lpc.lpc import NOT_TRIED, Lpc
from bosd.limits.lpc.memory import StoredMemory
from bosd.limits.lpc.port import LimitPort, Published
from bosd.limits.lpc.rules import State
from bosd.limits.lpc.view import View
from bosd.node.audit import AuditLog
from bosd.node.faults import Severity
from bosd.node.noticed import Noticed
from bosd.store.eebus import EebusTable
from bosd.store.store import Store

CONFIG, LOST, FAILSAFE, UNWRITTEN = "EEBUS_CONFIG", "EEBUS_LOST", "EEBUS_FAILSAFE", "EEBUS_UNWRITTEN"
UNENFORCED = "EEBUS_NOT_ENFORCED"
_BEAT_S = 1.0

_log = structlog.get_logger("eebus")


class Enforcer:
    """Puts limits in force through a port, and again each second where that fails: a battery may come later.

    Without a port they are shown, and it is an error that they bind nothing.
    """

    def __init__(self, port: LimitPort | None) -> None:
        self._port = port
        self._published: Callable[[LimitPort], None] | None = None
        self._restored: Callable[[LimitPort], None] | None = None
        self.failure = "" if port is not None else "nothing puts them in force"

    def publish(self, limit_w: float | None, until_s: float | None, *, state: str, reason: str) -> None:
        """Put the machine's limit in place of its last one."""
        self._published = lambda port: port.publish(limit_w, until_s, state=state, reason=reason)
        self.again(failed=True)

    def restore(self, limit_w: float, until_s: float, *, reason: str) -> None:
        """Put the limit of an earlier run in force beside it."""
        self._restored = lambda port: port.restore(limit_w, until_s, reason=reason)
        self.again(failed=True)

    def end_restored(self, *, reason: str) -> None:
        """Take the restored limit back."""
        self._restored = lambda port: port.end_restored(reason=reason)
        self.again(failed=True)

    def again(self, *, failed: bool = False) -> None:
        """Do what is not done yet."""
        if self._port is None or not (failed or self.failure):
            return
        try:
            if self._restored is not None:
                self._restored(self._port)
                self._restored = None
            if self._published is not None:
                self._published(self._port)
                self._published = None
        except BosError as error:
            if error.message != self.failure:
                _log.error("eebus_not_enforced", detail=error.message)
            self.failure = error.message
        else:
            self.failure = ""


class EebusTime:
    """A limitation as a clock that is moved by hand sees it."""

    def __init__(self, lpc: Lpc) -> None:
        self.due_s = lpc.due_s
        self.attend_due = lpc.attend

    async def settle(self) -> None:
        """Wait for nothing: nothing goes on in a task."""

    def stand(self, *, standing: bool) -> None:
        """Nothing depends on whether time stands."""


class Eebus:
    """What a node has of it; without `lpc` only the fault of its configuration."""

    def __init__(
        self,
        clock: Clock,
        lpc: Lpc | None = None,
        fault: str = "",
        enforcer: Enforcer | None = None,
        published: Sequence[Published] = (),
    ) -> None:
        self._published = published
        self._clock = clock
        self._enforcer = enforcer
        self._fault = fault
        self.lpc = lpc
        self._binary: Binary | None = None
        if lpc is not None and lpc.config.keys.manage_eebus_grpc_api_binary:
            self._binary = Binary(
                command_of(lpc.config),
                clock,
                lpc.config.keys.restart_delay_s,
                tell=lpc.set_service,
                started=lambda: lpc.count("binary_starts"),
            )

    @classmethod
    async def open(
        cls, found: tuple[EebusConfig | None, str], clock: Clock, store: Store, port: LimitPort | None, **outside: object
    ) -> Self | None:
        """Return the part, with its first limit in force; None without a section. Raises StoreError.

        `found` is the section, or its fault; `outside` goes to `Lpc`. A faulty section shows what was published before.
        """
        config, fault = found
        if config is None and not fault:
            return None
        memory = StoredMemory(EebusTable(store))
        fault = fault or _no_place(config)
        if fault or config is None:
            _log.error("eebus_config", detail=fault)
            _, published = await memory.load()
            return cls(clock, fault=fault, published=published)
        enforcer = Enforcer(port)
        lpc = Lpc(config, clock, memory, enforcer, **outside)  # type: ignore[arg-type]
        await lpc.start()
        return cls(clock, lpc, enforcer=enforcer)

    async def run(self) -> None:
        """Run all of it, for ever; a faulty section has nothing to run."""
        if self.lpc is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self.lpc.run(), name="eebus limit")
            group.create_task(self._enforce(), name="eebus enforcer")
            group.create_task(Client(self.lpc, self._binary).run(), name="eebus client")
            if self._binary is not None:
                group.create_task(self._binary.run(), name="eebus binary")

    async def _enforce(self) -> None:
        while self._enforcer is not None:
            self._enforcer.again()
            await asyncio.sleep(_BEAT_S)

    def view(self) -> View:
        """Return what is seen now."""
        if self.lpc is not None:
            return self.lpc.view()
        return View(
            battery="", profile="", use_case="", direction="", at_utc_s=self._clock.utc_s(), fault=self._fault, counters={}
        )

    async def watch(self) -> AsyncIterator[View]:
        """Yield what is seen at once, after each change, and each second."""
        if self.lpc is None:
            while True:
                yield self.view()
                await asyncio.sleep(_BEAT_S)
        async for view in self.lpc.changes.watch():
            yield view

    def history(self, limit: int) -> Sequence[Published]:
        """Return the newest publications (0: all), oldest first."""
        return self._published[-limit:] if self.lpc is None else self.lpc.history.newest(limit)

    def noticed(self) -> Iterable[Noticed]:
        """Yield what is wrong now."""
        if self._fault:
            yield Noticed(CONFIG, Severity.HIGH, self._fault, "eebus")
        if (lpc := self.lpc) is None:
            return
        view = lpc.view()
        if self._enforcer is not None and (failure := self._enforcer.failure):
            yield Noticed(UNENFORCED, Severity.HIGH, f"the limits bind nothing: {failure}", "eebus", view.battery)
        if not lpc.connected and view.connection != NOT_TRIED:
            service = f"; the binary {view.service}" if view.service else ""
            yield Noticed(LOST, Severity.MEDIUM, f"the EEBUS service is not connected: {view.connection}{service}", "eebus")
        if view.state is State.FAILSAFE:
            message = f"the grid operator's box is not heard: {view.limit_w:g} W hold until it is"
            yield Noticed(FAILSAFE, Severity.MEDIUM, message, "eebus", view.battery)
        if lpc.history.failure:
            yield Noticed(UNWRITTEN, Severity.HIGH, f"published limits wait for the store: {lpc.history.failure}", "eebus")


def audited_by(audit: AuditLog, battery: str) -> Callable[..., None]:
    """Return what records a peer's writes."""

    def note(action: str, *, who: str, refused: str, after: Mapping[str, object]) -> None:
        outcome = "refused" if refused else "done"
        reason = "INVALID_ARGUMENT" if refused else ""
        plain = {key: _plain(value) for key, value in after.items()}
        audit.note(action, who=who, names=(battery,), outcome=outcome, reason=reason, message=refused, after=plain)  # type: ignore[arg-type]

    return note


def _plain(value: object) -> object:
    """Return a value as JSON can have it: what is not finite in words."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _no_place(config: EebusConfig | None) -> str:
    """Make the directories of certificate and key for a binary of ours; return why one cannot be, empty when both are there."""
    if config is None or not config.keys.manage_eebus_grpc_api_binary:
        return ""
    for key, path in (("certificate_path", config.certificate), ("private_key_path", config.private_key)):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            return f"eebus.{key}: {path.parent} cannot be made ({error.strerror}): name a directory that can be written"
    return ""
