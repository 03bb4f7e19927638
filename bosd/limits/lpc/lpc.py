"""The limitation of power as it runs: the machine, its clock, what it publishes, and what survives of it.

It knows no connection: a client tells it what the peer says. Everything happens on the loop; only `run` waits.
"""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import structlog

from bosd.clock import Clock
from bosd.config.eebus import EebusConfig
from bosd.limits.lpc.history import History
from bosd.limits.lpc.judging import (
    NANOSECONDS,
    Bounds,
    Decision,
    WrittenLimit,
    decide,
    nanoseconds,
    refused_duration,
    refused_power,
    take_limit,
)
from bosd.limits.lpc.machine import Failsafe, Machine, Order, Publication, Step, tighter_w
from bosd.limits.lpc.port import Kept, LimitPort, Memory, Note
from bosd.limits.lpc.restored import Restored, restored_of
from bosd.limits.lpc.rules import PROFILES, State, Timers
from bosd.limits.lpc.use_case import LPC, UseCase
from bosd.limits.lpc.view import COUNTERS, STATEMENTS, Changes, SeenRestored, SeenTransition, View

MOST_WARNED = 100
LAST_WRITE_S = 1.0
JUST_AFTER_S = 1e-6
NOT_TRIED = "not tried yet"

_log = structlog.get_logger("eebus")


