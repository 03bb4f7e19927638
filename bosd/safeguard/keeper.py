"""The daemon's side of the guard: keeps one standing, tells it the devices, ticks from the loop, and dismisses it at the end.

Nothing blocks the loop: processes are started and ended in a thread of its own, and the pipe takes what it takes.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from bosd.bal.spec import PhysicalSpec
from bosd.clock import SystemClock
from bosd.safeguard.device_list import Devices, End, encode
from bosd.safeguard.post import Post
from bosd.safeguard.report import Report, forget_report, write_report
from bosd.safeguard.safe_action import Outcome, action_of, line_of
from bosd.safeguard.turn import take_turn

TICK_S = 0.25
TURN_S = 10.0
"""How long the work of the last daemon's guard is waited for at the start; it ends by itself before."""
MOST_UNANSWERED = 40
"""A guard that has not read for so many ticks (10 s) hangs and is replaced; a new one loads its drivers first."""
PAUSES_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Pause before each new guard, by the failures in a row; the last one is repeated."""
STEADY_S = 10.0
"""A guard that has stood for so long ends a row of failures."""
TOLD_AFTER = 3
"""So many failures in a row are an error of the node."""
DISMISS_S = 1.0
_LOOK_AGAIN_S = 0.01

_log = structlog.get_logger("daemon")


class Keeper:
    """Keeps a guard for this process while `devices` returns any.

    `lost` is called with the reason when none can be kept, `kept` when one stands steadily again.
    """

    def __init__(
        self,
        state_dir: Path,
        devices: Callable[[], tuple[PhysicalSpec, ...]],
        *,
        lost: Callable[[str], object],
        kept: Callable[[], object],
    ) -> None:
        self._state_dir = state_dir
        self._devices = devices
        self._on_lost = lost
        self._on_kept = kept
        self._hand = ThreadPoolExecutor(max_workers=1, thread_name_prefix="guard")
        self._post: Post | None = None
        self._told: tuple[PhysicalSpec, ...] = ()
        self._turn: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failures = 0
        self._due_s = 0.0
        self._stands_since_s = 0.0
        self._work = asyncio.Lock()
        self._served = False

    async def begin(self, give_up: Callable[[], bool], have_turn: Callable[[], None]) -> None:
        """Wait until no other process commands these devices, at most 10 s or until `give_up`; then post the first guard.

        Between the two `have_turn` is called: what a guard at work did is written by then.
        """
        try:
            self._turn = await take_turn(self._state_dir, TURN_S, give_up)
            if self._turn is None:
                _log.error("guard_still_at_work", state_dir=str(self._state_dir), waited_s=TURN_S)
        except OSError as error:
            _log.error("guard_turn_unknown", detail=str(error))
        have_turn()
        await self._look()
        self._tick()

    async def run(self) -> None:
        """Look after the guard for ever: replace one that died or hangs, post one when the first device comes."""
        self._served = True
        while True:
            await self._look()
            await asyncio.sleep(TICK_S)

    async def end(self, unconfirmed: tuple[str, ...] | None) -> None:
        """Dismiss the guard, which has nothing to do, or leave it the devices that could not be made safe; None: all of them.

        Idempotent. Who is left with devices acts when this process is gone. `guard.json` has them until then, so that `bosd safe`
        knows of them even where no guard could be kept.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        post, self._post = self._post, None
        left = [spec for spec in self._devices() if unconfirmed is None or spec.name in unconfirmed]
        if post is not None and unconfirmed is not None:
            post.tell(encode(End(tuple(spec.name for spec in left))))
        if left:
            self._record(left)
            return
        if self._served:
            forget_report(self._state_dir)
        if post is not None:
            await self._gone(post)

    def _record(self, left: Sequence[PhysicalSpec]) -> None:
        """Write what the daemon leaves behind; a guard at work waits for its end and writes its own account over it."""
        result = "not confirmed when the daemon ended"
        outcomes = [Outcome(spec.name, line_of(spec), action_of(spec), result) for spec in left]
        report = Report(by="daemon", why="it ended in order", at_utc_s=SystemClock().utc_s(), outcomes=outcomes, specs=left)
        if unwritten := write_report(self._state_dir, report):
            _log.error("guard_report_unwritten", detail=unwritten)

    async def _gone(self, post: Post) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + DISMISS_S
        while post.status is None and loop.time() < until_s:
            post.tick()
            await asyncio.sleep(_LOOK_AGAIN_S)
        await loop.run_in_executor(self._hand, post.relieve)

    def _tick(self) -> None:
        """Tell the guard that the loop turns, and what has changed; a timer and no task, so that it goes on through the end."""
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        post = self._post
        if post is None:
            return
        devices = self._devices()
        if devices and devices != self._told:
            self._told = devices
            post.tell(encode(Devices(devices)))
        post.tick()

    async def _look(self) -> None:
        async with self._work:
            post = self._post
            loop = asyncio.get_running_loop()
            if post is None:
                if self._devices() and loop.time() >= self._due_s:
                    await self._man()
            elif post.status is not None:
                await self._lost(post, f"it ended with status {post.status}")
            elif post.unanswered > MOST_UNANSWERED:
                await self._lost(post, f"it has not read for {MOST_UNANSWERED * TICK_S:g} s")
            elif not self._devices():
                self._post, self._told = None, ()
                post.tell(encode(End()))
                await self._gone(post)
            elif self._failures and post.heard and loop.time() >= self._stands_since_s + STEADY_S:
                self._failures = 0
                self._on_kept()

    async def _man(self) -> None:
        devices = self._devices()
        manning = asyncio.get_running_loop().run_in_executor(self._hand, Post.man, self._state_dir, self._turn)
        try:
            post = await asyncio.shield(manning)
        except asyncio.CancelledError:
            manning.add_done_callback(_relieve_late)
            raise
        except OSError as error:
            self._failed(f"it cannot be started: {error.strerror}")
            return
        self._told = devices
        post.tell(encode(Devices(devices)))
        self._post = post
        self._stands_since_s = asyncio.get_running_loop().time()
        _log.info("guard_posted", pid=post.pid, devices=len(devices))

    async def _lost(self, post: Post, how: str) -> None:
        self._post = None
        await asyncio.get_running_loop().run_in_executor(self._hand, post.relieve)
        self._failed(how)

    def _failed(self, how: str) -> None:
        pause_s = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1
        self._due_s = asyncio.get_running_loop().time() + pause_s
        _log.error("guard_lost", detail=how, again_in_s=pause_s)
        if self._failures >= TOLD_AFTER:
            self._on_lost(f"no guard stands beside the daemon: {how}; tried {self._failures} times")


def _relieve_late(manning: "asyncio.Future[Post]") -> None:
    """End a guard that came when nobody waited for it any more."""
    if not manning.cancelled() and manning.exception() is None:
        manning.result().relieve()
