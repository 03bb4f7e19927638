"""The controller: set points in force, and what keeps them so.

A request is checked, planned and executed; then the controller watches what it rests on, clamps it when a limit falls, lets it
come back when that lifts, moves shares, ends it, and goes on to the safe value. Connected batteries are handled one command at
a time; a stop waits for nobody.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import structlog

from bosd.bal.aggregator import devices_below
from bosd.bal.battery import Battery
from bosd.bal.directory import Directory
from bosd.bal.dispatch import Plan, asked_a, plan, without_setpoint_a
from bosd.bal.facts import uncertain_a
from bosd.bal.setpoint import Fence, Lease, SetPoint
from bosd.clock import Clock
from bosd.errors import BadNameError, BosError, ShuttingDownError, UnavailableError
from bosd.node.answers import Answers
from bosd.node.api import SetCurrentResult
from bosd.node.doubt import answer, with_doubt
from bosd.node.dry_run import foreseen
from bosd.node.ends import SHARE_PAUSE_S, changes_s, end_what_is_over, is_busy, just_after_s, over_first_s
from bosd.node.execute import RETRY_S, Executor, Over, commit
from bosd.node.moves import LOST_PAUSE_S, moves_of
from bosd.node.overtaking import Overtaking
from bosd.node.requests import (
    Request,
    check_carried,
    check_own,
    check_request,
    checked_ttl_s,
    lease_for,
    lower_all_the_same,
    lowers_own,
    other_holder,
)
from bosd.node.stopping import lower_computed, moves_to_stop, not_confirmed
from bosd.node.taking import Taken, ask_anew, ask_anew_if_idle, whatever_follows
from bosd.node.turns import Turns
from bosd.node.unmet import Unmet
from bosd.node.wanted import still_wanted

T = TypeVar("T")

LEAST_PAUSE_S = 0.05
PAUSES_WHILE_RUNNING = 4.0
"""Least pauses between two looks at what overtakes."""
FIRST_LOOK_PAUSE_S = 0.25
LEAST_SLEEP_S = 1e-8
"""More than a loop's clock resolves: a timer that fires a trace early must not fire again in the same instant, for ever."""

_log = structlog.get_logger("control")


