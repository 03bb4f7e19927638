"""What does not wait for its turn: limits that fell, and a holder that asks for less than it did a moment ago.

Lowering and a tighter limit never wait for another node (control.md, "Stop always works"), and a command that is under way may
wait for one. A stop overtakes everything (controller.py).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from bosd.bal.battery import Battery, DeviceLeaf
from bosd.bal.directory import Directory
from bosd.bal.dispatch import asked_a, plan, without_setpoint_a
from bosd.clock import Clock
from bosd.errors import FencedError, UnavailableError
from bosd.node.execute import RETRY_S, Executor, is_less
from bosd.node.moves import Move, moves_of
from bosd.node.requests import Request, lowers_own
from bosd.node.stopping import lower_computed
from bosd.node.turns import Turns


@dataclass(slots=True)
class _UnderWay:
    """A request that is being executed, in a `scope` that ends it; `ended` says that it was."""

    request: Request
    scope: asyncio.Timeout
    ended: bool = False


class Overtaking:
    """What is asked of free batteries, the requests that are being executed, and what overtakes them.

    `active` are those looked after although nothing may be asked of them; `look_again` has batteries looked at.
    """

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        executor: Executor,
        turns: Turns,
        active: Collection[Battery],
        look_again: Callable[[Iterable[Battery]], None],
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._executor = executor
        self._turns = turns
        self._active = active
        self._look_again = look_again
        self._under_way: dict[Battery, _UnderWay] = {}
        self._less: dict[str, Request] = {}

    def asked(self, battery: Battery) -> dict[Battery, float]:
        """Return what is asked of the free batteries connected with `battery`, and no more than holders that wait ask now."""
        tops = self._directory.tops_with(battery)
        asked = [
            top for top in tops if top is battery or top in self._under_way or top in self._active or top.setpoint or top.booked
        ]
        return {top: self.asked_of(top) for top in asked}

    def asked_of(self, top: Battery) -> float:
        """Return what is asked of a free battery, and no more than its holder, who waits, asks now; what is over asks nothing."""
        over = top.setpoint is not None and top.setpoint.over_s <= self._clock.now_s()
        in_force_a, less = without_setpoint_a(top) if over else asked_a(top), self._less_of(top)
        return in_force_a if less is None or not _is_less_of(less.current_a, in_force_a) else less.current_a

    def _less_of(self, top: Battery) -> Request | None:
        """Return the request for less that waits, while who asks has the claim."""
        less = self._less.get(top.name)
        return less if less is not None and top.setpoint is not None and top.setpoint.holder == less.holder else None

    @asynccontextmanager
    async def executing(self, battery: Battery, request: Request) -> AsyncIterator[None]:
        """Execute a request of `battery` in the block. Raises UnavailableError when its holder asks for less meanwhile."""
        less = self._less.get(battery.name)
        if less is request:
            del self._less[battery.name]  # it has its turn: nothing of it overtakes itself
        elif less is not None and _takes_back(battery, request, less):
            raise _superseded(battery, request)
        scope = asyncio.timeout(None)
        self._under_way[battery] = _UnderWay(request, scope)
        try:
            async with scope:
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise _superseded(battery, request) from None
        finally:
            del self._under_way[battery]

    @contextmanager
    def asking(self, name: str, request: Request, group: asyncio.TaskGroup | None) -> Iterator[None]:
        """Let a request, in the block, for less than its holder asked not wait for what is under way.

        What raises `battery` for that holder ends, or is not begun; what was told counts until it is confirmed. All devices that
        are not being told are told less in `group`, at once. What its holder does not wait for any more is asked all the same.
        A node has to be in session, as for any command: a copy of an earlier one is none.
        """
        battery = self._directory.batteries.get(name)
        if battery is None or not self._turns.busy(battery) or not self._is_less(battery, request):
            yield
            return
        self._less[name] = request
        under_way = self._under_way.get(battery)
        if under_way is not None and not under_way.ended and _takes_back(battery, under_way.request, request):
            under_way.ended = True
            under_way.scope.reschedule(asyncio.get_running_loop().time())
        self.lower(battery, group)
        before = battery.setpoint
        try:
            yield
        except BaseException as error:
            here = self._directory.batteries.get(name, battery)  # an edit may have made another of it
            if isinstance(error, asyncio.CancelledError) and here.setpoint == before:  # or with a new lease
                self._keep(here, request)
            self._look_again(self._directory.tops_with(here))
            raise
        finally:
            if self._less.get(name) is request:
                del self._less[name]

    def _keep(self, battery: Battery, request: Request) -> None:
        """Put in force what was told past its turn and whose holder did not wait: what was asked before must not come back."""
        now_s, before = self._clock.now_s(), battery.setpoint
        if before is None or battery.user is not None or before.holder != request.holder or before.over_s <= now_s:
            return
        if not _is_less_of(request.current_a, before.current_a):  # what is applied to a sum that was just made is not known yet
            return
        try:
            if request.fence is not None:
                request.fence.check(battery.name, lowers=True)
        except FencedError:
            return
        ends_s = min(before.ends_s, now_s + request.ttl_s)
        battery.setpoint = replace(before, current_a=request.current_a, ends_s=ends_s, request_id=request.request_id)
        battery.touch()

    @contextmanager
    def letting_go(self, name: str, holder: str, group: asyncio.TaskGroup | None) -> Iterator[None]:
        """Let the end of a holder's set point, in the block, not wait: a request for what is in force then, if that is less."""
        battery = self._directory.batteries.get(name)
        after_a = 0.0
        if battery is not None and battery.setpoint is not None:
            less_a = without_setpoint_a(battery)
            after_a = less_a if _is_less_of(less_a, battery.setpoint.current_a) else 0.0
        with self.asking(name, Request(after_a, 0.0, holder, "", dry_run=False), group):
            yield

    def _is_less(self, battery: Battery, request: Request) -> bool:
        if request.dry_run or (request.fence is not None and not request.fence.stands(battery.name)):
            return False
        under_way = self._under_way.get(battery)
        takes_back = under_way is not None and _takes_back(battery, under_way.request, request)
        return takes_back or lowers_own(battery, request.current_a, request.holder, self._clock.now_s())

    def lower(self, battery: Battery, group: asyncio.TaskGroup | None) -> None:
        """Lower what is more than is asked, or than limits allow, or is over: software at once, devices in a task of `group`.

        This concerns all that is connected with `battery`. What is being told already, or has not confirmed, is left to the
        command under way: it is nobody else's answer.
        """
        now_s = self._clock.now_s()
        asked = {top: self._at_least(top, current_a) for top, current_a in self.asked(battery).items()}
        planned = plan(asked, now_s, move_shares=False)
        planned.ends_s |= {leaf: None for leaf, ends_s in planned.ends_s.items() if ends_s is not None and ends_s <= now_s}
        lower_computed(planned, now_s)
        ahead = self._executor.ahead
        for move in moves_of(planned, now_s):
            if group is not None and move.leaf not in ahead and _overtakes(move, now_s):
                ahead[move.leaf] = group.create_task(self._tell(move, tuple(asked)), name=f"overtake {move.leaf.name}")
                ahead[move.leaf].add_done_callback(partial(self._told, move.leaf))

    def _at_least(self, top: Battery, current_a: float) -> float:
        """Return the larger of what is asked and what is being executed, where both go one way."""
        under_way = self._under_way.get(top)
        if under_way is None or under_way.ended or self._less_of(top) is not None:
            return current_a
        return under_way.request.current_a if _is_less_of(current_a, under_way.request.current_a) else current_a

    async def _tell(self, move: Move, tops: Iterable[Battery]) -> None:
        try:
            await self._executor.tell([move])
        finally:
            self._look_again(tops)

    def _told(self, leaf: DeviceLeaf, _task: "asyncio.Task[None]") -> None:
        del self._executor.ahead[leaf]


def _superseded(battery: Battery, request: Request) -> UnavailableError:
    return UnavailableError(f"superseded: {request.holder} asked for less of {battery.name} meanwhile", battery=battery.name)


def _is_less_of(current_a: float, than_a: float) -> bool:
    """Return whether a current is a part of another one, or nothing."""
    return current_a == 0.0 or (current_a * than_a > 0.0 and abs(current_a) < abs(than_a))


def _takes_back(battery: Battery, before: Request, now: Request) -> bool:
    """Return whether the holder of a request that raises `battery` asks for less than that by now."""
    raises = before.current_a * battery.applied_a < 0.0 or abs(before.current_a) > abs(battery.applied_a)
    return now.holder == before.holder and raises and _is_less_of(now.current_a, before.current_a)


def _overtakes(move: Move, now_s: float) -> bool:
    """Return whether a device is to be told less past the turn of whatever is under way."""
    idle = move.leaf.telling_a is None and now_s >= move.leaf.failed_s + RETRY_S
    return idle and move.certain and not move.turns and is_less(move.new_a, move.old_a)
