"""Executing a plan: lower first, confirm, then raise; a failure brings back what was raised (control.md).

What exists in software only follows in one turn of the loop, without a task. Devices of one phase are told at the same time.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.caps import clamp_to_caps
from bosd.bal.dispatch import Plan, clamp
from bosd.clock import Clock
from bosd.errors import BosError, NotFollowedError, TransientError, UnavailableError
from bosd.node.moves import Move, moves_of, phases_of
from bosd.node.outcome import Outcome

RETRY_S = 1.0
"""Pause before a device that did not follow is told again."""


LEAST_LOOK_S = 0.001
FELL = 0.02
"""A limit that is lower by more than this part fell; the voltage alone moves limits in watts (control.md: tolerance 2 %)."""
Over: TypeAlias = Callable[[], float]
"""Returns until when what is done is wanted, on the node's clock; asked anew, since leases are renewed."""


def never() -> float:
    """Return that there is no end."""
    return math.inf


def _refuse_unless(still_wanted: Callable[[], bool]) -> None:
    if not still_wanted():
        raise UnavailableError("superseded by a stop or an edit; nothing more was raised")


def _fallen(plan: Plan, moves: Sequence[Move], now_s: float) -> list[Battery]:
    """Return what may carry less by now than these moves tell devices, or than the plan gave it, where it has caps."""
    fell: list[Battery] = [
        move.leaf for move in moves if is_less(clamp(move.new_a, move.leaf, move.leaf.status(now_s), now_s)[0], move.new_a)
    ]
    for battery, (current_a, _) in plan.clamped.items():
        if battery.caps and is_less(clamp_to_caps(battery, current_a, now_s)[0], current_a):
            fell.append(battery)
    return fell


def _refuse_beyond(plan: Plan, last: Sequence[Move], now_s: float) -> None:
    """Refuse to raise what a limit does not allow any more that fell since the plan; trifles are followed afterwards."""
    raised = [move for move in last if not move.lowers]
    if raised and (fell := _fallen(plan, raised, now_s)):
        name = fell[0].name
        raise UnavailableError(f"a limit of {name} fell meanwhile; nothing more was raised: ask again", battery=name)


def _look_again(plan: Plan, phase: Sequence[Move], clock: Clock, still_wanted: Callable[[], bool]) -> None:
    """Refuse a phase that had to wait, where it is wanted no more or a limit fell."""
    _refuse_unless(still_wanted)
    _refuse_beyond(plan, phase, clock.now_s())


def is_less(allowed_a: float, planned_a: float) -> bool:
    """Return whether a magnitude is less than another by more than a trifle."""
    return abs(allowed_a) < abs(planned_a) * (1.0 - FELL)


def commit(plan: Plan, now_s: float) -> None:
    """Put a plan in force: end the meters' intervals, let software batteries follow, note what is asked and applied."""
    for splitter in plan.splitters:
        if any(part in plan.clamped and plan.clamped[part].current_a != part.applied_a for part in splitter.partitions):
            splitter.step(now_s)
    for battery, target_a in plan.targets_a.items():
        if battery.user is not None and battery.target_a != target_a:
            battery.target_a = target_a
            battery.touch()
    for battery, clamped in plan.clamped.items():
        if battery.clamped_by != clamped.reason or (battery.sources and battery.applied_a != clamped.current_a):
            battery.clamped_by = clamped.reason
            if battery.sources:
                battery.applied_a = clamped.current_a
            battery.touch()
    for leaf, current_a in plan.computed:
        leaf.apply(current_a, now_s)