class Lpc:
    """One limitation on one battery; `doubt` returns why the wall clock is not to be trusted."""

    def __init__(
        self,
        config: EebusConfig,
        clock: Clock,
        memory: Memory,
        port: LimitPort,
        *,
        doubt: Callable[[], str] = lambda: "",
        note: Note = lambda *_, **__: None,
        use_case: UseCase = LPC,
    ) -> None:
        keys = config.keys
        self.config = config
        self.use_case = use_case
        self.history = History(memory, self._to_keep)
        self.counters: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))
        self.connected = False
        self.connection = NOT_TRIED
        self.service = ""
        self._clock = clock
        self._port = port
        self._doubt = doubt
        self._note = note
        self._bounds = Bounds(
            nominal_w=keys.max_nominal_power_W,
            least_duration_s=keys.failsafe_duration_min_s,
            most_duration_s=keys.failsafe_duration_max_s,
        )
        self._kept = Kept()
        self._restored: Restored | None = None
        self._last: SeenTransition | None = None
        self._pushed: tuple[float | None, float | None] = None, None
        self._warned: set[str] = set()
        self._met = False
        self._attended_s = clock.now_s()
        self.changes = Changes(self.view)
        self._machine = self._make_machine(Kept())

    def _make_machine(self, kept: Kept) -> Machine:
        keys = self.config.keys
        profile = PROFILES[keys.profile]
        failsafe = Failsafe(limit_w=keys.failsafe_control_limit_W, duration_s=keys.failsafe_duration_s)
        if kept.failsafe_limit_w is not None:
            failsafe.limit_w = kept.failsafe_limit_w
        if kept.failsafe_duration_s is not None:
            duration_ns = nanoseconds(kept.failsafe_duration_s)
            if refused := refused_duration(duration_ns, self._bounds, checked=profile.checks_duration):
                _log.warning("eebus_kept_duration_refused", detail=refused)
            else:
                failsafe.duration_s = kept.failsafe_duration_s
        return Machine(
            failsafe,
            use_case=self.use_case,
            profile=profile,
            timers=Timers(
                heartbeat_timeout_s=keys.heartbeat_timeout_s,
                init_timeout_s=keys.init_timeout_s,
                recovery_window_s=keys.recovery_window_s,
            ),
            autonomous_w=keys.autonomous_limit_W,
            bound_ski=kept.bound_ski,
        )

    # --- life

    async def start(self) -> None:
        """Take up what an earlier run kept, and put the first limit in force. Raises StoreError."""
        self._kept = kept = await self.history.load()
        now_s = self._clock.now_s()
        self._machine = self._make_machine(kept)
        self._restored = restored_of(kept, now_s, self._clock.utc_s(), self._doubt())
        if (restored := self._restored) is not None:
            _log.warning("eebus_restored", limit_w=restored.limit_w, left_s=restored.until_s - now_s)
            self._port.restore(restored.limit_w, restored.until_s, reason="restored")
        self._take(self._machine.start(now_s), now_s)
        self.history.touch()

    async def run(self) -> None:
        """Let time count and write what changes, for ever; at the end what waits is written once more."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.history.run(), name="eebus history")
                group.create_task(self._tick(), name="eebus tick")
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WRITE_S):
                    await self.history.write()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.config.keys.tick_s)
            self.attend()

    def attend(self) -> None:
        """Do what is due by now."""
        self._attended_s = now_s = self._clock.now_s()
        self._end_restored(now_s)
        self._take(self._machine.tick(now_s), now_s)

    def due_s(self) -> float:
        """Return when something may be due next; timers that have to be exceeded are due just after."""
        restored_s = () if self._restored is None else (self._restored.until_s,)
        coming = (each + JUST_AFTER_S for each in (*self._machine.due_s(), *restored_s))
        return min((each for each in coming if each > self._attended_s), default=math.inf)

    # --- what the peer says

    def admits(self, ski: str, event: str, *, data: bool) -> bool:
        """Tell whether an event of this peer counts; a `data` event binds it."""
        before = self._machine.bound_ski
        if not self._machine.admits(ski, data=data):
            self.counters["events_dropped"] += 1
            self._once(ski, "eebus_event_dropped", event_name=event, ski=ski, bound_ski=before)
            return False
        if ski not in self.config.skis and not self.config.keys.accept_unknown_ems:
            self.counters["events_of_unlisted_peers"] += 1
            self._once(ski, "eebus_unlisted_peer", ski=ski, detail="the service let it in, no list here names it")
        if self._machine.bound_ski != before:
            _log.info("eebus_bound", ski=ski, before=before)
            self._changed(keep=True)
        return True

    def heartbeat(self) -> None:
        """Note that the peer is there."""
        self.counters["heartbeats"] += 1
        now_s = self._clock.now_s()
        self._take(self._machine.heartbeat(now_s), now_s)
        self._changed()

    def limit(self, ski: str, written: WrittenLimit) -> None:
        """Take a limit that was read."""
        now_s = self._clock.now_s()
        order, said = take_limit(written, self.use_case, self._bounds, now_s)
        self._record("limit", ski, "" if order is not None else said, active=written.active, limit_w=written.value_w)
        if order is None:
            self.counters["limits_refused"] += 1
            _log.error("eebus_limit_refused", ski=ski, detail=said)
            self._changed()
            return
        self.counters["limits_received"] += 1
        (_log.warning if said else _log.info)("eebus_limit_received", ski=ski, detail=said, **_shown(order))
        ended, self._restored = self._restored, None
        self._take(self._machine.receive(order), now_s)
        if ended is not None:
            self._port.end_restored(reason="a limit was received")
        self._changed(keep=True)

    def failsafe_power(self, ski: str, value_w: float) -> None:
        """Take a failsafe power that was read."""
        refused = refused_power(value_w)
        self._failsafe_written(ski, refused, failsafe_limit_w=value_w)
        if not refused:
            now_s = self._clock.now_s()
            self._kept = replace(self._kept, failsafe_limit_w=value_w)
            self._take(self._machine.write_failsafe(now_s, limit_w=value_w), now_s)
            self._changed(keep=True)

    def failsafe_duration(self, ski: str, duration_ns: int) -> None:
        """Take a failsafe duration that was read."""
        refused = refused_duration(duration_ns, self._bounds, checked=self._machine.profile.checks_duration)
        duration_s = duration_ns / NANOSECONDS
        self._failsafe_written(ski, refused, failsafe_duration_s=duration_s)
        if not refused:
            now_s = self._clock.now_s()
            self._kept = replace(self._kept, failsafe_duration_s=duration_s)
            self._take(self._machine.write_failsafe(now_s, duration_s=duration_s), now_s)
            self._changed(keep=True)

    def _failsafe_written(self, ski: str, refused: str, **values: float) -> None:
        self.counters["failsafe_writes_refused" if refused else "failsafe_writes"] += 1
        (_log.warning if refused else _log.info)("eebus_failsafe_written", ski=ski, refused=refused, **values)
        self._record("failsafe", ski, refused, **values)
        self._changed()

    def decide(self, ski: str, written: WrittenLimit) -> Decision:
        """Decide a pending write; approving it puts nothing in force."""
        decision = decide(written, self.use_case, self._bounds)
        self.counters["writes_approved" if decision.approve else "writes_denied"] += 1
        said = decision.reason or decision.warning
        log = _log.warning if said else _log.info
        log("eebus_write_decided", ski=ski, approve=decision.approve, active=written.active, limit_w=written.value_w, detail=said)
        refused = "" if decision.approve else decision.reason
        self._record("write", ski, refused, active=written.active, limit_w=written.value_w)
        self._changed()
        return decision

    def count(self, name: str) -> None:
        """Count something that happens to the connection."""
        self.counters[name] += 1
        self._changed()

    # --- what the service is told

    def values(self) -> tuple[WrittenLimit, float, int]:
        """Return what the service shows the peer: the limit in force, the failsafe power and the failsafe duration (ns)."""
        machine, sign = self._machine, self.use_case.sign
        order = machine.order
        duration_ns = nanoseconds(machine.failsafe.duration_s)
        if machine.state is not State.LIMITED or order is None:
            return WrittenLimit(active=False, value_w=self._bounds.nominal_w * sign), machine.failsafe.limit_w, duration_ns
        left_s = 0.0 if order.until_s is None else max(1e-9, order.until_s - self._clock.now_s())
        limit = WrittenLimit(active=True, value_w=order.limit_w * sign, duration_ns=nanoseconds(left_s))
        return limit, machine.failsafe.limit_w, duration_ns

    @property
    def endpoint(self) -> str:
        """Where the service at the configured port serves the use case, as far as that is known."""
        return self._kept.endpoint if self._kept.grpc_port == self.config.keys.grpc_port else ""

    def remember(self, endpoint: str) -> None:
        """Keep where a started service serves the use case; empty: nowhere any more."""
        self._kept = replace(self._kept, endpoint=endpoint, grpc_port=self.config.keys.grpc_port)
        self._changed(keep=True)

    def set_connection(self, *, connected: bool, why: str) -> None:
        """Show how the connection stands."""
        if connected and not self._met:
            self._met = True
            self._machine.joined(self._clock.now_s())
        if (connected, why) != (self.connected, self.connection):
            self.connected, self.connection = connected, why
            self._changed()

    def set_service(self, words: str) -> None:
        """Show how the managed binary stands."""
        self.service = words
        self._changed()

    # --- what follows from a step

    def _take(self, step: Step, now_s: float) -> None:
        utc_s = self._clock.utc_s()
        if (transition := step.transition) is not None:
            reason = transition.reason.replace("[", f"[{self.use_case.word}-")
            seen = SeenTransition(at_utc_s=utc_s, before=transition.before, after=transition.after, reason=reason)
            self._last = seen
            self.counters["transitions"] += 1
            self._warned.clear()
            _log.warning("eebus_transition", before=seen.before, after=seen.after, reason=reason)
            self._changed(keep=True)
        if step.publication is not None:
            self._publish(step.publication, now_s, utc_s)
        elif self._machine.in_force() != self._pushed:
            self._push("the failsafe value was written")

    def _publish(self, publication: Publication, now_s: float, utc_s: float) -> None:
        reason = publication.reason.replace("[", f"[{self.use_case.word}-")
        self._push(reason)
        limit_w, until_s = self._effective()
        until_utc_s = None if until_s is None else utc_s + (until_s - now_s)
        self.counters["publications"] += 1
        self.history.add(at_utc_s=utc_s, state=publication.state, limit_w=limit_w, until_utc_s=until_utc_s, reason=reason)
        (_log.warning if publication.warning else _log.info)(
            "eebus_published", state=publication.state, limit_w=limit_w, until_utc_s=until_utc_s, detail=publication.warning
        )
        self._changed(keep=True)

    def _push(self, reason: str) -> None:
        self._pushed = limit_w, until_s = self._machine.in_force()
        self._port.publish(limit_w, until_s, state=self._machine.state, reason=reason)

    def _effective(self) -> tuple[float | None, float | None]:
        """Return what holds of the machine's limit and the restored one, and when it ends."""
        limit_w, until_s = self._machine.in_force()
        restored = self._restored
        tighter = None if restored is None else tighter_w(limit_w, restored.limit_w)
        return (limit_w, until_s) if restored is None or tighter == limit_w else (tighter, restored.until_s)

    def _end_restored(self, now_s: float) -> None:
        restored, utc_s = self._restored, self._clock.utc_s()
        if restored is None or not restored.over(now_s, utc_s, self._doubt()):
            return
        before, self._restored = self._effective()[0], None
        reason = "the restored limit is over"
        self._port.end_restored(reason=reason)
        if self._effective()[0] != before:
            limit_w, until_s = self._machine.in_force()
            self._publish(Publication(state=self._machine.state, limit_w=limit_w, until_s=until_s, reason=reason), now_s, utc_s)
        self._changed(keep=True)

    def _to_keep(self) -> Kept:
        """Return what is to survive: of limits the one in force, or the restored one."""
        machine, order = self._machine, self._machine.order
        limit_w = limit_until_utc_s = restored_utc_s = None
        if machine.state is State.LIMITED and order is not None:
            limit_w = order.limit_w
            left_s = None if order.until_s is None else order.until_s - self._clock.now_s()
            limit_until_utc_s = None if left_s is None else self._clock.utc_s() + left_s
        elif (restored := self._restored) is not None:
            limit_w, limit_until_utc_s, restored_utc_s = restored.limit_w, restored.until_utc_s, restored.since_utc_s
        return replace(
            self._kept,
            bound_ski=machine.bound_ski,
            limit_w=limit_w,
            limit_until_utc_s=limit_until_utc_s,
            restored_utc_s=restored_utc_s,
        )

    # --- what is seen

    def view(self) -> View:
        """Return everything as it is now."""
        machine, now_s, utc_s = self._machine, self._clock.now_s(), self._clock.utc_s()
        limit_w, until_s = self._effective()
        left_s = None if until_s is None else max(0.0, until_s - now_s)
        restored = self._restored
        return View(
            battery=self.config.keys.battery,
            profile=machine.profile.name,
            use_case=self.use_case.word,
            direction=self.use_case.direction,
            at_utc_s=utc_s,
            state=machine.state,
            statement=STATEMENTS[machine.state],
            limit_w=limit_w,
            limit_until_utc_s=None if left_s is None else utc_s + left_s,
            time_left_s=left_s,
            heartbeat_age_s=None if machine.heard_s is None else now_s - machine.heard_s,
            bound_ski=machine.bound_ski,
            failsafe_limit_w=machine.failsafe.limit_w,
            failsafe_duration_s=machine.failsafe.duration_s,
            connected=self.connected,
            connection=self.connection,
            service=self.service,
            last=self._last,
            counters=dict(self.counters),
            restored=None
            if restored is None
            else SeenRestored(limit_w=restored.limit_w, until_utc_s=restored.seen_until_utc_s(now_s, utc_s)),
        )

    def _changed(self, *, keep: bool = False) -> None:
        if keep:
            self.history.touch()
        self.changes.tell()

    def _once(self, peer: str, event: str, **facts: object) -> None:
        """Log a warning about a peer once until the next change of state."""
        if f"{event} {peer}" not in self._warned and len(self._warned) < MOST_WARNED:
            self._warned.add(f"{event} {peer}")
            _log.warning(event, **facts)

    def _record(self, action: str, ski: str, refused: str, **after: object) -> None:
        self._note(f"eebus {action}", who=f"eebus:{ski}", refused=refused, after=after)


def _shown(order: Order) -> dict[str, object]:
    return {"active": order.active, "limit_w": order.limit_w, "duration_s": order.duration_s}