class Controller:
    """Keeps what is asked of free batteries in force; connected ones are planned together and told one command at a time."""

    def __init__(
        self, directory: Directory, clock: Clock, executor: Executor, *, default_ttl_s: float, longest_ttl_s: float
    ) -> None:
        self._directory, self._clock, self._executor = directory, clock, executor
        self._default_ttl_s, self._longest_ttl_s = default_ttl_s, longest_ttl_s
        self._active: dict[Battery, None] = {}
        self._due_s: dict[Battery, float] = {}
        self._shared_s: dict[int, float] = {}
        self._running: dict[int, dict[Battery, None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._standing = False
        self._turns = Turns(directory)
        self.unmet = Unmet(clock.now_s)
        self._answers: Answers[SetCurrentResult] = Answers()
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._overtaking = Overtaking(directory, clock, executor, self._turns, self._active, self.look_again)
        self.taken = Taken()
        self.closing = False

    def changed(self, battery: Battery) -> None:
        """Look again at an active battery whose status may have changed, less often while devices are being told."""
        pauses = PAUSES_WHILE_RUNNING if battery.component in self._running else 1.0
        self._look(battery, pauses * self._least_pause_s)

    @property
    def _least_pause_s(self) -> float:
        return 0.0 if self._standing else LEAST_PAUSE_S

    def stand(self, *, standing: bool) -> None:
        """Know that time stands still between ticks: then nothing is waited for, and what changed is looked at in its instant."""
        self._standing = standing
        self._wake.set()

    def _look(self, battery: Battery, pause_s: float) -> None:
        self._look_at(battery, self._clock.now_s() + pause_s)

    def _look_at(self, battery: Battery, due_s: float) -> None:
        if due_s < self._due_s.get(battery, math.inf):
            self._due_s[battery] = due_s
            self._wake.set()

    async def set_current(
        self,
        name: str,
        current_a: float,
        *,
        ttl_s: float | None,
        holder: str,
        request_id: str,
        dry_run: bool,
        fence: Fence | None = None,
    ) -> SetCurrentResult:
        """Check and execute a request; see NodeApi.set_current."""
        ttl_s = checked_ttl_s(ttl_s, self._default_ttl_s, self._longest_ttl_s)
        return await self._ask(name, Request(current_a, ttl_s, holder, request_id, dry_run, fence))

    async def force_current(
        self, name: str, current_a: float, *, ttl_s: float | None, holder: str, request_id: str, dry_run: bool
    ) -> SetCurrentResult:
        """Check and execute a request over another holder's claim; see NodeApi.force_current."""
        ttl_s = checked_ttl_s(ttl_s, self._default_ttl_s, self._longest_ttl_s)
        return await self._ask(name, Request(current_a, ttl_s, holder, request_id, dry_run, takes=True))

    async def _ask(self, name: str, request: Request) -> SetCurrentResult:
        if (answered := self._answered(name, request)) is not None:
            return answered
        with self._overtaking.asking(name, request, self._group):
            return await self._ask_in_turn(name, request)

    def _answered(self, name: str, request: Request) -> SetCurrentResult | None:
        """Return what a repeat was answered the first time, which ends nothing else. Raises ShuttingDownError."""
        if self.closing:
            raise ShuttingDownError("the node is shutting down")
        return self._answers.get(request.holder, request.request_id, about=name)

    async def _ask_in_turn(self, name: str, request: Request) -> SetCurrentResult:
        current_a, holder, dry_run = request.current_a, request.holder, request.dry_run
        async with self._turns.exclusive(name) as battery:
            if (answered := self._answered(name, request)) is not None:
                return answered
            now_s = self._clock.now_s()
            lowers = lowers_own(battery, current_a, holder, now_s)
            lease = None if request.fence is None or dry_run else lease_for(battery, request, request.fence, lowers=lowers)
            if not dry_run:
                ask_anew(battery, asked=True)
            planned = self._planned(battery, request, now_s)
            loser = other_holder(battery, holder, now_s) if request.takes else ""
            if dry_run:
                result = replace(answer(battery, current_a, now_s + request.ttl_s, planned), taken_from=loser)
                return foreseen(result, battery, planned, now_s)
            with whatever_follows(name, loser):
                if loser:
                    await self._take(battery, loser, holder)
                    now_s = self._clock.now_s()
                    planned = self._planned(battery, request, now_s)
                ends_s = now_s + request.ttl_s
                result = replace(answer(battery, current_a, ends_s, planned), taken_from=loser)
                asked = SetPoint(current_a=current_a, ends_s=ends_s, holder=holder, request_id=request.request_id, lease=lease)
                with lower_all_the_same(lambda: self._directory.batteries.get(name), asked, self._clock.now_s, lowers=lowers):
                    async with self._overtaking.executing(battery, request):
                        await self._done(battery, planned, self._executor.execute, None if lowers else lease, asked)
            battery.setpoint = asked
            self.taken.told(holder, name)
            battery.touch()
            self._activate(battery)
            return self._answers.keep(holder, request.request_id, with_doubt(result, battery, self._clock.now_s()), about=name)

    def _planned(self, battery: Battery, request: Request, now_s: float) -> Plan:
        """Return what follows from a request; raises what it is refused with."""
        current_a, holder = request.current_a, request.holder
        check_request(battery, request, battery.status(now_s), now_s)
        ends_s = {battery: now_s + request.ttl_s}
        planned = plan({**self._overtaking.asked(battery), battery: current_a}, now_s, ends_s=ends_s)
        check_carried(battery, current_a, holder, planned, now_s)
        return planned

    async def _take(self, battery: Battery, loser: str, by: str) -> None:
        """End another holder's set point and wait until the safe value is confirmed. Raises what kept a device from it."""
        battery.setpoint = None
        battery.touch()
        self._activate(battery)
        self.taken.note(battery.name, loser, by)
        _log.warning("claim_taken", battery=battery.name, holder=loser, by=by)
        planned = plan({**self._overtaking.asked(battery), battery: battery.spec.safe_current_a}, self._clock.now_s())
        if not await self._done(battery, planned, self._executor.enforce):
            raise UnavailableError(f"{battery.name} is not confirmed at its safe value yet: ask again", battery=battery.name)

    async def _done(
        self,
        battery: Battery,
        planned: Plan,
        do: Callable[[Plan, Callable[[], bool], Over], Awaitable[T]],
        lease: Lease | None = None,
        asked: SetPoint | None = None,
    ) -> T:
        """Return what doing a plan gives, cut where `asked`, or what is in force beside it, ends.

        After a failure, or when it was given up, have it looked at what is in force.
        """
        wanted = still_wanted(planned, self._directory, self._clock.now_s, lease, lambda: not self.closing)
        beside = [top for top in self._directory.tops_with(battery) if top is not battery or asked is None]
        over_s: Over = lambda: min(over_first_s(beside), math.inf if asked is None else asked.over_s)  # noqa: E731
        try:
            return await do(planned, wanted, over_s)
        except (BosError, asyncio.CancelledError):  # nobody may wait any more, but devices may run what they were told
            touched = [each for each in (battery, *(leaf for leaf, _ in planned.devices)) if self._known(each)]
            tops = {top: None for each in touched for top in self._directory.tops_with(each)}
            self.look_again(tops, RETRY_S if wanted() and over_s() > self._clock.now_s() else 0.0)
            raise

    async def clear_current(self, name: str, *, holder: str) -> SetCurrentResult:
        """End the holder's own set point; the booking or the safe value is in force again."""
        with self._overtaking.letting_go(name, holder, None if self.closing else self._group):
            async with self._turns.exclusive(name) as battery:
                now_s = self._clock.now_s()
                check_own(battery, holder, now_s)
                planned = Plan()
                if battery.setpoint is not None:
                    battery.setpoint = None
                    battery.touch()
                    self._activate(battery)
                    planned = plan({**self._overtaking.asked(battery), battery: asked_a(battery)}, now_s)
                    await self._done(battery, planned, self._executor.enforce)
                result = with_doubt(answer(battery, asked_a(battery), None, planned), battery, now_s)
                return replace(result, may_run_a=uncertain_a(battery, self._clock.now_s()) or 0.0)

    def _activate(self, battery: Battery, pause_s: float | None = None) -> None:
        self._active[battery] = None
        if self not in battery.listeners:
            battery.listeners = (*battery.listeners, self)
        self._look(battery, self._least_pause_s if pause_s is None else pause_s)

    def _retire(self, battery: Battery) -> None:
        """Stop looking after a battery of which nothing is asked and that runs nothing."""
        self._active.pop(battery, None)
        self._due_s.pop(battery, None)
        battery.listeners = tuple(listener for listener in battery.listeners if listener is not self)
        ask_anew(battery)

    def look_again(self, batteries: Iterable[Battery], pause_s: float = 0.0) -> None:
        """Look at these batteries soon, active or not."""
        for battery in batteries:
            if battery.user is None:
                self._activate(battery, pause_s)

    def topology_changed(self) -> None:
        """Forget batteries that are gone or in use now; look after whatever carries a set point, or runs or may run one."""
        for battery in [battery for battery in self._active if not self._present(battery)]:
            self._retire(battery)
        self._turns.topology_changed()
        self._shared_s = {}
        self.unmet.clear()
        busy = [each for each in self._directory if is_busy(each, self._clock.now_s())]
        self.look_again({top: None for battery in busy for top in self._directory.tops_with(battery)})

    def _known(self, battery: Battery) -> bool:
        return self._directory.batteries.get(battery.name) is battery

    def _present(self, battery: Battery) -> bool:
        return self._known(battery) and battery.user is None

    async def stop(self, batteries: Collection[Battery], deadline_s: float) -> list[str]:
        """Take stopped batteries (already latched) to 0 A now, past every lock; return the devices that did not confirm."""
        now_s = self._clock.now_s()
        tops = {top: None for battery in batteries for top in self._directory.tops_with(battery)}
        planned = plan({top: asked_a(top) for top in tops}, now_s)
        lower_computed(planned, now_s)
        lowering = moves_to_stop(planned, batteries)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline_s):
                    await self._executor.tell(lowering)
        finally:
            self.look_again(top for top in tops if self._present(top))
        return not_confirmed(lowering)

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Look after active batteries for ever; work on devices runs in tasks of `group`."""
        self._group = group
        while True:
            self._wake.clear()
            self.attend_due()
            if self._standing:
                await asyncio.sleep(0.0)  # however much is due at one instant, others have their turn
            timeout_s = math.inf if self._standing else self.due_s() - self._clock.now_s()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if timeout_s == math.inf else max(LEAST_SLEEP_S, timeout_s)):
                    await self._wake.wait()

    def attend_due(self) -> None:
        """Look at all that is due by now. What needs devices goes on in tasks of its own; all else is done on return."""
        now_s = self._clock.now_s()
        for battery in [battery for battery, due_s in self._due_s.items() if due_s <= now_s]:
            if self._due_s.get(battery, math.inf) > now_s:
                continue  # an earlier one, connected with it, had it looked at: what that found due later stays
            del self._due_s[battery]
            if not self._present(battery):
                self._retire(battery)
            elif self.closing:
                continue  # devices are made safe, and are told nothing behind that
            elif battery.component in self._running:
                self._running[battery.component][battery] = None
                self._overtaking.lower(battery, self._group)
            else:
                self._attend(battery, now_s)

    def due_s(self) -> float:
        """Return when something is due: a look, or the end of a set point; infinite when nothing is."""
        now_s = self._clock.now_s()
        for battery in () if self.closing else self._active:
            over_s = over_first_s((battery,))
            if over_s <= now_s and battery.component in self._running:
                continue  # it was looked at then, and ends in its turn
            if over_s < self._due_s.get(battery, math.inf):
                self._due_s[battery] = over_s
        return min(self._due_s.values(), default=math.inf)

    async def settle(self) -> None:
        """Wait until nothing that was begun waits for devices."""
        await self._idle.wait()

    def _attend(self, battery: Battery, now_s: float) -> None:
        begins = battery.setpoint is None and battery.applied_a == 0.0 and without_setpoint_a(battery) != 0.0
        if begins and any(leaf.is_waited_for(now_s) for leaf in devices_below(battery)):
            self._look_at(battery, now_s + FIRST_LOOK_PAUSE_S)
            return
        if not self._turns.busy(battery):
            planned = self._plan_again(battery, now_s)
            if not moves_of(planned, now_s):
                self._settle(battery, planned, now_s)
                return
        else:
            self._overtaking.lower(battery, self._group)
        assert self._group is not None  # noqa: S101 (what needs devices is looked after by `run`)
        self._running[battery.component] = {}
        self._idle.clear()
        self._group.create_task(self._enforce(battery, battery.component), name=f"enforce {battery.name}")

    def _plan_again(self, battery: Battery, now_s: float) -> Plan:
        """Plan what is in force for all that is connected with `battery`, without what has ended."""
        asked = self._overtaking.asked(battery)
        for top in asked:
            end_what_is_over(top, now_s, self.taken.over)
            self._due_s.pop(top, None)
        pause_s = self._shared_s.get(battery.component, -math.inf) + SHARE_PAUSE_S - now_s
        if pause_s > 0.0:
            self._look(battery, pause_s)
        return plan({top: self._overtaking.asked_of(top) for top in asked}, now_s, move_shares=pause_s <= 0.0)

    def _settle(self, battery: Battery, planned: Plan, now_s: float) -> None:
        """Put a plan without devices in force; find out when to look again."""
        self.unmet.met(battery.component)
        if planned.computed:
            self._shared_s[battery.component] = now_s
        commit(planned, now_s)
        if planned.lost:  # an earlier look may have taken the place of this one
            self._look(battery, LOST_PAUSE_S)
        for top in self._overtaking.asked(battery):
            end_s, idle = changes_s(top, now_s), ask_anew_if_idle(top)
            if end_s < math.inf:
                self._look_at(top, just_after_s(end_s))
            elif idle:
                self._retire(top)

    async def _enforce(self, battery: Battery, component: int) -> None:
        """Plan again and tell devices; a failure is tried again."""
        try:
            async with self._turns.exclusive(battery.name) as present:
                if present is not battery or battery.user is not None or self.closing:
                    return
                now_s = self._clock.now_s()
                planned = self._plan_again(battery, now_s)
                try:
                    done = await self._done(battery, planned, self._executor.enforce)
                except BosError as error:
                    if self.unmet.note(component, battery.name, error):
                        _log.warning("enforce_failed", battery=battery.name, reason=error.reason, detail=error.message)
                else:
                    self._enforced(battery, planned, now_s, done=done)
        except BadNameError:
            self._retire(battery)
        finally:
            for waiting in self._running.pop(component, {}):
                self._look(waiting, self._least_pause_s)
            self._wake.set()
            if not self._running:
                self._idle.set()

    def _enforced(self, battery: Battery, planned: Plan, now_s: float, *, done: bool) -> None:
        """Go on from a plan made at `now_s` that is in force, or waits for devices that failed a moment ago."""
        if not done:
            self._look(battery, RETRY_S)
            return
        self._shared_s[battery.component] = now_s
        self._settle(battery, Plan(lost=planned.lost), self._clock.now_s())
