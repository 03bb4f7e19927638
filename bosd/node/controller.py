"""The controller: set points in force, and what keeps them so.

A request is checked, planned and executed; then the controller watches what it rests on, clamps it when a limit falls, lets it
come back when that lifts, moves shares, ends it, and goes on to the safe value. Connected batteries are handled one command at
a time; a stop waits for nobody.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Iterable

import structlog

from bosd.bal.aggregator import members_of
from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.directory import Directory
from bosd.bal.dispatch import Plan, asked_a, plan
from bosd.bal.pseudo import PseudoBattery
from bosd.bal.setpoint import SetPoint
from bosd.clock import Clock
from bosd.errors import BosError, ShuttingDownError
from bosd.node.api import LeafCommand, SetCurrentResult
from bosd.node.execute import Executor, commit, moves_of
from bosd.node.requests import check_free, check_holder, check_request, checked_ttl_s

LEAST_PAUSE_S = 0.05
SHARE_PAUSE_S = 1.0
RETRY_S = 1.0
REMEMBERED_ANSWERS = 256

_log = structlog.get_logger("control")


class Controller:
    """Keeps what is asked of free batteries in force."""

    def __init__(
        self, directory: Directory, clock: Clock, executor: Executor, *, default_ttl_s: float, longest_ttl_s: float
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._executor = executor
        self._default_ttl_s = default_ttl_s
        self._longest_ttl_s = longest_ttl_s
        self._active: dict[Battery, None] = {}
        self._due_s: dict[Battery, float] = {}
        self._shared_s: dict[Battery, float] = {}
        self._running: set[int] = set()
        self._locks: dict[int, asyncio.Lock] = {}
        self._stops = 0
        self._answers: OrderedDict[tuple[str, str], SetCurrentResult] = OrderedDict()
        self._wake = asyncio.Event()
        self.closing = False

    def changed(self, battery: Battery) -> None:
        """Look again at an active battery whose status may have changed."""
        self._look(battery, LEAST_PAUSE_S)

    def _look(self, battery: Battery, pause_s: float) -> None:
        due_s = self._clock.now_s() + pause_s
        if due_s < self._due_s.get(battery, math.inf):
            self._due_s[battery] = due_s
            self._wake.set()

    def _lock(self, battery: Battery) -> asyncio.Lock:
        return self._locks.setdefault(battery.component, asyncio.Lock())

    async def set_current(
        self, name: str, current_a: float, *, ttl_s: float | None, holder: str, request_id: str, dry_run: bool
    ) -> SetCurrentResult:
        """Check and execute a request; see NodeApi.set_current."""
        if self.closing:
            raise ShuttingDownError("the node is shutting down")
        if request_id and (holder, request_id) in self._answers:
            return self._answers[holder, request_id]
        battery = self._directory[name]
        ttl_s = checked_ttl_s(ttl_s, self._default_ttl_s, self._longest_ttl_s)
        async with self._lock(battery):
            now_s = self._clock.now_s()
            check_request(battery, current_a, holder, battery.status(now_s), now_s)
            ends_s = now_s + ttl_s
            planned = plan({battery: current_a}, now_s)
            planned.ends_s[battery] = ends_s
            for leaf, _ in planned.devices:
                planned.ends_s[leaf] = planned.ends_s.get(leaf) or ends_s
            result = self._result(battery, current_a, ends_s, planned, dry_run=dry_run)
            if dry_run:
                return result
            stops = self._stops
            await self._executor.execute(planned, lambda: self._stops == stops and not self.closing)
            battery.setpoint = SetPoint(current_a=current_a, ends_s=ends_s, holder=holder, request_id=request_id)
            battery.touch()
            self._activate(battery)
        if request_id:
            self._answers[holder, request_id] = result
            while len(self._answers) > REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)
        return result

    async def clear_current(self, name: str, *, holder: str) -> SetCurrentResult:
        """End the holder's own set point; the booking or the safe value is in force again."""
        battery = self._directory[name]
        check_free(battery)
        async with self._lock(battery):
            now_s = self._clock.now_s()
            check_holder(battery, holder, now_s)
            if battery.setpoint is None:
                return self._result(battery, 0.0, None, Plan(), dry_run=False)
            battery.setpoint = None
            battery.touch()
            planned = plan({battery: asked_a(battery)}, now_s)
            try:
                await self._executor.execute(planned, lambda: not self.closing)
            except BosError:
                self._look(battery, RETRY_S)
                raise
            return self._result(battery, asked_a(battery), None, planned, dry_run=False)

    def _result(
        self, battery: Battery, current_a: float, ends_s: float | None, planned: Plan, *, dry_run: bool
    ) -> SetCurrentResult:
        clamped = planned.clamped.get(battery)
        leaves: list[LeafCommand] = []
        if dry_run:
            told = [(leaf.name, leaf.applied_a, new_a) for leaf, new_a in planned.computed]
            told += [(move.leaf.name, move.old_a, move.new_a) for move in moves_of(planned)]
            leaves = [LeafCommand(name=leaf, old_current_a=old_a, new_current_a=new_a) for leaf, old_a, new_a in told]
        return SetCurrentResult(
            name=battery.name,
            requested_current_a=current_a,
            applied_current_a=battery.applied_a if clamped is None else clamped.current_a,
            setpoint_ends_s=ends_s,
            reason="" if clamped is None else clamped.reason,
            leaves=tuple(leaves),
        )

    def _activate(self, battery: Battery) -> None:
        if battery not in self._active:
            self._active[battery] = None
            battery.listeners = (*battery.listeners, self)
        self._look(battery, LEAST_PAUSE_S)

    def _retire(self, battery: Battery) -> None:
        """Stop looking after a battery of which nothing is asked and that runs nothing."""
        self._active.pop(battery, None)
        self._due_s.pop(battery, None)
        self._shared_s.pop(battery, None)
        battery.listeners = tuple(listener for listener in battery.listeners if listener is not self)

    def look_again(self, batteries: Iterable[Battery]) -> None:
        """Look at these batteries at once, active or not."""
        for battery in batteries:
            if battery.user is None:
                self._activate(battery)
                self._look(battery, 0.0)

    def topology_changed(self) -> None:
        """Forget batteries that are gone or in use now; look after those that carry a set point."""
        present = {id(battery) for battery in self._directory}
        for battery in [battery for battery in self._active if id(battery) not in present or battery.user is not None]:
            self._retire(battery)
        self._locks = {}
        self.look_again(battery for battery in self._directory if battery.setpoint is not None or battery.applied_a != 0.0)

    async def stop(self, batteries: Iterable[Battery], deadline_s: float) -> list[str]:
        """Take stopped batteries (already latched) to 0 A now, past every lock; return the devices that did not confirm."""
        self._stops += 1
        now_s = self._clock.now_s()
        tops = _tops(self._directory, batteries)
        planned = plan({top: asked_a(top) for top in tops}, now_s)
        lowering = [move for move in moves_of(planned) if move.lowers]
        raising = [move for move in moves_of(planned) if not move.lowers]
        unconfirmed = [move.leaf.name for move in lowering]
        try:
            async with asyncio.timeout(deadline_s):
                outcome = await self._executor.tell(lowering)
                unconfirmed = list(outcome.errors)
        except TimeoutError:
            pass
        if not raising and not unconfirmed:
            commit(planned, self._clock.now_s())
        self.look_again(tops)
        return unconfirmed

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Look after active batteries for ever; work on devices runs in tasks of `group`."""
        while True:
            self._wake.clear()
            now_s = self._clock.now_s()
            for battery in [battery for battery, due_s in self._due_s.items() if due_s <= now_s]:
                self._due_s.pop(battery)
                if battery.component in self._running:
                    self._look(battery, LEAST_PAUSE_S)
                else:
                    self._attend(battery, now_s, group)
            timeout_s = self._next_s() - self._clock.now_s()
            try:
                async with asyncio.timeout(None if timeout_s == math.inf else max(0.0, timeout_s)):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _next_s(self) -> float:
        """Return when something is due: a look, the end of a set point, a software battery running empty or full."""
        next_s = min(self._due_s.values(), default=math.inf)
        for battery in self._active:
            if battery.setpoint is not None and battery.setpoint.ends_s < next_s and battery not in self._due_s:
                self._due_s[battery] = next_s = battery.setpoint.ends_s
        return next_s

    def _attend(self, battery: Battery, now_s: float, group: asyncio.TaskGroup) -> None:
        setpoint = battery.setpoint
        if setpoint is not None and setpoint.ends_s <= now_s:
            battery.setpoint = None
            battery.touch()
            _log.info("setpoint_ended", battery=battery.name, current_a=setpoint.current_a, holder=setpoint.holder)
        lock = self._lock(battery)
        if not lock.locked():
            planned = self._plan_again(battery, now_s)
            if not moves_of(planned):
                self._settle(battery, planned, now_s)
                return
        self._running.add(battery.component)
        group.create_task(self._enforce(battery, battery.component, lock), name=f"enforce {battery.name}")

    def _plan_again(self, battery: Battery, now_s: float) -> Plan:
        move_shares = now_s - self._shared_s.get(battery, -math.inf) >= SHARE_PAUSE_S
        return plan({battery: asked_a(battery)}, now_s, move_shares=move_shares)

    def _settle(self, battery: Battery, planned: Plan, now_s: float) -> None:
        if planned.computed:
            self._shared_s[battery] = now_s
        commit(planned, now_s)
        battery.status(now_s)
        end_s = min((leaf.ends_s() for leaf in members_of(battery) if isinstance(leaf, PseudoBattery)), default=math.inf)
        if end_s < math.inf:
            self._look(battery, max(LEAST_PAUSE_S, end_s - now_s))
        elif battery.setpoint is None and battery.applied_a == 0.0 and not _unsettled(battery):
            self._retire(battery)

    async def _enforce(self, battery: Battery, component: int, lock: asyncio.Lock) -> None:
        """Plan again and tell devices; a failure is tried again."""
        try:
            async with lock:
                now_s = self._clock.now_s()
                planned = self._plan_again(battery, now_s)
                stops = self._stops
                try:
                    await self._executor.execute(planned, lambda: self._stops == stops and not self.closing)
                except BosError as error:
                    _log.warning("enforce_failed", battery=battery.name, reason=error.reason, detail=error.message)
                    self._look(battery, RETRY_S)
                else:
                    self._shared_s[battery] = now_s
                    self._settle(battery, Plan(), self._clock.now_s())
        finally:
            self._running.discard(component)


def _unsettled(battery: Battery) -> bool:
    return any(
        isinstance(leaf, DeviceLeaf) and (leaf.unconfirmed_a is not None or leaf.applied_a != 0.0) for leaf in members_of(battery)
    )


def _tops(directory: Directory, batteries: Iterable[Battery]) -> list[Battery]:
    """Return the free batteries connected with these."""
    components = {battery.component for battery in batteries}
    return [battery for battery in directory if battery.user is None and battery.component in components]
