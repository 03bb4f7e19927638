"""How long a link to another node waits."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from bosd.fleet.timers import SessionTimers


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTimers:
    """How long a link waits, in seconds; `session` has the times that both ends of a session go by."""

    lost_s: float = 3.0
    first_s: float = 1.5
    pause_least_s: float = 0.1
    pause_most_s: float = 0.5
    pause_barred_s: float = 8.0
    """The most between attempts of a node whose own certificate is refused, or that gets nothing of what it wants: it has no
    right to it, or it is not there. Another certificate, or another battery that is wanted, ends the pause."""
    call_s: float = 2.0
    """Of every call but commands: an owner waits for its devices first (`RemoteCalls.command_deadline_s`)."""
    probe_period_s: float = 5.0
    session: SessionTimers = field(default_factory=SessionTimers)


class Pauses:
    """How long to wait between attempts: longer from failure to failure, up to a bound."""

    def __init__(self, timers: LinkTimers) -> None:
        self._timers = timers
        self._pause_s = timers.pause_least_s
        self._hopeful = asyncio.Event()

    async def wait(self, *, was_up: bool, refused: bool, barred: bool) -> None:
        """Wait for the pause after an attempt; where it was `barred`, no longer than there is no reason to hope again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.after(was_up=was_up, refused=refused, barred=barred)):
                await (self._hopeful if barred else asyncio.Event()).wait()
        self._hopeful.clear()

    def hope(self) -> None:
        """Have a barred one try again at once: it has another certificate, or other wishes."""
        self._hopeful.set()

    def after(self, *, was_up: bool, refused: bool, barred: bool) -> float:
        """Return the pause in seconds after an attempt; `barred`: what refused it will hardly change by itself."""
        timers = self._timers
        most_s = timers.pause_barred_s if barred else timers.pause_most_s
        self._pause_s = timers.pause_least_s if was_up else min(most_s, 2.0 * self._pause_s)
        return max(self._pause_s, timers.pause_most_s) if refused else self._pause_s