class Executor:
    """Tells devices what to do. `settled` is called with each one that confirmed, to have it sampled at once.

    `not_followed` hears of those that answered and do not do it.
    """

    def __init__(self, clock: Clock, settled: Callable[[DeviceLeaf], None]) -> None:
        self._clock = clock
        self._settled = settled
        self.not_followed: Callable[[DeviceLeaf, BosError], None] | None = None
        self.ahead: dict[DeviceLeaf, asyncio.Task[None]] = {}
        """Devices that are told less past the turn of whatever is under way: that waits until they are."""
        self.until: dict[DeviceLeaf, Over] = {}
        """Until when what devices confirmed is wanted, of a plan that is not in force yet, or never came to be."""
        self._telling: dict[DeviceLeaf, list[Move]] = {}

    async def execute(self, plan: Plan, still_wanted: Callable[[], bool], over_s: Over = never) -> None:
        """Do what was asked for, all or nothing: lower, settle, raise, commit; nothing is waited for beyond `over_s`.

        Raises what kept a device from following; then nothing is committed, what was raised is brought back, and what was lowered
        too if every member is certain.
        `still_wanted` is asked whenever time has passed: a stop or an edit in the meantime ends the plan as it stands.
        """
        phases = [phase for phase in phases_of(moves_of(plan, self._clock.now_s(), asked=True)) if phase]
        done: list[Move] = []
        for phase in phases:
            outcome = await self._tell_until(phase, over_s, partial(_look_again, plan, phase, self._clock, still_wanted))
            if phase is not phases[-1]:
                outcome.doubt(phase)
                _refuse_beyond(plan, phases[-1], self._clock.now_s())
            outcome.forgive(plan.lost)
            _refuse_unless(still_wanted)
            if outcome.errors:
                await self._bring_back(plan, phase, done, outcome, still_wanted)
                outcome.raise_any()
            done += phase
        self._commit(plan, phases)

    async def enforce(self, plan: Plan, still_wanted: Callable[[], bool], over_s: Over = never) -> bool:
        """Put in force what nobody need ask for, an end or a limit: lower, settle, raise, commit. Return whether all is done.

        Who followed stays so, whoever else failed: nothing is brought back. A device that failed is told again `RETRY_S` later,
        and nothing is raised before what is to be lowered is.
        Raises what kept a device from following; `still_wanted` and `over_s` as for `execute`.
        """
        now_s = self._clock.now_s()
        phases = [phase for phase in phases_of(moves_of(plan, now_s)) if phase]
        for phase in phases:
            due = [move for move in phase if now_s >= move.leaf.failed_s + RETRY_S]
            if due:
                outcome = await self._tell_until(due, over_s, partial(_look_again, plan, due, self._clock, still_wanted))
                if phase is not phases[-1]:
                    outcome.doubt(phase)
                    _refuse_beyond(plan, phases[-1], self._clock.now_s())
                outcome.forgive(plan.lost)
                _refuse_unless(still_wanted)
                outcome.raise_any()
            if len(due) < len(phase):
                return False
        self._commit(plan, phases)
        return True

    def _commit(self, plan: Plan, phases: Sequence[Sequence[Move]]) -> None:
        """Put a plan in force; from now on what its devices were told is over when that is."""
        commit(plan, self._clock.now_s())
        for move in (move for phase in phases for move in phase):
            self.until.pop(move.leaf, None)

    async def _bring_back(
        self, plan: Plan, told: Sequence[Move], lowered: Sequence[Move], outcome: Outcome, still_wanted: Callable[[], bool]
    ) -> None:
        """Undo what was raised; restore what was lowered only if every member is certain again, and no limit fell meanwhile."""
        outcome.states.update({move.leaf.name: "new" for move in lowered})
        done = [move for move in (*told, *lowered) if outcome.states[move.leaf.name] == "new"]
        raised = [move for move in done if not move.lowers and not is_less(move.leaf.counts_at_a, move.back_a)]
        if raised:
            outcome.take_back((await self.tell([move.undone() for move in raised], lambda: None)).states)
        restored = [move.undone() for move in done if move.lowers]
        look = partial(_look_again, plan, restored, self._clock, still_wanted)
        with suppress(UnavailableError):
            look()
            if restored and "unknown" not in outcome.states.values():
                outcome.take_back((await self.tell(restored, look)).states)

    async def _tell_until(self, moves: Sequence[Move], over_s: Over, check: Callable[[], None]) -> Outcome:
        """Tell devices as long as the set point that asks for it lives; beats may make that longer meanwhile.

        What is told `ahead` to a device goes first; whatever came meanwhile, `check` looks again.

        Raises UnavailableError once it is over: what did not confirm counts at the larger magnitude and may be told anew at once.
        """
        loop = asyncio.get_running_loop()
        scope, timer = asyncio.timeout(None), None

        def look() -> None:
            nonlocal timer
            left_s = over_s() - self._clock.now_s()
            if left_s <= 0.0:
                scope.reschedule(loop.time())
            elif left_s < math.inf:
                timer = loop.call_later(max(LEAST_LOOK_S, left_s), look)

        if over_s() <= self._clock.now_s():
            raise UnavailableError("the set point was over before a device could be told")
        try:
            async with scope:
                look()
                return await self.tell(moves, check, over_s)
        except TimeoutError:
            if not scope.expired():
                raise
            names = ", ".join(move.leaf.name for move in moves)
            raise UnavailableError(
                f"the set point was over before all of {names} confirmed: what is not certain counts"
            ) from None
        finally:
            if timer is not None:
                timer.cancel()

    async def tell(self, moves: Sequence[Move], check: Callable[[], None] | None = None, over_s: Over | None = None) -> Outcome:
        """Tell devices at the same time, what is wanted `until` it is over; return what became of each.

        With `check` each waits for what is told `ahead` to it, and is refused if that raises then; without, it goes past.
        """
        for move in moves:
            self.until.pop(move.leaf, None)
            if over_s is not None:
                self.until[move.leaf] = over_s
        outcome, tell = Outcome(), partial(self._tell, None) if check is None else partial(self._tell_behind, check)
        if len(moves) == 1:
            await tell(moves[0], outcome)
            return outcome
        async with asyncio.TaskGroup() as group:
            for move in moves:
                group.create_task(tell(move, outcome), name=f"command {move.leaf.name}")
        return outcome

    async def _tell_behind(self, check: Callable[[], None], move: Move, outcome: Outcome) -> None:
        name = move.leaf.name
        waited = False
        while (ahead := self.ahead.get(move.leaf)) is not None:
            await asyncio.wait((ahead,))
            waited = True
        try:
            if waited:
                check()
        except UnavailableError as error:
            outcome.states[name], outcome.errors[name] = "old", error
            return
        if waited and not move.leaf.expires and move.leaf.unconfirmed_a is None and move.leaf.counts_at_a == move.new_a:
            outcome.states[name] = "new"  # that was told ahead
        else:
            await self._tell(check, move, outcome)

    async def _tell(self, check: Callable[[], None] | None, move: Move, outcome: Outcome) -> None:
        leaf, sent = move.leaf, False
        self._begins(move)
        try:
            async with asyncio.timeout(leaf.command_deadline_s):
                if await leaf.note(move.new_a) and check is not None:
                    check()
                ttl_s = None if move.ends_s is None else max(0.0, move.ends_s - self._clock.now_s())
                sent = True
                await leaf.command(move.new_a, ttl_s)
        except (TransientError, TimeoutError) as cause:
            error = cause if isinstance(cause, BosError) else UnavailableError(f"no answer within {leaf.command_deadline_s:g} s")
            self._failed(move, outcome, error, "unknown" if sent else "old")
        except BosError as error:
            self._failed(move, outcome, error, "old")
        except asyncio.CancelledError:
            self._ends(move)
            if sent:
                leaf.lost_answer(move.new_a)
            else:
                leaf.not_told()
            raise
        else:
            self._ends(move, confirmed=True)
            leaf.failed_s = -math.inf
            leaf.told_ends_s = move.ends_s
            leaf.settled(move.new_a, self._clock.now_s())
            outcome.states[leaf.name] = "new"
            self._settled(leaf)

    def _begins(self, move: Move) -> None:
        """Count what a device is being told, beside what it is told already: a stop waits for no answer."""
        under_way = self._telling.setdefault(move.leaf, [])
        under_way.append(move)
        self._count(move.leaf, under_way)

    def _ends(self, move: Move, *, confirmed: bool = False) -> None:
        """Count it no more; where it is `confirmed`, nor what was sent before it, unless that is confirmed later."""
        under_way = self._telling.get(move.leaf, [])
        place = next((at for at, each in enumerate(under_way) if each is move), None)
        if place is not None:
            del under_way[0 if confirmed else place : place + 1]
        self._count(move.leaf, under_way)
        if not under_way:
            self._telling.pop(move.leaf, None)

    @staticmethod
    def _count(leaf: DeviceLeaf, under_way: Sequence[Move]) -> None:
        leaf.telling_a = max((move.new_a for move in under_way), key=abs, default=None)

    def _failed(self, move: Move, outcome: Outcome, error: BosError, state: str) -> None:
        leaf = move.leaf
        self._ends(move)
        leaf.failed_s = self._clock.now_s()
        if state == "unknown":
            leaf.lost_answer(move.new_a)
        else:
            leaf.not_told()
        outcome.states[leaf.name] = state
        outcome.errors[leaf.name] = error
        if self.not_followed is not None and isinstance(error, NotFollowedError):
            self.not_followed(leaf, error)
